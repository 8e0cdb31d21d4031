//! Pictures of two colours as fax machines send them: ITU-T T.4 and T.6, with what libtiff's `tif_fax3.c` makes of damage.
//! The codes are `fax`'s.

use std::convert::Infallible;

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use super::super::super::ImageError;
use super::{broken, cut_short};

/// How rows are coded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Runs; each row begins with a byte.
    Bytes,
    /// Runs, or if two-dimensional also differences to the row above; each row begins with a mark.
    Group3 { two_dimensional: bool },
    /// Differences to the row above.
    Group4,
}

/// Why a row ends before its last pixel.
enum Stop {
    /// A code that there is none for.
    Unknown,
    /// The mark between rows.
    Mark,
    Data,
    /// More runs than libtiff has room for.
    Runs,
}

/// Decodes parts of a picture, whose rows are of one width.
pub struct Decoder {
    width: i32,
    coding: Coding,
    has_marks: bool,
    /// Of this row and the one above, in turn: what an earlier part has left is read by damaged rows.
    rows: [Runs; 2],
}

impl Decoder {
    pub fn new(width: usize, coding: Coding) -> Result<Decoder, ImageError> {
        let too_wide = |_| broken("a row of its pixels is too wide");
        let is_two_dimensional = !matches!(coding, Coding::Bytes | Coding::Group3 { two_dimensional: false });
        let most = (width + 1).next_multiple_of(32) * if is_two_dimensional { 2 } else { 1 };
        Ok(Decoder {
            width: i32::try_from(width).map_err(too_wide)?,
            coding,
            has_marks: coding != Coding::Bytes && coding != Coding::Group4,
            rows: [Runs::new(most), Runs::new(most)],
        })
    }

    /// Sets the bits of black pixels, and clears those of white ones. In Group 4, rows that are missing but for the first
    /// are left as they are.
    pub fn decode(&mut self, data: &[u8], pixels: &mut [u8]) -> Result<(), ImageError> {
        let makes_no_sense = || broken("a row of its pixels makes no sense");
        let width = self.width;
        let [current, above] = &mut self.rows;
        let (mut current, mut above) = (current, above);
        above.lens.splice(0..above.lens.len().min(2), [width as u32, 0]);
        let mut bits = Bits::new(data);
        let mut is_behind_mark = false;
        let row_len = (width as usize).div_ceil(8);
        for (number, pixels) in pixels.chunks_exact_mut(row_len).enumerate() {
            if self.has_marks {
                match bits.skip_mark(is_behind_mark) {
                    Ok(true) => is_behind_mark = false,
                    // libtiff reads the part from its beginning, as rows without marks.
                    Ok(false) => {
                        self.has_marks = false;
                        bits = Bits::new(data);
                    }
                    Err(_) => return Err(cut_short()),
                }
            }
            let mut row = Row { runs: current, count: 0, at: 0, run: 0, width };
            let has_differences = match self.coding {
                Coding::Group4 => true,
                Coding::Group3 { two_dimensional: true } => bits.take(1).ok_or_else(cut_short)? == 0,
                _ => false,
            };
            let end =
                if has_differences { row.differences(&mut bits, above) } else { row.one_by_one(&mut bits) };
            if matches!(end, Err(Stop::Runs)) || row.close().is_err() {
                return Err(makes_no_sense());
            }
            is_behind_mark |= matches!(end, Err(Stop::Mark));
            let is_end = matches!(end, Err(Stop::Data)) || self.coding == Coding::Group4 && is_behind_mark;
            if is_end && (self.coding != Coding::Group4 || number == 0) {
                return Err(makes_no_sense());
            }
            row.fill(pixels);
            if is_end {
                return Ok(());
            }
            if self.coding == Coding::Bytes {
                bits.align();
                continue;
            }
            // A change beyond the row, for the one below.
            let count = row.count;
            if current.set(count, 0).is_err() && self.coding == Coding::Group4 {
                return Err(makes_no_sense());
            }
            (current, above) = (above, current);
        }
        Ok(())
    }
}

/// The lengths of a row's runs, white first.
struct Runs {
    lens: Vec<u32>,
    most: usize,
}

impl Runs {
    fn new(most: usize) -> Runs {
        Runs { lens: Vec::new(), most }
    }

    fn get(&self, at: usize) -> Result<i32, Stop> {
        if at < self.most { Ok(self.lens.get(at).map_or(0, |&len| len as i32)) } else { Err(Stop::Runs) }
    }

