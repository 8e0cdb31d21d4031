use libjpeg_turbo_rs::{ColorSpace, DecodeLimits, Decoder, FrameHeader, JpegError, PixelFormat};

use super::orientation::Orientation;
use super::{ImageError, RgbImage, rgb};

/// Decodes with the islow IDCT and the triangle-filter chroma upsampling that Pillow leaves at libjpeg-turbo's
/// defaults, so that the pixels are the same ones.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let limits = DecodeLimits { max_pixels: rgb::MAX_PIXELS, max_scans: 1000, ..DecodeLimits::default() };
    let decoder = Decoder::new_with_limits(bytes, limits).map_err(error)?;
    let header = decoder.header();
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    rgb::check_sides(width, height)?;
    check_components(header)?;
    if !is_ended(bytes) {
        return Err(ImageError::broken("JPEG", "its end is missing"));
    }
    let orientation = Orientation::of(decoder.exif_data(), decoder.xmp_data());
    let inked = matches!(decoder.jpeg_color_space(), ColorSpace::Cmyk | ColorSpace::Ycck);
    let format = if inked { PixelFormat::Cmyk } else { PixelFormat::Rgb };
    let data = decoder.with_output_format(format).decode_image().map_err(error)?.into_vec();
    let image =
        if inked { from_cmyk(width, height, &data)? } else { RgbImage::from_rgb(width, height, data)? };
    orientation.apply(image)
}

/// Whether the end marker follows the last scan's. Pillow takes a file without for cut short, even where the pixels are
/// there; decoders are content with less, and would show the rest grey.
fn is_ended(bytes: &[u8]) -> bool {
    let last = bytes.windows(2).rev().find(|marker| matches!(marker, [0xff, 0xd9 | 0xda]));
    last.is_some_and(|marker| marker[1] == 0xd9)
}

/// Refuses what Pillow refuses (other than 8 bits, two components) and sampling factors that no encoder writes and
/// for which the decoder has no upsampling: it would panic.
fn check_components(header: &FrameHeader) -> Result<(), ImageError> {
    let unsupported = |reason: String| Err(ImageError::unsupported("JPEG", reason));
    if header.precision != 8 || header.is_lossless {
        return unsupported(format!("{} bits, lossless: {}", header.precision, header.is_lossless));
    }
    let components = &header.components;
    let sampling: Vec<(u8, u8)> =
        components.iter().map(|c| (c.horizontal_sampling, c.vertical_sampling)).collect();
    let (first, chroma) = match sampling[..] {
        [first] => (first, first),
        [first, chroma, other] if chroma == other => (first, chroma),
        [first, chroma, other, black] if chroma == other && black == first => (first, chroma),
        _ => return unsupported(format!("{} components sampled {sampling:?}", components.len())),
    };
    let fits =
        |first: u8, chroma: u8| (1..=4).contains(&chroma) && first <= 4 && first.is_multiple_of(chroma);
    if !fits(first.0, chroma.0) || !fits(first.1, chroma.1) {
        return unsupported(format!("components sampled {sampling:?}"));
    }
    let repeated = |at: usize| components[..at].iter().any(|earlier| earlier.id == components[at].id);
    if (0..components.len()).any(repeated) {
        return Err(ImageError::broken("JPEG", "two components have the same number"));
    }
    Ok(())
}

/// Pillow's `cmyk2rgb`, of ink that is stored inverted, as Adobe does and Pillow assumes.
fn from_cmyk(width: u32, height: u32, inverted: &[u8]) -> Result<RgbImage, ImageError> {
    let pixels = inverted.chunks_exact(4).map(|pixel| {
        let light = u32::from(pixel[3]);
        [pixel[0], pixel[1], pixel[2]].map(|channel| {
            let product = u32::from(255 - channel) * light + 128;
            light.saturating_sub(((product >> 8) + product) >> 8) as u8
        })
    });
    RgbImage::from_pixels(width, height, pixels)
}

fn error(error: JpegError) -> ImageError {
    match error {
        JpegError::Unsupported(reason) => ImageError::unsupported("JPEG", reason),
        JpegError::AllocationFailed { .. } => ImageError::unsupported("JPEG", "more memory than there is"),
        error => ImageError::broken("JPEG", error),
    }
}
