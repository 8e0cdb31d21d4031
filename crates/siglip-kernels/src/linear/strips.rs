//! Products strip by strip: a few panels of weights, all rows.

use std::ops::Range;

use super::finish::{FinishedFloats, Sink};
use super::panel_steps;
use crate::backend::Kernel;
use crate::matrix::{PackedMatrix, PairStep};
use crate::scratch::{Scratch, sized};
use crate::simd::Simd;
use crate::tile::{FLOAT_ROWS, Floats, Format, LeftStep, Levels, NarrowLevels, ROWS, WideStep, tile};

/// Panels a single row is multiplied with at a time: enough sums to keep the processor's adders busy.
const ONE_ROW_PANELS: usize = 4;

/// Rows packed in f32, a step an input, times some of a matrix's panels.
pub(super) struct FloatStrips<'a> {
    pub left: &'a [[f32; FLOAT_ROWS]],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub sink: FinishedFloats<'a>,
    pub panels: Range<usize>,
}

impl Kernel for FloatStrips<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FloatStrips { left, rows, weight, sink, panels } = self;
        let depth = weight.inputs();
        let product = Product::<Floats<FLOAT_ROWS>, S, FLOAT_ROWS> { left, rows, left_steps: depth, depth };
        let right = weight.steps();
        let mut first = panels.start;
        while rows == 1 && first + ONE_ROW_PANELS <= panels.end {
            product.strip::<_, 1, ONE_ROW_PANELS>(simd, &right[first * depth..], first, sink);
            first += ONE_ROW_PANELS;
        }
        while first < panels.end {
            let count = S::PANELS.min(panels.end - first);
            match count {
                2 => product.strip::<_, FLOAT_ROWS, 2>(simd, &right[first * depth..], first, sink),
                _ => product.strip::<_, FLOAT_ROWS, 1>(simd, &right[first * depth..], first, sink),
            }
            first += count;
        }
    }
}

/// Rows packed in levels, a step a pair of inputs.
#[inline(always)]
pub(super) fn multiply_levels<S: Simd, K: Sink<S, S::I32>>(
    simd: S,
    left: &[LeftStep],
    rows: usize,
    weight: &PackedMatrix,
    sink: K,
) {
    let (depth, left_steps) = (weight.inputs().div_ceil(2), panel_steps(weight.inputs()));
    let right = weight.pair_steps().1;
    let mut first = 0;
    if rows == 1 {
        let product = Product::<NarrowLevels, S, ROWS> { left, rows, left_steps, depth };
        while first + ONE_ROW_PANELS <= weight.panels() {
            product.strip::<_, 1, ONE_ROW_PANELS>(simd, &right[first * depth..], first, sink);
            first += ONE_ROW_PANELS;
        }
    }
    let product = Product::<Levels, S, ROWS> { left, rows, left_steps, depth };
    let mut own = Scratch::take_own();
    let wide = sized(&mut own.wide, S::PANELS * depth);
    while first < weight.panels() {
        let count = S::PANELS.min(weight.panels() - first);
        widen(simd, &right[first * depth..][..count * depth], wide);
        match count {
            2 => product.strip::<_, ROWS, 2>(simd, wide, first, sink),
            _ => product.strip::<_, ROWS, 1>(simd, wide, first, sink),
        }
        first += count;
    }
    own.keep_own();
}

/// Widens the weights of a strip once for all its rows, which takes the widening out of the inner loop.
#[inline(always)]
fn widen<S: Simd>(simd: S, narrow: &[PairStep], wide: &mut [WideStep]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        simd.store_pairs(simd.widen_pairs(narrow), wide);
    }
}

/// A left side packed in panels of `L` rows.
struct Product<'a, F: Format<S>, S: Simd, const L: usize> {
    left: &'a [F::Left],
    rows: usize,
    /// From one panel on the left to the next.
    left_steps: usize,
    /// Steps of a panel.
    depth: usize,
}

impl<S: Simd, F: Format<S>, const L: usize> Product<'_, F, S, L> {
    /// All rows, `R` at a time, times `P` panels, of which the first is the matrix's panel `first`.
    #[inline(always)]
    fn strip<K: Sink<S, F::Sum>, const R: usize, const P: usize>(
        &self,
        simd: S,
        right: &[F::Right],
        first: usize,
        sink: K,
    ) {
        let strip = sink.strip::<P>(first);
        for panel in 0..self.rows.div_ceil(L) {
            let left = &self.left[panel * self.left_steps..][..self.depth];
            let tile: [[F::Sum; P]; R] = tile::<S, F, R, P>(simd, left, right, self.depth);
            for (row, sums) in (panel * L..self.rows).zip(tile) {
                sink.row(simd, &strip, row, sums);
            }
        }
    }
}
