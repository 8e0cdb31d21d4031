//! Which way a quantized product goes.

use super::BLOCK_ROWS;
use super::activations::PackedActivations;
use super::bytes::{ByteQuantizer, MIN_INPUTS, pack_panel};
use super::epilogue::{CheckedEpilogue, DequantizeStore};
use super::quads;
use super::quantized_rows::QuantizedRows;
use super::wide::{RunStripI16, RunStripU8, STRIP_PANELS};
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, WideKernel, WideSimd, byte_dots, dispatch, wide};
use crate::layout::{WIDE_ROWS, WideRowStepI16, WideRowStepU8};
use crate::matrix::PackedMatrix;
use crate::pack::pack_wide_i16;
use crate::quantize::max_activation;
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::{RowBytes, Simd, Wide};
use crate::thread_pool::parallel_for;

/// Rows that a thread quantizes at a time.
const ROWS_PER_PART: usize = 32;

/// Multiplies up to [`BLOCK_ROWS`] rows: outlier rows as [`multiply_exact`] does, all others in bytes where the processor has
/// dot products of bytes.
pub(super) fn multiply_q8(
    x: Rows,
    weight: &PackedMatrix,
    epilogue: CheckedEpilogue,
    out: DisjointMut<f32>,
    scratch: &mut Scratch,
) {
    match (wide(), byte_dots()) {
        _ if x.width < MIN_INPUTS => multiply_exact(x, weight, epilogue, None, out, scratch),
        (Some(wide), _) => {
            multiply_by_kind(x, weight, epilogue, out, scratch, |x, quantizers, store, scratch| {
                multiply_wide_bytes(wide, x, quantizers, weight, store, scratch);
            });
        }
        (None, Some(dots)) => {
            multiply_by_kind(x, weight, epilogue, out, scratch, |x, quantizers, store, scratch| {
                quads::multiply(dots, x, quantizers, weight, store, scratch);
            });
        }
        (None, None) => multiply_exact(x, weight, epilogue, None, out, scratch),
    }
}

/// Sorts rows into those for bytes, which go to `multiply_bytes`, and outlier rows.
fn multiply_by_kind(
    x: Rows,
    weight: &PackedMatrix,
    epilogue: CheckedEpilogue,
    out: DisjointMut<f32>,
    scratch: &mut Scratch,
    multiply_bytes: impl Fn(Rows, &[ByteQuantizer], DequantizeStore, &mut Scratch),
) {
    let quantizers = byte_quantizers(x);
    let quantizers = &quantizers[..x.count];
    let (mut bytes, mut outliers) = (RowList::default(), RowList::default());
    for (row, quantizer) in quantizers.iter().enumerate() {
        if quantizer.is_some() { bytes.push(row) } else { outliers.push(row) }
    }
    if bytes.rows().is_empty() {
        return multiply_exact(x, weight, epilogue, None, out, scratch);
    }
    let mut known = [ByteQuantizer::default(); BLOCK_ROWS];
    known.iter_mut().zip(quantizers.iter().flatten()).for_each(|(known, quantizer)| *known = *quantizer);
    let known = &known[..bytes.rows().len()];
    let mut row_scales = [0.0; BLOCK_ROWS];
    row_scales.iter_mut().zip(known).for_each(|(scale, quantizer)| *scale = quantizer.scale);
    let (row_scales, column_scales) = (&row_scales[..], weight.pair_steps().0);
    let store = |out_rows| DequantizeStore { epilogue, row_scales, column_scales, out_rows, out };
    if outliers.rows().is_empty() {
        return multiply_bytes(x, known, store(None), scratch);
    }
    let mut sorted = std::mem::take(&mut scratch.sorted_rows);
    let values = sized(&mut sorted, x.count * x.width);
    let order = bytes.rows().iter().chain(outliers.rows());
    for (values, row) in values.chunks_exact_mut(x.width).zip(order) {
        values.copy_from_slice(x.row((*row).into()));
    }
    let (of_bytes, of_outliers) = (bytes.rows().len(), outliers.rows().len());
    let rows = Rows::of_matrix(values, x.width, 0, of_bytes);
    multiply_bytes(rows, known, store(Some(bytes.rows())), scratch);
    let rows = Rows::of_matrix(values, x.width, of_bytes, of_outliers);
    multiply_exact(rows, weight, epilogue, Some(outliers.rows()), out, scratch);
    scratch.sorted_rows = sorted;
}

/// Numbers of rows of a block.
struct RowList {
    rows: [u16; BLOCK_ROWS],
    len: usize,
}

impl Default for RowList {
    fn default() -> Self {
        RowList { rows: [0; BLOCK_ROWS], len: 0 }
    }
}

impl RowList {
    fn push(&mut self, row: usize) {
        self.rows[self.len] = row as u16;
        self.len += 1;
    }

    fn rows(&self) -> &[u16] {
        &self.rows[..self.len]
    }
}

fn byte_quantizers(x: Rows) -> [Option<ByteQuantizer>; BLOCK_ROWS] {
    struct Find<'a>(Rows<'a>, &'a mut [Option<ByteQuantizer>]);
    impl Kernel for Find<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for (row, quantizer) in self.1.iter_mut().enumerate() {
                *quantizer = ByteQuantizer::of_row(simd, self.0.row(row));
            }
        }
    }
    let mut quantizers = [None; BLOCK_ROWS];
    let all = DisjointMut::new(&mut quantizers);
    parallel_for(x.count.div_ceil(ROWS_PER_PART), &|part| {
        let rows = x.slice(part * ROWS_PER_PART, ROWS_PER_PART);
        // SAFETY: each part has rows of its own.
        let quantizers = unsafe { all.slice_mut(part * ROWS_PER_PART, rows.count) };
        dispatch(Find(rows, quantizers));
    });
    quantizers
}

