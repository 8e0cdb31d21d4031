//! Products of bytes with instructions that multiply two rows with two columns: eight rows at a time, one panel of columns.
//!
//! Weights are stored in pairs. Each panel's are brought together in octets once for all rows.

use super::bytes::{ByteQuantizer, pack_octets, zero_points};
use super::epilogue::{StoreI32, ZeroPointStore};
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, OctetKernel, dispatch};
use crate::layout::{ColumnStepI8, ColumnStepOctets, OCTET_ROWS, RowStepOctets};
use crate::matrix::PackedMatrix;
use crate::microkernel::tile;
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, OctetDot, OctetDots, RowBytes, Simd, padded};
use crate::thread_pool::parallel_for;

/// Multiplies up to [`BLOCK_ROWS`](super::BLOCK_ROWS) rows in bytes, row n with element n of `quantizers`.
pub(super) fn multiply<B: OctetDots, K: StoreI32>(
    dots: B,
    x: Rows,
    quantizers: &[ByteQuantizer],
    weight: &PackedMatrix,
    store: K,
    scratch: &mut Scratch,
) {
    let (panels, depth) = (x.count.div_ceil(OCTET_ROWS), x.width.div_ceil(8));
    let packed = sized(&mut scratch.rows_octets, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels, &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * depth, depth) };
        dispatch(Pack { x, first: panel * OCTET_ROWS, quantizers, steps });
    });
    let zero_points = &zero_points(quantizers, RowBytes::Signed);
    parallel_for(weight.panels(), &|panel| {
        dots.run_octets(RunPanel { packed, rows: x.count, weight, store, zero_points, panel });
    });
}

struct Pack<'a> {
    x: Rows<'a>,
    /// The panel's first row.
    first: usize,
    quantizers: &'a [ByteQuantizer],
    steps: &'a mut [RowStepOctets],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_octets(simd, self.x, self.first, self.quantizers, self.steps);
    }
}

/// Computes the columns of one panel.
struct RunPanel<'a, K> {
    packed: &'a [RowStepOctets],
    rows: usize,
    weight: &'a PackedMatrix,
    store: K,
    /// The zero point of each row.
    zero_points: &'a [i32],
    panel: usize,
}

impl<K: StoreI32> OctetKernel for RunPanel<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, D: OctetDot<S>>(self, simd: S) {
        let RunPanel { packed, rows, weight, store, zero_points, panel } = self;
        let (pairs, depth) = (weight.inputs().div_ceil(2), weight.inputs().div_ceil(8));
        let mut own = Scratch::take_own();
        let columns = sized(&mut own.columns_octets, depth);
        let mut weight_sums = [0; LANES];
        let weights = &weight.pair_steps()[panel * pairs..][..pairs];
        simd.store_i32(gather_octets::<S, D>(simd, weights, columns), &mut weight_sums);
        let store = ZeroPointStore { store, zero_points, weight_sums: &[weight_sums] };
        let strip = StoreI32::strip::<LANES, 1>(&store, panel);
        for (first, steps) in (0..rows).step_by(OCTET_ROWS).zip(packed.chunks_exact(depth.max(1))) {
            let tile = tile::<S, D, { OCTET_ROWS / 2 }, 1>(simd, steps, columns, depth);
            for (first, [sums]) in (first..rows).step_by(2).zip(tile) {
                for (row, sums) in (first..rows).zip(D::split(simd, sums)) {
                    StoreI32::row(&store, simd, &strip, row, [sums]);
                }
            }
        }
        own.keep_own();
    }
}

/// Brings the weights of one panel together, eight inputs per step, and returns the sums of its columns.
#[inline(always)]
fn gather_octets<S: Simd, D: OctetDot<S>>(
    simd: S,
    weights: &[ColumnStepI8],
    columns: &mut [ColumnStepOctets],
) -> S::I32 {
    let (ones, mut sums) = (D::broadcast(simd, &[[[1; 8]; 2]; OCTET_ROWS / 2], 0), D::zero(simd));
    let (whole, last) = weights.as_chunks();
    let last = padded(last);
    for (step, columns) in columns.iter_mut().enumerate() {
        *columns = D::gather(simd, whole.get(step).unwrap_or(&last));
        sums = D::accumulate(simd, ones, D::load(simd, columns), sums);
    }
    D::split(simd, sums)[0]
}
