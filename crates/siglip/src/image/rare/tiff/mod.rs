//! TIFF: the first picture of a file, as Pillow's `TiffImagePlugin` reads it, and libtiff for it what is compressed.

mod canvas;
mod codec;
mod directory;
mod fax;
mod lab;
mod layout;
mod old_jpeg;
mod packed;
mod stored;
mod ycbcr;

use canvas::Canvas;
use directory::{Directory, tag};
use layout::Layout;

use super::super::orientation::Orientation;
use super::super::{ImageError, RgbImage, rgb};

pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let directory = Directory::read(bytes)?;
    let side = |tag: u16| {
        let side = directory.number(tag)?.ok_or_else(|| broken("it says nothing of its sides"))?;
        u32::try_from(side).map_err(|_| broken("its sides make no sense"))
    };
    let (width, height) = (side(tag::WIDTH)?, side(tag::HEIGHT)?);
    rgb::check_sides(width, height)?;
    let layout = Layout::of(&directory)?;
    let image = if layout.compression == codec::OLD_JPEG {
        old_jpeg::read(bytes, &directory, &layout, width, height)?
    } else {
        let mut canvas = Canvas::new(width, height, &layout)?;
        match layout.compression {
            codec::NONE => stored::read(bytes, &directory, &layout, &mut canvas)?,
            codec::JPEG => packed::read_jpeg(bytes, &directory, &layout, &mut canvas)?,
            _ => packed::read(bytes, &directory, &layout, &mut canvas)?,
        }
        canvas.into_rgb(&directory, &layout)?
    };
    // One of another type is there, and says nothing.
    let orientation = directory.number(tag::ORIENTATION).unwrap_or(Some(0));
    Orientation::of_tiff(orientation, directory.bytes(tag::XMP)).apply(image)
}

fn cut_short() -> ImageError {
    broken("it ends early")
}

fn broken(reason: &str) -> ImageError {
    ImageError::broken("TIFF", reason)
}

fn unsupported(reason: impl ToString) -> ImageError {
    ImageError::unsupported("TIFF", reason)
}
