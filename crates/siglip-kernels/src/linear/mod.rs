//! y = x Wᵀ, and what follows it while the sums are still in registers.

mod finish;
mod strassen;
mod strips;

use crate::backend::{Kernel, dispatch};
use crate::matrix::{PackedMatrix, Precision};
use crate::panels::{self, Rows};
use crate::quantise::{Quantiser, activation_levels, magnitudes};
use crate::scratch::{Scratch, sized};
use crate::simd::Simd;
use crate::tile::{FLOAT_ROWS, LeftStep, ROWS, WideStep};
use finish::{Finish, FinishedFloats, FinishedLevels, Sink, Sums};

/// What becomes of x Wᵀ. A bias is as long as the matrix has outputs.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
    /// out = x Wᵀ.
    None,
    /// out = x Wᵀ + bias.
    Bias(&'a [f32]),
    /// out = GELU(x Wᵀ + bias), in the tanh approximation.
    BiasGelu(&'a [f32]),
    /// out += x Wᵀ + bias; an empty bias is none.
    Residual(&'a [f32]),
}

/// Rows packed at a time: their panels stay in the second-level cache while the weights pass by.
const BLOCK_ROWS: usize = 256;

/// Rows from which on Strassen's way with integers pays: below, combining the weights costs what it saves.
const STRASSEN_ROWS: usize = 32;

/// Multiplies `rows` rows of `x` [rows, inputs] with `weight`, into `out` [rows, outputs].
///
/// With [`Precision::Q8`] a row of `x` that holds an infinity or a NaN gives a row of NaN; with
/// [`Precision::F32`] those spread as IEEE 754 has it.
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
    let finish = Finish::new(epilogue, outputs);
    if !out.is_empty() {
        dispatch(Linear { x, rows, weight, finish, out, scratch });
    }
}

struct Linear<'a> {
    x: &'a [f32],
    rows: usize,
    weight: &'a PackedMatrix,
    finish: Finish<'a>,
    out: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Kernel for Linear<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Linear { x, rows, weight, finish, out, scratch } = self;
        let (inputs, outputs) = (weight.inputs(), weight.outputs());
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let x = Rows::block(x, inputs, first, BLOCK_ROWS.min(rows - first));
            let out = &mut out[first * outputs..][..x.count * outputs];
            match weight.precision() {
                Precision::F32 => {
                    let left = sized(&mut scratch.floats, x.count.div_ceil(FLOAT_ROWS) * inputs);
                    panels::pack(simd, x, left);
                    strips::multiply_floats(simd, left, x.count, weight, &mut FinishedFloats { finish, out });
                }
                Precision::Q8 => {
                    let Scratch { levels, scales, combined, wide, .. } = &mut *scratch;
                    let scales = sized(scales, row_panels(x.count) * ROWS);
                    magnitudes(simd, x, scales);
                    let left = pack_levels(simd, x, inputs, scales, levels, combined);
                    let columns = weight.pair_steps().0;
                    let mut sink = FinishedLevels { finish, rows: scales, columns, out };
                    multiply_levels(simd, left, x.count, weight, &mut sink, wide);
                }
            }
        }
    }
}

/// The largest magnitude of every row of `x`, which is whole rows of `width`: what the levels of a row are scaled by.
/// A row with a NaN has a NaN.
///
/// # Panics
/// If `x` is not as many rows of `width` as `largest` is long.
pub fn row_magnitudes(x: &[f32], width: usize, largest: &mut [f32]) {
    struct Magnitudes<'a>(Rows<'a>, &'a mut [f32]);
    impl Kernel for Magnitudes<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            magnitudes(simd, self.0, self.1);
        }
    }
    assert_eq!(x.len(), largest.len() * width, "x is not rows of {width}, as many as magnitudes");
    dispatch(Magnitudes(Rows::block(x, width, 0, largest.len()), largest));
}

/// The part that some of a layer's inputs have in x Wᵀ with [`Precision::Q8`]: `x` and `weight` hold these inputs
/// alone, `magnitudes` is the largest in each whole row ([`row_magnitudes`], the largest over all parts), and
/// `inputs` counts the whole row. Parts are integers, so they add up, wrapping, in any order to what [`linear()`]
/// sums over the whole row; [`finish_sums`] makes of the sum what [`linear()`] makes of it, to the last bit.
///
/// # Panics
/// If `weight` is not of [`Precision::Q8`], or a slice is not as long as the shape asks for.
pub fn linear_sums(
    x: &[f32],
    magnitudes: &[f32],
    inputs: usize,
    weight: &PackedMatrix,
    sums: &mut [i32],
    scratch: &mut Scratch,
) {
    let (rows, own, outputs) = (magnitudes.len(), weight.inputs(), weight.outputs());
    assert_eq!(weight.precision(), Precision::Q8, "sums are of levels");
    assert_eq!(x.len(), rows * own, "x is not [{rows}, {own}]");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    if !sums.is_empty() {
        dispatch(LinearSums { x, magnitudes, inputs, weight, sums, scratch });
    }
}

