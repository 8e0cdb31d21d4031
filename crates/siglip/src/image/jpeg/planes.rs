//! From coefficients to samples.

use super::block::Block;
use super::frame::{Component, Frame, Scan};
use super::idct;
use super::source::{Decoded, Fault};

/// The samples of a component.
pub struct Plane {
    pub samples: Vec<u8>,
    /// From one row to the next.
    pub stride: usize,
}

impl Plane {
    /// Room for whole blocks of `unit` x `unit` samples.
    pub fn new(component: &Component, unit: usize) -> Decoded<Plane> {
        let columns = component.block_columns.next_multiple_of(component.h);
        let rows = component.block_rows.next_multiple_of(component.v);
        let stride = columns * unit;
        Ok(Plane { samples: zeros(stride * rows * unit)?, stride })
    }

    pub fn put(&mut self, block: &Block, quantizer: &[u16; 64], row: usize, column: usize) {
        let at = 8 * (row * self.stride + column);
        idct::inverse(block, quantizer, &mut self.samples[at..], self.stride);
    }
}

/// `len` zeros. Out of memory is an error: a panic would end a wasm instance.
pub fn zeros<T: Copy + Default>(len: usize) -> Decoded<Vec<T>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Fault::Memory)?;
    zeros.resize(len, T::default());
    Ok(zeros)
}

/// All coefficients of a component, for files of several scans.
pub struct Coefficients {
    /// 64 a block.
    values: Vec<i16>,
    /// Blocks in a row.
    columns: usize,
}

impl Coefficients {
    pub fn new(component: &Component) -> Decoded<Coefficients> {
        let columns = component.block_columns.next_multiple_of(component.h);
        let rows = component.block_rows.next_multiple_of(component.v);
        Ok(Coefficients { values: zeros(64 * columns * rows)?, columns })
    }

    pub fn block(&self, row: usize, column: usize) -> &Block {
        let at = 64 * (row * self.columns + column);
        self.values[at..].first_chunk().expect("rows and columns are within the component")
    }

    pub fn block_mut(&mut self, row: usize, column: usize) -> &mut Block {
        let at = 64 * (row * self.columns + column);
        self.values[at..].first_chunk_mut().expect("rows and columns are within the component")
    }
}

/// Of each component, the lowest bit that is known of each coefficient in zigzag order, or -1.
pub struct Progress {
    pub known: Vec<[i32; 64]>,
    /// The same before the last scan that changed it.
    pub before: Vec<[i32; 64]>,
}

impl Progress {
    pub fn new(frame: &Frame) -> Progress {
        let components = frame.components.len();
        Progress { known: vec![[-1; 64]; components], before: vec![[0; 64]; components] }
    }

    pub fn begin(&mut self, scan: &Scan) {
        for &component in &scan.components {
            let (known, before) = (&mut self.known[component], &mut self.before[component]);
            for at in scan.first.min(1)..=scan.last.max(9) {
                before[at] = if scan.number > 1 { known[at] } else { 0 };
            }
            known[scan.first..=scan.last].fill(scan.low as i32);
        }
    }
}
