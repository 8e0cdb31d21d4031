//! Arithmetic-coded blocks, whole or refined scan by scan (`jdarith.c`; JPEG, annex D and F.1.4).

use super::block::Block;
use super::frame::{Conditioning, Frame, NATURAL_ORDER, Scan, Tables};
use super::source::{Decoded, Source};

/// Numbers of statistics bins.
const DC_BINS: usize = 64;
const AC_BINS: usize = 256;
/// The state of a bin that stands for equal chances.
const EVEN: u8 = 113;

pub struct Arithmetic {
    /// A bin holds its state, and its more probable symbol in the highest bit.
    dc_bins: [[u8; DC_BINS]; 16],
    ac_bins: [[u8; AC_BINS]; 16],
    /// DC and AC table of each of the scan's components.
    tables: Vec<(usize, usize)>,
    conditioning: Conditioning,
    dc: [i32; 4],
    dc_context: [usize; 4],
    first: usize,
    last: usize,
    low: u32,
    progressive: bool,
    refines: bool,
    /// The register, the interval and how many bits are left; -1 after an error, which empties the segment.
    code: i64,
    interval: i64,
    left: i32,
}

/// A bin, by table and place.
enum Bin {
    Dc(usize, usize),
    Ac(usize, usize),
    Even,
}

impl Arithmetic {
    pub fn new(frame: &Frame, scan: &Scan, tables: &Tables) -> Decoded<Arithmetic> {
        if frame.coding.progressive {
            scan.check_progressive()?;
        }
        let Conditioning { dc_low, dc_high, ac } = tables.conditioning;
        Ok(Arithmetic {
            dc_bins: [[0; DC_BINS]; 16],
            ac_bins: [[0; AC_BINS]; 16],
            tables: scan
                .components
                .iter()
                .map(|&component| (frame.components[component].dc_code, frame.components[component].ac_code))
                .collect(),
            conditioning: Conditioning { dc_low, dc_high, ac },
            dc: [0; 4],
            dc_context: [0; 4],
            first: scan.first,
            last: scan.last,
            low: scan.low,
            progressive: frame.coding.progressive,
            refines: scan.high > 0,
            code: 0,
            interval: 0,
            left: -16,
        })
    }

    pub fn restart(&mut self) {
        self.dc_bins = [[0; DC_BINS]; 16];
        self.ac_bins = [[0; AC_BINS]; 16];
        (self.dc, self.dc_context) = ([0; 4], [0; 4]);
        (self.code, self.interval, self.left) = (0, 0, -16);
    }

    pub fn mcu(&mut self, source: &mut Source, places: &[usize], mcu: &mut [Block]) -> Decoded<()> {
        if self.progressive && self.refines && self.first == 0 {
            for block in mcu {
                if self.bit(source, Bin::Even)? {
                    block[0] |= 1 << self.low;
                }
            }
            return Ok(());
        }
        if self.left == -1 {
            return Ok(());
        }
        for (&place, block) in places.iter().zip(mcu) {
            let complete = if !self.progressive {
                self.dc(source, place, block, 0)? && self.ac(source, place, block, 1, 63, 0)?
            } else if self.first == 0 {
                self.dc(source, place, block, self.low)?
            } else if self.refines {
                self.refine_ac(source, block)?
            } else {
                self.ac(source, place, block, self.first, self.last, self.low)?
            };
            if !complete {
                self.left = -1;
                source.damage = Some("its data makes no sense");
                break;
            }
        }
        Ok(())
    }

    /// False where the data makes no sense.
    fn dc(&mut self, source: &mut Source, place: usize, block: &mut Block, low: u32) -> Decoded<bool> {
        let table = self.tables[place].0;
        let context = self.dc_context[place];
        if !self.bit(source, Bin::Dc(table, context))? {
            self.dc_context[place] = 0;
        } else {
            let negative = self.bit(source, Bin::Dc(table, context + 1))?;
            let mut bin = context + 2 + usize::from(negative);
            let mut magnitude = i32::from(self.bit(source, Bin::Dc(table, bin))?);
            if magnitude != 0 {
                bin = 20;
                while self.bit(source, Bin::Dc(table, bin))? {
                    magnitude <<= 1;
                    if magnitude == 0x8000 {
                        return Ok(false);
                    }
                    bin += 1;
                }
            }
            let bound = |bits: u8| (1i64 << bits >> 1) as i32;
            self.dc_context[place] = if magnitude < bound(self.conditioning.dc_low[table]) {
                0
            } else if magnitude > bound(self.conditioning.dc_high[table]) {
                12 + 4 * usize::from(negative)
            } else {
                4 + 4 * usize::from(negative)
            };
            let value = self.magnitude(source, magnitude, negative, |at| Bin::Dc(table, at), bin)?;
            self.dc[place] = (self.dc[place] + value) & 0xffff;
        }
        block[0] = (self.dc[place] << low) as i16;
        Ok(true)
    }

