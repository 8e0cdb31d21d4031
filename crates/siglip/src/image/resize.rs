//! Pillow's antialiased resize (`Resample.c` of version 13), bit by bit: fixed-point weights of 22 bits, 8 bits between
//! the two passes, and Pillow's choice of which pass goes first. The rounding and clipping in between is why other
//! antialiased resizers come out up to dozens of levels apart.

use std::borrow::Cow;
use std::f64::consts::PI;

use super::{ImageError, RgbImage, rgb};

/// How a picture is resized, numbered as Pillow numbers `Image.Resampling` and `preprocessor_config.json` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// The pixel at the centre.
    Nearest = 0,
    /// A sinc of three lobes.
    Lanczos = 1,
    /// A triangle: SigLIP 2's filter.
    Bilinear = 2,
    /// Keys' cubic with a = -0.5: SigLIP's filter.
    Bicubic = 3,
    /// The mean of the pixels covered.
    Box = 4,
    /// A Hamming window of two pixels.
    Hamming = 5,
}

impl Resample {
    pub(super) const ALL: [Resample; 6] = [
        Resample::Nearest,
        Resample::Lanczos,
        Resample::Bilinear,
        Resample::Bicubic,
        Resample::Box,
        Resample::Hamming,
    ];

    /// How far the filter reaches to either side, in pixels of the smaller grid.
    fn support(self) -> f64 {
        match self {
            Resample::Nearest | Resample::Box => 0.5,
            Resample::Bilinear | Resample::Hamming => 1.0,
            Resample::Bicubic => 2.0,
            Resample::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        let distance = x.abs();
        match self {
            Resample::Nearest | Resample::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Resample::Bilinear => (1.0 - distance).max(0.0),
            Resample::Hamming if distance >= 1.0 => 0.0,
            Resample::Hamming => sinc(x) * (0.54 + 0.46 * (x * PI).cos()),
            Resample::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Resample::Bicubic if distance < 2.0 => {
                -0.5 * (((distance - 5.0) * distance + 8.0) * distance - 4.0)
            }
            Resample::Bicubic => 0.0,
            Resample::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Resample::Lanczos => 0.0,
        }
    }
}

/// Fractional bits of a weight: 8 bits of a sample and 2 for overshoot fit beside them.
const PRECISION: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION - 1);

/// Stretches or squashes a picture to `width * height`, as `Image.resize` does.
pub(super) fn resize(
    image: &RgbImage,
    width: u32,
    height: u32,
    filter: Resample,
) -> Result<RgbImage, ImageError> {
    if filter == Resample::Nearest {
        return nearest(image, width, height);
    }
    let shrinks_by = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let (columns_lost, rows_lost) = (shrinks_by(image.width(), width), shrinks_by(image.height(), height));
    let image = Cow::Borrowed(image);
    let resized = if rows_lost > 0 && rows_lost > 2 * columns_lost {
        resize_width(resize_height(image, height, filter)?, width, filter)?
    } else {
        resize_height(resize_width(image, width, filter)?, height, filter)?
    };
    Ok(resized.into_owned())
}

/// Along one side: of each target pixel the source pixels that it is made of, and their weights.
struct Windows {
    /// First source pixel and end in `weights`, a target pixel each.
    spans: Vec<(usize, usize)>,
    weights: Vec<i32>,
}

impl Windows {
    /// None where memory does not hold them.
    fn new(source: u32, target: u32, filter: Resample) -> Option<Windows> {
        let ratio = f64::from(source) / f64::from(target);
        let scale = ratio.max(1.0);
        let support = filter.support() * scale;
        let mut spans = Vec::with_capacity(target as usize);
        let mut weights: Vec<i32> = Vec::new();
        let mut window = Vec::new();
        for pixel in 0..target {
            let centre = (f64::from(pixel) + 0.5) * ratio;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(source as usize);
            window.clear();
            window.try_reserve(end - first).ok()?;
            window.extend((first..end).map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / scale))));
            let sum: f64 = window.iter().sum();
            let norm = if sum == 0.0 { 1.0 } else { sum };
            weights.try_reserve(window.len()).ok()?;
            // `round` is what Pillow does: half away from zero.
            weights.extend(
                window.iter().map(|weight| (weight / norm * f64::from(1 << PRECISION)).round() as i32),
            );
            spans.push((first, weights.len()));
        }
        Some(Windows { spans, weights })
    }

    /// First source pixel and weights of each target pixel.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut start = 0;
        self.spans.iter().map(move |&(first, end)| {
            let weights = &self.weights[start..end];
            start = end;
            (first, weights)
        })
    }
}

fn resize_width(image: Cow<RgbImage>, width: u32, filter: Resample) -> Result<Cow<RgbImage>, ImageError> {
    if image.width() == width {
        return Ok(image);
    }
    let windows = Windows::new(image.width(), width, filter).ok_or_else(|| too_large(&image))?;
    let mut data = rgb::buffer(width, image.height(), 3)?;
    let rows = image.data().chunks_exact(3 * image.width() as usize);
    for (source, target) in rows.zip(data.chunks_exact_mut(3 * width as usize)) {
        for (pixel, (first, weights)) in target.chunks_exact_mut(3).zip(windows.iter()) {
            let mut sums = [HALF; 3];
            for (source, &weight) in source[3 * first..].chunks_exact(3).zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(source) {
                    *sum += i32::from(sample) * weight;
                }
            }
            pixel.copy_from_slice(&sums.map(level));
        }
    }
    RgbImage::from_rgb(width, image.height(), data).map(Cow::Owned)
}

fn resize_height(image: Cow<RgbImage>, height: u32, filter: Resample) -> Result<Cow<RgbImage>, ImageError> {
    if image.height() == height {
        return Ok(image);
    }
    let windows = Windows::new(image.height(), height, filter).ok_or_else(|| too_large(&image))?;
    let mut data = rgb::buffer(image.width(), height, 3)?;
    let row_len = 3 * image.width() as usize;
    let mut sums = vec![0; row_len];
    for (target, (first, weights)) in data.chunks_exact_mut(row_len).zip(windows.iter()) {
        sums.fill(HALF);
        for (source, &weight) in image.data()[first * row_len..].chunks_exact(row_len).zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(source) {
                *sum += i32::from(sample) * weight;
            }
        }
        for (target, &sum) in target.iter_mut().zip(&sums) {
            *target = level(sum);
        }
    }
    RgbImage::from_rgb(image.width(), height, data).map(Cow::Owned)
}

fn too_large(image: &RgbImage) -> ImageError {
    ImageError::TooLarge { width: image.width(), height: image.height() }
}

fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Steps are added up and not multiplied out, as in Pillow, where that decides ties.
fn nearest(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, ImageError> {
    let places = |source: u32, target: u32| {
        let step = f64::from(source) / f64::from(target);
        let places = std::iter::successors(Some(step * 0.5), move |place| Some(place + step));
        places.take(target as usize).map(move |place| (place as usize).min(source as usize - 1))
    };
    let columns: Vec<usize> = places(image.width(), width).collect();
    let pixels = places(image.height(), height).flat_map(|y| {
        let row = &image.data()[3 * y * image.width() as usize..];
        columns.iter().map(move |x| [row[3 * x], row[3 * x + 1], row[3 * x + 2]])
    });
    RgbImage::from_pixels(width, height, pixels)
}
