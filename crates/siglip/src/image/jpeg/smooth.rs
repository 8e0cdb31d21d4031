//! Guesses low coefficients of a progressive file that lacks scans from the DC coefficients of 5 x 5 blocks, as
//! `jdcoefct.c` does.

use super::block::Block;
use super::frame::Frame;
use super::planes::{Coefficients, Progress};

/// Places in a block of the first ten coefficients in zigzag order.
const PLACES: [usize; 10] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

/// Weights of the DC coefficients of 5 x 5 blocks.
type Kernel = [[i32; 5]; 5];

/// Of coefficients 1 to 9 where all of these are unknown.
#[rustfmt::skip]
const ALONE: [Kernel; 9] = [
    [[-1, -1, 0, 1, 1], [-3, 13, 0, -13, 3], [-3, 38, 0, -38, 3], [-3, 13, 0, -13, 3], [-1, -1, 0, 1, 1]],
    [[-1, -3, -3, -3, -1], [-1, 13, 38, 13, -1], [0; 5], [1, -13, -38, -13, 1], [1, 3, 3, 3, 1]],
    [[0, 0, 1, 0, 0], [0, 2, 7, 2, 0], [0, -5, -14, -5, 0], [0, 2, 7, 2, 0], [0, 0, 1, 0, 0]],
    [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], [0; 5], [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]],
    [[0; 5], [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, -3, 0, 3, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 2, 1, 0], [0; 5], [0, -1, -2, -1, 0], [0; 5]],
];

/// Of the DC coefficient itself, where coefficients 1 to 9 are unknown.
const DC: Kernel = [
    [-2, -6, -8, -6, -2],
    [-6, 6, 42, 6, -6],
    [-8, 42, 152, 42, -8],
    [-6, 6, 42, 6, -6],
    [-2, -6, -8, -6, -2],
];

/// Of coefficients 1 to 5 where some of 1 to 9 are known (after JPEG, annex K.8).
#[rustfmt::skip]
const BESIDE: [Kernel; 5] = [
    [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]],
    [[0, 0, -7, 0, 0], [0, 0, 50, 0, 0], [0; 5], [0, 0, -50, 0, 0], [0, 0, 7, 0, 0]],
    [[0, 0, -1, 0, 0], [0, 0, 13, 0, 0], [0, 0, -24, 0, 0], [0, 0, 13, 0, 0], [0, 0, -1, 0, 0]],
    [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], [0; 5], [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]],
    [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]],
];

/// Whether there is something to guess, and something to guess it from.
pub fn is_useful(frame: &Frame, progress: &Progress) -> bool {
    let has_steps = |quantizer: &Option<[u16; 64]>| {
        quantizer.is_some_and(|quantizer| PLACES.iter().all(|&place| quantizer[place] != 0))
    };
    frame.components.iter().all(|component| has_steps(&component.quantizer))
        && progress.known.iter().all(|known| known[0] >= 0)
        && progress.known.iter().any(|known| known[1..10].iter().any(|&bit| bit != 0))
}

/// The blocks of one component.
pub struct Smoother<'a> {
    coefficients: &'a Coefficients,
    quantizer: [u16; 64],
    /// Rows of interleaved MCUs; and block rows of one, block columns of the component.
    mcu_rows: usize,
    v: usize,
    block_rows: usize,
    block_columns: usize,
    known: [i32; 64],
    before: [i32; 64],
    /// The last row of interleaved MCUs that the last scan had data for.
    last_good_row: usize,
}

impl<'a> Smoother<'a> {
    pub fn new(
        frame: &Frame,
        component: usize,
        coefficients: &'a Coefficients,
        progress: &Progress,
        scans: usize,
        last_good_row: usize,
    ) -> Smoother<'a> {
        let (known, before) = (progress.known[component], progress.before[component]);
        let component = &frame.components[component];
        Smoother {
            coefficients,
            quantizer: component.quantizer.unwrap_or([1; 64]),
            mcu_rows: frame.mcu_rows,
            v: component.v,
            block_rows: component.block_rows,
            block_columns: component.block_columns,
            known,
            before: if scans > 1 { before } else { [-1; 64] },
            last_good_row,
        }
    }

    /// The block with its guesses.
    pub fn block(&self, row: usize, column: usize) -> Block {
        let mut block = *self.coefficients.block(row, column);
        let mcu_row = row / self.v;
        let known = if mcu_row > self.last_good_row { &self.before } else { &self.known };
        let alone = known[1..10].iter().all(|&bit| bit == -1);
        let around = self.around(row, column);
        let kernels: &[Kernel] = if alone { &ALONE } else { &BESIDE };
        for (at, kernel) in (1..).zip(kernels) {
            let (place, bit) = (PLACES[at], known[at]);
            if bit != 0 && block[place] == 0 {
                let guess = self.guess(&around, kernel, place);
                // It is below what the scans so far could have said.
                let bound = if bit > 0 { (1 << bit) - 1 } else { i64::MAX };
                block[place] = guess.clamp(-bound, bound) as i16;
            }
        }
        if alone {
            block[0] = self.guess(&around, &DC, 0) as i16;
        }
        block
    }

    fn guess(&self, around: &[[i32; 5]; 5], kernel: &Kernel, place: usize) -> i64 {
        let weighted = around.iter().flatten().zip(kernel.iter().flatten());
        let sum = weighted.fold(0i32, |sum, (dc, weight)| sum.wrapping_add(dc.wrapping_mul(*weight)));
        let sum = i64::from(self.quantizer[0]) * i64::from(sum);
        let step = i64::from(self.quantizer[place]);
        let rounded = ((step << 7) + sum.abs()) / (step << 8);
        // C narrows it to an int.
        i64::from(rounded as i32) * sum.signum()
    }

    /// DC coefficients of this block and the two on every side. At the edges the last ones are repeated.
    fn around(&self, row: usize, column: usize) -> [[i32; 5]; 5] {
        // libjpeg numbers the rows of the last MCU row, which may have fewer, by what that one has.
        let mcu_row = row / self.v;
        let is_last = mcu_row + 1 == self.mcu_rows;
        let rows = if is_last { self.block_rows - mcu_row * self.v } else { self.v };
        let (number, end) = (mcu_row * rows + row % self.v, rows * self.mcu_rows);
        let above = if number > 0 { row - 1 } else { row };
        let above2 = if number > 1 { row - 2 } else { above };
        let below = if number + 1 < end { row + 1 } else { row };
        let below2 = if number + 2 < end { row + 2 } else { below };
        let last = self.block_columns - 1;
        let left = column.saturating_sub(1);
        let left2 = column.saturating_sub(2);
        let right = last.min(column + 1);
        let right2 = last.min(column + 2);
        [above2, above, row, below, below2].map(|row| {
            [left2, left, column, right, right2]
                .map(|column| i32::from(self.coefficients.block(row, column)[0]))
        })
    }
}
