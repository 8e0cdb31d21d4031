//! Products of integers with seven eighths of the multiplications (Strassen, Gaussian Elimination is not Optimal, 1969).
//!
//! Both sides are cut in four: rows, by panels in turn; outputs, by groups of panels in turn; inputs, in the middle. Of
//! the eight products of quarters, seven of sums of quarters are enough. With integers that loses nothing: levels leave
//! a bit of i16 free for the sums of two, and where a product leaves i32, it comes back into it when they are combined.
//! The seven are multiplied as [`CrossedLevels`].

use super::finish::{LevelsSink, Sink};
use super::{ToLevels, panel_steps};
use crate::backend::Kernel;
use crate::matrix::{PackedMatrix, PairStep};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd};
use crate::tile::{CrossedLevels, LeftStep, ROWS, WideStep, add_tile, cross_columns, row_starts};

/// Products of sums of quarters.
const PRODUCTS: usize = 7;

/// Rows of two panels, one of the upper quarters and one of the lower.
pub(super) const PAIR_ROWS: usize = 2 * ROWS;

/// The sums of a tile of every product.
type Tiles<const P: usize> = [[[[i32; LANES]; P]; ROWS]; PRODUCTS];

/// Where the sums of every row of the products of a pair of panels start.
pub(crate) type RowStarts = [[i32; ROWS]; PRODUCTS];

/// The left sides of the seven products of up to [`PAIR_ROWS`] rows: levels, and sums of their quarters.
pub(super) struct PackPair<'a> {
    pub rows: ToLevels<'a>,
    pub combined: &'a mut [WideStep],
    pub starts: &'a mut RowStarts,
}

impl Kernel for PackPair<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let PackPair { rows, combined, starts } = self;
        let steps = panel_steps(rows.x.width);
        let mut own = Scratch::take_own();
        let levels = sized(&mut own.levels, 2 * steps);
        rows.pack(simd, levels);
        let (top, bottom) = as_wide(levels).split_at(steps / 2);
        combine_rows(simd, top, bottom, combined);
        for (starts, product) in starts.iter_mut().zip(combined.chunks_exact(steps / 4)) {
            *starts = row_starts(simd, product);
        }
        own.keep_own();
    }
}

/// Elements of [`PackPair::combined`] for so many inputs.
pub(super) fn pair_len(inputs: usize) -> usize {
    PRODUCTS * panel_steps(inputs) / 4
}

/// Steps of four rows, two at a time.
fn as_wide(steps: &[LeftStep]) -> &[WideStep] {
    steps.as_flattened().as_chunks().0
}

fn as_left(steps: &[WideStep]) -> &[LeftStep] {
    steps.as_flattened().as_chunks().0
}

/// A product that threads take strip by strip.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    /// Of every pair of panels in turn, as [`PackPair`] makes them.
    pub combined: &'a [WideStep],
    /// Of every pair, as well.
    pub starts: &'a [RowStarts],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
}

/// The strip `index` of a product.
pub(super) struct StripOf<'a, K> {
    pub product: Product<'a>,
    pub sink: K,
    pub index: usize,
}

impl<K: LevelsSink> Kernel for StripOf<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.product.strip(simd, self.sink, self.index);
    }
}

/// How many strips a product has.
pub(super) struct Strips<'a>(pub &'a PackedMatrix);

impl Kernel for Strips<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        self.0.panels().div_ceil(2 * S::PANELS)
    }
}

