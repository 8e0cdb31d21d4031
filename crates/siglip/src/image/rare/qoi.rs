//! QOI, read as Pillow's `QoiImagePlugin` does.

use super::super::reader::Reader;
use super::super::{ImageError, RgbImage, rgb};

pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut reader = Reader::at(bytes, 4);
    let side = |reader: &mut Reader| {
        let bytes = reader.take(4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or_else(cut_short)
    };
    let (width, height) = (side(&mut reader)?, side(&mut reader)?);
    // Channels and colour space: alpha is dropped.
    reader.take(2).ok_or_else(cut_short)?;
    rgb::check_sides(width, height)?;
    let mut data = rgb::buffer(width, height, 3)?;
    let (mut pixels, _) = data.as_chunks_mut::<3>();
    let mut seen = [[0u8; 4]; 64];
    let mut pixel = [0, 0, 0, 255u8];
    while !pixels.is_empty() {
        let byte = reader.byte().ok_or_else(cut_short)?;
        let [red, green, blue, alpha] = pixel;
        let mut run = 1;
        match (byte >> 6, byte & 0x3f) {
            (3, 0x3e) => {
                let [red, green, blue] = take(&mut reader)?;
                pixel = [red, green, blue, alpha];
            }
            (3, 0x3f) => pixel = take(&mut reader)?,
            (0, index) => pixel = seen[usize::from(index)],
            (1, steps) => {
                let step = |channel: u8, step: u8| channel.wrapping_add(step & 3).wrapping_sub(2);
                pixel = [step(red, steps >> 4), step(green, steps >> 2), step(blue, steps), alpha];
            }
            (2, step) => {
                let [others] = take(&mut reader)?;
                let step = step.wrapping_sub(32);
                let other =
                    |channel: u8, more: u8| channel.wrapping_add(step).wrapping_add(more).wrapping_sub(8);
                pixel = [other(red, others >> 4), green.wrapping_add(step), other(blue, others & 15), alpha];
            }
            (_, more) => run = 1 + usize::from(more),
        }
        if byte >> 6 != 3 || byte >= 0xfe {
            let [red, green, blue, alpha] = pixel.map(usize::from);
            seen[(3 * red + 5 * green + 7 * blue + 11 * alpha) % 64] = pixel;
        }
        let (filled, rest) = pixels.split_at_mut(run.min(pixels.len()));
        filled.fill([pixel[0], pixel[1], pixel[2]]);
        pixels = rest;
    }
    RgbImage::from_rgb(width, height, data)
}

fn take<const N: usize>(reader: &mut Reader) -> Result<[u8; N], ImageError> {
    reader.take(N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(cut_short)
}

fn cut_short() -> ImageError {
    ImageError::broken("QOI", "it ends early")
}
