//! JPEG XL, which Pillow does not open: by `jxl-oxide`, upright, the first frame. Colours are as they are stored, as
//! Pillow leaves those of other formats; but XYB, in which nobody shows pictures, becomes sRGB.

use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, PixelFormat, RenderingIntent};

use super::super::{Decoded, ImageError, RgbImage, rgb};

/// Most bytes that the decoder may hold: so many for each pixel, which its planes of f32 in several steps need, and so
/// many in addition; but never more than that.
const BYTES_PER_PIXEL: usize = 96;
const SPARE_BYTES: usize = 64 << 20;
const MOST_BYTES: usize = 3 << 30;
/// Most frames that the first picture is made of: layers, and frames that others refer to. A few bytes suffice to state
/// one.
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
    if frames > MOST_FRAMES || decoded_pixels(&picture, frames) > rgb::MOST_DECODED_PIXELS {
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

/// Pixels of so many frames, each of which has its own sides, and of the patches that are copied into them.
fn decoded_pixels(picture: &JxlImage, frames: usize) -> u64 {
    let mut sum = 0u64;
    for frame in (0..frames).filter_map(|frame| picture.frame(frame)) {
        let header = frame.header();
        let mut add = |width: u32, height: u32, times: usize| {
            let pixels = u64::from(width) * u64::from(height);
            sum = sum.saturating_add(pixels.saturating_mul(times as u64));
        };
        add(header.sample_width(1), header.sample_height(1), 1);
        if header.flags.patches()
            && let Some(Ok(global)) = frame.try_parse_lf_global::<i32>()
        {
            for patch in global.patches.iter().flat_map(|patches| &patches.patches) {
                add(patch.width, patch.height, patch.patch_targets.len());
            }
        }
    }
    sum
}

fn broken(reason: impl ToString) -> ImageError {
    ImageError::broken("JPEG XL", reason)
}
