//! PBM, PGM, PPM and PFM, read as Pillow's `PpmImagePlugin` does.

use super::super::reader::Reader;
use super::super::{ImageError, RgbImage, rgb};
use super::grey;

/// Longest number.
const DIGITS: usize = 10;
/// Bytes that Pillow reads at a time, and checks whether it needs all of them or not.
const BLOCK: usize = 1 << 20;

pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let kind = bytes[1];
    let mut reader = Reader::at(bytes, 3);
    let (width, height) = (read_number(&mut reader)?, read_number(&mut reader)?);
    rgb::check_sides(width, height)?;
    let samples = width as usize * height as usize * if matches!(kind, b'3' | b'6') { 3 } else { 1 };
    if kind == b'f' {
        return decode_floats(reader, width, height);
    }
    let levels = match kind {
        b'1' => plain_bits(reader, samples)?,
        b'4' => return packed_bits(reader, width, height),
        _ => {
            let largest = read_number(&mut reader)?;
            if !(1..=65535).contains(&largest) {
                return Err(broken("its largest value is not in 1..=65535"));
            }
            let scale = Scale { largest, is_grey: samples == width as usize * height as usize };
            if kind <= b'3' { plain_levels(reader, samples, scale)? } else { levels(reader, samples, scale)? }
        }
    };
    if levels.len() == 3 * width as usize * height as usize {
        RgbImage::from_rgb(width, height, levels)
    } else {
        RgbImage::from_pixels(width, height, levels.into_iter().map(|level| [level; 3]))
    }
}

/// From values to levels.
#[derive(Clone, Copy)]
struct Scale {
    largest: u32,
    is_grey: bool,
}

impl Scale {
    fn level(self, value: u32) -> u8 {
        let scaled = |end: f64| (f64::from(value) / f64::from(self.largest) * end).round_ties_even().min(end);
        match self.is_grey && self.largest > 255 {
            true => grey::from_u16(scaled(65535.0) as u16),
            false => scaled(255.0) as u8,
        }
    }
}

/// The next word of the header. A comment ends with its line, and may stand within a word.
fn read_word(reader: &mut Reader) -> Result<Vec<u8>, ImageError> {
    let mut word = Vec::new();
    while word.len() <= DIGITS {
        match reader.byte() {
            None => break,
            Some(byte) if is_space(byte) && word.is_empty() => {}
            Some(byte) if is_space(byte) => break,
            Some(b'#') => while reader.byte().is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {},
            Some(byte) => word.push(byte),
        }
    }
    match word.len() {
        0 => Err(cut_short()),
        1..=DIGITS => Ok(word),
        _ => Err(broken("a number in its header is too long")),
    }
}

fn read_number(reader: &mut Reader) -> Result<u32, ImageError> {
    number(&read_word(reader)?)
}

fn number(word: &[u8]) -> Result<u32, ImageError> {
    let number = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    number.ok_or_else(|| broken("it has something else in the place of a number"))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Values of one byte or two.
fn levels(mut reader: Reader, samples: usize, scale: Scale) -> Result<Vec<u8>, ImageError> {
    let size = if scale.largest < 256 { 1 } else { 2 };
    let data = reader.take(samples * size).ok_or_else(cut_short)?;
    Ok(match size {
        1 if scale.largest == 255 => data.to_vec(),
        1 => data.iter().map(|&value| scale.level(u32::from(value))).collect(),
        _ => {
            let (values, _) = data.as_chunks();
            values.iter().map(|&value| scale.level(u32::from(u16::from_be_bytes(value)))).collect()
        }
    })
}

/// Black is 1. Rows begin with a byte.
fn packed_bits(mut reader: Reader, width: u32, height: u32) -> Result<RgbImage, ImageError> {
    let row = width.div_ceil(8) as usize;
    let data = reader.take(row * height as usize).ok_or_else(cut_short)?;
    let pixels = data.chunks_exact(row).flat_map(|row| {
        (0..width as usize).map(|x| [if row[x / 8] << (x % 8) & 0x80 == 0 { 255 } else { 0 }; 3])
    });
    RgbImage::from_pixels(width, height, pixels)
}

/// Rows from the bottom. A negative scale says that bytes come in order from the lowest on.
fn decode_floats(mut reader: Reader, width: u32, height: u32) -> Result<RgbImage, ImageError> {
    let scale = read_word(&mut reader)?;
    let scale = std::str::from_utf8(&scale).ok().and_then(|word| word.parse::<f64>().ok());
    let scale = scale.filter(|scale| *scale != 0.0 && scale.is_finite());
    let little_endian = scale.ok_or_else(|| broken("its scale is no number, or zero"))? < 0.0;
    let data = reader.take(4 * width as usize * height as usize).ok_or_else(cut_short)?;
    let (values, _) = data.as_chunks::<4>();
    let pixels = values.chunks_exact(width as usize).rev().flatten().map(|&bytes| {
        let value = if little_endian { f32::from_le_bytes(bytes) } else { f32::from_be_bytes(bytes) };
        [grey::from_f32(value); 3]
    });
    RgbImage::from_pixels(width, height, pixels)
}

/// What follows the header, a block at a time and without comments.
struct PlainText<'a> {
    reader: Reader<'a>,
    in_comment: bool,
}

impl PlainText<'_> {
    fn block(&mut self) -> Option<Vec<u8>> {
        let block = self.reader.take_up_to(BLOCK);
        let mut text = Vec::with_capacity(block.len());
        for &byte in block {
            if self.in_comment {
                self.in_comment = !matches!(byte, b'\r' | b'\n');
            } else if byte == b'#' {
                self.in_comment = true;
            } else {
                text.push(byte);
            }
        }
        (!block.is_empty()).then_some(text)
    }
}

/// Black is 1. Digits need no space between them.
fn plain_bits(reader: Reader, samples: usize) -> Result<Vec<u8>, ImageError> {
    let mut text = PlainText { reader, in_comment: false };
    let mut levels = Vec::new();
    while levels.len() < samples {
        for digit in text.block().ok_or_else(cut_short)?.into_iter().filter(|&byte| !is_space(byte)) {
            match digit {
                b'0' => levels.push(255),
                b'1' => levels.push(0),
                _ => return Err(broken("it has something else in the place of a bit")),
            }
        }
    }
    levels.truncate(samples);
    Ok(levels)
}

fn plain_levels(reader: Reader, samples: usize, scale: Scale) -> Result<Vec<u8>, ImageError> {
    let mut text = PlainText { reader, in_comment: false };
    let mut levels = Vec::new();
    let mut word = Vec::new();
    let mut is_open = true;
    while is_open && levels.len() < samples {
        let block = text.block();
        is_open = block.is_some();
        for byte in block.unwrap_or_else(|| vec![b' ']) {
            if !is_space(byte) {
                word.push(byte);
                if word.len() > DIGITS {
                    return Err(broken("a number is too long"));
                }
            } else if !word.is_empty() {
                let value = number(&word)?;
                if value > scale.largest {
                    return Err(broken("a number is larger than its header says"));
                }
                levels.push(scale.level(value));
                word.clear();
                if levels.len() == samples {
                    break;
                }
            }
        }
    }
    if levels.len() < samples { Err(cut_short()) } else { Ok(levels) }
}

fn cut_short() -> ImageError {
    broken("it ends early")
}

fn broken(reason: &str) -> ImageError {
    ImageError::broken("PNM", reason)
}
