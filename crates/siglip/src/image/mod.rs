//! Pictures, read and resized as Pillow does.
//!
//! [`decode`] is `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`, for PNG, JPEG, GIF, WebP and BMP, and with
//! the feature `rare-formats` for TIFF, ICO, PNM, QOI and TGA, and JPEG XL as libjxl decodes it, with the feature `avif`
//! for AVIF;
//! [`Processor`] is transformers' `SiglipImageProcessor` on Pillow, and `Siglip2ImageProcessor` for NaFlex.
//!
//! ```
//! use siglip::image::{Processor, Resample, RgbImage};
//!
//! let picture = RgbImage::from_rgb(2, 1, vec![0, 0, 0, 255, 255, 255])?;
//! let processor = Processor::new(4, 4, Resample::Bicubic)?;
//! let pixel_values = processor.pixel_values(&picture)?;
//! assert_eq!(pixel_values.len(), 3 * 4 * 4);
//! assert_eq!((pixel_values[0], pixel_values[3]), (-1.0, 1.0));
//! # Ok::<(), siglip::Error>(())
//! ```
//!
//! Pictures come out with Pillow's pixels to the last bit, damaged ones as well: docs/exactness.md lists what was
//! compared.
//! In one thing this module leaves Pillow: 16-bit grey is scaled to 8 bits as 16-bit colour is, by its high byte,
//! where Pillow clips it to white.

#[cfg(feature = "avif")]
mod avif;
mod bmp;
mod decoded;
mod error;
mod format;
mod gif;
mod jpeg;
mod naflex;
mod orientation;
mod png;
mod processor;
#[cfg(feature = "rare-formats")]
mod rare;
mod reader;
mod resize;
mod rgb;
mod webp;

use format::{Format, Rare};

pub use decoded::Decoded;
pub use error::ImageError;
pub use processor::Processor;
pub use resize::Resample;
pub use rgb::{MAX_PIXELS, RgbImage};

/// Decodes a picture file: the first frame of an animation, upright by its EXIF orientation, alpha dropped.
///
/// Of damaged files those are shown that Pillow shows; [`read`] tells of the damage.
///
/// # Errors
/// [`ImageError::is_unsupported_format`] tells whether another decoder may read what this one does not.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    read(bytes).map(|decoded| decoded.image)
}

/// Decodes a picture file as [`decode`] does, and tells what is wrong with it.
///
/// # Errors
/// As [`decode`].
pub fn read(bytes: &[u8]) -> Result<Decoded, ImageError> {
    match Format::of(bytes)? {
        #[cfg(feature = "avif")]
        Format::Avif => avif::decode(bytes).map(Decoded::from),
        Format::Bmp => bmp::decode(bytes).map(Decoded::from),
        Format::Gif => gif::decode(bytes).map(Decoded::from),
        Format::Jpeg => jpeg::decode(bytes),
        Format::Png => png::decode(bytes),
        Format::WebP => webp::decode(bytes).map(Decoded::from),
        Format::Rare(format) => read_rare(format, bytes),
    }
}

#[cfg(feature = "rare-formats")]
fn read_rare(format: Rare, bytes: &[u8]) -> Result<Decoded, ImageError> {
    rare::decode(format, bytes)
}

#[cfg(not(feature = "rare-formats"))]
fn read_rare(format: Rare, _: &[u8]) -> Result<Decoded, ImageError> {
    Err(ImageError::RareFormat { format: format.name() })
}
