//! Products on wide vectors: eight rows at a time, strips of up to three wide panels of columns.
//!
//! A wide panel is two panels side by side. Weights lie so from the load on.

use super::epilogue::{Store, StoreF32, StoreI32, ZeroPointStore};
use crate::dispatch::WideKernel;
use crate::layout::{WIDE_ROWS, WideColumnStepI8, WideColumnStepI16};
use crate::layout::{WideRowStepF32, WideRowStepI16};
use crate::matrix::PackedMatrix;
use crate::microkernel::{Operand, WideBf16, WideF32, WideI16, WideU8, accumulate_tile};
use crate::scratch::{Scratch, sized};
use crate::simd::{WIDE_LANES, Wide};
use crate::thread_pool::thread_pool_members;

/// Panels of the matrix in a strip: eight rows by three wide panels are 24 sums, which leaves eight of 32 registers.
pub(super) const STRIP_PANELS: usize = 6;

/// Steps of a tile between two prefetches.
const STEPS_PER_PREFETCH: usize = 16;

/// Steps of the next strip that are prefetched at a time: with 256 rows, a strip of three wide panels is read ahead in three quarters
/// of the time that one takes.
const PREFETCHED_STEPS: usize = 2;

/// Packed rows times the wide panels of one strip.
struct Strip<'a, S: Wide, O: Operand<S>> {
    panels: &'a [O::RowStep],
    rows: usize,
    columns: &'a [O::ColumnStep],
    wide_panels: usize,
    /// Steps of a panel, of rows and of columns.
    depth: usize,
    /// The strip's first panel in the matrix.
    first: usize,
    /// The columns of the strip that this thread probably takes next.
    next: &'a [O::ColumnStep],
}

impl<'a, S: Wide, O: Operand<S>> Strip<'a, S, O> {
    /// The strip that begins with panel `first` of a matrix; `steps` are those of all of its panels, with `depth` each.
    #[inline(always)]
    fn new(
        panels: &'a [O::RowStep],
        rows: usize,
        weight: &PackedMatrix,
        steps: &'a [O::ColumnStep],
        depth: usize,
        first: usize,
    ) -> Self {
        let columns = strip_steps(steps, first, depth);
        // Threads take strips in turn.
        let next = strip_steps(steps, first + (1 + thread_pool_members()) * STRIP_PANELS, depth);
        Strip { panels, rows, columns, wide_panels: wide_panels(weight, first), depth, first, next }
    }

    #[inline(always)]
    fn multiply<K: Store<S::Wide, O::Sum, WIDE_LANES>>(&self, simd: S, store: K) {
        match (self.rows, self.wide_panels) {
            (1, 1) => self.tiles::<K, 1, 1>(simd, store),
            (1, 2) => self.tiles::<K, 1, 2>(simd, store),
            (1, _) => self.tiles::<K, 1, 3>(simd, store),
            (_, 1) => self.tiles::<K, WIDE_ROWS, 1>(simd, store),
            (_, 2) => self.tiles::<K, WIDE_ROWS, 2>(simd, store),
            (_, _) => self.tiles::<K, WIDE_ROWS, 3>(simd, store),
        }
    }

    /// `R` rows at a time by `P` wide panels.
    #[inline(always)]
    fn tiles<K: Store<S::Wide, O::Sum, WIDE_LANES>, const R: usize, const P: usize>(
        &self,
        simd: S,
        store: K,
    ) {
        let strip = store.strip::<P>(self.first);
        let mut next = self.next.iter();
        for panel in 0..self.rows.div_ceil(WIDE_ROWS) {
            let rows = &self.panels[panel * self.depth..][..self.depth];
            let mut tile = [[O::zero(simd); P]; R];
            for (part, rows) in rows.chunks(STEPS_PER_PREFETCH).enumerate() {
                for step in next.by_ref().take(PREFETCHED_STEPS) {
                    simd.prefetch(step);
                }
                let columns = &self.columns[part * STEPS_PER_PREFETCH..];
                tile = accumulate_tile::<S, O, R, P>(simd, rows, columns, self.depth, tile);
            }
            for (row, sums) in (panel * WIDE_ROWS..self.rows).zip(tile) {
                store.row(simd.wide(), &strip, row, sums);
            }
        }
    }
}

/// Number of wide panels in the strip that begins with panel `first`.
fn wide_panels(weight: &PackedMatrix, first: usize) -> usize {
    (weight.panels() - first).min(STRIP_PANELS).div_ceil(2)
}

/// The steps of the strip that begins with panel `first`, of a matrix whose panels have `depth` each.
fn strip_steps<T>(steps: &[T], first: usize, depth: usize) -> &[T] {
    let steps = steps.get(first / 2 * depth..).unwrap_or_default();
    &steps[..steps.len().min(STRIP_PANELS / 2 * depth)]
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
        let (steps, depth) = (weight.wide_steps_f32(), weight.inputs());
        Strip::<S, WideF32>::new(panels, rows, weight, steps, depth, first).multiply(simd, store);
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
        let (steps, depth) = (weight.wide_steps_bf16(), weight.inputs().div_ceil(2));
        Strip::<S, WideBf16>::new(panels, rows, weight, steps, depth, first).multiply(simd, store);
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
        let (depth, quads) = (weight.inputs().div_ceil(2), weight.inputs().div_ceil(4));
        let wide_panels = wide_panels(weight, first);
        let steps = strip_steps(weight.wide_steps_i8().1, first, quads);
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.wide_i16, wide_panels * depth);
        for (steps, columns) in steps.chunks_exact(quads.max(1)).zip(columns.chunks_exact_mut(depth.max(1))) {
            widen(simd, steps, columns);
        }
        Strip::<S, WideI16> { panels, rows, columns, wide_panels, depth, first, next: &[] }
            .multiply(simd, store);
        own.keep_own();
    }
}

/// Widens the weights of wide panels: of each step of four inputs, two steps of two.
#[inline(always)]
fn widen<S: Wide>(simd: S, steps: &[WideColumnStepI8], columns: &mut [WideColumnStepI16]) {
    for (quads, columns) in steps.iter().zip(columns.chunks_mut(2)) {
        for (pairs, columns) in simd.wide_pairs(simd.wide_load_quads(quads)).into_iter().zip(columns) {
            simd.wide_store_pairs(pairs, columns);
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
        let ((sums, steps), depth) = (weight.wide_steps_i8(), weight.inputs().div_ceil(4));
        let store = ZeroPointStore { store, zero_points, weight_sums: &sums[first..] };
        Strip::<S, WideU8>::new(panels, rows, weight, steps, depth, first).multiply(simd, store);
    }
}
