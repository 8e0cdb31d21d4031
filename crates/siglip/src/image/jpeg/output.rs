//! From samples to colours: `jdsample.c` and `jdcolor.c`.

use super::super::{ImageError, RgbImage, rgb};
use super::frame::{Component, Frame};
use super::planes::Plane;
use super::source::{Decoded, Fault};

/// What a file's components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as Adobe's programs write it.
    Cmyk,
    Ycck,
    /// CMYK as it is.
    #[cfg(feature = "rare-formats")]
    Ink,
}

impl Colors {
    pub fn components(self) -> usize {
        match self {
            Colors::Grey => 1,
            Colors::Rgb | Colors::YCbCr => 3,
            _ => 4,
        }
    }

    /// As libjpeg guesses them.
    pub fn of(frame: &Frame, has_jfif: bool, adobe: Option<u8>) -> Decoded<Colors> {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        let lossless = frame.coding.lossless;
        let colors = match (&ids[..], adobe) {
            ([_], _) => Colors::Grey,
            ([_, _, _], _) if has_jfif => Colors::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Colors::Rgb,
            ([_, _, _], None) if lossless => Colors::Rgb,
            ([_, _, _], _) => Colors::YCbCr,
            ([_, _, _, _], None | Some(0)) => Colors::Cmyk,
            ([_, _, _, _], _) => Colors::Ycck,
            _ => return Err(Fault::Broken("it has not 1, 3 or 4 components")),
        };
        match colors {
            Colors::YCbCr | Colors::Ycck if lossless => {
                Err(Fault::Broken("a lossless file is of YCbCr, which libjpeg does not convert"))
            }
            colors => Ok(colors),
        }
    }
}

/// What stands between the samples of a component that has fewer of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// libjpeg's means of neighbours.
    Weighted,
    /// The same sample again.
    #[cfg(feature = "rare-formats")]
    Repeated,
}

/// How a component's samples come to the picture's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsampling {
    None,
    /// Twice as wide, weighted 3 to 1.
    Wide,
    /// Twice as high, weighted 3 to 1.
    High,
    /// Twice as wide and high.
    Both,
    /// Each sample so often, horizontally and vertically.
    Repeat(usize, usize),
}

impl Upsampling {
    pub fn of(frame: &Frame, component: &Component) -> Decoded<Upsampling> {
        let Component { h, v, width, .. } = *component;
        let (max_h, max_v) = (frame.max_h, frame.max_v);
        // Narrow components and those of lossless files are repeated.
        let is_weighted = !frame.coding.lossless && width > 2;
        match (max_h == h, max_v == v, max_h == 2 * h, max_v == 2 * v) {
            (true, true, ..) => Ok(Upsampling::None),
            (_, true, true, _) if is_weighted => Ok(Upsampling::Wide),
            (true, _, _, true) if !frame.coding.lossless => Ok(Upsampling::High),
            (_, _, true, true) if is_weighted => Ok(Upsampling::Both),
            _ if max_h.is_multiple_of(h) && max_v.is_multiple_of(v) => {
                Ok(Upsampling::Repeat(max_h / h, max_v / v))
            }
            _ => Err(Fault::Broken("its sampling factors are not multiples of each other")),
        }
    }
}

/// The picture: of four components, as Pillow's `cmyk2rgb` converts ink that is stored inverted.
pub fn render(
    frame: &Frame,
    planes: &[Plane],
    colors: Colors,
    chroma: Chroma,
) -> Result<RgbImage, ImageError> {
    let (width, height) = (frame.width, frame.height);
    let mut data = rgb::buffer(width as u32, height as u32, 3)?;
    let mut rows: Vec<Row> =
        frame.components.iter().zip(planes).map(|(c, plane)| Row::new(frame, c, plane, chroma)).collect();
    for (y, target) in data.chunks_exact_mut(3 * width).enumerate() {
        for row in &mut rows {
            row.make(y);
        }
        let samples: Vec<&[u8]> = rows.iter().map(|row| row.samples(y, width)).collect();
        let pixels = target.chunks_exact_mut(3);
        match (colors, &samples[..]) {
            (Colors::Grey, [grey]) => {
                for (pixel, &grey) in pixels.zip(*grey) {
                    pixel.fill(grey);
                }
            }
            (Colors::Rgb, [red, green, blue]) => {
                for (x, pixel) in pixels.enumerate() {
                    pixel.copy_from_slice(&[red[x], green[x], blue[x]]);
                }
            }
            (Colors::YCbCr, [luma, cb, cr]) => {
                for (((pixel, &luma), &cb), &cr) in pixels.zip(*luma).zip(*cb).zip(*cr) {
                    pixel.copy_from_slice(&to_rgb(luma, cb, cr));
                }
            }
            (_, [c, m, y, k]) => {
                for (x, pixel) in pixels.enumerate() {
                    let ink = match colors {
                        #[cfg(feature = "rare-formats")]
                        Colors::Ink => {
                            let inks = [c[x], m[x], y[x]];
                            pixel.copy_from_slice(&inks.map(|ink| remaining(255 - ink, 255 - k[x])));
                            continue;
                        }
                        Colors::Ycck => to_rgb(c[x], m[x], y[x]).map(|light| 255 - light),
                        _ => [c[x], m[x], y[x]],
                    };
                    pixel.copy_from_slice(&ink.map(|ink| remaining(ink, k[x])));
                }
            }
            _ => {}
        }
    }
    RgbImage::from_rgb(width as u32, height as u32, data)
}