    fn set(&mut self, at: usize, len: i32) -> Result<(), Stop> {
        if at >= self.most {
            return Err(Stop::Runs);
        }
        if at >= self.lens.len() {
            self.lens.resize(at + 1, 0);
        }
        self.lens[at] = len as u32;
        Ok(())
    }
}

/// A row that is being read.
struct Row<'a> {
    runs: &'a mut Runs,
    count: usize,
    /// How many pixels are known.
    at: i32,
    /// Those of them that are in no run yet.
    run: i32,
    width: i32,
}

impl Row<'_> {
    /// Ends the run with some pixels more.
    fn push(&mut self, len: i32) -> Result<(), Stop> {
        self.runs.set(self.count, self.run.wrapping_add(len))?;
        self.count += 1;
        self.at = self.at.wrapping_add(len);
        self.run = 0;
        Ok(())
    }

    /// Multiples of 64, and then what is left.
    fn take_run(&mut self, bits: &mut Bits, is_black: bool) -> Result<(), Stop> {
        loop {
            let len = bits.run(is_black)?;
            if len < 64 {
                return self.push(len);
            }
            self.at = self.at.wrapping_add(len);
            self.run = self.run.wrapping_add(len);
        }
    }

    /// The colours in turn, white first.
    fn one_by_one(&mut self, bits: &mut Bits) -> Result<(), Stop> {
        loop {
            for is_black in [false, true] {
                self.take_run(bits, is_black)?;
                if self.at >= self.width {
                    return Ok(());
                }
            }
            if self.runs.get(self.count - 1)? == 0 && self.runs.get(self.count - 2)? == 0 {
                self.count -= 2;
            }
        }
    }

    /// A row by the changes in the row above.
    fn differences(&mut self, bits: &mut Bits, above: &Runs) -> Result<(), Stop> {
        // The next change above and the run behind it.
        let (mut change, mut next) = (above.get(0)?, 1);
        while self.at < self.width {
            let code = bits.mode()?;
            if !matches!(code, Mode::Horizontal | Mode::Extension | Mode::EOF) {
                self.go_beyond(&mut change, &mut next, above)?;
            }
            match code {
                Mode::Pass => {
                    let len = above.get(next + 1)?;
                    change = change.wrapping_add(above.get(next)?);
                    self.run = self.run.wrapping_add(change.wrapping_sub(self.at));
                    self.at = change;
                    change = change.wrapping_add(len);
                    next += 2;
                }
                Mode::Vertical(delta @ 0..) => {
                    self.push(change.wrapping_sub(self.at).wrapping_add(i32::from(delta)))?;
                    change = change.wrapping_add(above.get(next)?);
                    next += 1;
                }
                Mode::Vertical(delta) => {
                    let len = change.wrapping_sub(self.at).wrapping_add(i32::from(delta));
                    if len < 0 {
                        return Err(Stop::Unknown);
                    }
                    self.push(len)?;
                    next = next.checked_sub(1).ok_or(Stop::Runs)?;
                    change = change.wrapping_sub(above.get(next)?);
                }
                Mode::Horizontal => {
                    let is_black = self.count % 2 == 1;
                    for is_black in [is_black, !is_black] {
                        self.take_run(bits, is_black).map_err(|stop| match stop {
                            Stop::Mark => Stop::Unknown,
                            stop => stop,
                        })?;
                    }
                    self.go_beyond(&mut change, &mut next, above)?;
                }
                Mode::Extension | Mode::EOF => {
                    self.runs.set(self.count, self.width.wrapping_sub(self.at))?;
                    self.count += 1;
                    if matches!(code, Mode::Extension) {
                        return Err(Stop::Unknown);
                    }
                    bits.take(4).ok_or(Stop::Data)?;
                    return Err(Stop::Mark);
                }
            }
        }
        if self.run != 0 {
            if self.run.wrapping_add(self.at) < self.width && bits.take(1).ok_or(Stop::Data)? == 0 {
                return Err(Stop::Unknown);
            }
            self.push(0)?;
        }
        Ok(())
    }

    /// Goes to the first change above behind the current place and to the other colour.
    fn go_beyond(&self, change: &mut i32, next: &mut usize, above: &Runs) -> Result<(), Stop> {
        while self.count > 0 && *change <= self.at && *change < self.width {
            let len = above.get(*next + 1)?.wrapping_add(above.get(*next)?);
            *change = change.wrapping_add(len);
            *next += 2;
        }
        Ok(())
    }

    /// Makes the runs end with the row: with white where it was short.
    fn close(&mut self) -> Result<(), Stop> {
        if self.run != 0 {
            self.push(0)?;
        }
        while self.at > self.width && self.count > 0 {
            self.count -= 1;
            self.at = self.at.wrapping_sub(self.runs.get(self.count)?);
        }
        if self.at < self.width {
            self.at = self.at.max(0);
            if self.count % 2 == 1 {
                self.push(0)?;
            }
            self.push(self.width - self.at)?;
        } else if self.at > self.width {
            self.push(self.width)?;
            self.push(0)?;
        }
        Ok(())
    }

    /// Paints the runs, and shortens those that exceed the row.
    fn fill(&mut self, pixels: &mut [u8]) {
        let mut x = 0;
        for (at, len) in self.runs.lens[..self.count].iter_mut().enumerate() {
            let left = self.width as u32 - x;
            *len = left.min(*len);
            paint(pixels, x as usize, (x + *len) as usize, at % 2 == 1);
            x += *len;
        }
    }
}

