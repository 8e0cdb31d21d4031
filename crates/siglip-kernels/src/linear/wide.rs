//! Products on wide vectors: eight rows at a time, strips of up to three wide panels of columns.
//!
//! A wide panel is two of the matrix's panels side by side. The strip's weights are brought into that layout once for all rows.

use super::epilogue::{Store, StoreF32, StoreI32, ZeroPointStore};
use crate::dispatch::WideKernel;
use crate::layout::{ColumnStepI8, WIDE_ROWS, WideColumnStepI8, WideColumnStepI16};
use crate::layout::{WideRowStepF32, WideRowStepI16};
use crate::matrix::PackedMatrix;
use crate::microkernel::{Operand, WideBf16, WideF32, WideI16, WideU8, tile};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, WIDE_LANES, Wide, padded};

/// Panels of the matrix in a strip: eight rows by three wide panels are 24 sums, which leaves eight of 32 registers.
pub(super) const STRIP_PANELS: usize = 6;

/// An operand whose sums are wide vectors.
pub(super) trait WideOperand<S: Wide>: Operand<S> {
    /// Half of a sum.
    type Half: Copy;

    fn halves(simd: S, sum: Self::Sum) -> [Self::Half; 2];
}

impl<S: Wide> WideOperand<S> for WideF32 {
    type Half = S::F32;

    #[inline(always)]
    fn halves(simd: S, sum: S::WideF32) -> [S::F32; 2] {
        simd.wide_halves(sum)
    }
}

impl<S: Wide> WideOperand<S> for WideBf16 {
    type Half = S::F32;

    #[inline(always)]
    fn halves(simd: S, sum: S::WideF32) -> [S::F32; 2] {
        simd.wide_halves(sum)
    }
}

impl<S: Wide> WideOperand<S> for WideI16 {
    type Half = S::I32;

    #[inline(always)]
    fn halves(simd: S, sum: S::WideI32) -> [S::I32; 2] {
        simd.wide_halves_i32(sum)
    }
}

impl<S: Wide> WideOperand<S> for WideU8 {
    type Half = S::I32;

    #[inline(always)]
    fn halves(simd: S, sum: S::WideI32) -> [S::I32; 2] {
        simd.wide_halves_i32(sum)
    }
}

/// Packed rows times the wide panels of one strip.
struct Strip<'a, S: Wide, O: WideOperand<S>> {
    panels: &'a [O::RowStep],
    rows: usize,
    columns: &'a [O::ColumnStep],
    wide_panels: usize,
    /// Steps of a panel, of rows and of columns.
    depth: usize,
    /// The strip's first panel in the matrix.
    first: usize,
}

impl<S: Wide, O: WideOperand<S>> Strip<'_, S, O> {
    #[inline(always)]
    fn multiply<K: Store<S, O::Half>>(&self, simd: S, store: K) {
        match (self.rows, self.wide_panels) {
            (1, 1) => self.tiles::<K, 1, 1, 2>(simd, store),
            (1, 2) => self.tiles::<K, 1, 2, 4>(simd, store),
            (1, _) => self.tiles::<K, 1, 3, 6>(simd, store),
            (_, 1) => self.tiles::<K, WIDE_ROWS, 1, 2>(simd, store),
            (_, 2) => self.tiles::<K, WIDE_ROWS, 2, 4>(simd, store),
            (_, _) => self.tiles::<K, WIDE_ROWS, 3, 6>(simd, store),
        }
    }

    /// `P` wide panels, which are `W` panels.
    #[inline(always)]
    fn tiles<K: Store<S, O::Half>, const R: usize, const P: usize, const W: usize>(&self, simd: S, store: K) {
        const { assert!(W == 2 * P) };
        let strip = store.strip::<W>(self.first);
        for panel in 0..self.rows.div_ceil(WIDE_ROWS) {
            let rows = &self.panels[panel * self.depth..][..self.depth];
            let tile: [[O::Sum; P]; R] = tile::<S, O, R, P>(simd, rows, self.columns, self.depth);
            for (row, sums) in (panel * WIDE_ROWS..self.rows).zip(tile) {
                let mut halves = [O::halves(simd, sums[0])[0]; W];
                for (halves, sum) in halves.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
                    *halves = O::halves(simd, sum);
                }
                store.row(simd, &strip, row, halves);
            }
        }
    }
}

/// Number of wide panels in the strip that begins with panel `first`.
fn wide_panels(weight: &PackedMatrix, first: usize) -> usize {
    (weight.panels() - first).min(STRIP_PANELS).div_ceil(2)
}

/// The steps of a panel of `depth` steps; none beyond the last panel.
fn panel_steps<T>(steps: &[T], panel: usize, depth: usize) -> &[T] {
    steps.get(panel * depth..(panel + 1) * depth).unwrap_or(&[])
}

/// Computes the strip that begins with panel `first`, in f32.
pub(super) struct RunStripF32<'a> {
    pub panels: &'a [WideRowStepF32],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub store: StoreF32<'a>,
    pub first: usize,
}

impl WideKernel for RunStripF32<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Wide>(self, simd: S) {
        let RunStripF32 { panels, rows, weight, store, first } = self;
        let depth = weight.inputs();
        let wide_panels = wide_panels(weight, first);
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.wide_f32, wide_panels * depth);
        for (at, columns) in columns.chunks_exact_mut(depth.max(1)).enumerate() {
            interleave(weight.steps(), first + 2 * at, depth, columns);
        }
        Strip::<S, WideF32> { panels, rows, columns, wide_panels, depth, first }.multiply(simd, store);
        own.keep_own();
    }
}

