//! From Y and two planes of colour to R G B, as libavif converts for Pillow: the usual matrices in libyuv's integers,
//! as its x86 kernels compute them, all others in libavif's own floats.

use super::super::{ImageError, RgbImage, rgb};
use super::frame::{Frame, Layout, Plane};
use super::properties::Colours;
use super::unsupported;

/// The picture, without its alpha. Alpha counts where colours are premultiplied by it. The presence of alpha chooses
/// between ways of rounding, too.
pub fn to_rgb(frame: Frame, alpha: Option<Frame>, is_premultiplied: bool) -> Result<RgbImage, ImageError> {
    let alpha = alpha.map(|alpha| full_range(alpha, is_premultiplied));
    if frame.layout == Layout::Grey && alpha.is_none() {
        // libyuv has no kernel from grey to grey.
        return Floats::of(&frame)?.convert(&frame, None);
    }
    let divisor = alpha.as_ref().filter(|_| is_premultiplied);
    match Integers::of(frame.colours, frame.layout) {
        Some(integers) => integers.convert(frame, alpha.is_some(), divisor),
        None => Floats::of(&frame)?.convert(&frame, divisor),
    }
}

/// Stretches alpha of a limited range, if it is going to count.
fn full_range(mut alpha: Frame, counts: bool) -> Frame {
    if counts && !alpha.colours.full_range {
        let unit = 1 << (alpha.depth - 8);
        let (low, span, most) = (16 * unit, 219 * unit, (256 << (alpha.depth - 8)) - 1);
        for sample in &mut alpha.planes[0].samples {
            *sample = (((i32::from(*sample) - low) * most + span / 2) / span).clamp(0, most) as u16;
        }
    }
    alpha
}

/// libyuv's constants of a matrix, in 1/64 and in 1/64 of 256/257.
#[derive(Clone, Copy)]
struct Integers {
    y_gain: u32,
    y_bias: i32,
    u_to_b: i32,
    u_to_g: i32,
    v_to_g: i32,
    v_to_r: i32,
}

impl Integers {
    /// None where libavif does without libyuv.
    fn of(colours: Colours, layout: Layout) -> Option<Integers> {
        const BT601: u8 = 0;
        const BT709: u8 = 1;
        const BT2020: u8 = 2;
        let matrix = match (colours.matrix, colours.primaries) {
            (0, _) if layout == Layout::Grey => BT601,
            (2 | 5 | 6, _) | (12, 5 | 6) => BT601,
            (1, _) | (12, 1 | 2) => BT709,
            (9, _) | (12, 9) => BT2020,
            _ => return None,
        };
        let (y_gain, u_to_b, u_to_g, v_to_g, v_to_r) = match (matrix, colours.full_range) {
            (BT601, true) => (16320, 113, 22, 46, 90),
            (BT601, false) => (18997, 128, 25, 52, 102),
            (BT709, true) => (16320, 119, 12, 30, 101),
            (BT709, false) => (18997, 128, 14, 34, 115),
            (_, true) => (16320, 120, 11, 37, 94),
            (_, false) => (19003, 128, 12, 42, 107),
        };
        let y_bias = if colours.full_range { 32 } else { -1160 };
        Some(Integers { y_gain, y_bias, u_to_b, u_to_g, v_to_g, v_to_r })
    }

