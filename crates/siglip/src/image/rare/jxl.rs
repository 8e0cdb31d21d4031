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
/// The largest coordinate of a spline's point, that of libjxl. The decoder walks along splines in steps of a pixel, in
/// f32: at larger coordinates a step is lost in rounding, and the walk never ends.
const LARGEST_COORDINATE: u64 = 1 << 23;
/// A step along a spline takes as long as so many pixels that it is drawn to: four sums of 32 cosines.
const PIXELS_PER_STEP: f64 = 64.0;

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
        let reason = format!("{frames} frames, patches or splines that take too long");
        return Err(ImageError::unsupported("JPEG XL", reason));
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

/// Pixels of so many frames, each of which has its own sides, of the patches that are copied into them, and of the
/// splines that are drawn into them.
fn decoded_pixels(picture: &JxlImage, frames: usize) -> u64 {
    let mut sum = 0u64;
    for frame in (0..frames).filter_map(|frame| picture.frame(frame)) {
        let header = frame.header();
        let mut add = |width: u32, height: u32, times: usize| {
            let pixels = u64::from(width) * u64::from(height);
            sum = sum.saturating_add(pixels.saturating_mul(times as u64));
        };
        add(header.sample_width(1), header.sample_height(1), 1);
        if !header.flags.patches() && !header.flags.splines() {
            continue;
        }
        let Some(Ok(global)) = frame.try_parse_lf_global::<i32>() else { continue };
        for patch in global.patches.iter().flat_map(|patches| &patches.patches) {
            add(patch.width, patch.height, patch.patch_targets.len());
        }
        let Some(splines) = &global.splines else { continue };
        let correlations = global.vardct.as_ref().map(|vardct| {
            let correlation = &vardct.lf_chan_corr;
            [correlation.base_correlation_x, correlation.base_correlation_b]
        });
        for spline in &splines.quant_splines {
            let spline = Spline {
                points: &spline.quant_points,
                colors: &spline.xyb_dct,
                widths: &spline.sigma_dct,
                adjustment: splines.quant_adjust.into(),
                correlations: correlations.unwrap_or([0.0, 1.0]).map(f64::from),
            };
            sum = sum.saturating_add(spline.pixels(header.width.into(), header.height.into()));
        }
    }
    sum
}

/// A spline as a file states it.
struct Spline<'a> {
    points: &'a [(i64, i64)],
    /// Quantised coefficients of X, Y and B along the spline, and of its width.
    colors: &'a [[i32; 32]; 3],
    widths: &'a [i32; 32],
    /// What the steps of the quantisation depend on.
    adjustment: f64,
    /// Shares of Y that are added to X and B.
    correlations: [f64; 2],
}

impl Spline<'_> {
    /// About as many pixels as it is drawn to in a frame of these sides: around each step the decoder draws a square as
    /// wide as the spline is there. Widths and colours are taken to be the largest that the coefficients allow.
    fn pixels(&self, width: f64, height: f64) -> u64 {
        let is_far = |&(x, y): &(i64, i64)| x.unsigned_abs().max(y.unsigned_abs()) > LARGEST_COORDINATE;
        if self.points.iter().any(is_far) {
            return u64::MAX;
        }
        let distance = |points: &[(i64, i64)]| {
            let [(x0, y0), (x1, y1)] = [points[0], points[1]];
            (x1.abs_diff(x0) + y1.abs_diff(y0)) as f64
        };
        let steps = 2.0 + self.points.windows(2).map(distance).sum::<f64>();
        let scale = match self.adjustment {
            adjustment @ 0.0.. => 1.0 / (1.0 + adjustment / 8.0),
            adjustment => 1.0 - adjustment / 8.0,
        };
        // The weights of X, Y, B and widths, as in the format.
        let largest = |coefficients: &[i32; 32], weight: f64| {
            let sum: f64 = coefficients.iter().map(|&coefficient| f64::from(coefficient).abs()).sum();
            std::f64::consts::SQRT_2 * weight * scale * sum
        };
        let [x, y, b] = self.colors;
        let (x, y, b) = (largest(x, 0.0042), largest(y, 0.075), largest(b, 0.07));
        let [to_x, to_b] = self.correlations.map(f64::abs);
        let color = y.max(x + to_x * y).max(b + to_b * y).max(0.01);
        let reach = (2.0 * (3.0 * f64::ln(10.0) + color)).sqrt() * largest(self.widths, 0.3333);
        let side = 2.0 * reach + 2.0;
        (steps * (PIXELS_PER_STEP + side.min(width) * side.min(height))) as u64
    }
}

fn broken(reason: impl ToString) -> ImageError {
    ImageError::broken("JPEG XL", reason)
}
