//! Products of integers with seven eighths of the multiplications (Strassen, Gaussian Elimination is not Optimal, 1969).
//!
//! Both sides are cut into quarters. Rows belong to the upper or the lower half by panels in turn, outputs to the left or the
//! right half by groups of panels in turn; inputs are cut in the middle. The product takes eight products of quarters, and
//! Strassen's algorithm computes it from seven products of sums of quarters. With integers that loses nothing: a quantized
//! value leaves one bit of i16 free for the sum of two, and a product that overflows i32 wraps, as does the combination of
//! the seven, whose exact result fits. The seven are multiplied as [`WinogradI16`].

use super::epilogue::{Store, StoreI32};
use super::quantized_rows::{QuantizedRows, padded_steps};
use crate::dispatch::Kernel;
use crate::layout::{ColumnStepI8, ColumnStepI16, InitialRowSums, ROWS, RowStepI16, STRASSEN_PRODUCTS};
use crate::matrix::PackedMatrix;
use crate::microkernel::{WinogradI16, accumulate_tile, initial_row_sums, prepare_winograd_columns};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd};

/// Rows of a pair of panels: one of the upper half, one of the lower.
pub(super) const PAIR_ROWS: usize = 2 * ROWS;

/// The sums of a tile of each of the seven products.
type Tiles<const P: usize> = [[[[i32; LANES]; P]; ROWS]; STRASSEN_PRODUCTS];

/// Packs up to [`PAIR_ROWS`] rows: the left sides of the seven products.
pub(super) struct PackPair<'a> {
    pub rows: QuantizedRows<'a>,
    pub left_sides: &'a mut [ColumnStepI16],
    pub initial_sums: &'a mut InitialRowSums,
}

impl Kernel for PackPair<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let PackPair { rows, left_sides, initial_sums } = self;
        let steps = padded_steps(rows.x.width);
        let mut own = Scratch::take_own();
        let panels = sized(&mut own.rows_i16, 2 * steps);
        rows.pack(simd, panels);
        let (top, bottom) = two_steps_each(panels).split_at(steps / 2);
        combine_rows(simd, top, bottom, left_sides);
        for (initial, product) in initial_sums.iter_mut().zip(left_sides.chunks_exact(steps / 4)) {
            *initial = initial_row_sums(simd, product);
        }
        own.keep_own();
    }
}

/// Elements of [`PackPair::left_sides`] for so many inputs.
pub(super) fn pair_len(inputs: usize) -> usize {
    STRASSEN_PRODUCTS * padded_steps(inputs) / 4
}

/// Steps of four rows, two to an element: as many pairs as a step of eight columns has.
fn two_steps_each(steps: &[RowStepI16]) -> &[ColumnStepI16] {
    steps.as_flattened().as_chunks().0
}

/// The inverse of [`two_steps_each`].
fn one_step_each(steps: &[ColumnStepI16]) -> &[RowStepI16] {
    steps.as_flattened().as_chunks().0
}

/// A product whose strips of columns are shared among threads.
#[derive(Clone, Copy)]
pub(super) struct StrassenProduct<'a> {
    /// What [`PackPair`] makes of each pair of panels of rows.
    pub left_sides: &'a [ColumnStepI16],
    pub initial_sums: &'a [InitialRowSums],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
}

/// Computes strip `index` of a product.
pub(super) struct RunStrip<'a, K> {
    pub product: StrassenProduct<'a>,
    pub store: K,
    pub index: usize,
}

impl<K: StoreI32> Kernel for RunStrip<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.product.strip(simd, self.store, self.index);
    }
}

/// The number of strips of a product with this matrix.
pub(super) struct StripCount<'a>(pub &'a PackedMatrix);

impl Kernel for StripCount<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        self.0.panels().div_ceil(2 * S::TILE_PANELS)
    }
}