    fn convert(
        self,
        mut frame: Frame,
        has_alpha: bool,
        divisor: Option<&Frame>,
    ) -> Result<RgbImage, ImageError> {
        // libyuv converts more than 8 bits to R G B A alone, and 12 bits from one layout alone, without interpolation.
        let is_nearest = has_alpha && frame.depth == 12 && frame.layout == Layout::Half;
        let keeps_depth = is_nearest || has_alpha && frame.depth == 10 && frame.layout != Layout::Grey;
        let divisor = divisor.map(|alpha| alpha_of_8_bits(alpha, frame.layout));
        if !keeps_depth {
            reduce(&mut frame);
        }
        let width = frame.width as usize;
        let upsampling = if is_nearest { Upsampling::Nearest } else { Upsampling::Linear };
        let (mut u, mut v) = (vec![128; width], vec![128; width]);
        let mut data = rgb::buffer(frame.width, frame.height, 3)?;
        for (y, pixels) in data.chunks_exact_mut(3 * width).enumerate() {
            if let [_, u_plane, v_plane] = &frame.planes[..] {
                upsample(u_plane, &frame, y, upsampling, &mut u);
                upsample(v_plane, &frame, y, upsampling, &mut v);
            }
            let luma = &frame.planes[0].samples[y * width..][..width];
            for (x, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&self.pixel(frame.depth, luma[x], u[x], v[x]));
            }
            if let Some(alpha) = &divisor {
                for (pixel, &alpha) in pixels.chunks_exact_mut(3).zip(&alpha[y * width..]) {
                    pixel.iter_mut().for_each(|level| *level = unmultiplied(*level, alpha));
                }
            }
        }
        RgbImage::from_rgb(frame.width, frame.height, data)
    }

    fn pixel(self, depth: u8, y: u16, u: u16, v: u16) -> [u8; 3] {
        let y = u32::from(y);
        // The 16 bits that Y would have.
        let y = match depth {
            8 => y * 0x101,
            10 => y << 6 | y >> 4,
            _ => y << 4 | y >> 8,
        };
        let chroma = |sample: u16| i32::from((sample >> (depth - 8)).min(255)) - 128;
        let (u, v) = (chroma(u), chroma(v));
        let y = ((y * self.y_gain) >> 16) as i32 + self.y_bias;
        let r = y + v * self.v_to_r;
        let g = y - (u * self.u_to_g + v * self.v_to_g);
        let b = y + u * self.u_to_b;
        [r, g, b].map(|level| (level >> 6).clamp(0, 255) as u8)
    }
}

/// Reduces samples to their upper 8 bits.
fn reduce(frame: &mut Frame) {
    let shift = frame.depth - 8;
    if shift > 0 {
        for sample in frame.planes.iter_mut().flat_map(|plane| &mut plane.samples) {
            *sample = (*sample >> shift).min(255);
        }
        frame.depth = 8;
    }
}

/// Alpha as libyuv or libavif reduces it.
fn alpha_of_8_bits(alpha: &Frame, layout: Layout) -> Vec<u8> {
    let is_libyuvs = layout != Layout::Grey && !(alpha.depth == 12 && layout == Layout::Half);
    let most = ((1_u32 << alpha.depth) - 1) as f32;
    let reduced = |&sample: &u16| match alpha.depth {
        8 => sample as u8,
        depth if is_libyuvs => (sample >> (depth - 8)).min(255) as u8,
        _ => (0.5 + f32::from(sample) / most * 255.0).clamp(0.0, 255.0) as u8,
    };
    alpha.planes[0].samples.iter().map(reduced).collect()
}

/// A level divided by alpha, by libyuv's table of reciprocals.
fn unmultiplied(level: u8, alpha: u8) -> u8 {
    let reciprocal = match alpha {
        0 => 0,
        1 => 0xffff,
        _ => 0x1_0000 / u32::from(alpha),
    };
    ((u32::from(level) * 0x101 * reciprocal) >> 16).min(255) as u8
}

#[derive(Clone, Copy, PartialEq)]
enum Upsampling {
    Nearest,
    Linear,
}

/// A row of a plane of colour in the picture's full width. Samples of colour lie between those of Y, so each pixel
/// takes 3/4 of the nearest and 1/4 of the next one, in both directions. libyuv leaves the last column as it is.
fn upsample(plane: &Plane, frame: &Frame, y: usize, upsampling: Upsampling, to: &mut [u16]) {
    let (half_width, half_height) = frame.layout.halves();
    let (width, height) = (to.len(), frame.height as usize);
    let row = |at: usize| &plane.samples[at * plane.width..][..plane.width];
    let near = row(if half_height { y / 2 } else { y });
    if !half_width {
        return to.copy_from_slice(near);
    }
    if upsampling == Upsampling::Nearest {
        return to.iter_mut().enumerate().for_each(|(x, sample)| *sample = near[x / 2]);
    }
    let next = match y {
        _ if !half_height => None,
        0 => None,
        y if y % 2 == 0 => Some(row(y / 2 - 1)),
        y if y + 1 < height => Some(row(y / 2 + 1)),
        _ => None,
    };
    for (x, sample) in to.iter_mut().enumerate() {
        let at = x / 2;
        let beside = if x == 0 || x + 1 == width {
            None
        } else if x % 2 == 0 {
            Some(at - 1)
        } else {
            Some(at + 1)
        };
        let weighted = |row: &[u16], beside: usize| 3 * u32::from(row[at]) + u32::from(row[beside]);
        *sample = match (next, beside) {
            (None, None) => near[at],
            (None, Some(beside)) => ((weighted(near, beside) + 2) >> 2) as u16,
            (Some(next), None) => ((3 * u32::from(near[at]) + u32::from(next[at]) + 2) >> 2) as u16,
            (Some(next), Some(beside)) => {
                ((3 * weighted(near, beside) + weighted(next, beside) + 8) >> 4) as u16
            }
        };
    }
}

