//! y = x Wᵀ, and what follows it while the sums are still in registers.

mod activations;
mod bytes;
mod direct;
mod epilogue;
mod quads;
mod quantized;
mod quantized_rows;
mod strassen;
mod wide;

use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, dispatch, wide};
use crate::layout::{F32_ROWS, WIDE_ROWS};
use crate::matrix::PackedMatrix;
use crate::pack::pack_f32;
use crate::precision::Precision;
use crate::quantize::{Quantizer, max_activation, row_magnitude};
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::Simd;
use crate::thread_pool::parallel_for;
use activations::PackedActivations;
pub use epilogue::Epilogue;
use epilogue::{CheckedEpilogue, RawSums, StoreF32, dequantize_row};
use quantized_rows::QuantizedRows;

/// Rows packed at a time: their panels stay in the second-level cache while the weights pass by.
const BLOCK_ROWS: usize = 256;

/// Multiplies `rows` rows of `x` [rows, inputs] with `weight`, into `out` [rows, outputs].
///
/// With the 8-bit precisions a row of `x` that holds an infinity or a NaN gives a row of NaN; with [`Precision::F32`] infinities
/// and NaN spread as IEEE 754 has it.
///
/// # Panics
/// If `x`, `out` or a bias is not as long as the shape asks for.
pub fn linear(
    x: &[f32],
    rows: usize,
    weight: &PackedMatrix,
    epilogue: Epilogue,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (inputs, outputs) = (weight.inputs(), weight.outputs());
    assert_eq!(x.len(), rows * inputs, "x is not [{rows}, {inputs}]");
    assert_eq!(out.len(), rows * outputs, "out is not [{rows}, {outputs}]");
    let epilogue = CheckedEpilogue::new(epilogue, outputs);
    if out.is_empty() {
        return;
    }
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let x = Rows::of_matrix(x, inputs, first, BLOCK_ROWS.min(rows - first));
        let out = DisjointMut::new(&mut out[first * outputs..][..x.count * outputs]);
        match weight.precision() {
            Precision::F32 => multiply_f32(x, weight, StoreF32 { epilogue, out }, scratch),
            Precision::Q8 => quantized::multiply_q8(x, weight, epilogue, out, scratch),
            Precision::Q8Exact => quantized::multiply_exact(x, weight, epilogue, None, out, scratch),
        }
    }
}

/// The largest magnitude of each row of `x` [largest.len(), width], which decides the scale of the quantized row. A row with
/// a NaN has a NaN.
///
/// # Panics
/// If `x` is not as many rows of `width` as `largest` is long.
pub fn row_magnitudes(x: &[f32], width: usize, largest: &mut [f32]) {
    struct Magnitudes<'a>(Rows<'a>, &'a mut [f32]);
    impl Kernel for Magnitudes<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for (row, largest) in self.1.iter_mut().enumerate() {
                *largest = row_magnitude(simd, self.0.row(row));
            }
        }
    }
    assert_eq!(x.len(), largest.len() * width, "x is not rows of {width}, as many as magnitudes");
    dispatch(Magnitudes(Rows::of_matrix(x, width, 0, largest.len()), largest));
}

/// A partial sum of x Wᵀ with [`Precision::Q8Exact`], where several workers have some of the inputs each.
///
/// `x` and `weight` hold this worker's inputs alone. `inputs` counts those of all workers, and `magnitudes` has the largest
/// magnitude of each whole row: the largest over the workers' [`row_magnitudes`]. The partial sums are integers, so the
/// workers' sums add up, wrapping and in any order, to the sums of [`linear()`]; [`finish_sums`] then gives the result of
/// [`linear()`] to the last bit.
///
/// # Panics
/// If `weight` is not of [`Precision::Q8Exact`], or a slice is not as long as the shape asks for.
pub fn linear_sums(
    x: &[f32],
    magnitudes: &[f32],
    inputs: usize,
    weight: &PackedMatrix,
    sums: &mut [i32],
    scratch: &mut Scratch,
) {
    let (rows, own_inputs, outputs) = (magnitudes.len(), weight.inputs(), weight.outputs());
    assert_eq!(weight.precision(), Precision::Q8Exact, "only exact products have partial sums");
    assert_eq!(x.len(), rows * own_inputs, "x is not [{rows}, {own_inputs}]");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    for (block, magnitudes) in magnitudes.chunks(BLOCK_ROWS).enumerate() {
        let (first, count) = (block * BLOCK_ROWS, magnitudes.len());
        let x = Rows::of_matrix(x, own_inputs, first, count);
        let (max, mut scales) = (max_activation(inputs), [0.0; BLOCK_ROWS]);
        let rows = QuantizedRows { x, max, magnitudes: Some(magnitudes), scales: &mut scales };
        let activations = PackedActivations::new(rows, scratch);
        let out = DisjointMut::new(&mut sums[first * outputs..][..count * outputs]);
        activations.multiply(weight, RawSums { outputs, out });
    }
}

