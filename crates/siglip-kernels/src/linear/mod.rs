//! y = x Wᵀ, and what follows it while the sums are still in registers.

mod activations;
mod bytes;
mod direct;
mod epilogue;
mod octets;
mod plan;
mod quads;
mod quantized;
mod quantized_rows;
mod strassen;
mod wide;

use crate::bf16::pack_panel;
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, bf16, dispatch, wide};
use crate::layout::{F32_ROWS, WIDE_ROWS, WideRowStepI16};
use crate::matrix::PackedMatrix;
use crate::pack::pack_f32;
use crate::precision::Precision;
use crate::rows::Rows;
use crate::scratch::{Scratch, sized};
use crate::simd::Simd;
use crate::thread_pool::parallel_for;
pub use epilogue::Epilogue;
use epilogue::{CheckedEpilogue, DequantizeStore, RawSums, StoreF32, dequantize_row};
use plan::RowPlan;
pub use plan::{RowRange, merge_row_ranges, row_ranges};

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
            Precision::Bf16 => multiply_bf16(x, weight, StoreF32 { epilogue, out }, scratch),
            Precision::Q8 | Precision::Q8Exact => {
                let mut ranges = [[0; 3]; BLOCK_ROWS];
                let ranges = &mut ranges[..x.count];
                row_ranges(x.values, inputs, ranges);
                let plan = RowPlan::new(ranges, inputs, weight.precision());
                let (row_scales, column_scales) = (&plan.scales, weight.scales());
                let store = DequantizeStore { epilogue, row_scales, column_scales, out };
                quantized::multiply(x, &plan, weight, store, scratch);
            }
        }
    }
}

/// A partial sum of x Wᵀ with an 8-bit precision, where several workers have some of the inputs each.
///
/// `x` and `weight` hold this worker's inputs alone. `inputs` counts those of all workers, and `ranges` has those of the whole
/// rows: the workers' [`row_ranges`], merged. The partial sums are integers, so the workers' sums add up, wrapping and in any
/// order, to the sums of [`linear()`]; [`finish_sums`] then gives the result of [`linear()`] to the last bit.
///
/// # Panics
/// If `weight` is not of an 8-bit precision, or a slice is not as long as the shape asks for.
pub fn linear_sums(
    x: &[f32],
    ranges: &[RowRange],
    inputs: usize,
    weight: &PackedMatrix,
    sums: &mut [i32],
    scratch: &mut Scratch,
) {
    let (rows, own_inputs, outputs) = (ranges.len(), weight.inputs(), weight.outputs());
    assert!(weight.precision().is_quantized(), "only 8-bit products have partial sums");
    assert_eq!(x.len(), rows * own_inputs, "x is not [{rows}, {own_inputs}]");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    for (block, ranges) in ranges.chunks(BLOCK_ROWS).enumerate() {
        let (first, count) = (block * BLOCK_ROWS, ranges.len());
        let x = Rows::of_matrix(x, own_inputs, first, count);
        let plan = RowPlan::new(ranges, inputs, weight.precision());
        let out = DisjointMut::new(&mut sums[first * outputs..][..count * outputs]);
        quantized::multiply(x, &plan, weight, RawSums { outputs, out }, scratch);
    }
}

/// The result of [`linear()`] from the total of all workers' [`linear_sums`], with the `ranges` and `inputs` given there.
///
/// Only the output scales of `weight` are read; any worker's matrix will do.
///
/// # Panics
/// As [`linear_sums`], and if `out` or a bias is not as long as the shape asks for.
pub fn finish_sums(
    sums: &[i32],
    ranges: &[RowRange],
    inputs: usize,
    weight: &PackedMatrix,
    epilogue: Epilogue,
    out: &mut [f32],
) {
    let (rows, outputs) = (ranges.len(), weight.outputs());
    assert!(weight.precision().is_quantized(), "only 8-bit products have partial sums");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    assert_eq!(out.len(), rows * outputs, "out is not [{rows}, {outputs}]");
    let epilogue = CheckedEpilogue::new(epilogue, outputs);
    if out.is_empty() {
        return;
    }
    let blocks = sums.chunks(BLOCK_ROWS * outputs).zip(out.chunks_mut(BLOCK_ROWS * outputs));
    for (ranges, (sums, out)) in ranges.chunks(BLOCK_ROWS).zip(blocks) {
        let plan = RowPlan::new(ranges, inputs, weight.precision());
        dispatch(FinishSums { sums, row_scales: &plan.scales, weight, epilogue, out });
    }
}

