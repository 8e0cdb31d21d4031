use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder};

use super::{ImageError, RgbImage, rgb};

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let channels = match decoder.color_type() {
        ColorType::Rgb8 => 3,
        ColorType::Rgba8 => 4,
        other => return Err(ImageError::unsupported("BMP", format!("{other:?}"))),
    };
    let mut data = rgb::buffer(width, height, channels)?;
    decoder.read_image(&mut data).map_err(error)?;
    if bytes.get(28..30) == Some(&[16, 0]) {
        widen_as_pillow(bytes, &mut data, channels);
    }
    match channels {
        3 => RgbImage::from_rgb(width, height, data),
        _ => RgbImage::from_rgba(width, height, &data),
    }
}

/// A pixel of 16 bits has samples of 5 or 6. Pillow rounds them down as it makes 8 of them, `image` to the nearest.
fn widen_as_pillow(bytes: &[u8], data: &mut [u8], channels: usize) {
    const BITFIELDS: &[u8] = &3u32.to_le_bytes();
    const SIX_BITS: &[u8] = &0x7e0u32.to_le_bytes();
    let six_bits_of_green = bytes.get(30..34) == Some(BITFIELDS) && bytes.get(58..62) == Some(SIX_BITS);
    let largest = [31, if six_bits_of_green { 63 } else { 31 }, 31];
    for pixel in data.chunks_exact_mut(channels) {
        for (sample, largest) in pixel.iter_mut().zip(largest) {
            let narrow = (u32::from(*sample) * largest + 127) / 255;
            *sample = (narrow * 255 / largest) as u8;
        }
    }
}

fn error(error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::Unsupported(error) => ImageError::unsupported("BMP", error),
        error => ImageError::broken("BMP", error),
    }
}