impl StrassenProduct<'_> {
    #[inline(always)]
    fn strip<S: Simd, K: Store<S, S::I32, LANES>>(self, simd: S, store: K, index: usize) {
        match S::TILE_PANELS {
            2 => self.strip_of::<S, K, 2, 4>(simd, store, index),
            _ => self.strip_of::<S, K, 1, 2>(simd, store, index),
        }
    }

    /// `P` panels of the left half of the outputs and `P` of the right, `W` together.
    #[inline(always)]
    fn strip_of<S: Simd, K: Store<S, S::I32, LANES>, const P: usize, const W: usize>(
        self,
        simd: S,
        store: K,
        index: usize,
    ) {
        const { assert!(W == 2 * P) };
        let StrassenProduct { left_sides, initial_sums, rows, weight } = self;
        let (half, first) = (padded_steps(weight.inputs()) / 2, index * W);
        let mut own = Scratch::take_own();
        let right_sides = sized(&mut own.columns_i16, STRASSEN_PRODUCTS * P * half);
        combine_panels(simd, weight, first, P, right_sides);
        // Winograd's algorithm takes two steps at a time.
        let (left_sides, right_sides, half) =
            (one_step_each(left_sides).as_chunks().0, right_sides.as_chunks_mut().0, half / 2);
        let mut initial_column_sums = [[[0; LANES]; P]; STRASSEN_PRODUCTS];
        let initial_of_panels = initial_column_sums.as_flattened_mut().iter_mut();
        for (initial, panel) in initial_of_panels.zip(right_sides.chunks_exact_mut(half)) {
            simd.store_i32(prepare_winograd_columns(simd, panel), initial);
        }
        let strip = store.strip::<W>(first);
        let mut tiles: Tiles<P> = [[[[0; LANES]; P]; ROWS]; STRASSEN_PRODUCTS];
        let pairs = left_sides.chunks_exact(STRASSEN_PRODUCTS * half).zip(initial_sums);
        for (pair, (left_sides, initial_row_sums)) in pairs.enumerate() {
            let products = left_sides.chunks_exact(half).zip(right_sides.chunks_exact(P * half));
            let initial_sums = initial_row_sums.iter().zip(&initial_column_sums);
            for (((left, right), (rows, columns)), sums) in products.zip(initial_sums).zip(&mut tiles) {
                let initial = initial_tile_sums(simd, rows, columns);
                let tile = accumulate_tile::<S, WinogradI16, ROWS, P>(simd, left, right, half, initial);
                for (sums, tile) in sums.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
                    simd.store_i32(*tile, sums);
                }
            }
            for (tile_row, row) in (pair * PAIR_ROWS..rows).take(PAIR_ROWS).enumerate() {
                let sums = match tile_row.checked_sub(ROWS) {
                    None => top_row(simd, &tiles, tile_row),
                    Some(tile_row) => bottom_row(simd, &tiles, tile_row),
                };
                store.row(simd, &strip, row, sums);
            }
        }
        own.keep_own();
    }
}

/// The initial values of the sums of a tile.
#[inline(always)]
fn initial_tile_sums<S: Simd, const P: usize>(
    simd: S,
    rows: &[i32; ROWS],
    columns: &[[i32; LANES]; P],
) -> [[S::I32; P]; ROWS] {
    let mut initial = [[simd.splat_i32(0); P]; ROWS];
    for (initial, row) in initial.iter_mut().zip(rows) {
        for (initial, columns) in initial.iter_mut().zip(columns) {
            *initial = simd.add_i32(simd.splat_i32(*row), simd.load_i32(columns));
        }
    }
    initial
}

/// The left sides of the seven products. `top` is A₁₁ and then A₁₂, `bottom` is A₂₁ and then A₂₂.
#[inline(always)]
fn combine_rows<S: Simd>(
    simd: S,
    top: &[ColumnStepI16],
    bottom: &[ColumnStepI16],
    combined: &mut [ColumnStepI16],
) {
    let half = top.len() / 2;
    let ((a11, a12), (a21, a22)) = (top.split_at(half), bottom.split_at(half));
    let [m1, m2, m3, m4, m5, m6, m7] = products(combined, half);
    for step in 0..half {
        let [a11, a12] = [a11, a12].map(|steps| simd.load_pairs(&steps[step]));
        let [a21, a22] = [a21, a22].map(|steps| simd.load_pairs(&steps[step]));
        simd.store_pairs(simd.add_pairs(a11, a22), &mut m1[step]);
        simd.store_pairs(simd.add_pairs(a21, a22), &mut m2[step]);
        simd.store_pairs(a11, &mut m3[step]);
        simd.store_pairs(a22, &mut m4[step]);
        simd.store_pairs(simd.add_pairs(a11, a12), &mut m5[step]);
        simd.store_pairs(simd.sub_pairs(a21, a11), &mut m6[step]);
        simd.store_pairs(simd.sub_pairs(a12, a22), &mut m7[step]);
    }
}

