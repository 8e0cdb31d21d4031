//! YCbCr as libtiff converts it where the compression does not: samples of Cb and Cr are repeated.

use super::super::super::{ImageError, RgbImage, rgb};
use super::directory::{Directory, tag};
use super::{broken, unsupported};

/// Bits of fraction.
const SHIFT: u32 = 16;

/// What each sample adds to red, green and blue: `TIFFYCbCrToRGBInit`.
pub struct YCbCrToRgb {
    luma: [i32; 256],
    cr_to_red: [i32; 256],
    cb_to_blue: [i32; 256],
    /// With a fraction.
    cr_to_green: [i32; 256],
    cb_to_green: [i32; 256],
}

impl YCbCrToRgb {
    pub fn new(directory: &Directory) -> Result<YCbCrToRgb, ImageError> {
        let [red, green, blue] = match directory.floats(tag::YCBCR_COEFFICIENTS)? {
            None => [0.299, 0.587, 0.114],
            Some(weights) => <[f32; 3]>::try_from(weights)
                .ok()
                .filter(|weights| weights.iter().all(|weight| weight.is_finite()) && weights[1] != 0.0)
                .ok_or_else(|| broken("the coefficients of its YCbCr make no sense"))?,
        };
        let reference = match directory.floats(tag::REFERENCE_BLACK_WHITE)? {
            None => [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
            Some(levels) => <[f32; 6]>::try_from(levels)
                .ok()
                .filter(|levels| levels.iter().all(|level| (-2147483648.0..2147483648.0).contains(level)))
                .ok_or_else(|| broken("the black and white of its YCbCr make no sense"))?,
        };
        let fixed = |factor: f32| {
            let factor = if factor >= 0.0 { factor.min(2.0) } else { 0.0 };
            (f64::from(factor) * f64::from(1 << SHIFT) + 0.5) as i32
        };
        let value = |code: i32, black: f32, white: f32, range: f32| {
            let span = if white == black { 1.0 } else { white - black };
            let value = code.wrapping_sub(black as i32) as f32 * range / span;
            value.clamp(-4096.0, 4096.0) as i32
        };
        let (red_factor, blue_factor) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let cr_green = fixed(red * red_factor / green);
        let cb_green = fixed(blue * blue_factor / green);
        let half = 1 << (SHIFT - 1);
        let mut tables = YCbCrToRgb {
            luma: [0; 256],
            cr_to_red: [0; 256],
            cb_to_blue: [0; 256],
            cr_to_green: [0; 256],
            cb_to_green: [0; 256],
        };
        for (at, code) in (0..256).enumerate() {
            let cr = value(code - 128, reference[4] - 128.0, reference[5] - 128.0, 127.0);
            let cb = value(code - 128, reference[2] - 128.0, reference[3] - 128.0, 127.0);
            tables.luma[at] = value(code, reference[0], reference[1], 255.0);
            tables.cr_to_red[at] = (fixed(red_factor) * cr + half) >> SHIFT;
            tables.cb_to_blue[at] = (fixed(blue_factor) * cb + half) >> SHIFT;
            tables.cr_to_green[at] = -cr_green * cr;
            tables.cb_to_green[at] = -cb_green * cb + half;
        }
        Ok(tables)
    }

    pub fn convert(&self, [luma, cb, cr]: [u8; 3]) -> [u8; 3] {
        let (cb, cr) = (usize::from(cb), usize::from(cr));
        let green = (self.cb_to_green[cb] + self.cr_to_green[cr]) >> SHIFT;
        [self.cr_to_red[cr], green, self.cb_to_blue[cb]]
            .map(|part| (self.luma[usize::from(luma)] + part).clamp(0, 255) as u8)
    }

    pub fn convert_image(&self, image: &RgbImage) -> Result<RgbImage, ImageError> {
        let (pixels, _) = image.data().as_chunks();
        RgbImage::from_pixels(image.width(), image.height(), pixels.iter().map(|&pixel| self.convert(pixel)))
    }
}

/// How many pixels beside and below each other share their Cb and Cr.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subsampling {
    pub across: usize,
    pub down: usize,
}

impl Subsampling {
    pub fn of(directory: &Directory) -> Result<Subsampling, ImageError> {
        let (across, down) = match directory.numbers(tag::YCBCR_SUBSAMPLING)?.as_deref() {
            None => (2, 2),
            Some([across, down, ..]) => (*across, *down),
            Some(_) => return Err(broken("it says half of how its Cb and Cr are sampled")),
        };
        match (across, down) {
            (4, 1 | 2 | 4) | (2, 1 | 2) | (1, 1 | 2) => {
                Ok(Subsampling { across: across as usize, down: down as usize })
            }
            _ => Err(unsupported(format!("Cb and Cr of {across} x {down} pixels"))),
        }
    }

    /// Bytes of a part: the samples of Y of each group, then its Cb and Cr.
    pub fn bytes(self, width: usize, height: usize) -> usize {
        let groups = width.div_ceil(self.across).saturating_mul(height.div_ceil(self.down));
        groups.saturating_mul(self.across * self.down + 2)
    }

    /// Colours of a part's pixels from such groups.
    pub fn part(
        self,
        samples: &[u8],
        width: usize,
        height: usize,
        colors: &YCbCrToRgb,
    ) -> Result<RgbImage, ImageError> {
        let mut data = rgb::buffer(width as u32, height as u32, 3)?;
        let len = self.across * self.down + 2;
        let row = width.div_ceil(self.across) * len;
        for (y, target) in data.chunks_exact_mut(3 * width).enumerate() {
            let groups = &samples[y / self.down * row..][..row];
            for (x, pixel) in target.chunks_exact_mut(3).enumerate() {
                let group = &groups[x / self.across * len..][..len];
                let luma = group[y % self.down * self.across + x % self.across];
                pixel.copy_from_slice(&colors.convert([luma, group[len - 2], group[len - 1]]));
            }
        }
        RgbImage::from_rgb(width as u32, height as u32, data)
    }
}
