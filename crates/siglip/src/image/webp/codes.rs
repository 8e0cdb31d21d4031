//! The prefix codes that a lossless WebP defines, read before `image-webp` builds tables for them: to count their sets, and
//! to write codes of two symbols as all decoders read them.
//!
//! The file states how many sets there are by an image, the entropy image, whose largest pixel is the number of the last
//! set. This reads up to the pixels, with the names of the format's specification (RFC 9649, section 3).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::super::ImageError;
use super::broken;

/// The most sets of codes that are accepted. libwebp writes at most 2,600; the format allows 65,536, also if no pixel
/// uses them. The tables of a set take up to 120 KB.
const MOST_SETS: u32 = 4096;
/// Symbols of the first of a set's five codes: greens, lengths. Those of the colour cache are added to them.
const GREENS: usize = 256;
const LENGTHS: usize = 24;
/// Symbols of the last of them.
const DISTANCES: usize = 40;
/// The order in which the lengths of the codes for code lengths are stored.
const CODE_LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The body of a chunk `VP8L` with two symbols of a code in rising order and never equal: libwebp sorts and merges them
/// (`ReadHuffmanCode` in `vp8l_dec.c`), `image-webp` takes them as they come. Refuses too many sets of codes.
pub fn normalise(body: &[u8]) -> Result<Cow<'_, [u8]>, ImageError> {
    let mut bits = Bits { bytes: body, position: 0, edits: Vec::new() };
    match bits.sets_of_codes() {
        None => Err(broken("its codes are damaged")),
        Some((sets, _)) if sets > MOST_SETS => {
            Err(ImageError::unsupported("WebP", format!("{sets} sets of codes")))
        }
        Some((sets, cache)) => {
            // What is wrong with these, the decoder tells.
            let _ = (0..sets).try_for_each(|_| bits.set_of_codes(cache).map(drop));
            Ok(bits.edited())
        }
    }
}

/// Reads bits, the lowest of each byte first. Methods return None for what no decoder accepts.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits before the next one.
    position: usize,
    /// What has to be written otherwise, in the order of the file.
    edits: Vec<Edit>,
}

/// A code of two symbols in other bits.
struct Edit {
    /// The bits that it had.
    place: Range<usize>,
    /// The bits to write, the lowest first, and how many.
    bits: (usize, usize),
}

/// A canonical prefix code.
enum Code {
    /// The symbol that takes no bits.
    Single(u16),
    /// The symbols of the bits 0 and 1.
    Two([u16; 2]),
    /// How many symbols have a code of each length, and the symbols in the order of their codes.
    Many([u16; 16], Vec<u16>),
}

