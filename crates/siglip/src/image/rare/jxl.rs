//! JPEG XL, which Pillow does not open: by `jxl-oxide`, upright, the first frame. Colours are as they are stored, as
//! Pillow leaves those of other formats; but XYB, in which nobody shows pictures, becomes sRGB.

use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, PixelFormat, RenderingIntent};

use super::super::{Decoded, ImageError, RgbImage, rgb};

/// Most bytes that the decoder may hold: so many for each pixel, which its planes of f32 in several steps need, and so
/// many in addition; but never more than that.
const BYTES_PER_PIXEL: usize = 96;
const SPARE_BYTES: usize = 64 << 20;
const MOST_BYTES: usize = 3 << 30;
/// Most frames that the first picture is made of: layers, and frames that others refer to. Each takes as long to decode
/// as a picture, and a few bytes suffice to state one.
const MOST_FRAMES: usize = 32;

pub fn decode(bytes: &[u8]) -> Result<Decoded, ImageError> {
    let memory = AllocTracker::with_limit(SPARE_BYTES);
    let mut picture = JxlImage::builder().alloc_tracker(memory.clone()).read(bytes).map_err(broken)?;
    let (width, height) = (picture.width(), picture.height());
    rgb::check_sides(width, height)?;
    let channels = match picture.pixel_format() {
        PixelFormat::Gray | PixelFormat::Graya => 1,
        PixelFormat::Rgb | PixelFormat::Rgba => 3,
        PixelFormat::Cmyk | PixelFormat::Cmyka => return Err(ImageError::unsupported("JPEG XL", "CMYK")),
    };
    let Some(shown) = picture.frame_by_keyframe(0) else { return Err(broken("it ends early")) };
    let frames = shown.index() + 1;
    if frames > MOST_FRAMES {
        return Err(ImageError::unsupported("JPEG XL", format!("a picture made of {frames} frames")));
    }
    if picture.image_header().metadata.xyb_encoded {
        picture.request_color_encoding(match channels {
            1 => EnumColourEncoding::gray_srgb(RenderingIntent::Relative),
            _ => EnumColourEncoding::srgb(RenderingIntent::Relative),
        });
    }
    let pixels = width as usize * height as usize;
    memory.expand_limit(pixels.saturating_mul(BYTES_PER_PIXEL).min(MOST_BYTES));
    let frame = picture.render_frame(0).map_err(broken)?;
    let mut pixels = frame.stream_no_alpha();
    if (pixels.width(), pixels.height(), pixels.channels()) != (width, height, channels) {
        return Err(broken("its frame has other sides than it says"));
    }
    let mut data = rgb::buffer(width, height, channels as usize)?;
    pixels.write_to_buffer(&mut data);
    let image = match channels {
        1 => RgbImage::from_pixels(width, height, data.into_iter().map(|level| [level; 3]))?,
        _ => RgbImage::from_rgb(width, height, data)?,
    };
    let damage = (!picture.is_loading_done()).then_some("its data ends early");
    Ok(Decoded { image, damage })
}

fn broken(reason: impl ToString) -> ImageError {
    ImageError::broken("JPEG XL", reason)
}
