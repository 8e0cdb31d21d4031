//! Huffman-coded blocks, whole in one scan (`jdhuff.c`).

use super::block::{Block, State, add_dc};
use super::frame::{Frame, NATURAL_ORDER, Scan, Tables};
use super::huffman::{self, Code, DC_BITS, Definition, NO_CODE, extend};
use super::source::{Bits, Decoded};

/// The codes of DC and AC coefficients, of each component of the scan.
pub struct Sequential(Vec<(Code, Code)>);

impl Sequential {
    pub fn new(frame: &Frame, scan: &Scan, tables: &Tables) -> Decoded<Sequential> {
        let [dc, ac] = huffman::defaults();
        let find = |codes: &[Option<Definition>; 4], defaults: &[Definition; 2], place: usize, largest| {
            let definition = codes.get(place).and_then(Option::as_ref).or(defaults.get(place));
            huffman::code(definition.ok_or(NO_CODE)?, largest)
        };
        let codes = scan.components.iter().map(|&component| {
            let component = &frame.components[component];
            Ok((
                find(&tables.dc_codes, &dc, component.dc_code, Some(DC_BITS))?,
                find(&tables.ac_codes, &ac, component.ac_code, None)?,
            ))
        });
        Ok(Sequential(codes.collect::<Decoded<_>>()?))
    }

    pub fn mcu(
        &self,
        bits: &mut Bits,
        state: &mut State,
        places: &[usize],
        mcu: &mut [Block],
        is_ample: bool,
    ) -> Decoded<()> {
        if is_ample {
            let (before, state_before) = (bits.place(), *state);
            for (&place, block) in places.iter().zip(&mut *mcu) {
                self.fast_block(bits, place, &mut state.dc[place], block)?;
            }
            if bits.source.marker == 0 {
                return Ok(());
            }
            // A marker came near: again, bit by bit. What a block has at its places is written over.
            bits.go_back(before);
            *state = state_before;
        }
        for (&place, block) in places.iter().zip(mcu) {
            self.block(bits, place, &mut state.dc[place], block)?;
        }
        Ok(())
    }

    fn block(&self, bits: &mut Bits, place: usize, dc: &mut i32, block: &mut Block) -> Decoded<()> {
        let (dc_code, ac_code) = &self.0[place];
        let count = dc_code.symbol(bits)?;
        add_dc(dc, extend(bits.take(count)?, count))?;
        block[0] = *dc as i16;
        let mut k = 1;
        while k < 64 {
            let symbol = ac_code.symbol(bits)?;
            let (run, count) = ((symbol >> 4) as usize, symbol & 15);
            if count > 0 {
                k += run;
                block[usize::from(NATURAL_ORDER[k])] = extend(bits.take(count)?, count) as i16;
            } else if run == 15 {
                k += 15;
            } else {
                break;
            }
            k += 1;
        }
        Ok(())
    }

    /// The same where [`Bits::is_ample`].
    fn fast_block(&self, bits: &mut Bits, place: usize, dc: &mut i32, block: &mut Block) -> Decoded<()> {
        let (dc_code, ac_code) = &self.0[place];
        let count = dc_code.fast_symbol(bits);
        if count > 0 {
            bits.fast_fill();
            add_dc(dc, extend(bits.fast_take(count), count))?;
        }
        block[0] = *dc as i16;
        let mut k = 1;
        while k < 64 {
            let symbol = ac_code.fast_symbol(bits);
            let (run, count) = ((symbol >> 4) as usize, symbol & 15);
            if count > 0 {
                k += run;
                bits.fast_fill();
                block[usize::from(NATURAL_ORDER[k])] = extend(bits.fast_take(count), count) as i16;
            } else if run == 15 {
                k += 15;
            } else {
                break;
            }
            k += 1;
        }
        Ok(())
    }
}
