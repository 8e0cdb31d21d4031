//! How pixels are stored: Pillow's table of what it opens.

use super::super::super::ImageError;
use super::directory::{Directory, tag};
use super::{broken, codec, unsupported};

/// What samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Grey {
        inverted: bool,
    },
    Palette,
    Rgb,
    /// Multiplied by alpha, which is the fourth sample.
    PremultipliedRgb,
    Cmyk,
    YCbCr,
    Lab,
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    Bits(u8),
    Unsigned12,
    Unsigned16,
    Signed16,
    /// Signed or not: values that have no sign are read as if they had one.
    Int32,
    Float32,
}

impl Sample {
    pub fn bits(self) -> usize {
        match self {
            Sample::Bits(bits) => usize::from(bits),
            Sample::Unsigned12 => 12,
            Sample::Unsigned16 | Sample::Signed16 => 16,
            Sample::Int32 | Sample::Float32 => 32,
        }
    }
}

pub struct Layout {
    pub compression: i64,
    pub color: Color,
    pub sample: Sample,
    /// Samples that a pixel has, those that do not matter among them.
    pub samples: usize,
    /// Whether each sample has a plane of its own.
    pub is_planar: bool,
    /// Whether the lowest bit of a byte comes first.
    pub reversed: bool,
    pub little_endian: bool,
}

impl Layout {
    pub fn of(directory: &Directory) -> Result<Layout, ImageError> {
        let compression = directory.number_or(tag::COMPRESSION, codec::NONE)?;
        let is_old_jpeg = compression == codec::OLD_JPEG;
        // Photometric interpretations that are several are none.
        let photometric = match directory.numbers(tag::PHOTOMETRIC)?.as_deref() {
            _ if is_old_jpeg => 6,
            Some([photometric]) => *photometric,
            _ => 0,
        };
        let fill_order = directory.number_or(tag::FILL_ORDER, 1)?;
        let is_planar = directory.number(tag::PLANAR_CONFIGURATION).unwrap_or(None) == Some(2);
        let mut formats = directory.numbers(tag::SAMPLE_FORMAT)?.unwrap_or_else(|| vec![1]);
        if formats.iter().all(|format| *format == formats[0]) {
            formats.truncate(1);
        }
        let mut bits = directory.numbers(tag::BITS_PER_SAMPLE)?.unwrap_or_else(|| vec![1]);
        let mut extra = directory.numbers(tag::EXTRA_SAMPLES)?.unwrap_or_default();
        let mut samples = directory.number_or(tag::SAMPLES_PER_PIXEL, if is_old_jpeg { 3 } else { 1 })?;
        if is_planar && !extra.is_empty() && extra.iter().all(|&kind| kind <= 0) {
            // Planes that mean nothing come last.
            bits.truncate(bits.len().saturating_sub(extra.len()));
            samples -= extra.len() as i64;
            extra.clear();
        }
        let samples = match usize::try_from(samples) {
            Ok(samples @ 1..=6) => samples,
            _ => return Err(unsupported(format!("{samples} samples a pixel"))),
        };
        if bits.len() == 1 {
            bits.resize(samples, bits[0]);
        }
        bits.truncate(samples);
        if bits.len() != samples {
            return Err(broken("it does not say how many bits each sample has"));
        }
        let little_endian = directory.little_endian;
        let (color, sample) = kind(photometric, &formats, fill_order, &bits, &extra, little_endian)
            .ok_or_else(|| {
                unsupported(format!(
                    "photometric interpretation {photometric}, bits {bits:?}, extra samples {extra:?}, sample format \
                     {formats:?}, fill order {fill_order}"
                ))
            })?;
        let reversed = fill_order == 2;
        Ok(Layout { compression, color, sample, samples, is_planar, reversed, little_endian })
    }

    /// Whether strips and tiles become colours when they are decoded.
    pub fn has_rgb_parts(&self) -> bool {
        self.compression == codec::JPEG || self.color == Color::YCbCr && self.compression != codec::NONE
    }

    /// Bits of a pixel, or of a plane's.
    pub fn bits(&self) -> usize {
        self.sample.bits() * if self.is_planar { 1 } else { self.samples }
    }
}

fn kind(
    photometric: i64,
    formats: &[i64],
    fill_order: i64,
    bits: &[i64],
    extra: &[i64],
    little_endian: bool,
) -> Option<(Color, Sample)> {
    let &[format] = formats else { return None };
    let grey = Color::Grey { inverted: false };
    let found = match (photometric, format, fill_order, bits, extra) {
        (0 | 1, 1, 1 | 2, &[bits @ (1 | 2 | 4 | 8)], []) => {
            (Color::Grey { inverted: photometric == 0 }, Sample::Bits(bits as u8))
        }
        (1, 2, 1, [8], []) | (1, 1, 1, [8, 8], [0 | 2]) => (grey, Sample::Bits(8)),
        (1, 1, 1, [12], []) if little_endian => (grey, Sample::Unsigned12),
        (0, 1, 1, [16], []) | (1, 1, 2, [16], []) if little_endian => (grey, Sample::Unsigned16),
        (1, 1, 1, [16], []) => (grey, Sample::Unsigned16),
        (1, 2, 1, [16], []) => (grey, Sample::Signed16),
        (1, 1, 1, [32], []) if little_endian => (grey, Sample::Int32),
        (1, 2, 1, [32], []) => (grey, Sample::Int32),
        (0 | 1, 3, 1, [32], []) => (grey, Sample::Float32),
        (2, 1, 1 | 2, [8, 8, 8], []) => (Color::Rgb, Sample::Bits(8)),
        (2, 1, 1, [8, 8, 8, 8], [] | [0 | 2 | 999])
        | (2, 1, 1, [8, 8, 8, 8, 8], [0 | 2, 0])
        | (2, 1, 1, [8, 8, 8, 8, 8, 8], [0 | 2, 0, 0]) => (Color::Rgb, Sample::Bits(8)),
        (2, 1, 1, [8, 8, 8, 8], [1])
        | (2, 1, 1, [8, 8, 8, 8, 8], [1, 0])
        | (2, 1, 1, [8, 8, 8, 8, 8, 8], [1, 0, 0]) => (Color::PremultipliedRgb, Sample::Bits(8)),
        (2, 1, 1, [16, 16, 16], []) | (2, 1, 1, [16, 16, 16, 16], [] | [0 | 2]) => {
            (Color::Rgb, Sample::Unsigned16)
        }
        (2, 1, 1, [16, 16, 16, 16], [1]) => (Color::PremultipliedRgb, Sample::Unsigned16),
        (3, 1, 1 | 2, &[bits @ (1 | 2 | 4 | 8)], []) => (Color::Palette, Sample::Bits(bits as u8)),
        (3, 1, 1, [8, 8], [0 | 2]) => (Color::Palette, Sample::Bits(8)),
        (5, 1, 1, [8, 8, 8, 8], [])
        | (5, 1, 1, [8, 8, 8, 8, 8], [0])
        | (5, 1, 1, [8, 8, 8, 8, 8, 8], [0, 0]) => (Color::Cmyk, Sample::Bits(8)),
        (5, 1, 1, [16, 16, 16, 16], []) => (Color::Cmyk, Sample::Unsigned16),
        (6, 1, 1, [8], []) => (grey, Sample::Bits(8)),
        (6, 1, 1, [8, 8, 8], []) => (Color::YCbCr, Sample::Bits(8)),
        (8, 1, 1, [8, 8, 8], []) => (Color::Lab, Sample::Bits(8)),
        _ => return None,
    };
    Some(found)
}