/// Puts panels `panel` and `panel + 1` side by side.
fn interleave<T: Copy + Default>(
    steps: &[[T; LANES]],
    panel: usize,
    depth: usize,
    columns: &mut [[T; WIDE_LANES]],
) {
    let (left, right) = (panel_steps(steps, panel, depth), panel_steps(steps, panel + 1, depth));
    for (step, (columns, left)) in columns.iter_mut().zip(left).enumerate() {
        let [to_left, to_right] = columns.as_chunks_mut().0 else { unreachable!("two panels") };
        *to_left = *left;
        *to_right = right.get(step).copied().unwrap_or_default();
    }
}

/// Computes the strip that begins with panel `first` on rows of bfloat16.
pub(super) struct RunStripBf16<'a> {
    pub panels: &'a [WideRowStepI16],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub store: StoreF32<'a>,
    pub first: usize,
}

impl WideKernel for RunStripBf16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Wide>(self, simd: S) {
        let RunStripBf16 { panels, rows, weight, store, first } = self;
        let depth = weight.inputs().div_ceil(2);
        let wide_panels = wide_panels(weight, first);
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.wide_i16, wide_panels * depth);
        for (at, columns) in columns.chunks_exact_mut(depth.max(1)).enumerate() {
            interleave(weight.bf16_steps(), first + 2 * at, depth, columns);
        }
        Strip::<S, WideBf16> { panels, rows, columns, wide_panels, depth, first }.multiply(simd, store);
        own.keep_own();
    }
}

/// Computes the strip that begins with panel `first` on rows of i16.
pub(super) struct RunStripI16<'a, K> {
    pub panels: &'a [WideRowStepI16],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub store: K,
    pub first: usize,
}

impl<K: StoreI32> WideKernel for RunStripI16<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Wide>(self, simd: S) {
        let RunStripI16 { panels, rows, weight, store, first } = self;
        let depth = weight.inputs().div_ceil(2);
        let wide_panels = wide_panels(weight, first);
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.wide_i16, wide_panels * depth);
        for (at, columns) in columns.chunks_exact_mut(depth.max(1)).enumerate() {
            widen(simd, weight.pair_steps().1, first + 2 * at, depth, columns);
        }
        Strip::<S, WideI16> { panels, rows, columns, wide_panels, depth, first }.multiply(simd, store);
        own.keep_own();
    }
}

/// Widens panels `panel` and `panel + 1`, side by side.
#[inline(always)]
fn widen<S: Wide>(
    simd: S,
    steps: &[ColumnStepI8],
    panel: usize,
    depth: usize,
    columns: &mut [WideColumnStepI16],
) {
    for half in 0..2 {
        let steps = panel_steps(steps, panel + half, depth);
        for (step, columns) in columns.iter_mut().enumerate() {
            let weights = steps.get(step).unwrap_or(&[[0; 2]; LANES]);
            simd.store_pairs(simd.widen_pairs(weights), &mut columns.as_chunks_mut().0[half]);
        }
    }
}

/// Computes the strip that begins with panel `first` on rows of bytes.
pub(super) struct RunStripU8<'a, K> {
    pub panels: &'a [WideRowStepI16],
    pub rows: usize,
    pub weight: &'a PackedMatrix,
    pub store: K,
    /// The zero point of each row.
    pub zero_points: &'a [i32],
    pub first: usize,
}

impl<K: StoreI32> WideKernel for RunStripU8<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Wide>(self, simd: S) {
        let RunStripU8 { panels, rows, weight, store, zero_points, first } = self;
        let (pairs, depth) = (weight.inputs().div_ceil(2), weight.inputs().div_ceil(4));
        let wide_panels = wide_panels(weight, first);
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.wide_i8, wide_panels * depth);
        let mut column_sums = [[0; LANES]; STRIP_PANELS];
        let sums = column_sums.as_chunks_mut::<2>().0;
        for (at, (columns, sums)) in columns.chunks_exact_mut(depth.max(1)).zip(sums).enumerate() {
            let halves = gather_quads(simd, weight.pair_steps().1, first + 2 * at, pairs, columns);
            for (sums, half) in sums.iter_mut().zip(halves) {
                simd.store_i32(half, sums);
            }
        }
        let store = ZeroPointStore { store, zero_points, column_sums: &column_sums };
        Strip::<S, WideU8> { panels, rows, columns, wide_panels, depth, first }.multiply(simd, store);
        own.keep_own();
    }
}

/// Puts panels `panel` and `panel + 1` side by side, four inputs per step, and returns the sums of their columns.
#[inline(always)]
fn gather_quads<S: Wide>(
    simd: S,
    steps: &[ColumnStepI8],
    panel: usize,
    pairs: usize,
    columns: &mut [WideColumnStepI8],
) -> [S::I32; 2] {
    let (left, left_last) = panel_steps(steps, panel, pairs).as_chunks::<2>();
    let (right, right_last) = panel_steps(steps, panel + 1, pairs).as_chunks::<2>();
    let (left_last, right_last) = (padded(left_last), padded(right_last));
    let (ones, mut sums) = (simd.wide_splat_i32(0x0101_0101), simd.wide_splat_i32(0));
    for (step, columns) in columns.iter_mut().enumerate() {
        let left = left.get(step).unwrap_or(&left_last);
        let quads = simd.wide_quads(left, right.get(step).unwrap_or(&right_last));
        sums = simd.wide_dot_u8_i8(sums, ones, quads);
        simd.wide_store_quads(quads, columns);
    }
    simd.wide_halves_i32(sums)
}