/// Multiplies rows in bytes on wide vectors, row n with element n of `quantizers`.
fn multiply_wide_bytes(
    wide: WideSimd,
    x: Rows,
    quantizers: &[ByteQuantizer],
    weight: &PackedMatrix,
    store: DequantizeStore,
    scratch: &mut Scratch,
) {
    struct Pack<'a>(Rows<'a>, usize, &'a [ByteQuantizer], &'a mut [WideRowStepU8]);
    impl WideKernel for Pack<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Wide>(self, simd: S) {
            pack_panel(simd, self.0, self.1, self.2, self.3);
        }
    }
    let (panels, depth) = (x.count.div_ceil(WIDE_ROWS), x.width.div_ceil(4));
    let packed = sized(&mut scratch.wide_rows_u8, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels, &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * depth, depth) };
        wide.run_wide(Pack(x, panel * WIDE_ROWS, quantizers, steps));
    });
    let mut zero_points = [0; BLOCK_ROWS];
    for (zero_point, quantizer) in zero_points.iter_mut().zip(quantizers) {
        *zero_point = quantizer.zero_point(RowBytes::Unsigned);
    }
    parallel_for(weight.panels().div_ceil(STRIP_PANELS), &|strip| {
        let (first, zero_points) = (strip * STRIP_PANELS, &zero_points);
        wide.run_wide(RunStripU8 { panels: packed, rows: x.count, weight, store, zero_points, first });
    });
}

/// Multiplies rows in as many bits as sums in i32 leave room for; row n of `x` is row `out_rows[n]` of `out`. The sums are the
/// same on every instruction set.
pub(super) fn multiply_exact(
    x: Rows,
    weight: &PackedMatrix,
    epilogue: CheckedEpilogue,
    out_rows: Option<&[u16]>,
    out: DisjointMut<f32>,
    scratch: &mut Scratch,
) {
    let (max, mut row_scales) = (max_activation(x.width), [0.0; BLOCK_ROWS]);
    let column_scales = weight.pair_steps().0;
    if let (Some(wide), WIDE_ROWS..) = (wide(), x.count) {
        let (panels, depth) = (x.count.div_ceil(WIDE_ROWS), x.width.div_ceil(2));
        let packed = sized(&mut scratch.wide_rows_i16, panels * depth);
        let (all, scales) = (DisjointMut::new(packed), DisjointMut::new(&mut row_scales));
        parallel_for(panels, &|panel| {
            // SAFETY: each panel has steps and scales of its own.
            let (steps, scales) = unsafe {
                (all.slice_mut(panel * depth, depth), scales.slice_mut(panel * WIDE_ROWS, WIDE_ROWS))
            };
            dispatch(PackI16 { x: x.slice(panel * WIDE_ROWS, WIDE_ROWS), max, steps, scales });
        });
        let store = DequantizeStore { epilogue, row_scales: &row_scales, column_scales, out_rows, out };
        return parallel_for(weight.panels().div_ceil(STRIP_PANELS), &|strip| {
            let first = strip * STRIP_PANELS;
            wide.run_wide(RunStripI16 { panels: packed, rows: x.count, weight, store, first });
        });
    }
    let rows = QuantizedRows { x, max, magnitudes: None, scales: &mut row_scales };
    let activations = PackedActivations::new(rows, scratch);
    let store = DequantizeStore { epilogue, row_scales: &row_scales, column_scales, out_rows, out };
    activations.multiply(weight, store);
}

struct PackI16<'a> {
    x: Rows<'a>,
    max: f32,
    steps: &'a mut [WideRowStepI16],
    scales: &'a mut [f32],
}

impl Kernel for PackI16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_wide_i16(simd, self.x, self.max, self.steps, self.scales);
    }
}

/// Models of the instructions in place of the processor's own, so that every build tests the products of bytes.
#[cfg(test)]
mod tests {
    use fastrand::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::{Epilogue, linear};
    use super::*;
    use crate::common::{even, product_u8, random};
    use crate::precision::Precision;
    use crate::simd::models::{Model, Modelled, Sdot, SmullAddp, Vpdpbusd};

    /// Rows, some of them outlier rows, times a matrix of random shape.
    fn equals_the_plain_product<M: Model>(rng: &mut Rng) {
        let dots = Modelled::<M>::new().expect("the model is exact for bytes");
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
        let mut packed = PackedMatrix::new(Precision::Q8Exact, inputs, outputs);
        packed.pack(0, &weight);
        let (mut out, mut exact) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
        let scratch = &mut Scratch::default();
        linear(&x, rows, &packed, Epilogue::None, &mut exact, scratch);
        let epilogue = CheckedEpilogue::new(Epilogue::None, outputs);
        let (x_rows, out_rows) = (Rows::of_matrix(&x, inputs, 0, rows), DisjointMut::new(&mut out));
        multiply_by_kind(x_rows, &packed, epilogue, out_rows, scratch, |x, quantizers, store, scratch| {
            quads::multiply(dots, x, quantizers, &packed, store, scratch);
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
        (0..60).for_each(|seed| equals_the_plain_product::<Vpdpbusd>(&mut Rng::with_seed(seed)));
    }

    #[test]
    fn bytes_equal_the_plain_product_with_rows_of_i8() {
        (0..60).for_each(|seed| equals_the_plain_product::<Sdot>(&mut Rng::with_seed(seed)));
        (0..60).for_each(|seed| equals_the_plain_product::<SmullAddp>(&mut Rng::with_seed(seed)));
    }
}