struct FinishSums<'a> {
    sums: &'a [i32],
    row_scales: &'a [f32],
    weight: &'a PackedMatrix,
    epilogue: CheckedEpilogue<'a>,
    out: &'a mut [f32],
}

impl Kernel for FinishSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FinishSums { sums, row_scales, weight, epilogue, out } = self;
        let (outputs, column_scales) = (weight.outputs(), weight.scales());
        let rows = sums.chunks_exact(outputs).zip(out.chunks_exact_mut(outputs));
        for (row_scale, (sums, out)) in row_scales.iter().zip(rows) {
            dequantize_row(simd, epilogue, *row_scale, column_scales, sums, out);
        }
    }
}

/// Panels of f32 weights that a thread takes at a time.
const PANELS_PER_PART: usize = 4;

fn multiply_f32(x: Rows, weight: &PackedMatrix, store: StoreF32, scratch: &mut Scratch) {
    if let Some(wide) = wide().filter(|_| weight.is_wide()) {
        let (rows, panels) = (x.count, x.count.div_ceil(WIDE_ROWS));
        let packed = sized(&mut scratch.wide_rows_f32, panels * weight.inputs());
        pack_panels(x, packed);
        let strips = weight.panels().div_ceil(wide::STRIP_PANELS);
        return parallel_for(strips, &|strip| {
            let first = strip * wide::STRIP_PANELS;
            wide.run_wide(wide::RunStripF32 { panels: packed, rows, weight, store, first });
        });
    }
    let activations = sized(&mut scratch.rows_f32, x.count.div_ceil(F32_ROWS) * weight.inputs());
    pack_panels(x, activations);
    let (rows, panels) = (x.count, weight.panels());
    let count = if rows == 1 { panels } else { PANELS_PER_PART };
    parallel_for(panels.div_ceil(count), &|index| {
        let panels = index * count..panels.min((index + 1) * count);
        dispatch(direct::StripsF32 { activations, rows, weight, store, panels });
    });
}

fn multiply_bf16(x: Rows, weight: &PackedMatrix, store: StoreF32, scratch: &mut Scratch) {
    let Some(bf16) = bf16() else { unreachable!("a matrix is of bfloat16 where it can be multiplied") };
    let (rows, panels, depth) = (x.count, x.count.div_ceil(WIDE_ROWS), x.width.div_ceil(2));
    let packed = sized(&mut scratch.wide_rows_i16, panels * depth);
    let all = DisjointMut::new(packed);
    parallel_for(panels, &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * depth, depth) };
        dispatch(PackBf16 { x, first: panel * WIDE_ROWS, steps });
    });
    parallel_for(weight.panels().div_ceil(wide::STRIP_PANELS), &|strip| {
        let first = strip * wide::STRIP_PANELS;
        bf16.run_wide(wide::RunStripBf16 { panels: packed, rows, weight, store, first });
    });
}

struct PackBf16<'a> {
    x: Rows<'a>,
    first: usize,
    steps: &'a mut [WideRowStepI16],
}

impl Kernel for PackBf16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_panel(simd, self.x, self.first, self.steps);
    }
}

/// Packs rows in panels of `R`.
fn pack_panels<const R: usize>(x: Rows, panels: &mut [[f32; R]]) {
    let all = DisjointMut::new(panels);
    parallel_for(x.count.div_ceil(R), &|panel| {
        // SAFETY: each panel has steps of its own.
        let steps = unsafe { all.slice_mut(panel * x.width, x.width) };
        dispatch(PackF32 { x: x.slice(panel * R, R), panel: steps });
    });
}

struct PackF32<'a, const R: usize> {
    x: Rows<'a>,
    panel: &'a mut [[f32; R]],
}

impl<const R: usize> Kernel for PackF32<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_f32(simd, self.x, self.panel);
    }
}