fn paint(row: &mut [u8], start: usize, end: usize, is_black: bool) {
    let mut set = |byte: usize, mask: u8| {
        if is_black {
            row[byte] |= mask;
        } else {
            row[byte] &= !mask;
        }
    };
    if start == end {
        return;
    }
    let (first, last) = (start / 8, (end - 1) / 8);
    let (from, to) = (0xff >> (start % 8), 0xff << (7 - (end - 1) % 8));
    if first == last {
        return set(first, from & to);
    }
    set(first, from);
    set(last, to);
    row[first + 1..last].fill(if is_black { 0xff } else { 0 });
}

/// Bits of the data. A code at the end may have zeros behind it.
struct Bits<'a> {
    data: &'a [u8],
    /// The next bits, the highest first.
    window: u32,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Bits<'a> {
        Bits { data, window: 0, count: 0 }
    }

    /// The next bits, at most 13; None where there are none.
    fn peek(&mut self, count: u32) -> Option<u32> {
        while self.count < count {
            if let Some((&byte, rest)) = self.data.split_first() {
                self.data = rest;
                self.window = self.window << 8 | u32::from(byte);
                self.count += 8;
            } else if self.count == 0 {
                return None;
            } else {
                self.window <<= count - self.count;
                self.count = count;
            }
        }
        Some(self.window >> (self.count - count) & ((1 << count) - 1))
    }

    /// Takes bits that have been looked at.
    fn skip(&mut self, count: u32) {
        self.count -= count;
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let bits = self.peek(count)?;
        self.skip(count);
        Some(bits)
    }

    /// Drops what is left of a byte.
    fn align(&mut self) {
        self.count &= !7;
    }

    fn run(&mut self, is_black: bool) -> Result<i32, Stop> {
        let count = if is_black { 13 } else { 12 };
        let bits = self.peek(count).ok_or(Stop::Data)?;
        if bits >> (count - 11) == 0 {
            self.skip(11);
            return Err(Stop::Mark);
        }
        let mut code = Code { bits: (bits << (16 - count)) as u16, len: 0 };
        let run = if is_black { black::decode(&mut code) } else { white::decode(&mut code) };
        let run = run.ok_or(Stop::Unknown)?;
        self.skip(code.len);
        Ok(i32::from(run))
    }

    /// Of a mark, only its first seven zeros are taken.
    fn mode(&mut self) -> Result<Mode, Stop> {
        let bits = self.peek(7).ok_or(Stop::Data)?;
        if bits == 0 {
            self.skip(7);
            return Ok(Mode::EOF);
        }
        let mut code = Code { bits: (bits << 9) as u16, len: 0 };
        let mode = mode::decode(&mut code).ok_or(Stop::Unknown)?;
        self.skip(code.len);
        Ok(mode)
    }

    /// Goes behind the next mark: at least 11 zeros, which may be behind already, and a one. False if there is none.
    fn skip_mark(&mut self, is_behind_zeros: bool) -> Result<bool, Stop> {
        while !is_behind_zeros && self.peek(11).ok_or(Stop::Data)? != 0 {
            self.skip(1);
        }
        loop {
            match self.peek(8) {
                None => return Ok(false),
                Some(0) => self.skip(8),
                Some(bits) => {
                    self.skip(bits.leading_zeros() - 24 + 1);
                    return Ok(true);
                }
            }
        }
    }
}

/// The bits of one code.
struct Code {
    bits: u16,
    len: u32,
}

impl BitReader for Code {
    type Error = Infallible;

    fn peek(&self, bits: u8) -> Option<u16> {
        let left = u32::from(self.bits) << self.len & 0xffff;
        Some((left >> (16 - u32::from(bits))) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Infallible> {
        self.len += u32::from(bits);
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        0
    }
}
