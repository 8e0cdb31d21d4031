//! WebP. The container is read as libwebp's demultiplexer reads it for Pillow, the picture in it by `image-webp`.

mod codes;

use std::borrow::Cow;
use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::orientation::Orientation;
use super::reader::Reader;
use super::{ImageError, RgbImage, rgb};

/// Flags of an extended file.
const ANIMATION: u8 = 1 << 1;
const XMP: u8 = 1 << 2;
const EXIF: u8 = 1 << 3;
/// These, alpha and a colour profile.
const KNOWN: u8 = 0x3e;
/// Bytes before the pixels of a frame of an animation.
const FRAME_HEADER: usize = 16;

/// A name and what belongs to it.
type Chunk<'a> = (&'a [u8], &'a [u8]);

/// What an extended file says.
struct Extended<'a> {
    width: u32,
    height: u32,
    chunks: Vec<Chunk<'a>>,
}

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let chunks = chunks(bytes)?;
    let Some((&(b"VP8X", head), rest)) = chunks.split_first() else {
        return still(&chunks);
    };
    let &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = head else { return Err(cut_short()) };
    let file = Extended {
        width: 1 + u32::from_le_bytes([w0, w1, w2, 0]),
        height: 1 + u32::from_le_bytes([h0, h1, h2, 0]),
        chunks: rest.to_vec(),
    };
    rgb::check_sides(file.width, file.height)?;
    if flags & !KNOWN != 0 {
        return Err(broken("it has unknown flags"));
    }
    let image = if flags & ANIMATION == 0 { file.still()? } else { file.first_frame()? };
    // Metadata without its flag does not count.
    let metadata = |flag: u8, name: &[u8]| {
        let chunk = rest.iter().find(|(found, _)| flags & flag != 0 && *found == name);
        chunk.map(|&(_, body)| body)
    };
    Orientation::of(metadata(EXIF, b"EXIF"), metadata(XMP, b"XMP ")).apply(image)
}

/// All chunks. What lies behind the size that the file states does not count.
fn chunks(bytes: &[u8]) -> Result<Vec<Chunk<'_>>, ImageError> {
    let mut reader = Reader::new(bytes);
    let size = reader.take(12).map(|head| u32_at(head, 4) as usize).ok_or_else(cut_short)?;
    let body = size.checked_sub(4).and_then(|len| reader.take(len)).ok_or_else(cut_short)?;
    let mut reader = Reader::new(body);
    let mut chunks = Vec::new();
    while let Some(chunk) = chunk(&mut reader) {
        match chunk {
            Some(chunk) => chunks.push(chunk),
            // Later frames may be broken, and what follows the chunk behind a picture alone.
            None if chunks.iter().any(|(name, _)| *name == b"ANMF") => break,
            None if chunks.len() > 1 && !is_extended(&chunks) => break,
            None => return Err(cut_short()),
        }
    }
    if !reader.take_up_to(1).is_empty() && is_extended(&chunks) {
        return Err(cut_short());
    }
    match chunks.first() {
        Some((b"VP8 " | b"VP8L" | b"VP8X", _)) => Ok(chunks),
        _ => Err(broken("it does not begin as one")),
    }
}

fn is_extended(chunks: &[Chunk]) -> bool {
    chunks.first().is_some_and(|(name, _)| *name == b"VP8X")
}

/// Those up to the first one that cannot be read.
fn chunks_of_frame(body: &[u8]) -> Vec<Chunk<'_>> {
    let mut reader = Reader::new(body);
    std::iter::from_fn(|| chunk(&mut reader).flatten()).collect()
}

/// The next chunk: None at the end, Some(None) where it is cut short.
fn chunk<'a>(reader: &mut Reader<'a>) -> Option<Option<Chunk<'a>>> {
    let head = reader.take(8)?;
    let len = u32_at(head, 4) as usize;
    let body = reader.take(len);
    // Chunks begin at even offsets.
    let padding = reader.take(len % 2);
    Some(body.zip(padding).map(|(body, _)| (&head[..4], body)))
}

