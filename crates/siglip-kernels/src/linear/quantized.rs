//! Products of quantized rows: those of bytes one way, those of 16 bits another.

use super::activations::PackedActivations;
use super::bytes::{ByteQuantizer, pack_panel, zero_points};
use super::epilogue::{SomeRows, StoreI32};
use super::plan::RowPlan;
use super::quantized_rows::QuantizedRows;
use super::wide::{RunStripI16, RunStripU8, STRIP_PANELS};
use super::{octets, quads};
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, WideSimd, byte_dots, dispatch, octet_dots, wide};
use crate::layout::{ROWS, WIDE_ROWS, WideRowStepI16};
use crate::matrix::PackedMatrix;
use crate::pack::pack_i16;
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::{RowBytes, Simd};
use crate::thread_pool::parallel_for;

/// Multiplies up to [`BLOCK_ROWS`](super::BLOCK_ROWS) rows as `plan` says.
pub(super) fn multiply<K: StoreI32>(
    x: Rows,
    plan: &RowPlan,
    weight: &PackedMatrix,
    store: K,
    scratch: &mut Scratch,
) {
    match (wide(), byte_dots()) {
        (Some(wide), _) => multiply_by_kind(x, plan, weight, store, scratch, |x, store, scratch| {
            multiply_wide_bytes(wide, x, plan.bytes.quantizers(), weight, store, scratch);
        }),
        (None, Some(dots)) => multiply_by_kind(x, plan, weight, store, scratch, |x, store, scratch| {
            let quantizers = plan.bytes.quantizers();
            match octet_dots() {
                // Half of a panel of eight would be empty.
                Some(octets) if x.count > ROWS => {
                    octets::multiply(octets, x, quantizers, weight, store, scratch);
                }
                _ => quads::multiply(dots, x, quantizers, weight, store, scratch),
            }
        }),
        // The plan has no rows of bytes.
        (None, None) => multiply_by_kind(x, plan, weight, store, scratch, |_, _, _| {}),
    }
}

/// Sorts rows into those of bytes, which go to `multiply_bytes`, and those of 16 bits.
fn multiply_by_kind<K: StoreI32>(
    x: Rows,
    plan: &RowPlan,
    weight: &PackedMatrix,
    store: K,
    scratch: &mut Scratch,
    multiply_bytes: impl Fn(Rows, SomeRows<K>, &mut Scratch),
) {
    let RowPlan { max, bytes, exact, .. } = plan;
    let (magnitudes, max) = (exact.quantizers(), *max);
    if exact.rows().is_empty() {
        return multiply_bytes(x, SomeRows { store, rows: None }, scratch);
    }
    if bytes.rows().is_empty() {
        let rows = QuantizedRows { x, magnitudes, max };
        return multiply_exact(rows, weight, SomeRows { store, rows: None }, scratch);
    }
    let mut sorted = std::mem::take(&mut scratch.sorted_rows);
    let values = sized(&mut sorted, x.count * x.width);
    let order = bytes.rows().iter().chain(exact.rows());
    for (values, row) in values.chunks_exact_mut(x.width.max(1)).zip(order) {
        values.copy_from_slice(x.row((*row).into()));
    }
    let sorted_rows = Rows::of_matrix(values, x.width, 0, x.count);
    let (of_bytes, of_exact) = (bytes.rows().len(), exact.rows().len());
    let some = |rows| SomeRows { store, rows: Some(rows) };
    multiply_bytes(sorted_rows.slice(0, of_bytes), some(bytes.rows()), scratch);
    let rows = QuantizedRows { x: sorted_rows.slice(of_bytes, of_exact), magnitudes, max };
    multiply_exact(rows, weight, some(exact.rows()), scratch);
    scratch.sorted_rows = sorted;
}

/// Multiplies rows in bytes on wide vectors, row n with element n of `quantizers`.
fn multiply_wide_bytes<K: StoreI32>(
    wide: WideSimd,
    x: Rows,
    quantizers: &[ByteQuantizer],
    weight: &PackedMatrix,
    store: K,
    scratch: &mut Scratch,
) {
    struct Pack<'a>(Rows<'a>, usize, &'a [ByteQuantizer], &'a mut [WideRowStepI16]);
    impl Kernel for Pack<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            pack_panel(simd, self.0, self.1, self.2, RowBytes::Unsigned, self.3);
        }
    }
    let (panels, depth) = (x.count.div_ceil(WIDE_ROWS), x.width.div_ceil(4));
    let packed = sized(&mut scratch.wide_rows_i16, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels, &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * depth, depth) };
        dispatch(Pack(x, panel * WIDE_ROWS, quantizers, steps));
    });
    let zero_points = &zero_points(quantizers, RowBytes::Unsigned);
    parallel_for(weight.panels().div_ceil(STRIP_PANELS), &|strip| {
        let first = strip * STRIP_PANELS;
        wide.run_wide(RunStripU8 { panels: packed, rows: x.count, weight, store, zero_points, first });
    });
}

