//! Pictures of two colours as fax machines send them: ITU-T T.4 and T.6. The codes are `fax`'s.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

use super::super::super::ImageError;
use super::broken;

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

/// Where colours change, white first: the last entries may lie at the end of the row.
type Changes = Vec<usize>;

/// Sets the bits of black pixels. A row that makes no sense ends the picture, unless it is the first.
pub fn decode(data: &[u8], pixels: &mut [u8], width: usize, coding: Coding) -> Result<(), ImageError> {
    // Codes are looked up by more bits than they have.
    let bytes = data.iter().copied().chain([0; 4]).map(Ok::<u8, Infallible>);
    let mut bits = match ByteReader::new(bytes) {
        Ok(bits) => bits,
        Err(never) => match never {},
    };
    let mut above = Changes::new();
    for (number, row) in pixels.chunks_exact_mut(width.div_ceil(8)).enumerate() {
        let changes = match coding {
            Coding::Bytes => {
                let changes = runs(&mut bits, width);
                let padding = bits.bits_to_byte_boundary();
                skip(&mut bits, padding);
                Some(changes)
            }
            Coding::Group3 { two_dimensional } => find_mark(&mut bits).and_then(|()| {
                if two_dimensional && take_bit(&mut bits)? == 0 {
                    differences(&mut bits, &above, width)
                } else {
                    Some(runs(&mut bits, width))
                }
            }),
            Coding::Group4 => differences(&mut bits, &above, width),
        };
        let Some(changes) = changes else {
            let is_fatal = number == 0 || coding != Coding::Group4;
            return if is_fatal { Err(broken("a row of its pixels makes no sense")) } else { Ok(()) };
        };
        fill(row, &changes);
        above = changes;
    }
    Ok(())
}

/// The colours in turn, white first, until the row is full or makes no sense.
fn runs(bits: &mut impl BitReader, width: usize) -> Changes {
    let mut changes = Changes::new();
    let mut at = 0;
    while at < width {
        let Some(run) = run(bits, changes.len() % 2 == 1) else { break };
        at = (at + run).min(width);
        changes.push(at);
    }
    changes
}

/// The length of a run: multiples of 64, and then what is left.
fn run(bits: &mut impl BitReader, is_black: bool) -> Option<usize> {
    let mut len = 0;
    loop {
        let part = usize::from(if is_black { black::decode(bits) } else { white::decode(bits) }?);
        len += part;
        if part < 64 {
            return Some(len);
        }
    }
}

/// A row by the changes in the row above.
fn differences(bits: &mut impl BitReader, above: &[usize], width: usize) -> Option<Changes> {
    let mut changes = Changes::new();
    let mut at = 0;
    // The first change above, behind the current place, to the other colour.
    let mut next = 0;
    while at < width {
        let is_black = changes.len() % 2 == 1;
        // The row begins before its first pixel.
        let is_start = at == 0 && changes.is_empty();
        while next > 0 && above[next - 1] > at {
            next -= 1;
        }
        while next < above.len()
            && (above[next] < at || above[next] == at && !is_start || next % 2 != usize::from(is_black))
        {
            next += 1;
        }
        let change = |at: usize| above.get(at).copied().unwrap_or(width);
        match mode::decode(bits)? {
            Mode::Pass => {
                at = change(next + 1);
                if at >= width {
                    changes.push(width);
                }
            }
            Mode::Vertical(delta) => {
                let place = change(next).checked_add_signed(isize::from(delta))?;
                if place < at || place > width {
                    return None;
                }
                at = place;
                changes.push(at);
            }
            Mode::Horizontal => {
                for is_black in [is_black, !is_black] {
                    at = (at + run(bits, is_black)?).min(width);
                    changes.push(at);
                }
            }
            Mode::Extension | Mode::EOF => return None,
        }
    }
    Some(changes)
}

/// Goes behind the next mark: at least 11 zeros and a one.
fn find_mark(bits: &mut impl BitReader) -> Option<()> {
    while bits.peek(11)? != 0 {
        skip(bits, 1);
    }
    while take_bit(bits)? == 0 {}
    Some(())
}

fn take_bit(bits: &mut impl BitReader) -> Option<u16> {
    let bit = bits.peek(1)?;
    skip(bits, 1);
    Some(bit)
}

fn skip(bits: &mut impl BitReader, count: u8) {
    // Reading from memory does not fail.
    let _ = bits.consume(count);
}

fn fill(row: &mut [u8], changes: &[usize]) {
    // A row that ends early goes on in white.
    let (black, _) = changes.as_chunks();
    for &[start, end] in black {
        for x in start..end {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    }
}
