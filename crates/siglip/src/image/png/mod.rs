//! PNG, read as Pillow's `PngImagePlugin` and `ZipDecode.c` do.
//!
//! Checksums are checked before the pixels alone. The pixels end with the last row, whatever follows; where the
//! compressed data ends with an earlier row, what is missing stays black.

mod chunks;
mod pixels;

use chunks::{Chunks, Text};
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use pixels::Pixels;

use super::orientation::Orientation;
use super::{Decoded, ImageError, RgbImage, rgb};

/// ImageMagick's place for EXIF before PNG had one: hexadecimal, after a line of its own, the kind and the length.
const RAW_EXIF: &[u8] = b"Raw profile type exif";
const XMP: &[u8] = b"XML:com.adobe.xmp";
/// More than any metadata needs; what unpacks to more is ignored.
const METADATA_BYTES: usize = 1 << 20;
/// Deflate refers back by at most so many bytes.
const WINDOW: usize = 32768;

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, ImageError> {
    let (Decoded { image, damage }, orientation) = decode_as_stored(bytes)?;
    Ok(Decoded { image: orientation.apply(image)?, damage })
}

/// The picture as it lies, and which way up it is.
pub(super) fn decode_as_stored(bytes: &[u8]) -> Result<(Decoded, Orientation), ImageError> {
    let mut chunks = Chunks::new(bytes);
    let header = chunks.header()?;
    rgb::check_sides(header.width, header.height)?;
    let data = rgb::buffer(header.width, header.height, 3)?;
    let mut pixels = Pixels::new(&header, data)?;
    let is_complete = unpack(&mut chunks, &mut pixels)?;
    chunks.rest()?;
    let damage = if !is_complete {
        Some("its data ends early")
    } else if chunks.has_wrong_checksum {
        Some("a checksum is wrong")
    } else {
        None
    };
    let image = RgbImage::from_rgb(header.width, header.height, pixels.into_rgb())?;
    Ok((Decoded { image, damage }, orientation(&chunks)))
}

/// Gives the unpacked data to `pixels`. False where it ends with a row before the last.
fn unpack(chunks: &mut Chunks, pixels: &mut Pixels) -> Result<bool, ImageError> {
    let mut inflate = Box::new(DecompressorOxide::new());
    let mut window = vec![0; WINDOW];
    let mut at = 0;
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_HAS_MORE_INPUT;
    loop {
        // zlib does nothing without input, whatever it still has to give.
        let mut input = chunks.data()?.ok_or_else(cut_short)?;
        while !input.is_empty() {
            let (status, taken, given) = decompress(&mut inflate, input, &mut window, at, flags);
            let surplus = pixels.take(&window[at..at + given])?;
            at = (at + given) % WINDOW;
            input = &input[taken..];
            match status {
                // zlib is asked for no byte behind the last row, so it does not see what is wrong from there on.
                _ if surplus > 0 => return Ok(true),
                // A checksum that follows the last row in the same piece has to be right.
                TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {
                    if pixels.are_complete() {
                        return Ok(true);
                    }
                    if status == TINFLStatus::NeedsMoreInput {
                        break;
                    }
                }
                TINFLStatus::Done if pixels.are_complete() => return Ok(true),
                TINFLStatus::Done if pixels.is_between_rows() && given > 0 => return Ok(false),
                TINFLStatus::Done => return Err(cut_short()),
                _ => return Err(broken("its compressed data makes no sense")),
            }
        }
    }
}

fn orientation(chunks: &Chunks) -> Orientation {
    let text = |key: &[u8]| chunks.texts.iter().rev().find(|text| text.key == key).and_then(unpacked);
    let exif = chunks.exif.map(<[u8]>::to_vec).or_else(|| unhex(&text(RAW_EXIF)?));
    Orientation::of(exif.as_deref(), text(XMP).as_deref())
}

fn unpacked(text: &Text) -> Option<Vec<u8>> {
    if !text.is_packed {
        return Some(text.value.to_vec());
    }
    decompress_to_vec_zlib_with_limit(text.value, METADATA_BYTES).ok()
}

/// The bytes that all but the first three lines spell.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|&byte| byte == b'\n').skip(3).flatten();
    let mut digits =
        lines.filter(|byte| !byte.is_ascii_whitespace()).map(|&byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        bytes.push((high? << 4 | digits.next()??) as u8);
    }
    Some(bytes)
}

fn cut_short() -> ImageError {
    broken("it ends early")
}

fn broken(reason: &str) -> ImageError {
    ImageError::broken("PNG", reason)
}