impl Extended<'_> {
    fn still(&self) -> Result<RgbImage, ImageError> {
        let pixels = self.chunks.iter().position(|(name, _)| is_of_pixels(name));
        let image = still(&self.chunks[pixels.ok_or_else(cut_short)?..])?;
        if (image.width(), image.height()) != (self.width, self.height) {
            return Err(broken("its picture has other sides than it says"));
        }
        Ok(image)
    }

    /// The first frame of an animation on its canvas, which is black elsewhere.
    ///
    /// libwebp copies a first frame where `image-webp` blends it into the empty canvas, which loses the colours under
    /// transparent pixels; so the frame is taken out and decoded as a still picture.
    fn first_frame(&self) -> Result<RgbImage, ImageError> {
        if self.chunks.iter().any(|(name, _)| is_of_pixels(name)) {
            return Err(broken("a picture stands beside its animation"));
        }
        let mut chunks = self.chunks.iter().skip_while(|(name, _)| *name != b"ANIM");
        let frame = chunks.find(|(name, _)| *name == b"ANMF").ok_or_else(cut_short)?.1;
        let (head, body) = frame.split_at_checked(FRAME_HEADER).ok_or_else(cut_short)?;
        let field = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        let (left, top) = (2 * field(0), 2 * field(3));
        let image = still(&chunks_of_frame(body))?;
        // What the frame itself says of its sides does not count.
        let (frame_width, frame_height) = (image.width(), image.height());
        if left + frame_width > self.width || top + frame_height > self.height {
            return Err(broken("its first frame exceeds the canvas"));
        }
        if (frame_width, frame_height) == (self.width, self.height) {
            return Ok(image);
        }
        let mut data = rgb::buffer(self.width, self.height, 3)?;
        let rows = data.chunks_exact_mut(3 * self.width as usize).skip(top as usize);
        let columns = 3 * left as usize..3 * (left + frame_width) as usize;
        for (row, pixels) in rows.zip(image.data().chunks_exact(3 * frame_width as usize)) {
            row[columns.clone()].copy_from_slice(pixels);
        }
        RgbImage::from_rgb(self.width, self.height, data)
    }
}

fn is_of_pixels(name: &[u8]) -> bool {
    matches!(name, b"ALPH" | b"VP8 " | b"VP8L")
}

/// A picture of the chunks with which these begin: lossless, or lossy with or without alpha.
///
/// Alpha is dropped, but `image-webp` decodes what the file's flags announce: so they are made to fit the chunks.
fn still(chunks: &[Chunk]) -> Result<RgbImage, ImageError> {
    let pixels = chunks.iter().find(|(name, _)| matches!(*name, b"VP8 " | b"VP8L"));
    let &(name, body) = pixels.ok_or_else(cut_short)?;
    if name == b"VP8 " {
        check_head(body)?;
    }
    let mut file = file_of(name, body);
    let (width, height) = WebPDecoder::new(Cursor::new(&file[..])).map_err(error)?.dimensions();
    rgb::check_sides(width, height)?;
    if name == b"VP8L"
        && let Cow::Owned(body) = codes::normalise(body)?
    {
        file = file_of(name, &body);
    }
    let mut decoder = WebPDecoder::new(Cursor::new(&file[..])).map_err(error)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut data = rgb::buffer(width, height, channels)?;
    decoder.read_image(&mut data).map_err(error)?;
    match channels {
        3 => RgbImage::from_rgb(width, height, data),
        _ => RgbImage::from_rgba(width, height, &data),
    }
}

/// Refuses what `VP8GetInfo` does, which libwebp asks first.
fn check_head(body: &[u8]) -> Result<(), ImageError> {
    const LAST_PROFILE: u32 = 3;
    let &[a, b, c, ..] = body else { return Err(cut_short()) };
    let bits = u32::from_le_bytes([a, b, c, 0]);
    let (profile, is_shown, first_partition) = (bits >> 1 & 7, bits >> 4 & 1 == 1, bits >> 5);
    if profile > LAST_PROFILE || !is_shown || first_partition as usize >= body.len() {
        return Err(broken("the head of its picture is damaged"));
    }
    Ok(())
}

/// A file of this chunk alone.
fn file_of(name: &[u8], body: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    file[4..8].copy_from_slice(&(body.len() as u32 + 12).to_le_bytes());
    file.extend(name);
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file.resize(file.len().next_multiple_of(2), 0);
    file
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn cut_short() -> ImageError {
    broken("it ends early")
}

fn broken(reason: &str) -> ImageError {
    ImageError::broken("WebP", reason)
}

fn error(error: DecodingError) -> ImageError {
    match error {
        DecodingError::UnsupportedFeature(reason) => ImageError::unsupported("WebP", reason),
        error => broken(&error.to_string()),
    }
}
