//! Products of bytes on vectors of eight lanes: six rows at a time, strips of one panel of columns or two.
//!
//! Weights are stored in pairs. Each strip's are brought together in quads once for all rows.

use super::bytes::{ByteQuantizer, pack_panel, zero_points};
use super::direct::{DirectProduct, ONE_ROW_PANELS};
use super::epilogue::{StoreI32, ZeroPointStore};
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{ByteKernel, Kernel, dispatch};
use crate::layout::{BYTE_ROWS, ColumnStepI8, ColumnStepI16, RowStepBytes};
use crate::matrix::PackedMatrix;
use crate::microkernel::Bytes;
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::{ByteDot, ByteDots, LANES, RowBytes, Simd};
use crate::thread_pool::parallel_for;

/// Panels of rows that a thread packs at a time.
const PANELS_PER_PART: usize = 8;

/// Multiplies up to [`BLOCK_ROWS`](super::BLOCK_ROWS) rows in bytes, row n with element n of `quantizers`.
pub(super) fn multiply<B: ByteDots, K: StoreI32>(
    dots: B,
    x: Rows,
    quantizers: &[ByteQuantizer],
    weight: &PackedMatrix,
    store: K,
    scratch: &mut Scratch,
) {
    let (panels, depth, bytes) = (x.count.div_ceil(BYTE_ROWS), x.width.div_ceil(4), dots.row_bytes());
    let packed = sized(&mut scratch.rows_bytes, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels.div_ceil(PANELS_PER_PART), &|part| {
        let first = part * PANELS_PER_PART;
        let count = PANELS_PER_PART.min(panels - first);
        // SAFETY: each part has panels of its own.
        let panels = unsafe { all.slice_mut(first * depth, count * depth) };
        dispatch(Pack { x, first, quantizers, bytes, panels });
    });
    let zero_points = &zero_points(quantizers, bytes);
    let product = Product { packed, rows: x.count, weight, store, zero_points };
    let strip_panels = if x.count == 1 { ONE_ROW_PANELS } else { dispatch(TilePanels) };
    parallel_for(weight.panels().div_ceil(strip_panels), &|strip| {
        dots.run_bytes(RunStrips { product, first: strip * strip_panels, count: strip_panels });
    });
}

struct Pack<'a> {
    x: Rows<'a>,
    /// The first panel.
    first: usize,
    quantizers: &'a [ByteQuantizer],
    bytes: RowBytes,
    panels: &'a mut [RowStepBytes],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Pack { x, first, quantizers, bytes, panels } = self;
        for (panel, steps) in (first..).zip(panels.chunks_exact_mut(x.width.div_ceil(4).max(1))) {
            pack_panel(simd, x, panel * BYTE_ROWS, quantizers, bytes, steps);
        }
    }
}

/// [`Simd::TILE_PANELS`].
struct TilePanels;

impl Kernel for TilePanels {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::TILE_PANELS
    }
}

#[derive(Clone, Copy)]
struct Product<'a, K> {
    packed: &'a [RowStepBytes],
    rows: usize,
    weight: &'a PackedMatrix,
    store: K,
    /// The zero point of each row.
    zero_points: &'a [i32],
}

/// Computes the columns of up to `count` panels from panel `first` on.
struct RunStrips<'a, K> {
    product: Product<'a, K>,
    first: usize,
    count: usize,
}

impl<K: StoreI32> ByteKernel for RunStrips<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, D: ByteDot<S>>(self, simd: S) {
        let RunStrips { product, mut first, count } = self;
        let end = product.weight.panels().min(first + count);
        if product.rows == 1 && first + ONE_ROW_PANELS == end {
            return product.strip::<S, D, 1, 0, ONE_ROW_PANELS>(simd, first);
        }
        while first < end {
            match S::TILE_PANELS.min(end - first) {
                2 => product.strip::<S, D, BYTE_ROWS, 4, 2>(simd, first),
                _ => product.strip::<S, D, BYTE_ROWS, 4, 1>(simd, first),
            }
            first += S::TILE_PANELS;
        }
    }
}

impl<K: StoreI32> Product<'_, K> {
    /// All rows, `R` at a time and the last ones `LAST` at a time, times `P` panels of columns from panel `first` on.
    #[inline(always)]
    fn strip<S: Simd, D: ByteDot<S>, const R: usize, const LAST: usize, const P: usize>(
        self,
        simd: S,
        first: usize,
    ) {
        let Product { packed, rows, weight, store, zero_points } = self;
        let (pairs, depth) = (weight.inputs().div_ceil(2), weight.inputs().div_ceil(4));
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.columns_i16, P * depth);
        let weights = weight.pair_steps()[first * pairs..].chunks_exact(pairs.max(1));
        let mut weight_sums = [[0; LANES]; P];
        for ((columns, weights), sums) in
            columns.chunks_exact_mut(depth.max(1)).zip(weights).zip(&mut weight_sums)
        {
            simd.store_i32(gather_quads::<S, D>(simd, weights, columns), sums);
        }
        let store = ZeroPointStore { store, zero_points, weight_sums: &weight_sums };
        let product =
            DirectProduct::<Bytes<D>, S, BYTE_ROWS> { activations: packed, rows, panel_steps: depth, depth };
        product.strip::<_, R, LAST, P>(simd, columns, first, store);
        own.keep_own();
    }
}

/// Brings the weights of one panel together, four inputs per step, and returns the sums of its columns.
#[inline(always)]
fn gather_quads<S: Simd, D: ByteDot<S>>(
    simd: S,
    weights: &[ColumnStepI8],
    columns: &mut [ColumnStepI16],
) -> S::I32 {
    let (ones, mut sums) = (simd.splat_pair(&[0x0101; 2]), simd.splat_i32(0));
    for (steps, columns) in weights.chunks(2).zip(columns) {
        let quads = match steps {
            [first, second] => simd.quads(first, second),
            _ => simd.quads(&steps[0], &[[0; 2]; LANES]),
        };
        sums = D::dot_add(simd, sums, ones, quads);
        simd.store_pairs(quads, columns);
    }
    sums
}
