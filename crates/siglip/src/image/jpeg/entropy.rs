//! Scans of entropy-coded blocks: what their three codings have in common.

use super::arithmetic::Arithmetic;
use super::block::{Block, State};
use super::frame::{Frame, Scan, Tables};
use super::progressive::Progressive;
use super::sequential::Sequential;
use super::source::{Bits, Decoded, Fault, Source};

/// A decoder of the blocks of a scan.
pub enum Decoder {
    Sequential(Sequential),
    Progressive(Progressive),
    Arithmetic(Box<Arithmetic>),
}

impl Decoder {
    fn new(frame: &Frame, scan: &Scan, tables: &Tables) -> Decoded<Decoder> {
        if frame.coding.arithmetic {
            return Ok(Decoder::Arithmetic(Box::new(Arithmetic::new(frame, scan, tables)?)));
        }
        if frame.coding.progressive {
            return Ok(Decoder::Progressive(Progressive::new(frame, scan, tables)?));
        }
        Ok(Decoder::Sequential(Sequential::new(frame, scan, tables)?))
    }
}

/// Reads a scan, MCU after MCU. `load` gives a block's coefficients of the scans before and `store` takes the new
/// ones; both are given component, row and column. Returns the last row of interleaved MCUs that had data.
pub fn read_scan(
    source: &mut Source,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    mut load: impl FnMut(&mut Block, usize, usize, usize),
    mut store: impl FnMut(&Block, usize, usize, usize),
) -> Decoded<usize> {
    let mut decoder = Decoder::new(frame, scan, tables)?;
    let plan = scan.blocks(frame)?;
    // Of each block, the place of its component in the scan.
    let places: Vec<usize> = plan
        .iter()
        .map(|&(component, ..)| scan.components.iter().position(|&c| c == component).unwrap_or(0))
        .collect();
    let (columns, rows) = scan.mcus(frame);
    let steps = |component: usize| {
        let component = &frame.components[component];
        if scan.is_interleaved() { (component.v, component.h) } else { (1, 1) }
    };
    let rows_per_mcu_row = if scan.is_interleaved() { 1 } else { frame.components[scan.components[0]].v };
    let mut mcu = vec![[0; 64]; plan.len()];
    let mut state = State::default();
    let mut next_restart = 0;
    let mut left = tables.restart_interval;
    let mut last_good_row = 0;
    let mut bits = Bits::new(source);
    for row in 0..rows {
        for column in 0..columns {
            if !bits.exhausted {
                last_good_row = row / rows_per_mcu_row;
            }
            if tables.restart_interval > 0 {
                if left == 0 {
                    bits.restart(&mut next_restart)?;
                    state = State::default();
                    if let Decoder::Arithmetic(decoder) = &mut decoder {
                        decoder.restart();
                    }
                    left = tables.restart_interval;
                }
                left -= 1;
            }
            loop {
                for (block, &(component, y, x)) in mcu.iter_mut().zip(&plan) {
                    let (v, h) = steps(component);
                    load(block, component, row * v + y, column * h + x);
                }
                let (before, state_before) = (bits.place(), state);
                let read = match &mut decoder {
                    Decoder::Sequential(_) if bits.exhausted => Ok(()),
                    Decoder::Sequential(decoder) => {
                        let is_ample = tables.restart_interval == 0 && bits.is_ample(plan.len());
                        decoder.mcu(&mut bits, &mut state, &places, &mut mcu, is_ample)
                    }
                    Decoder::Progressive(decoder) => decoder.mcu(&mut bits, &mut state, &places, &mut mcu),
                    Decoder::Arithmetic(decoder) => decoder.mcu(bits.source, &places, &mut mcu),
                };
                match read {
                    Ok(()) => break,
                    // The MCU is read again once more of the file has been.
                    Err(Fault::CutShort) if !matches!(decoder, Decoder::Arithmetic(_)) => {
                        bits.go_back(before);
                        state = state_before;
                        bits.source.read_on()?;
                    }
                    Err(fault) => return Err(fault),
                }
            }
            for (block, &(component, y, x)) in mcu.iter().zip(&plan) {
                let (v, h) = steps(component);
                store(block, component, row * v + y, column * h + x);
            }
        }
    }
    Ok(last_good_row)
}
