//! PNG, read as Pillow's `PngImagePlugin` and `ZipDecode.c` do.
//!
//! Checksums are checked before the pixels alone. The pixels end with the last row, whatever follows; where the
//! compressed data ends with an earlier row, what is missing stays black, or colour 0 of the palette.

mod chunks;
mod pixels;

use chunks::{Chunks, Text};
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
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
///
/// Pillow asks zlib for one row after the other while a piece of data has bytes left. So what the last byte of a piece
/// gives beyond the end of a row waits for the next piece. All of it does where a row ends before that byte: zlib reads
/// on up to what gives more.
fn unpack(chunks: &mut Chunks, pixels: &mut Pixels) -> Result<bool, ImageError> {
    let begin = chunks.clone();
    let mut inflate = Inflate::new();
    let mut waiting = Vec::new();
    let mut given = 0;
    loop {
        let piece = chunks.data()?.ok_or_else(cut_short)?;
        let (before_last, last) = piece.split_at(piece.len().saturating_sub(1));
        if last.is_empty() {
            continue;
        }
        let mut has_given = !waiting.is_empty();
        let mut surplus = pixels.take(&waiting)?;
        waiting.clear();
        inflate.unpack(before_last, |data| {
            has_given = true;
            given += data.len();
            surplus += pixels.take(data)?;
            Ok(surplus == 0)
        })?;
        if surplus == 0 {
            inflate.unpack(last, |data| {
                given += data.len();
                waiting.extend_from_slice(data);
                Ok(true)
            })?;
        }
        let left = if has_given && pixels.is_between_rows() { 0 } else { pixels.left_in_row() };
        let left = left.min(waiting.len());
        has_given |= !waiting.is_empty();
        pixels.take(&waiting[..left])?;
        waiting.drain(..left);
        // zlib is asked for no byte behind the last row, so it does not see what is wrong from there on.
        if surplus > 0 || pixels.are_complete() && !waiting.is_empty() {
            return Ok(true);
        }
        if !waiting.is_empty() {
            continue;
        }
        match inflate.status {
            // A checksum that follows the last row in the same piece has to be right.
            TINFLStatus::NeedsMoreInput | TINFLStatus::Done if pixels.are_complete() => return Ok(true),
            TINFLStatus::NeedsMoreInput => {}
            TINFLStatus::Done if pixels.is_between_rows() && has_given => return Ok(false),
            TINFLStatus::Done => return Err(cut_short()),
            _ if pixels.are_complete() && refers_too_far(begin, given)? => return Ok(true),
            _ => return Err(broken("its compressed data makes no sense")),
        }
    }
}

/// Whether what is wrong behind so many bytes is a copy of bytes before the first. zlib notices that only when it is
/// asked for one of them.
fn refers_too_far(mut chunks: Chunks, given: usize) -> Result<bool, ImageError> {
    let mut inflate = Inflate { is_full: true, ..Inflate::new() };
    let mut found = 0;
    while let Some(piece) = chunks.data()? {
        inflate.unpack(piece, |data| {
            found += data.len();
            Ok(found <= given)
        })?;
        if found > given {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unpacks data that comes in pieces.
struct Inflate {
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
    /// Whether the window has been filled: before that, nothing is behind its end.
    is_full: bool,
    status: TINFLStatus,
}

impl Inflate {
    fn new() -> Inflate {
        Inflate {
            state: Box::default(),
            window: vec![0; WINDOW],
            at: 0,
            is_full: false,
            status: TINFLStatus::NeedsMoreInput,
        }
    }

    /// Gives all that follows from the piece to `put`, until that wants no more.
    fn unpack(
        &mut self,
        mut piece: &[u8],
        mut put: impl FnMut(&[u8]) -> Result<bool, ImageError>,
    ) -> Result<(), ImageError> {
        loop {
            match self.status {
                TINFLStatus::NeedsMoreInput if !piece.is_empty() => {}
                TINFLStatus::HasMoreOutput => {}
                _ => return Ok(()),
            }
            let wrapping = if self.is_full { 0 } else { TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF };
            let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_HAS_MORE_INPUT | wrapping;
            let (status, taken, given) = decompress(&mut self.state, piece, &mut self.window, self.at, flags);
            self.status = status;
            piece = &piece[taken..];
            let data = &self.window[self.at..self.at + given];
            if !data.is_empty() && !put(data)? {
                return Ok(());
            }
            self.at += given;
            if self.at == WINDOW {
                (self.at, self.is_full) = (0, true);
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
