use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::orientation::Orientation;
use super::{ImageError, RgbImage, rgb};

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    rgb::check_sides(width, height)?;
    let image = if decoder.is_animated() { first_frame(bytes, width, height)? } else { still(&mut decoder)? };
    // Metadata that cannot be read is as good as none.
    let exif = decoder.exif_metadata().ok().flatten();
    let xmp = decoder.xmp_metadata().ok().flatten();
    Orientation::of(exif.as_deref(), xmp.as_deref()).apply(image)
}

fn still(decoder: &mut WebPDecoder<Cursor<&[u8]>>) -> Result<RgbImage, ImageError> {
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut data = rgb::buffer(width, height, channels)?;
    decoder.read_image(&mut data).map_err(error)?;
    match channels {
        3 => RgbImage::from_rgb(width, height, data),
        _ => RgbImage::from_rgba(width, height, &data),
    }
}

/// The first frame of an animation on its canvas, which is black elsewhere.
///
/// libwebp copies a first frame where `image-webp` blends it into the empty canvas, which loses the colours under
/// transparent pixels; so the frame is taken out and decoded as a still picture.
fn first_frame(bytes: &[u8], width: u32, height: u32) -> Result<RgbImage, ImageError> {
    let broken = || ImageError::broken("WebP", "its first frame is not complete");
    let frame = chunk(bytes, b"ANMF").ok_or_else(broken)?;
    let (head, chunks) = frame.split_at_checked(16).ok_or_else(broken)?;
    let field = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
    let (left, top) = (2 * field(0), 2 * field(3));
    let (frame_width, frame_height) = (field(6) + 1, field(9) + 1);
    if left + frame_width > width || top + frame_height > height {
        return Err(ImageError::broken("WebP", "its first frame exceeds the canvas"));
    }
    const ALPHA: u8 = 1 << 4;
    let mut file = Vec::with_capacity(chunks.len() + 30);
    file.extend(b"RIFF");
    file.extend((chunks.len() as u32 + 22).to_le_bytes());
    file.extend(b"WEBPVP8X\x0a\0\0\0");
    file.extend([if chunks.starts_with(b"VP8 ") { 0 } else { ALPHA }, 0, 0, 0]);
    // The frame's sides are stored as the canvas's are.
    file.extend(&head[6..12]);
    file.extend(chunks);
    let image = still(&mut WebPDecoder::new(Cursor::new(&file[..])).map_err(error)?)?;
    if (frame_width, frame_height) == (width, height) {
        return Ok(image);
    }
    let mut data = rgb::buffer(width, height, 3)?;
    let rows = data.chunks_exact_mut(3 * width as usize).skip(top as usize);
    let columns = 3 * left as usize..3 * (left + frame_width) as usize;
    for (row, pixels) in rows.zip(image.data().chunks_exact(3 * frame_width as usize)) {
        row[columns.clone()].copy_from_slice(pixels);
    }
    RgbImage::from_rgb(width, height, data)
}

/// What the first chunk of that name holds.
fn chunk<'a>(file: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = file.get(12..)?;
    loop {
        let len = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?) as usize;
        if rest.starts_with(name) {
            return rest.get(8..)?.get(..len);
        }
        // Chunks begin at even offsets.
        rest = rest.get(8..)?.get(len.checked_next_multiple_of(2)?..)?;
    }
}

fn error(error: DecodingError) -> ImageError {
    match error {
        DecodingError::UnsupportedFeature(reason) => ImageError::unsupported("WebP", reason),
        error => ImageError::broken("WebP", error),
    }
}