struct LinearSums<'a> {
    x: &'a [f32],
    magnitudes: &'a [f32],
    inputs: usize,
    weight: &'a PackedMatrix,
    sums: &'a mut [i32],
    scratch: &'a mut Scratch,
}

impl Kernel for LinearSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let LinearSums { x, magnitudes, inputs, weight, sums, scratch } = self;
        let (own, outputs) = (weight.inputs(), weight.outputs());
        for (block, magnitudes) in magnitudes.chunks(BLOCK_ROWS).enumerate() {
            let (first, count) = (block * BLOCK_ROWS, magnitudes.len());
            let Scratch { levels, scales, combined, wide, .. } = &mut *scratch;
            let scales = sized(scales, row_panels(count) * ROWS);
            scales[..count].copy_from_slice(magnitudes);
            let x = Rows::block(x, own, first, count);
            let left = pack_levels(simd, x, inputs, scales, levels, combined);
            let out = &mut sums[first * outputs..][..count * outputs];
            multiply_levels(simd, left, count, weight, &mut Sums { outputs, out }, wide);
        }
    }
}

/// What [`linear()`] makes of its sums: here of the sum of all parts that [`linear_sums`] gave, with the `magnitudes` and
/// `inputs` given there. Of `weight`, any of the parts', only the outputs' scales are read.
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
    assert_eq!(weight.precision(), Precision::Q8, "sums are of levels");
    assert_eq!(sums.len(), rows * outputs, "sums are not [{rows}, {outputs}]");
    assert_eq!(out.len(), rows * outputs, "out is not [{rows}, {outputs}]");
    let finish = Finish::new(epilogue, outputs);
    if !out.is_empty() {
        dispatch(FinishSums { sums, magnitudes, inputs, weight, finish, out });
    }
}

struct FinishSums<'a> {
    sums: &'a [i32],
    magnitudes: &'a [f32],
    inputs: usize,
    weight: &'a PackedMatrix,
    finish: Finish<'a>,
    out: &'a mut [f32],
}

impl Kernel for FinishSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FinishSums { sums, magnitudes, inputs, weight, finish, out } = self;
        let levels = activation_levels(inputs);
        let (outputs, columns) = (weight.outputs(), weight.pair_steps().0);
        let rows = sums.chunks_exact(outputs).zip(out.chunks_exact_mut(outputs));
        for (magnitude, (sums, out)) in magnitudes.iter().zip(rows) {
            let rows = &[Quantiser::of_magnitude(*magnitude, levels).scale];
            FinishedLevels { finish, rows, columns, out }.whole_row(simd, 0, sums);
        }
    }
}

/// Steps of a panel of levels of `inputs` inputs: as many as four quarters take.
fn panel_steps(inputs: usize) -> usize {
    inputs.div_ceil(2).next_multiple_of(4)
}

/// Panels that so many rows are packed in.
fn row_panels(rows: usize) -> usize {
    if rows < STRASSEN_ROWS { rows.div_ceil(ROWS) } else { 2 * rows.div_ceil(2 * ROWS) }
}

/// Levels of rows whose magnitudes `scales` holds, to be multiplied as parts of rows of `inputs`; `scales` becomes what
/// a level of each is worth.
#[inline(always)]
fn pack_levels<'l, S: Simd>(
    simd: S,
    x: Rows,
    inputs: usize,
    scales: &mut [f32],
    levels: &'l mut Vec<LeftStep>,
    combined: &'l mut Vec<WideStep>,
) -> &'l [LeftStep] {
    let (steps, most) = (panel_steps(x.width), activation_levels(inputs));
    if x.count < STRASSEN_ROWS {
        let left = sized(levels, row_panels(x.count) * steps);
        panels::pack_levels(simd, x, most, steps, left, scales);
        left
    } else {
        strassen::pack(simd, x, most, scales, sized(levels, 2 * steps), combined)
    }
}

/// `left` as [`pack_levels`] gives it.
#[inline(always)]
fn multiply_levels<S: Simd, K: Sink<S, S::I32>>(
    simd: S,
    left: &[LeftStep],
    rows: usize,
    weight: &PackedMatrix,
    sink: &mut K,
    wide: &mut Vec<WideStep>,
) {
    if rows < STRASSEN_ROWS {
        strips::multiply_levels(simd, left, rows, weight, sink, wide);
    } else {
        strassen::multiply(simd, left, rows, weight, sink, wide);
    }
}