/// libavif's conversion in floats.
struct Floats {
    mode: Mode,
    kr: f32,
    kg: f32,
    kb: f32,
    y_bias: f32,
    y_range: f32,
    uv_bias: f32,
    uv_range: f32,
    most: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// G, B and R are stored.
    Identity,
    YCgCo,
    Coefficients,
}

impl Floats {
    /// # Errors
    /// Of the matrices that libavif refuses, and of YCgCo in more bits than R G B have, which nobody writes.
    fn of(frame: &Frame) -> Result<Floats, ImageError> {
        let Colours { primaries, matrix, full_range } = frame.colours;
        let refused = || unsupported(format!("its colours have the matrix {matrix}"));
        let (mode, kr, kb) = match matrix {
            0 if !matches!(frame.layout, Layout::Full | Layout::Grey) => return Err(refused()),
            0 => (Mode::Identity, 0.0, 0.0),
            1 => (Mode::Coefficients, 0.2126, 0.0722),
            2 | 5 | 6 => (Mode::Coefficients, 0.299, 0.114),
            4 => (Mode::Coefficients, 0.30, 0.11),
            7 => (Mode::Coefficients, 0.212, 0.087),
            8 if full_range => (Mode::YCgCo, 0.0, 0.0),
            9 => (Mode::Coefficients, 0.2627, 0.0593),
            12 => {
                let (kr, kb) = derived(primaries);
                (Mode::Coefficients, kr, kb)
            }
            _ => return Err(refused()),
        };
        let kg = 1.0 - kr - kb;
        let unit = f32::from(1_u16 << (frame.depth - 8));
        let most = (1_u16 << frame.depth) - 1;
        let (y_bias, y_range, uv_range) = match full_range {
            true => (0.0, f32::from(most), f32::from(most)),
            false => (16.0 * unit, 219.0 * unit, 224.0 * unit),
        };
        let uv_bias = f32::from(1_u16 << (frame.depth - 1));
        Ok(Floats { mode, kr, kg, kb, y_bias, y_range, uv_bias, uv_range, most })
    }

    fn convert(&self, frame: &Frame, divisor: Option<&Frame>) -> Result<RgbImage, ImageError> {
        let width = frame.width as usize;
        // Where libavif has a faster loop, it divides by alpha afterwards, in libyuv's integers.
        let divides_later = match self.mode {
            Mode::Identity => frame.layout == Layout::Full && frame.depth == 8 && frame.colours.full_range,
            Mode::Coefficients => matches!(frame.layout, Layout::Full | Layout::Grey),
            Mode::YCgCo => false,
        };
        let mut data = rgb::buffer(frame.width, frame.height, 3)?;
        for (y, pixels) in data.chunks_exact_mut(3 * width).enumerate() {
            for (x, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                let at = y * width + x;
                let mut rgb = self.pixel(frame, x, y).map(|level| level.clamp(0.0, 1.0));
                let alpha = divisor.map(|alpha| alpha.planes[0].samples[at]);
                if let Some(alpha) = alpha.filter(|_| !divides_later) {
                    let alpha = (f32::from(alpha.min(self.most)) / f32::from(self.most)).clamp(0.0, 1.0);
                    rgb = rgb.map(|level| match alpha {
                        0.0 => 0.0,
                        alpha if alpha < 1.0 => (level / alpha).min(1.0),
                        _ => level,
                    });
                }
                let mut rgb = rgb.map(|level| (0.5 + level * 255.0) as u8);
                if let Some(alpha) = alpha.filter(|_| divides_later) {
                    let alpha = (0.5 + f32::from(alpha) / f32::from(self.most) * 255.0).min(255.0) as u8;
                    rgb = rgb.map(|level| unmultiplied(level, alpha));
                }
                pixel.copy_from_slice(&rgb);
            }
        }
        RgbImage::from_rgb(frame.width, frame.height, data)
    }