impl Product<'_> {
    /// The strip `index`.
    #[inline(always)]
    pub fn strip<S: Simd, K: Sink<S, S::I32>>(self, simd: S, sink: K, index: usize) {
        match S::PANELS {
            2 => self.strip_of::<S, K, 2, 4>(simd, sink, index),
            _ => self.strip_of::<S, K, 1, 2>(simd, sink, index),
        }
    }

    /// `W` is twice `P`: the panels of a left and a right quarter.
    #[inline(always)]
    fn strip_of<S: Simd, K: Sink<S, S::I32>, const P: usize, const W: usize>(
        self,
        simd: S,
        sink: K,
        index: usize,
    ) {
        const { assert!(W == 2 * P) };
        let Product { combined, starts, rows, weight } = self;
        let (half, first) = (panel_steps(weight.inputs()) / 2, index * W);
        let mut own = Scratch::take_own();
        let wide = sized(&mut own.wide, PRODUCTS * P * half);
        combine_panels(simd, weight, first, P, wide);
        let (left, wide, half) = (as_left(combined).as_chunks().0, wide.as_chunks_mut().0, half / 2);
        let mut column_starts = [[[0; LANES]; P]; PRODUCTS];
        for (starts, panel) in column_starts.as_flattened_mut().iter_mut().zip(wide.chunks_exact_mut(half)) {
            simd.store_i32(cross_columns(simd, panel), starts);
        }
        let strip = sink.strip::<W>(first);
        let mut tiles: Tiles<P> = [[[[0; LANES]; P]; ROWS]; PRODUCTS];
        for (pair, (left, row_starts)) in left.chunks_exact(PRODUCTS * half).zip(starts).enumerate() {
            let products = left.chunks_exact(half).zip(wide.chunks_exact(P * half));
            let starts = row_starts.iter().zip(&column_starts);
            for (((left, right), (rows, columns)), sums) in products.zip(starts).zip(&mut tiles) {
                let starts = tile_starts(simd, rows, columns);
                let tile = add_tile::<S, CrossedLevels, ROWS, P>(simd, left, right, half, starts);
                for (sums, tile) in sums.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
                    simd.store_i32(*tile, sums);
                }
            }
            for (tile_row, row) in (pair * PAIR_ROWS..rows).take(PAIR_ROWS).enumerate() {
                let sums = match tile_row.checked_sub(ROWS) {
                    None => top_row(simd, &tiles, tile_row),
                    Some(tile_row) => bottom_row(simd, &tiles, tile_row),
                };
                sink.row(simd, &strip, row, sums);
            }
        }
        own.keep_own();
    }
}

/// Where the sums of a tile start.
#[inline(always)]
fn tile_starts<S: Simd, const P: usize>(
    simd: S,
    rows: &[i32; ROWS],
    columns: &[[i32; LANES]; P],
) -> [[S::I32; P]; ROWS] {
    let mut starts = [[simd.splat_i32(0); P]; ROWS];
    for (starts, row) in starts.iter_mut().zip(rows) {
        for (start, columns) in starts.iter_mut().zip(columns) {
            *start = simd.add_i32(simd.splat_i32(*row), simd.load_i32(columns));
        }
    }
    starts
}

/// The left sides of the seven products of the panels `top`, A₁₁ A₁₂, and `bottom`, A₂₁ A₂₂.
#[inline(always)]
fn combine_rows<S: Simd>(simd: S, top: &[WideStep], bottom: &[WideStep], combined: &mut [WideStep]) {
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

/// The right sides of the seven products of twice `count` panels from `first` on, `count` panels a product.
#[inline(always)]
fn combine_panels<S: Simd>(
    simd: S,
    weight: &PackedMatrix,
    first: usize,
    count: usize,
    combined: &mut [WideStep],
) {
    let (depth, half) = (weight.inputs().div_ceil(2), panel_steps(weight.inputs()) / 2);
    let steps = weight.pair_steps().1;
    for panel in 0..count {
        let weights = |panel: usize| steps.get(panel * depth..(panel + 1) * depth).unwrap_or(&[]);
        let (left, right) = (weights(first + panel), weights(first + count + panel));
        combine_weights(simd, left, right, half, &mut combined[panel * half..], count * half);
    }
}

/// The right sides of the seven products of the panels `left`, B₁₁ over B₂₁, and `right`, B₁₂ over B₂₂, for `half` steps
/// each; `combined` begins with the first, and every other is `distance` behind the one before it.
#[inline(always)]
fn combine_weights<S: Simd>(
    simd: S,
    left: &[PairStep],
    right: &[PairStep],
    half: usize,
    combined: &mut [WideStep],
    distance: usize,
) {
    let ((b11, b21), (b12, b22)) = (halves(left, half), halves(right, half));
    let [m1, m2, m3, m4, m5, m6, m7] = products(combined, distance).map(|steps| &mut steps[..half]);
    for step in 0..half {
        let widened = |steps: &[PairStep]| simd.widen_pairs(steps.get(step).unwrap_or(&[[0; 2]; LANES]));
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

/// The first `half` steps and the others.
fn halves(steps: &[PairStep], half: usize) -> (&[PairStep], &[PairStep]) {
    steps.split_at(half.min(steps.len()))
}

/// The parts of `combined` that belong to each product.
fn products(combined: &mut [WideStep], distance: usize) -> [&mut [WideStep]; PRODUCTS] {
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