/// Multiplies rows of 16 bits. The sums are the same on every instruction set.
fn multiply_exact<K: StoreI32>(rows: QuantizedRows, weight: &PackedMatrix, store: K, scratch: &mut Scratch) {
    let x = rows.x;
    let Some(wide) = wide().filter(|_| weight.is_wide()) else {
        return PackedActivations::new(rows, scratch).multiply(weight, store);
    };
    let (panels, depth) = (x.count.div_ceil(WIDE_ROWS), x.width.div_ceil(2));
    let packed = sized(&mut scratch.wide_rows_i16, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels, &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * depth, depth) };
        dispatch(PackI16 { rows: rows.slice(panel * WIDE_ROWS, WIDE_ROWS), steps });
    });
    parallel_for(weight.panels().div_ceil(STRIP_PANELS), &|strip| {
        let first = strip * STRIP_PANELS;
        wide.run_wide(RunStripI16 { panels: packed, rows: x.count, weight, store, first });
    });
}

struct PackI16<'a> {
    rows: QuantizedRows<'a>,
    steps: &'a mut [WideRowStepI16],
}

impl Kernel for PackI16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let QuantizedRows { x, magnitudes, max } = self.rows;
        pack_i16(simd, x, magnitudes, max, x.width.div_ceil(2), self.steps);
    }
}

/// Models of the instructions in place of the processor's own, so that every build tests the products of bytes.
#[cfg(test)]
mod tests {
    use fastrand::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::epilogue::{CheckedEpilogue, DequantizeStore};
    use super::super::{Epilogue, linear, row_ranges};
    use super::*;
    use crate::common::{even, product_u8, random};
    use crate::precision::Precision;
    use crate::simd::models::{Model, Modelled, Sdot, SmullAddp, Vpdpbusd};
    use crate::simd::octet_model;

    type Store<'a> = SomeRows<'a, DequantizeStore<'a>>;
    type MultiplyBytes<'a> = &'a dyn Fn(Rows, &[ByteQuantizer], &PackedMatrix, Store, &mut Scratch);

    fn with_model<M: Model>(seeds: std::ops::Range<u64>) {
        let dots = Modelled::<M>::new().expect("the model is exact for bytes");
        seeds.for_each(|seed| {
            equals_the_plain_product(&mut Rng::with_seed(seed), &|x, quantizers, weight, store, scratch| {
                quads::multiply(dots, x, quantizers, weight, store, scratch);
            });
        });
    }

    /// Rows, some of them outlier rows, times a matrix of random shape.
    fn equals_the_plain_product(rng: &mut Rng, multiply_bytes: MultiplyBytes) {
        let (rows, inputs, outputs) = (rng.usize(1..40), rng.usize(1..100), rng.usize(1..45));
        let (mut x, mut weight) = (even(rng, rows * inputs), random(rng, outputs * inputs));
        if rng.bool() {
            // Weights and activations of the largest magnitude, where sums of pairs come closest to the limits of i16.
            for value in x.iter_mut().chain(&mut weight) {
                *value = value.signum();
            }
        }
        let outlier_share = [0, 60, 255][rng.usize(..3)];
        let is_outlier: Vec<bool> = (0..rows).map(|_| inputs > 20 && rng.u8(..) < outlier_share).collect();
        for (row, _) in x.chunks_mut(inputs).zip(&is_outlier).filter(|(_, is_outlier)| **is_outlier) {
            row[rng.usize(..inputs)] = 1000.0;
        }
        let mut packed = PackedMatrix::with_layout(Precision::Q8Exact, inputs, outputs, false);
        packed.pack(0, &weight);
        let (mut out, mut exact) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
        let scratch = &mut Scratch::default();
        linear(&x, rows, &packed, Epilogue::None, &mut exact, scratch);
        let mut ranges = vec![[0; 3]; rows];
        row_ranges(&x, inputs, &mut ranges);
        let plan = RowPlan::with_bytes(&ranges, inputs, true);
        let store = DequantizeStore {
            epilogue: CheckedEpilogue::new(Epilogue::None, outputs),
            row_scales: &plan.scales,
            column_scales: packed.scales(),
            out: DisjointMut::new(&mut out),
        };
        let x_rows = Rows::of_matrix(&x, inputs, 0, rows);
        multiply_by_kind(x_rows, &plan, &packed, store, scratch, |x, store, scratch| {
            multiply_bytes(x, plan.bytes.quantizers(), &packed, store, scratch);
        });
        let of_bytes = product_u8(&x, &weight, inputs);
        for (row, is_outlier) in is_outlier.into_iter().enumerate() {
            let expected = if is_outlier { &exact } else { &of_bytes };
            let columns = row * outputs..(row + 1) * outputs;
            assert_eq!(out[columns.clone()], expected[columns], "row {row} of {rows}x{inputs}x{outputs}");
        }
    }

    #[test]
    fn bytes_equal_the_plain_product_with_rows_of_u8() {
        with_model::<Vpdpbusd>(0..60);
    }

    #[test]
    fn bytes_equal_the_plain_product_with_rows_of_i8() {
        with_model::<Sdot>(0..60);
        with_model::<SmullAddp>(0..60);
    }

    #[test]
    fn octets_equal_the_plain_product() {
        (0..60).for_each(|seed| {
            equals_the_plain_product(&mut Rng::with_seed(seed), &|x, quantizers, weight, store, scratch| {
                octets::multiply(octet_model::Model, x, quantizers, weight, store, scratch);
            });
        });
    }
}
