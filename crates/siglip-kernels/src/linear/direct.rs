//! Products with all their multiplications, strip by strip: a few panels of weights, all rows.

use std::ops::Range;

use super::epilogue::{Store, StoreF32};
use super::quantized_rows::padded_steps;
use crate::dispatch::Kernel;
use crate::layout::{ColumnStepI8, ColumnStepI16, F32_ROWS, ROWS, RowStepI16};
use crate::matrix::PackedMatrix;
use crate::microkernel::{F32, I16, Operand, tile_of_rows};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd};

/// Panels that a single row is multiplied with at a time: enough sums to keep the processor's adders busy.
pub(super) const ONE_ROW_PANELS: usize = 4;

/// Activations in f32, one step per input, times some of the panels of a matrix.
pub(super) struct StripsF32<'a> {
    pub activations: &'a [[f32; F32_ROWS]],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub store: StoreF32<'a>,
    pub panels: Range<usize>,
}

impl Kernel for StripsF32<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let StripsF32 { activations, rows, weight, store, panels } = self;
        let depth = weight.inputs();
        let product =
            DirectProduct::<F32<F32_ROWS>, S, F32_ROWS> { activations, rows, panel_steps: depth, depth };
        let columns = weight.steps();
        let mut first = panels.start;
        while rows == 1 && first + ONE_ROW_PANELS <= panels.end {
            product.strip::<_, 1, 0, ONE_ROW_PANELS>(simd, &columns[first * depth..], first, store);
            first += ONE_ROW_PANELS;
        }
        while first < panels.end {
            let count = S::TILE_PANELS.min(panels.end - first);
            match count {
                2 => product.strip::<_, F32_ROWS, 4, 2>(simd, &columns[first * depth..], first, store),
                _ => product.strip::<_, F32_ROWS, 4, 1>(simd, &columns[first * depth..], first, store),
            }
            first += count;
        }
    }
}

/// `rows` rows of quantized activations, one step per pair of inputs, times all panels of a matrix.
#[inline(always)]
pub(super) fn multiply_i16<S: Simd, K: Store<S, S::I32, LANES>>(
    simd: S,
    activations: &[RowStepI16],
    rows: usize,
    weight: &PackedMatrix,
    store: K,
) {
    let (depth, panel_steps) = (weight.inputs().div_ceil(2), padded_steps(weight.inputs()));
    let columns = weight.pair_steps();
    let mut first = 0;
    if rows == 1 {
        let product = DirectProduct::<I16<ColumnStepI8>, S, ROWS> { activations, rows, panel_steps, depth };
        while first + ONE_ROW_PANELS <= weight.panels() {
            product.strip::<_, 1, 0, ONE_ROW_PANELS>(simd, &columns[first * depth..], first, store);
            first += ONE_ROW_PANELS;
        }
    }
    let product = DirectProduct::<I16<ColumnStepI16>, S, ROWS> { activations, rows, panel_steps, depth };
    let mut own = Scratch::take_own();
    let widened = sized(&mut own.columns_i16, S::TILE_PANELS * depth);
    while first < weight.panels() {
        let count = S::TILE_PANELS.min(weight.panels() - first);
        widen(simd, &columns[first * depth..][..count * depth], widened);
        match count {
            2 => product.strip::<_, ROWS, 2, 2>(simd, widened, first, store),
            _ => product.strip::<_, ROWS, 2, 1>(simd, widened, first, store),
        }
        first += count;
    }
    own.keep_own();
}

/// Widens the weights of a strip once for all rows, which keeps the conversion out of the inner loop.
#[inline(always)]
fn widen<S: Simd>(simd: S, weights: &[ColumnStepI8], widened: &mut [ColumnStepI16]) {
    for (widened, weights) in widened.iter_mut().zip(weights) {
        simd.store_pairs(simd.widen_pairs(weights), widened);
    }
}

/// Activations in panels of `L` rows, ready to be multiplied.
pub(super) struct DirectProduct<'a, O: Operand<S>, S: Simd, const L: usize> {
    pub activations: &'a [O::RowStep],
    pub rows: usize,
    /// Steps from the start of one panel of activations to the start of the next.
    pub panel_steps: usize,
    /// Steps of a panel that are multiplied.
    pub depth: usize,
}

impl<S: Simd, O: Operand<S>, const L: usize> DirectProduct<'_, O, S, L> {
    /// All rows, `R` at a time and the last ones `LAST` at a time, times `P` panels of columns. The first of them is panel `first`
    /// of the matrix.
    #[inline(always)]
    pub fn strip<K: Store<S, O::Sum, LANES>, const R: usize, const LAST: usize, const P: usize>(
        &self,
        simd: S,
        columns: &[O::ColumnStep],
        first: usize,
        store: K,
    ) {
        let strip = store.strip::<P>(first);
        for panel in 0..self.rows.div_ceil(L) {
            let rows = &self.activations[panel * self.panel_steps..][..self.depth];
            let count = self.rows - panel * L;
            let tile: [[O::Sum; P]; R] =
                tile_of_rows::<S, O, R, LAST, P>(simd, count, rows, columns, self.depth);
            for (row, sums) in (panel * L..self.rows).zip(&tile) {
                store.row(simd, &strip, row, *sums);
            }
        }
    }
}