    fn ac(
        &mut self,
        source: &mut Source,
        place: usize,
        block: &mut Block,
        first: usize,
        last: usize,
        low: u32,
    ) -> Decoded<bool> {
        let table = self.tables[place].1;
        let mut k = first;
        while k <= last {
            let mut bin = 3 * (k - 1);
            if self.bit(source, Bin::Ac(table, bin))? {
                break;
            }
            while !self.bit(source, Bin::Ac(table, bin + 1))? {
                bin += 3;
                k += 1;
                if k > last {
                    return Ok(false);
                }
            }
            let negative = self.bit(source, Bin::Even)?;
            bin += 2;
            let mut magnitude = i32::from(self.bit(source, Bin::Ac(table, bin))?);
            if magnitude != 0 && self.bit(source, Bin::Ac(table, bin))? {
                magnitude <<= 1;
                bin = if k <= usize::from(self.conditioning.ac[table]) { 189 } else { 217 };
                while self.bit(source, Bin::Ac(table, bin))? {
                    magnitude <<= 1;
                    if magnitude == 0x8000 {
                        return Ok(false);
                    }
                    bin += 1;
                }
            }
            let value = self.magnitude(source, magnitude, negative, |at| Bin::Ac(table, at), bin)?;
            block[usize::from(NATURAL_ORDER[k])] = (value << low) as i16;
            k += 1;
        }
        Ok(true)
    }

    /// The bits of a value below its highest (figure F.24).
    fn magnitude(
        &mut self,
        source: &mut Source,
        mut magnitude: i32,
        negative: bool,
        bin: impl Fn(usize) -> Bin,
        at: usize,
    ) -> Decoded<i32> {
        let mut value = magnitude;
        magnitude >>= 1;
        while magnitude > 0 {
            if self.bit(source, bin(at + 14))? {
                value |= magnitude;
            }
            magnitude >>= 1;
        }
        Ok(if negative { -value - 1 } else { value + 1 })
    }

    fn refine_ac(&mut self, source: &mut Source, block: &mut Block) -> Decoded<bool> {
        let table = self.tables[0].1;
        let one = 1i16 << self.low;
        let at = |k: usize| usize::from(NATURAL_ORDER[k]);
        let end = (1..=self.last).rev().find(|&k| block[at(k)] != 0).unwrap_or(0);
        let mut k = self.first;
        while k <= self.last {
            let mut bin = 3 * (k - 1);
            if k > end && self.bit(source, Bin::Ac(table, bin))? {
                break;
            }
            loop {
                let coefficient = &mut block[at(k)];
                if *coefficient != 0 {
                    if self.bit(source, Bin::Ac(table, bin + 2))? {
                        *coefficient = coefficient.wrapping_add(if *coefficient < 0 { -one } else { one });
                    }
                    break;
                }
                if self.bit(source, Bin::Ac(table, bin + 1))? {
                    *coefficient = if self.bit(source, Bin::Even)? { -one } else { one };
                    break;
                }
                bin += 3;
                k += 1;
                if k > self.last {
                    return Ok(false);
                }
            }
            k += 1;
        }
        Ok(true)
    }

    /// One decision, and what it says about the chances of the next.
    fn bit(&mut self, source: &mut Source, bin: Bin) -> Decoded<bool> {
        while self.interval < 0x8000 {
            self.left -= 1;
            if self.left < 0 {
                self.code = self.code << 8 | i64::from(next_byte(source)?);
                self.left += 8;
                if self.left < 0 {
                    self.left += 1;
                    if self.left == 0 {
                        // Two bytes fill the register.
                        self.interval = 0x8000;
                    }
                }
            }
            self.interval <<= 1;
        }
        let state = match bin {
            Bin::Dc(table, at) => &mut self.dc_bins[table][at % DC_BINS],
            Bin::Ac(table, at) => &mut self.ac_bins[table][at % AC_BINS],
            Bin::Even => &mut { EVEN },
        };
        let (estimate, less, more, switches) = STATES[usize::from(*state & 0x7f)];
        let likely = *state & 0x80;
        self.interval -= estimate;
        let bound = self.interval << self.left;
        let after_more = likely ^ more;
        let after_less = likely ^ less ^ switches << 7;
        let unlikely = if self.code >= bound {
            self.code -= bound;
            let exchanged = self.interval < estimate;
            self.interval = estimate;
            !exchanged
        } else if self.interval < 0x8000 {
            self.interval < estimate
        } else {
            return Ok(likely != 0);
        };
        *state = if unlikely { after_less } else { after_more };
        Ok((likely != 0) != unlikely)
    }
}

/// Behind the end of a segment there are zeros, which is no fault in this coding.
fn next_byte(source: &mut Source) -> Decoded<u8> {
    if source.marker != 0 {
        return Ok(0);
    }
    match source.byte()? {
        0xff => loop {
            match source.byte()? {
                0xff => {}
                0 => return Ok(0xff),
                marker => {
                    source.marker = marker;
                    return Ok(0);
                }
            }
        },
        byte => Ok(byte),
    }
}