/// The right sides of the seven products, `count` panels each, for a strip of 2 · `count` panels from `first` on.
#[inline(always)]
fn combine_panels<S: Simd>(
    simd: S,
    weight: &PackedMatrix,
    first: usize,
    count: usize,
    combined: &mut [ColumnStepI16],
) {
    let (depth, half) = (weight.inputs().div_ceil(2), padded_steps(weight.inputs()) / 2);
    let steps = weight.pair_steps();
    for panel in 0..count {
        let weights = |panel: usize| steps.get(panel * depth..(panel + 1) * depth).unwrap_or(&[]);
        let (left, right) = (weights(first + panel), weights(first + count + panel));
        combine_weights(simd, left, right, half, &mut combined[panel * half..], count * half);
    }
}

/// One panel of the right sides of the seven products. `left` is B₁₁ and then B₂₁, `right` is B₁₂ and then B₂₂, with `half`
/// steps each. The first right side begins where `combined` does, and each of the others `distance` after the one before.
#[inline(always)]
fn combine_weights<S: Simd>(
    simd: S,
    left: &[ColumnStepI8],
    right: &[ColumnStepI8],
    half: usize,
    combined: &mut [ColumnStepI16],
    distance: usize,
) {
    let ((b11, b21), (b12, b22)) = (halves(left, half), halves(right, half));
    let [m1, m2, m3, m4, m5, m6, m7] = products(combined, distance).map(|steps| &mut steps[..half]);
    for step in 0..half {
        let widened = |steps: &[ColumnStepI8]| simd.widen_pairs(steps.get(step).unwrap_or(&[[0; 2]; LANES]));
        let (b11, b12, b21, b22) = (widened(b11), widened(b12), widened(b21), widened(b22));
        simd.store_pairs(simd.add_pairs(b11, b22), &mut m1[step]);
        simd.store_pairs(b11, &mut m2[step]);
        simd.store_pairs(simd.sub_pairs(b12, b22), &mut m3[step]);
        simd.store_pairs(simd.sub_pairs(b21, b11), &mut m4[step]);
        simd.store_pairs(b22, &mut m5[step]);
        simd.store_pairs(simd.add_pairs(b11, b12), &mut m6[step]);
        simd.store_pairs(simd.add_pairs(b21, b22), &mut m7[step]);
    }
}

/// The first `half` steps, or as many as there are, and the others.
fn halves(steps: &[ColumnStepI8], half: usize) -> (&[ColumnStepI8], &[ColumnStepI8]) {
    steps.split_at(half.min(steps.len()))
}

/// The seven products' shares of `combined`.
fn products(combined: &mut [ColumnStepI16], distance: usize) -> [&mut [ColumnStepI16]; STRASSEN_PRODUCTS] {
    let mut parts = combined.chunks_mut(distance);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A row of C₁₁ = M₁ + M₄ - M₅ + M₇ and C₁₂ = M₃ + M₅.
#[inline(always)]
fn top_row<S: Simd, const P: usize, const W: usize>(simd: S, tiles: &Tiles<P>, row: usize) -> [S::I32; W] {
    let mut sums = [simd.splat_i32(0); W];
    let (left, right) = sums.split_at_mut(P);
    for (panel, (left, right)) in left.iter_mut().zip(right).enumerate() {
        let [m1, _, m3, m4, m5, _, m7] = tiles.each_ref().map(|tile| &tile[row][panel]);
        let m5 = simd.load_i32(m5);
        let minus = simd.sub_i32(simd.load_i32(m7), m5);
        *left = simd.add_i32(simd.add_i32(simd.load_i32(m1), simd.load_i32(m4)), minus);
        *right = simd.add_i32(simd.load_i32(m3), m5);
    }
    sums
}

/// A row of C₂₁ = M₂ + M₄ and C₂₂ = M₁ - M₂ + M₃ + M₆.
#[inline(always)]
fn bottom_row<S: Simd, const P: usize, const W: usize>(simd: S, tiles: &Tiles<P>, row: usize) -> [S::I32; W] {
    let mut sums = [simd.splat_i32(0); W];
    let (left, right) = sums.split_at_mut(P);
    for (panel, (left, right)) in left.iter_mut().zip(right).enumerate() {
        let [m1, m2, m3, m4, _, m6, _] = tiles.each_ref().map(|tile| &tile[row][panel]);
        let m2 = simd.load_i32(m2);
        let minus = simd.sub_i32(simd.load_i32(m1), m2);
        *left = simd.add_i32(m2, simd.load_i32(m4));
        *right = simd.add_i32(minus, simd.add_i32(simd.load_i32(m3), simd.load_i32(m6)));
    }
    sums
}