impl<'a> Bits<'a> {
    /// The bytes with what has to be written otherwise.
    fn edited(self) -> Cow<'a, [u8]> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.bytes);
        }
        let (mut bytes, mut count) = (vec![0; self.bytes.len()], 0);
        let mut put = |bit: usize| {
            bytes[count / 8] |= (bit as u8) << (count % 8);
            count += 1;
        };
        let bit = |at: usize| usize::from(self.bytes[at / 8] >> (at % 8) & 1);
        let mut copied = 0;
        for Edit { place, bits: (value, count) } in &self.edits {
            (copied..place.start).for_each(|at| put(bit(at)));
            (0..*count).for_each(|at| put(value >> at & 1));
            copied = place.end;
        }
        (copied..8 * self.bytes.len()).for_each(|at| put(bit(at)));
        Cow::Owned(bytes)
    }

    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for at in 0..count {
            let byte = self.bytes.get(self.position / 8)?;
            value |= usize::from(byte >> (self.position % 8) & 1) << at;
            self.position += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// How many sets there are, and how many colours the cache has.
    fn sets_of_codes(&mut self) -> Option<(u32, usize)> {
        const SIGNATURE_BITS: usize = 8;
        const ALPHA_AND_VERSION_BITS: usize = 4;
        self.take(SIGNATURE_BITS)?;
        let (mut width, height) = (self.take(14)? + 1, self.take(14)? + 1);
        self.take(ALPHA_AND_VERSION_BITS)?;
        let mut seen = [false; 4];
        while self.flag()? {
            let transform = self.take(2)?;
            if std::mem::replace(&mut seen[transform], true) {
                return None;
            }
            match transform {
                // Predictors, and colours.
                0 | 1 => {
                    let side = 4 << self.take(3)?;
                    self.largest_pixel(width.div_ceil(side), height.div_ceil(side))?;
                }
                // Green is subtracted.
                2 => {}
                // A palette. Few colours are packed: several pixels in one.
                _ => {
                    let colors = self.take(8)? + 1;
                    self.largest_pixel(colors, 1)?;
                    width = width.div_ceil(match colors {
                        ..=2 => 8,
                        3..=4 => 4,
                        5..=16 => 2,
                        _ => 1,
                    });
                }
            }
        }
        let cache = self.cache_size()?;
        if !self.flag()? {
            return Some((1, cache));
        }
        let side = 4 << self.take(3)?;
        Some((self.largest_pixel(width.div_ceil(side), height.div_ceil(side))? + 1, cache))
    }

    /// Colours in the cache.
    fn cache_size(&mut self) -> Option<usize> {
        if !self.flag()? {
            return Some(0);
        }
        let bits = self.take(4)?;
        (1..=11).contains(&bits).then_some(1 << bits)
    }

    /// Reads an image that is coded by one set of codes. Returns the largest of its pixels, as numbers of red and green.
    ///
    /// The other pixels repeat those that are literal, so the latter suffice. An unfilled place of the cache is 0.
    fn largest_pixel(&mut self, width: usize, height: usize) -> Option<u32> {
        let cache = self.cache_size()?;
        let [first, red, blue, alpha, distance] = self.set_of_codes(cache)?;
        let (mut largest, mut missing) = (0, width * height);
        while missing > 0 {
            let symbol = self.symbol(&first)?;
            let pixels = match symbol.checked_sub(GREENS) {
                None => {
                    largest = largest.max(self.symbol(&red)? << 8 | symbol);
                    self.symbol(&blue)?;
                    self.symbol(&alpha)?;
                    1
                }
                Some(length @ ..LENGTHS) => {
                    let length = self.number(length)?;
                    let distance = self.symbol(&distance)?;
                    self.number(distance)?;
                    length
                }
                // The alphabet has such symbols only where there is a cache.
                Some(_) => 1,
            };
            missing = missing.checked_sub(pixels)?;
        }
        Some(largest as u32)
    }

    /// The codes of greens, lengths and places of the cache; of reds; of blues; of alphas; and of distances.
    fn set_of_codes(&mut self, cache: usize) -> Option<[Code; 5]> {
        Some([
            self.code(GREENS + LENGTHS + cache)?,
            self.code(256)?,
            self.code(256)?,
            self.code(256)?,
            self.code(DISTANCES)?,
        ])
    }

    /// A length or a distance, whose upper bits are the symbol.
    fn number(&mut self, symbol: usize) -> Option<usize> {
        if symbol < 4 {
            return Some(symbol + 1);
        }
        let bits = (symbol - 2) / 2;
        Some(((2 + symbol % 2) << bits) + self.take(bits)? + 1)
    }

    fn code(&mut self, symbols: usize) -> Option<Code> {
        if !self.flag()? {
            let lengths = self.code_lengths(symbols)?;
            return Code::of_lengths(&lengths);
        }
        let start = self.position;
        let has_two = self.flag()?;
        let is_long = self.flag()?;
        let bits = if is_long { 8 } else { 1 };
        let first = self.take(bits)?;
        let second = if has_two { self.take(8)? } else { first };
        if first.max(second) >= symbols {
            return None;
        }
        // The flags and the first symbol, which fits as the smaller one does.
        let begin =
            |has_two: bool, symbol: usize| usize::from(has_two) | usize::from(is_long) << 1 | symbol << 2;
        let mut write = |bits| self.edits.push(Edit { place: start..self.position, bits });
        Some(match first.cmp(&second) {
            Ordering::Less => Code::Two([first as u16, second as u16]),
            Ordering::Equal => {
                if has_two {
                    write((begin(false, first), 2 + bits));
                }
                Code::Single(first as u16)
            }
            Ordering::Greater => {
                write((begin(true, second) | first << (2 + bits), 2 + bits + 8));
                Code::Two([second as u16, first as u16])
            }
        })
    }

    /// The length of each symbol's code.
    fn code_lengths(&mut self, symbols: usize) -> Option<Vec<u8>> {
        let stored = 4 + self.take(4)?;
        let mut lengths = [0; CODE_LENGTH_ORDER.len()];
        for &at in &CODE_LENGTH_ORDER[..stored] {
            lengths[at] = self.take(3)? as u8;
        }
        let code = Code::of_lengths(&lengths)?;
        let read = if self.flag()? {
            let bits = 2 + 2 * self.take(3)?;
            2 + self.take(bits)?
        } else {
            symbols
        };
        if read > symbols {
            return None;
        }
        let (mut lengths, mut last) = (Vec::new(), 8);
        for _ in 0..read {
            if lengths.len() == symbols {
                break;
            }
            let (length, times) = match self.symbol(&code)? {
                16 => (last, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (length as u8, 1),
            };
            if length != 0 {
                last = length;
            }
            lengths.resize(lengths.len() + times, length);
        }
        (lengths.len() <= symbols).then_some(lengths)
    }

    fn symbol(&mut self, code: &Code) -> Option<usize> {
        match code {
            Code::Single(symbol) => Some((*symbol).into()),
            Code::Two(symbols) => Some(symbols[self.take(1)?].into()),
            Code::Many(counts, symbols) => {
                // The first code of this length, and how many are shorter.
                let (mut first, mut shorter, mut code) = (0, 0, 0);
                for &count in &counts[1..] {
                    code = 2 * code + self.take(1)?;
                    let count = usize::from(count);
                    if code - first < count {
                        return Some(symbols[shorter + code - first].into());
                    }
                    shorter += count;
                    first = 2 * (first + count);
                }
                None
            }
        }
    }
}

impl Code {
    fn of_lengths(lengths: &[u8]) -> Option<Code> {
        let mut counts = [0; 16];
        let mut symbols: Vec<u16> = (0..lengths.len() as u16).collect();
        symbols.retain(|&symbol| lengths[usize::from(symbol)] != 0);
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        if let [symbol] = symbols[..] {
            return Some(Code::Single(symbol));
        }
        symbols.iter().for_each(|&symbol| counts[usize::from(lengths[usize::from(symbol)])] += 1);
        // Every sequence of bits has to be the beginning of a code, and of one alone.
        let shares = (1..16).map(|length| usize::from(counts[length]) << (15 - length));
        (shares.sum::<usize>() == 1 << 15).then_some(Code::Many(counts, symbols))
    }
}