/// Estimate, next state after the less and the more probable symbol, and whether the two change places (table D.3).
#[rustfmt::skip]
const STATES: [(i64, u8, u8, u8); 114] = [
    (0x5a1d, 1, 1, 1), (0x2586, 14, 2, 0), (0x1114, 16, 3, 0), (0x080b, 18, 4, 0), (0x03d8, 20, 5, 0), (0x01da, 23, 6, 0),
    (0x00e5, 25, 7, 0), (0x006f, 28, 8, 0), (0x0036, 30, 9, 0), (0x001a, 33, 10, 0), (0x000d, 35, 11, 0), (0x0006, 9, 12, 0),
    (0x0003, 10, 13, 0), (0x0001, 12, 13, 0), (0x5a7f, 15, 15, 1), (0x3f25, 36, 16, 0), (0x2cf2, 38, 17, 0), (0x207c, 39, 18, 0),
    (0x17b9, 40, 19, 0), (0x1182, 42, 20, 0), (0x0cef, 43, 21, 0), (0x09a1, 45, 22, 0), (0x072f, 46, 23, 0), (0x055c, 48, 24, 0),
    (0x0406, 49, 25, 0), (0x0303, 51, 26, 0), (0x0240, 52, 27, 0), (0x01b1, 54, 28, 0), (0x0144, 56, 29, 0), (0x00f5, 57, 30, 0),
    (0x00b7, 59, 31, 0), (0x008a, 60, 32, 0), (0x0068, 62, 33, 0), (0x004e, 63, 34, 0), (0x003b, 32, 35, 0), (0x002c, 33, 9, 0),
    (0x5ae1, 37, 37, 1), (0x484c, 64, 38, 0), (0x3a0d, 65, 39, 0), (0x2ef1, 67, 40, 0), (0x261f, 68, 41, 0), (0x1f33, 69, 42, 0),
    (0x19a8, 70, 43, 0), (0x1518, 72, 44, 0), (0x1177, 73, 45, 0), (0x0e74, 74, 46, 0), (0x0bfb, 75, 47, 0), (0x09f8, 77, 48, 0),
    (0x0861, 78, 49, 0), (0x0706, 79, 50, 0), (0x05cd, 48, 51, 0), (0x04de, 50, 52, 0), (0x040f, 50, 53, 0), (0x0363, 51, 54, 0),
    (0x02d4, 52, 55, 0), (0x025c, 53, 56, 0), (0x01f8, 54, 57, 0), (0x01a4, 55, 58, 0), (0x0160, 56, 59, 0), (0x0125, 57, 60, 0),
    (0x00f6, 58, 61, 0), (0x00cb, 59, 62, 0), (0x00ab, 61, 63, 0), (0x008f, 61, 32, 0), (0x5b12, 65, 65, 1), (0x4d04, 80, 66, 0),
    (0x412c, 81, 67, 0), (0x37d8, 82, 68, 0), (0x2fe8, 83, 69, 0), (0x293c, 84, 70, 0), (0x2379, 86, 71, 0), (0x1edf, 87, 72, 0),
    (0x1aa9, 87, 73, 0), (0x174e, 72, 74, 0), (0x1424, 72, 75, 0), (0x119c, 74, 76, 0), (0x0f6b, 74, 77, 0), (0x0d51, 75, 78, 0),
    (0x0bb6, 77, 79, 0), (0x0a40, 77, 48, 0), (0x5832, 80, 81, 1), (0x4d1c, 88, 82, 0), (0x438e, 89, 83, 0), (0x3bdd, 90, 84, 0),
    (0x34ee, 91, 85, 0), (0x2eae, 92, 86, 0), (0x299a, 93, 87, 0), (0x2516, 86, 71, 0), (0x5570, 88, 89, 1), (0x4ca9, 95, 90, 0),
    (0x44d9, 96, 91, 0), (0x3e22, 97, 92, 0), (0x3824, 99, 93, 0), (0x32b4, 99, 94, 0), (0x2e17, 93, 86, 0), (0x56a8, 95, 96, 1),
    (0x4f46, 101, 97, 0), (0x47e5, 102, 98, 0), (0x41cf, 103, 99, 0), (0x3c3d, 104, 100, 0), (0x375e, 99, 93, 0), (0x5231, 105, 102, 0),
    (0x4c0f, 106, 103, 0), (0x4639, 107, 104, 0), (0x415e, 103, 99, 0), (0x5627, 105, 106, 1), (0x50e7, 108, 107, 0), (0x4b85, 109, 103, 0),
    (0x5597, 110, 109, 0), (0x504f, 111, 107, 0), (0x5a10, 110, 111, 1), (0x5522, 112, 109, 0), (0x59eb, 112, 111, 1), (0x5a1d, 113, 113, 0),
];
