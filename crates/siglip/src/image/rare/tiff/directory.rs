//! The tags of a file's first picture.

use std::collections::HashMap;

use super::super::super::ImageError;
use super::{broken, cut_short};

/// The tags that matter, by the standard's numbers.
pub mod tag {
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTE_COUNTS: u16 = 279;
    pub const PLANAR_CONFIGURATION: u16 = 284;
    pub const T4_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const COLOR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTE_COUNTS: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const JPEG_OFFSET: u16 = 513;
    pub const JPEG_LENGTH: u16 = 514;
    pub const JPEG_RESTART_INTERVAL: u16 = 515;
    pub const JPEG_QUANTIZERS: u16 = 519;
    pub const JPEG_DC_TABLES: u16 = 520;
    pub const JPEG_AC_TABLES: u16 = 521;
    pub const YCBCR_COEFFICIENTS: u16 = 529;
    pub const YCBCR_SUBSAMPLING: u16 = 530;
    pub const REFERENCE_BLACK_WHITE: u16 = 532;
    pub const XMP: u16 = 700;
}

pub struct Directory<'a> {
    pub little_endian: bool,
    /// Type and value of each tag.
    tags: HashMap<u16, (u16, &'a [u8])>,
}

impl<'a> Directory<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Directory<'a>, ImageError> {
        let numbers = Numbers { little_endian: bytes.starts_with(b"II") };
        let big = matches!(bytes.get(2..4), Some(b"+\0" | b"\0+"));
        let (offset_at, offset_len) = if big { (8, 8) } else { (4, 4) };
        let first = bytes.get(offset_at..offset_at + offset_len).ok_or_else(cut_short)?;
        let place = match usize::try_from(numbers.of(first)) {
            Ok(place) if place > 0 => place,
            _ => return Err(broken("there is no picture in it")),
        };
        let mut directory = Directory { little_endian: numbers.little_endian, tags: HashMap::new() };
        // What can be read of a broken directory counts.
        let _ = directory.read_tags(bytes, place, numbers, big);
        Ok(directory)
    }

    /// None where the file ends before the directory does.
    fn read_tags(&mut self, bytes: &'a [u8], mut place: usize, numbers: Numbers, big: bool) -> Option<()> {
        let mut take = |len: usize| {
            let taken = bytes.get(place..)?.get(..len)?;
            place += len;
            Some(taken)
        };
        let (head, entry, inline) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let mut total = 0usize;
        for _ in 0..numbers.of(take(head)?) {
            let entry = take(entry)?;
            let (tag, kind) = (numbers.of(&entry[..2]) as u16, numbers.of(&entry[2..4]) as u16);
            if self.tags.contains_key(&tag) {
                continue;
            }
            let unit = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16 => 8,
                _ => continue,
            };
            let (count, value) = entry[4..].split_at(inline);
            let Some(len) = usize::try_from(numbers.of(count)).ok().and_then(|count| count.checked_mul(unit))
            else {
                continue;
            };
            let value = if len <= inline {
                &value[..len]
            } else {
                // Values that overlap so much that they exceed the file are a bomb.
                total = total.saturating_add(len);
                if total > bytes.len() {
                    continue;
                }
                bytes.get(usize::try_from(numbers.of(value)).ok()?..)?.get(..len)?
            };
            if !value.is_empty() {
                self.tags.insert(tag, (kind, value));
            }
        }
        Some(())
    }

    /// All numbers of a tag; None where it is missing.
    pub fn numbers(&self, tag: u16) -> Result<Option<Vec<i64>>, ImageError> {
        let Some(&(kind, bytes)) = self.tags.get(&tag) else { return Ok(None) };
        let unit = match kind {
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            16 => 8,
            _ => return Err(broken("a number of its directory is of another type")),
        };
        let numbers = Numbers { little_endian: self.little_endian };
        let number = |bytes: &[u8]| match kind {
            8 => i64::from(numbers.of(bytes) as i16),
            9 => i64::from(numbers.of(bytes) as i32),
            _ => i64::try_from(numbers.of(bytes)).unwrap_or(i64::MAX),
        };
        Ok(Some(bytes.chunks_exact(unit).map(number).collect()))
    }

    /// The first number of a tag.
    pub fn number(&self, tag: u16) -> Result<Option<i64>, ImageError> {
        Ok(self.numbers(tag)?.and_then(|numbers| numbers.first().copied()))
    }

    /// The first number of a tag, or what stands for it where it is missing.
    pub fn number_or(&self, tag: u16, default: i64) -> Result<i64, ImageError> {
        Ok(self.number(tag)?.unwrap_or(default))
    }

    /// All fractions or floats of a tag; None where it is missing.
    pub fn floats(&self, tag: u16) -> Result<Option<Vec<f32>>, ImageError> {
        let Some(&(kind, bytes)) = self.tags.get(&tag) else { return Ok(None) };
        let numbers = Numbers { little_endian: self.little_endian };
        let ratio = |bytes: &[u8]| {
            let (above, below) = (numbers.of(&bytes[..4]), numbers.of(&bytes[4..]));
            if below == 0 { 0.0 } else { (above as f64 / below as f64) as f32 }
        };
        match kind {
            5 => Ok(Some(bytes.chunks_exact(8).map(ratio).collect())),
            11 => Ok(Some(
                bytes.chunks_exact(4).map(|bytes| f32::from_bits(numbers.of(bytes) as u32)).collect(),
            )),
            _ => Ok(self
                .numbers(tag)?
                .map(|numbers| numbers.into_iter().map(|number| number as f32).collect())),
        }
    }

    /// A tag's bytes as they are.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.tags.get(&tag).map(|&(_, bytes)| bytes)
    }
}

/// Reads numbers in the file's order of bytes.
#[derive(Clone, Copy)]
struct Numbers {
    little_endian: bool,
}

impl Numbers {
    /// Of at most 8 bytes.
    fn of(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.little_endian { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    }
}
