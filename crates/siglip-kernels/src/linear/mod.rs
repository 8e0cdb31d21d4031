//! y = x Wᵀ, and what follows it while the sums are still in registers.

mod finish;
mod strassen;
mod strips;

use crate::backend::{Kernel, dispatch};
use crate::matrix::{PackedMatrix, Precision};
use crate::panels::{self, Rows};
use crate::quantise::{Quantiser, activation_levels, magnitudes};
use crate::scratch::{Scratch, sized};
use crate::shared::Shared;
use crate::simd::Simd;
use crate::team::share;
use crate::tile::{FLOAT_ROWS, LeftStep, ROWS, WideStep};
use finish::{Finish, FinishedFloats, FinishedLevels, LevelsSink, Sums, finish_row};
use strassen::PAIR_ROWS;
pub(crate) use strassen::RowStarts;

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
    if out.is_empty() {
        return;
    }
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let x = Rows::block(x, inputs, first, BLOCK_ROWS.min(rows - first));
        let out = Shared::new(&mut out[first * outputs..][..x.count * outputs]);
        match weight.precision() {
            Precision::F32 => multiply_floats(x, weight, FinishedFloats { finish, out }, scratch),
            Precision::Q8 => {
                let mut scales = [0.0; BLOCK_ROWS];
                let left = Left::pack(x, inputs, &mut scales, true, scratch);
                let columns = weight.pair_steps().0;
                left.multiply(weight, FinishedLevels { finish, rows: &scales, columns, out });
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
    for (block, magnitudes) in magnitudes.chunks(BLOCK_ROWS).enumerate() {
        let (first, count) = (block * BLOCK_ROWS, magnitudes.len());
        let mut scales = [0.0; BLOCK_ROWS];
        scales[..count].copy_from_slice(magnitudes);
        let left = Left::pack(Rows::block(x, own, first, count), inputs, &mut scales, false, scratch);
        let out = Shared::new(&mut sums[first * outputs..][..count * outputs]);
        left.multiply(weight, Sums { outputs, out });
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
            let row_scale = Quantiser::of_magnitude(*magnitude, levels).scale;
            finish_row(simd, finish, row_scale, columns, sums, out);
        }
    }
}

/// Steps of a panel of levels of `inputs` inputs: as many as four quarters take.
fn panel_steps(inputs: usize) -> usize {
    inputs.div_ceil(2).next_multiple_of(4)
}

/// Rows as levels, up to [`BLOCK_ROWS`] of them.
enum Left<'a> {
    /// In panels, where they are few.
    Few { levels: &'a [LeftStep], rows: usize },
    /// As Strassen's products take them.
    Many { combined: &'a [WideStep], starts: &'a [RowStarts], rows: usize },
}

impl<'a> Left<'a> {
    /// `x` are parts of rows of `inputs`. `scales` takes what a level of each row is worth: of its magnitude if that is
    /// `measured`, otherwise `scales` holds it.
    fn pack(
        x: Rows,
        inputs: usize,
        scales: &mut [f32; BLOCK_ROWS],
        measured: bool,
        scratch: &'a mut Scratch,
    ) -> Left<'a> {
        let (rows, most) = (x.count, activation_levels(inputs));
        if rows < STRASSEN_ROWS {
            let levels = sized(&mut scratch.levels, rows.div_ceil(ROWS) * panel_steps(x.width));
            dispatch(PackFew { rows: ToLevels { x, most, scales, measured }, levels });
            return Left::Few { levels, rows };
        }
        let (pairs, pair_len) = (rows.div_ceil(PAIR_ROWS), strassen::pair_len(x.width));
        let combined = sized(&mut scratch.combined, pairs * pair_len);
        let starts = sized(&mut scratch.starts, pairs);
        let (scales, pieces) = (Shared::new(scales), Shared::new(combined));
        let pair_starts = Shared::new(starts);
        share(pairs, &|pair| {
            // SAFETY: every pair of panels has places of its own in all three.
            let (scales, combined, starts) = unsafe {
                (
                    scales.piece(pair * PAIR_ROWS, PAIR_ROWS),
                    pieces.piece(pair * pair_len, pair_len),
                    &mut pair_starts.piece(pair, 1)[0],
                )
            };
            let rows = ToLevels { x: x.part(pair * PAIR_ROWS, PAIR_ROWS), most, scales, measured };
            dispatch(strassen::PackPair { rows, combined, starts });
        });
        Left::Many { combined, starts, rows }
    }

    fn multiply<K: LevelsSink>(self, weight: &PackedMatrix, sink: K) {
        match self {
            Left::Few { levels, rows } => dispatch(FewRows { levels, rows, weight, sink }),
            Left::Many { combined, starts, rows } => {
                let product = strassen::Product { combined, starts, rows, weight };
                share(dispatch(strassen::Strips(weight)), &|index| {
                    dispatch(strassen::StripOf { product, sink, index });
                });
            }
        }
    }
}

struct FewRows<'a, K> {
    levels: &'a [LeftStep],
    rows: usize,
    weight: &'a PackedMatrix,
    sink: K,
}

impl<K: LevelsSink> Kernel for FewRows<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        strips::multiply_levels(simd, self.levels, self.rows, self.weight, self.sink);
    }
}

/// Panels of weights in f32 that a thread takes at a time.
const SHARED_PANELS: usize = 4;

fn multiply_floats(x: Rows, weight: &PackedMatrix, sink: FinishedFloats, scratch: &mut Scratch) {
    let left = sized(&mut scratch.floats, x.count.div_ceil(FLOAT_ROWS) * weight.inputs());
    dispatch(PackFloats { x, left });
    let (rows, panels) = (x.count, weight.panels());
    let strip = if rows == 1 { panels } else { SHARED_PANELS };
    share(panels.div_ceil(strip), &|index| {
        let panels = index * strip..panels.min((index + 1) * strip);
        dispatch(strips::FloatStrips { left, rows, weight, sink, panels });
    });
}

struct PackFloats<'a> {
    x: Rows<'a>,
    left: &'a mut [[f32; FLOAT_ROWS]],
}

impl Kernel for PackFloats<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        panels::pack(simd, self.x, self.left);
    }
}

/// How rows become levels.
struct ToLevels<'a> {
    x: Rows<'a>,
    /// Greatest level.
    most: f32,
    /// As many as panels have rows: takes the rows' magnitudes if they are `measured`, otherwise holds them; then takes
    /// what a level is worth.
    scales: &'a mut [f32],
    measured: bool,
}

impl ToLevels<'_> {
    #[inline(always)]
    fn pack<S: Simd>(self, simd: S, panels: &mut [LeftStep]) {
        let ToLevels { x, most, scales, measured } = self;
        if measured {
            magnitudes(simd, x, scales);
        }
        panels::pack_levels(simd, x, most, panel_steps(x.width), panels, scales);
    }
}

struct PackFew<'a> {
    rows: ToLevels<'a>,
    levels: &'a mut [LeftStep],
}

impl Kernel for PackFew<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.rows.pack(simd, self.levels);
    }
}
