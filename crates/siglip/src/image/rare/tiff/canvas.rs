//! The picture while its parts arrive: a byte for each sample that matters.

use super::super::super::{ImageError, RgbImage, rgb};
use super::super::grey;
use super::broken;
use super::directory::{Directory, tag};
use super::lab::LabToRgb;
use super::layout::{Color, Layout, Sample};

pub struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Samples of a pixel.
    channels: usize,
    samples: Vec<u8>,
}

/// Where a row of a part goes.
#[derive(Clone, Copy)]
pub struct Place {
    pub x: usize,
    pub y: usize,
    /// Pixels.
    pub len: usize,
    /// Of a picture in planes, whose row this is.
    pub plane: Option<usize>,
}

impl Canvas {
    pub fn new(width: u32, height: u32, layout: &Layout) -> Result<Canvas, ImageError> {
        let channels = match layout.color {
            _ if layout.has_rgb_parts() => 3,
            Color::Grey { .. } | Color::Palette => 1,
            Color::Rgb | Color::YCbCr | Color::Lab => 3,
            Color::PremultipliedRgb | Color::Cmyk => 4,
        };
        let samples = rgb::buffer(width, height, channels)?;
        Ok(Canvas { width: width as usize, height: height as usize, channels, samples })
    }

    /// Pixels of all strips or tiles together, those beyond the picture's edge counted. Small pictures may lie in one
    /// large tile.
    pub fn most_pixels(&self) -> usize {
        const PADDING: usize = 16;
        const SPARE: usize = 1 << 24;
        (PADDING * self.width * self.height).clamp(SPARE, rgb::MOST_DECODED_PIXELS as usize)
    }

    /// Puts a row of samples, as they are stored, into its place.
    pub fn put(&mut self, row: &[u8], layout: &Layout, place: Place) {
        let Place { x, y, len, plane } = place;
        let target = &mut self.samples[self.channels * (y * self.width + x)..][..self.channels * len];
        let (stride, count) = if plane.is_some() { (1, 1) } else { (layout.samples, self.channels) };
        let first = plane.unwrap_or(0);
        if first >= self.channels {
            return;
        }
        for (pixel, target) in target.chunks_exact_mut(self.channels).enumerate() {
            for (sample, target) in target[first..][..count].iter_mut().enumerate() {
                *target = level(row, pixel * stride + sample, layout);
            }
        }
    }

    /// Puts a part's colours into their place, as far as they are within the picture.
    pub fn put_rgb(&mut self, image: &RgbImage, x: usize, y: usize) {
        let columns = (image.width() as usize).min(self.width - x);
        let rows = image.data().chunks_exact(3 * image.width() as usize);
        for (row, y) in rows.zip(y..self.height) {
            self.samples[3 * (y * self.width + x)..][..3 * columns].copy_from_slice(&row[..3 * columns]);
        }
    }

    pub fn into_rgb(self, directory: &Directory, layout: &Layout) -> Result<RgbImage, ImageError> {
        let (width, height) = (self.width as u32, self.height as u32);
        if layout.has_rgb_parts() {
            return RgbImage::from_rgb(width, height, self.samples);
        }
        match layout.color {
            Color::Rgb => RgbImage::from_rgb(width, height, self.samples),
            Color::Grey { .. } => {
                RgbImage::from_pixels(width, height, self.samples.iter().map(|&level| [level; 3]))
            }
            Color::Palette => {
                let colors = colors(directory)?;
                RgbImage::from_pixels(width, height, self.samples.iter().map(|&at| colors[usize::from(at)]))
            }
            Color::PremultipliedRgb => self.convert(|[red, green, blue, alpha]: [u8; 4]| match alpha {
                0 => [0; 3],
                _ => {
                    [red, green, blue].map(|level| (u32::from(level) * 255 / u32::from(alpha)).min(255) as u8)
                }
            }),
            Color::Cmyk => self.convert(|[c, m, y, k]: [u8; 4]| [c, m, y].map(|ink| without_ink(ink, k))),
            Color::YCbCr => self.convert(|[luma, cb, cr]: [u8; 3]| from_ycbcr(luma, cb, cr)),
            Color::Lab => {
                let colors = LabToRgb::new();
                // a and b have signs, which Pillow forgets about where they are planes.
                let sign = if layout.is_planar { 0 } else { 128 };
                self.convert(|[lightness, a, b]: [u8; 3]| colors.convert([lightness, a ^ sign, b ^ sign]))
            }
        }
    }

