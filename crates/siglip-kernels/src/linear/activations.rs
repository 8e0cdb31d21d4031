//! The activations of a quantized product, packed for one of two algorithms.

use super::direct::multiply_i16;
use super::epilogue::StoreI32;
use super::quantized_rows::{QuantizedRows, padded_steps};
use super::strassen::{self, PAIR_ROWS};
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, dispatch};
use crate::layout::{ColumnStepI16, InitialRowSums, ROWS, RowStepI16};
use crate::matrix::PackedMatrix;
use crate::scratch::{Scratch, sized};
use crate::simd::Simd;
use crate::thread_pool::parallel_for;

/// Rows from which on Strassen's algorithm pays: with fewer, combining the weights costs what it saves.
const STRASSEN_ROWS: usize = 32;

/// Quantized rows, ready to be multiplied.
pub(super) enum PackedActivations<'a> {
    /// In panels, as [`direct`](super::direct) takes them.
    Direct { panels: &'a [RowStepI16], rows: usize },
    /// As [`strassen`] takes them.
    Strassen { left_sides: &'a [ColumnStepI16], initial_sums: &'a [InitialRowSums], rows: usize },
}

impl<'a> PackedActivations<'a> {
    pub fn new(quantized: QuantizedRows, scratch: &'a mut Scratch) -> PackedActivations<'a> {
        let (rows, width) = (quantized.x.count, quantized.x.width);
        // Rows without inputs, of which Strassen's algorithm has no halves, have sums of zero.
        if rows < STRASSEN_ROWS || width == 0 {
            let panels = sized(&mut scratch.rows_i16, rows.div_ceil(ROWS) * padded_steps(width));
            dispatch(PackDirect { rows: quantized, panels });
            return PackedActivations::Direct { panels, rows };
        }
        let (pairs, pair_len) = (rows.div_ceil(PAIR_ROWS), strassen::pair_len(width));
        let left_sides = sized(&mut scratch.strassen_rows, pairs * pair_len);
        let initial_sums = sized(&mut scratch.initial_row_sums, pairs);
        let all_left_sides = DisjointMut::new(left_sides);
        let all_initial_sums = DisjointMut::new(initial_sums);
        parallel_for(pairs, &|pair| {
            // SAFETY: each pair of panels has ranges of its own in both.
            let (left_sides, initial_sums) = unsafe {
                (
                    all_left_sides.slice_mut(pair * pair_len, pair_len),
                    &mut all_initial_sums.slice_mut(pair, 1)[0],
                )
            };
            let rows = quantized.slice(pair * PAIR_ROWS, PAIR_ROWS);
            dispatch(strassen::PackPair { rows, left_sides, initial_sums });
        });
        PackedActivations::Strassen { left_sides, initial_sums, rows }
    }

    pub fn multiply<K: StoreI32>(self, weight: &PackedMatrix, store: K) {
        match self {
            PackedActivations::Direct { panels, rows } => {
                dispatch(MultiplyDirect { panels, rows, weight, store });
            }
            PackedActivations::Strassen { left_sides, initial_sums, rows } => {
                let product = strassen::StrassenProduct { left_sides, initial_sums, rows, weight };
                parallel_for(dispatch(strassen::StripCount(weight)), &|index| {
                    dispatch(strassen::RunStrip { product, store, index });
                });
            }
        }
    }
}

struct PackDirect<'a> {
    rows: QuantizedRows<'a>,
    panels: &'a mut [RowStepI16],
}

impl Kernel for PackDirect<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.rows.pack(simd, self.panels);
    }
}

struct MultiplyDirect<'a, K> {
    panels: &'a [RowStepI16],
    rows: usize,
    weight: &'a PackedMatrix,
    store: K,
}

impl<K: StoreI32> Kernel for MultiplyDirect<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        multiply_i16(simd, self.panels, self.rows, self.weight, self.store);
    }
}
