//! Huffman-coded blocks, of which each scan refines a part (`jdphuff.c`).

use super::block::{Block, State, add_dc};
use super::frame::{Frame, NATURAL_ORDER, Scan, Tables};
use super::huffman::{self, Code, DC_BITS, NO_CODE, extend};
use super::source::{Bits, Decoded};

pub struct Progressive {
    /// One for each component of a scan of DC coefficients, one for a scan of AC coefficients.
    codes: Vec<Code>,
    first: usize,
    last: usize,
    low: u32,
    refines: bool,
}

impl Progressive {
    pub fn new(frame: &Frame, scan: &Scan, tables: &Tables) -> Decoded<Progressive> {
        scan.check_progressive()?;
        let refines = scan.high > 0;
        let mut codes = Vec::new();
        for &component in &scan.components {
            let component = &frame.components[component];
            let (defined, largest) = match (scan.first, refines) {
                (0, true) => continue,
                (0, false) => (tables.dc_codes.get(component.dc_code), Some(DC_BITS)),
                _ => (tables.ac_codes.get(component.ac_code), None),
            };
            codes.push(huffman::code(defined.and_then(Option::as_ref).ok_or(NO_CODE)?, largest)?);
        }
        Ok(Progressive { codes, first: scan.first, last: scan.last, low: scan.low, refines })
    }

    pub fn mcu(
        &self,
        bits: &mut Bits,
        state: &mut State,
        places: &[usize],
        mcu: &mut [Block],
    ) -> Decoded<()> {
        match (self.first, self.refines) {
            (0, true) => {
                for block in mcu {
                    if bits.take(1)? == 1 {
                        block[0] |= 1 << self.low;
                    }
                }
                Ok(())
            }
            _ if bits.exhausted => Ok(()),
            (0, false) => {
                for (&place, block) in places.iter().zip(mcu) {
                    let count = self.codes[place].symbol(bits)?;
                    add_dc(&mut state.dc[place], extend(bits.take(count)?, count))?;
                    block[0] = (state.dc[place] << self.low) as i16;
                }
                Ok(())
            }
            (_, false) => self.begin_ac(bits, &mut state.ended_blocks, &mut mcu[0]),
            (_, true) => self.refine_ac(bits, &mut state.ended_blocks, &mut mcu[0]),
        }
    }

    fn begin_ac(&self, bits: &mut Bits, ended_blocks: &mut u32, block: &mut Block) -> Decoded<()> {
        if *ended_blocks > 0 {
            *ended_blocks -= 1;
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let symbol = self.codes[0].symbol(bits)?;
            let (run, count) = (symbol >> 4, symbol & 15);
            if count > 0 {
                k += run as usize;
                let value = extend(bits.take(count)?, count) << self.low;
                block[usize::from(NATURAL_ORDER[k])] = value as i16;
            } else if run == 15 {
                k += 15;
            } else {
                *ended_blocks = (1 << run) - 1 + bits.take(run)?;
                break;
            }
            k += 1;
        }
        Ok(())
    }

    fn refine_ac(&self, bits: &mut Bits, ended_blocks: &mut u32, block: &mut Block) -> Decoded<()> {
        let one = 1i16 << self.low;
        let mut k = self.first;
        if *ended_blocks == 0 {
            while k <= self.last {
                let symbol = self.codes[0].symbol(bits)?;
                let (mut run, count) = (symbol >> 4, symbol & 15);
                let mut new = 0;
                if count > 0 {
                    if count != 1 {
                        bits.source.damage = Some("its data makes no sense");
                    }
                    new = if bits.take(1)? == 1 { one } else { -one };
                } else if run != 15 {
                    *ended_blocks = (1 << run) + bits.take(run)?;
                    break;
                }
                // Coefficients that are not zero get a bit, and `run` that are get passed.
                while k <= self.last {
                    let coefficient = &mut block[usize::from(NATURAL_ORDER[k])];
                    if *coefficient != 0 {
                        refine(bits, coefficient, one)?;
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    k += 1;
                }
                if new != 0 {
                    block[usize::from(NATURAL_ORDER[k])] = new;
                }
                k += 1;
            }
        }
        if *ended_blocks > 0 {
            while k <= self.last {
                let coefficient = &mut block[usize::from(NATURAL_ORDER[k])];
                if *coefficient != 0 {
                    refine(bits, coefficient, one)?;
                }
                k += 1;
            }
            *ended_blocks -= 1;
        }
        Ok(())
    }
}

fn refine(bits: &mut Bits, coefficient: &mut i16, one: i16) -> Decoded<()> {
    if bits.take(1)? == 1 && *coefficient & one == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { one } else { -one });
    }
    Ok(())
}