    fn pixel(&self, frame: &Frame, x: usize, y: usize) -> [f32; 3] {
        let luma = frame.planes[0].samples[y * frame.width as usize + x].min(self.most);
        let luma = (f32::from(luma) - self.y_bias) / self.y_range;
        let [_, u, v] = &frame.planes[..] else { return [luma; 3] };
        let (cb, cr) = (self.chroma(u, frame, x, y), self.chroma(v, frame, x, y));
        match self.mode {
            Mode::Identity => [cr, luma, cb],
            Mode::YCgCo => {
                let t = luma - cb;
                [t + cr, luma + cb, t - cr]
            }
            Mode::Coefficients => {
                let Floats { kr, kg, kb, .. } = *self;
                let r = luma + (2.0 * (1.0 - kr)) * cr;
                let b = luma + (2.0 * (1.0 - kb)) * cb;
                let g = luma - ((2.0 * ((kr * (1.0 - kr) * cr) + (kb * (1.0 - kb) * cb))) / kg);
                [r, g, b]
            }
        }
    }

    /// A sample of colour, weighted as in [`upsample`], but in floats and with libavif's own last column.
    fn chroma(&self, plane: &Plane, frame: &Frame, x: usize, y: usize) -> f32 {
        let (bias, range) = match self.mode {
            Mode::Identity => (self.y_bias, self.y_range),
            _ => (self.uv_bias, self.uv_range),
        };
        let level = |x: usize, y: usize| {
            (f32::from(plane.samples[y * plane.width + x].min(self.most)) - bias) / range
        };
        let (half_width, half_height) = frame.layout.halves();
        if !half_width {
            return level(x, y);
        }
        let beside = |at: usize, side: usize| match at {
            0 => 0,
            at if at % 2 == 0 => at / 2 - 1,
            at if at + 1 == side => at / 2,
            at => at / 2 + 1,
        };
        let (near_x, next_x) = (x / 2, beside(x, frame.width as usize));
        let (near_y, next_y) = match half_height {
            true => (y / 2, beside(y, frame.height as usize)),
            false => (y, y),
        };
        level(near_x, near_y) * (9.0 / 16.0)
            + level(next_x, near_y) * (3.0 / 16.0)
            + level(near_x, next_y) * (3.0 / 16.0)
            + level(next_x, next_y) * (1.0 / 16.0)
    }
}

/// The weights of red and blue in Y that follow from the primaries (ITU-T H.273, formulas 34 to 39).
fn derived(primaries: u16) -> (f32, f32) {
    // x and y of red, green, blue and white.
    let [rx, ry, gx, gy, bx, by, wx, wy]: [f32; 8] = match primaries {
        4 => [0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316],
        5 => [0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290],
        6 | 7 => [0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290],
        8 => [0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316],
        9 => [0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290],
        10 => [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.3333, 0.3333],
        11 => [0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351],
        12 => [0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290],
        22 => [0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290],
        _ => [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329],
    };
    let [rz, gz, bz, wz] = [1.0 - (rx + ry), 1.0 - (gx + gy), 1.0 - (bx + by), 1.0 - (wx + wy)];
    let whole = wy * (rx * (gy * bz - by * gz) + gx * (by * rz - ry * bz) + bx * (ry * gz - gy * rz));
    let r = ry * (wx * (gy * bz - by * gz) + wy * (bx * gz - gx * bz) + wz * (gx * by - bx * gy));
    let b = by * (wx * (ry * gz - gy * rz) + wy * (gx * rz - rx * gz) + wz * (rx * gy - gx * ry));
    (r / whole, b / whole)
}