#[inline(always)]
fn to_rgb(luma: u8, cb: u8, cr: u8) -> [u8; 3] {
    // 16 bits of fraction.
    const HALF: i32 = 1 << 15;
    let (luma, cb, cr) = (i32::from(luma), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = luma + ((91881 * cr + HALF) >> 16);
    let green = luma + ((-22554 * cb - 46802 * cr + HALF) >> 16);
    let blue = luma + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}

fn remaining(ink: u8, light: u8) -> u8 {
    let product = u32::from(255 - ink) * u32::from(light) + 128;
    u32::from(light).saturating_sub(((product >> 8) + product) >> 8) as u8
}

/// Rows of a component in the picture's size.
struct Row<'a> {
    plane: &'a Plane,
    width: usize,
    height: usize,
    upsampling: Upsampling,
    /// The row that was made last.
    made: Vec<u8>,
    /// Sums of two rows.
    sums: Vec<u16>,
}

impl<'a> Row<'a> {
    fn new(frame: &Frame, component: &Component, plane: &'a Plane, chroma: Chroma) -> Row<'a> {
        let upsampling = match chroma {
            Chroma::Weighted => Upsampling::of(frame, component).unwrap_or(Upsampling::None),
            #[cfg(feature = "rare-formats")]
            Chroma::Repeated => Upsampling::Repeat(frame.max_h / component.h, frame.max_v / component.v),
        };
        let Component { width, height, .. } = *component;
        let wide = match upsampling {
            Upsampling::Wide | Upsampling::Both => 2 * width,
            Upsampling::Repeat(h, _) => h * width,
            _ => width,
        };
        Row { plane, width, height, upsampling, made: vec![0; wide], sums: vec![0; width] }
    }

    fn source(&self, row: usize) -> &'a [u8] {
        &self.plane.samples[row * self.plane.stride..][..self.width]
    }

    fn samples(&self, y: usize, width: usize) -> &[u8] {
        match self.upsampling {
            Upsampling::None => &self.source(y)[..width],
            _ => &self.made[..width],
        }
    }

    fn make(&mut self, y: usize) {
        // Of two rows for one, the upper lies nearer to the row above.
        let near = self.source(self.row(y));
        let far = if y.is_multiple_of(2) { self.row(y).saturating_sub(1) } else { self.row(y) + 1 };
        let far = self.source(far.min(self.height - 1));
        match self.upsampling {
            Upsampling::None => {}
            Upsampling::Wide => widen(near, &mut self.made),
            Upsampling::High => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((target, &near), &far) in self.made.iter_mut().zip(near).zip(far) {
                    *target = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
            Upsampling::Both => {
                for ((sum, &near), &far) in self.sums.iter_mut().zip(near).zip(far) {
                    *sum = 3 * u16::from(near) + u16::from(far);
                }
                widen_sums(&self.sums, &mut self.made);
            }
            Upsampling::Repeat(h, _) => {
                for (target, &sample) in self.made.chunks_exact_mut(h).zip(near) {
                    target.fill(sample);
                }
            }
        }
    }

    /// The row of samples for a row of the picture.
    fn row(&self, y: usize) -> usize {
        match self.upsampling {
            Upsampling::None | Upsampling::Wide => y,
            Upsampling::High | Upsampling::Both => y / 2,
            Upsampling::Repeat(_, v) => y / v,
        }
    }
}

/// Rounds up and down in turn.
fn widen(source: &[u8], target: &mut [u8]) {
    let last = source.len() - 1;
    target[0] = source[0];
    target[2 * last + 1] = source[last];
    for (pair, target) in source.windows(2).zip(target[1..].chunks_exact_mut(2)) {
        let (left, right) = (u16::from(pair[0]), u16::from(pair[1]));
        target[0] = ((3 * left + right + 2) >> 2) as u8;
        target[1] = ((3 * right + left + 1) >> 2) as u8;
    }
}

fn widen_sums(sums: &[u16], target: &mut [u8]) {
    let last = sums.len() - 1;
    target[0] = ((4 * sums[0] + 8) >> 4) as u8;
    target[2 * last + 1] = ((4 * sums[last] + 7) >> 4) as u8;
    for (pair, target) in sums.windows(2).zip(target[1..].chunks_exact_mut(2)) {
        target[0] = ((3 * pair[0] + pair[1] + 7) >> 4) as u8;
        target[1] = ((3 * pair[1] + pair[0] + 8) >> 4) as u8;
    }
}