/// The result of [`linear()`] from the total of all workers' [`linear_sums`], with the `magnitudes` and `inputs` given there.
///
/// Only the output scales of `weight` are read; any worker's matrix will do.
///
/// # Panics
/// As [`linear_sums`], and if `out` or a bias is not as long as the shape asks for.
pub fn finish_sums(
    sums: &[i32],
    magnitudes: &[f32],
    inputs: usize,
    weight: &PackedMatrix,
    epilogue: Epilogue,
    out: &mut [f32],
) {
    let (rows, outputs) = (magnitudes.len(), weight.outputs());
    assert_eq!(weight.precision(), Precision::Q8Exact, "only exact products have partial sums");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    assert_eq!(out.len(), rows * outputs, "out is not [{rows}, {outputs}]");
    let epilogue = CheckedEpilogue::new(epilogue, outputs);
    if !out.is_empty() {
        dispatch(FinishSums { sums, magnitudes, inputs, weight, epilogue, out });
    }
}

struct FinishSums<'a> {
    sums: &'a [i32],
    magnitudes: &'a [f32],
    inputs: usize,
    weight: &'a PackedMatrix,
    epilogue: CheckedEpilogue<'a>,
    out: &'a mut [f32],
}

impl Kernel for FinishSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FinishSums { sums, magnitudes, inputs, weight, epilogue, out } = self;
        let max = max_activation(inputs);
        let (outputs, column_scales) = (weight.outputs(), weight.pair_steps().0);
        let rows = sums.chunks_exact(outputs).zip(out.chunks_exact_mut(outputs));
        for (magnitude, (sums, out)) in magnitudes.iter().zip(rows) {
            let row_scale = Quantizer::of_magnitude(*magnitude, max).scale;
            dequantize_row(simd, epilogue, row_scale, column_scales, sums, out);
        }
    }
}

/// Panels of f32 weights that a thread takes at a time.
const PANELS_PER_PART: usize = 4;

fn multiply_f32(x: Rows, weight: &PackedMatrix, store: StoreF32, scratch: &mut Scratch) {
    if let (Some(wide), WIDE_ROWS..) = (wide(), x.count) {
        let (rows, panels) = (x.count, x.count.div_ceil(WIDE_ROWS));
        let packed = sized(&mut scratch.wide_rows_f32, panels * weight.inputs());
        dispatch(PackF32 { x, panels: packed });
        let strips = weight.panels().div_ceil(wide::STRIP_PANELS);
        return parallel_for(strips, &|strip| {
            let first = strip * wide::STRIP_PANELS;
            wide.run_wide(wide::RunStripF32 { panels: packed, rows, weight, store, first });
        });
    }
    let activations = sized(&mut scratch.rows_f32, x.count.div_ceil(F32_ROWS) * weight.inputs());
    dispatch(PackF32 { x, panels: activations });
    let (rows, panels) = (x.count, weight.panels());
    let count = if rows == 1 { panels } else { PANELS_PER_PART };
    parallel_for(panels.div_ceil(count), &|index| {
        let panels = index * count..panels.min((index + 1) * count);
        dispatch(direct::StripsF32 { activations, rows, weight, store, panels });
    });
}

struct PackF32<'a, const R: usize> {
    x: Rows<'a>,
    panels: &'a mut [[f32; R]],
}

impl<const R: usize> Kernel for PackF32<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_f32(simd, self.x, self.panels);
    }
}