    fn convert<const N: usize>(&self, color: impl Fn([u8; N]) -> [u8; 3]) -> Result<RgbImage, ImageError> {
        let (pixels, _) = self.samples.as_chunks();
        RgbImage::from_pixels(self.width as u32, self.height as u32, pixels.iter().map(|&pixel| color(pixel)))
    }
}

/// Sample number `at` of a row, as a level or an index.
fn level(row: &[u8], at: usize, layout: &Layout) -> u8 {
    let byte = |at: usize| if layout.reversed { row[at].reverse_bits() } else { row[at] };
    let pair = |at: usize| {
        let pair = [byte(2 * at), byte(2 * at + 1)];
        if layout.little_endian { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    };
    let four = |at: usize| {
        let four = [row[4 * at], row[4 * at + 1], row[4 * at + 2], row[4 * at + 3]];
        if layout.little_endian { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
    };
    match layout.sample {
        Sample::Bits(bits) => {
            let bits = usize::from(bits);
            let largest = (255u16 >> (8 - bits)) as u8;
            let value = byte(at * bits / 8) >> (8 - bits - at * bits % 8) & largest;
            match layout.color {
                Color::Grey { inverted } => {
                    let level = value * (255 / largest);
                    if inverted { 255 - level } else { level }
                }
                _ => value,
            }
        }
        Sample::Unsigned12 => {
            let place = at / 2 * 3;
            match at % 2 {
                0 => row[place],
                _ => row[place + 1] << 4 | row[place + 2] >> 4,
            }
        }
        Sample::Unsigned16 => grey::from_u16(pair(at)),
        Sample::Signed16 => grey::from_i32(i32::from(pair(at) as i16)),
        Sample::Int32 => grey::from_i32(four(at) as i32),
        Sample::Float32 => grey::from_f32(f32::from_bits(four(at))),
    }
}

/// The colour map: all reds, all greens, all blues, of 16 bits each. Of too short a one, what is missing is black.
fn colors(directory: &Directory) -> Result<[[u8; 3]; 256], ImageError> {
    let map = directory.numbers(tag::COLOR_MAP)?.ok_or_else(|| broken("its colours are missing"))?;
    let count = map.len() / 3;
    if count > 256 {
        return Err(broken("it has more than 256 colours"));
    }
    let mut colors = [[0; 3]; 256];
    for (index, color) in colors[..count].iter_mut().enumerate() {
        *color = [index, count + index, 2 * count + index].map(|place| (map[place] >> 8) as u8);
    }
    Ok(colors)
}

/// As Pillow's `cmyk2rgb`.
fn without_ink(ink: u8, black: u8) -> u8 {
    let light = 255 - u32::from(black);
    let product = u32::from(ink) * light + 128;
    light.saturating_sub(((product >> 8) + product) >> 8) as u8
}

/// As Pillow's `ImagingConvertYCbCr2RGB`: 6 bits of fraction, rounded as its tables are.
fn from_ycbcr(luma: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (luma, cb, cr) = (i32::from(luma), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
    let part = |factor: f64, value: f64| (factor * value * 64.0 + 0.5) as i32;
    let red = luma + (part(1.402, cr) >> 6);
    let green = luma + ((part(-0.34414, cb) + part(-0.71414, cr)) >> 6);
    let blue = luma + (part(1.772, cb) >> 6);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}
