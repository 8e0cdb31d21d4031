//! y = x Wᵀ, and what follows it while the sums are still in registers.

use crate::activation::gelu;
use crate::backend::{Kernel, dispatch};
use crate::matrix::{PackedMatrix, PairStep, Precision};
use crate::panels::{self, Rows};
use crate::quantise::activation_levels;
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd, load_part, store_part};
use crate::tile::{Floats, Format, Levels, NarrowLevels, ROWS, WideStep, tile};

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

/// Panels a single row is multiplied with at a time: enough sums to keep the processor's adders busy.
const ONE_ROW_PANELS: usize = 4;

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
    let finish = match epilogue {
        Epilogue::None => Finish { bias: &[], gelu: false, accumulate: false },
        Epilogue::Bias(bias) => Finish { bias, gelu: false, accumulate: false },
        Epilogue::BiasGelu(bias) => Finish { bias, gelu: true, accumulate: false },
        Epilogue::Residual(bias) => Finish { bias, gelu: false, accumulate: true },
    };
    let optional = matches!(epilogue, Epilogue::None | Epilogue::Residual([]));
    assert!(optional || finish.bias.len() == outputs, "bias is not [{outputs}]");
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
            let rows = BLOCK_ROWS.min(rows - first);
            let x = &x[first * inputs..][..rows * inputs];
            let out = &mut out[first * outputs..][..rows * outputs];
            match weight.precision() {
                Precision::F32 => multiply_floats(simd, x, rows, weight, finish, out, scratch),
                Precision::Q8 => multiply_levels(simd, x, rows, weight, finish, out, scratch),
            }
        }
    }
}

#[inline(always)]
fn multiply_floats<S: Simd>(
    simd: S,
    x: &[f32],
    rows: usize,
    weight: &PackedMatrix,
    finish: Finish,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (depth, outputs) = (weight.inputs(), weight.outputs());
    let left = sized(&mut scratch.panels, rows.div_ceil(ROWS) * depth);
    panels::pack(simd, Rows { values: x, count: rows, width: depth, stride: depth }, left);
    let product = Product::<Floats, S, _> { left, depth, outputs, scales: Unscaled, finish };
    let right = weight.steps();
    let mut first = 0;
    while rows == 1 && first + ONE_ROW_PANELS <= weight.panels() {
        product.strip::<1, ONE_ROW_PANELS>(simd, &right[first * depth..], first, out);
        first += ONE_ROW_PANELS;
    }
    while first < weight.panels() {
        let count = S::PANELS.min(weight.panels() - first);
        match count {
            2 => product.strip::<ROWS, 2>(simd, &right[first * depth..], first, out),
            _ => product.strip::<ROWS, 1>(simd, &right[first * depth..], first, out),
        }
        first += count;
    }
}

#[inline(always)]
fn multiply_levels<S: Simd>(
    simd: S,
    x: &[f32],
    rows: usize,
    weight: &PackedMatrix,
    finish: Finish,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (inputs, outputs) = (weight.inputs(), weight.outputs());
    let depth = inputs.div_ceil(2);
    let row_panels = rows.div_ceil(ROWS);
    let left = sized(&mut scratch.levels, row_panels * depth);
    let row_scales = sized(&mut scratch.scales, row_panels * ROWS);
    let x = Rows { values: x, count: rows, width: inputs, stride: inputs };
    panels::pack_levels(simd, x, activation_levels(inputs), left, row_scales);
    let (scales, right) = weight.pair_steps();
    let scales = Scales { rows: row_scales, columns: scales };
    let mut first = 0;
    if rows == 1 {
        let product = Product::<NarrowLevels, S, _> { left, depth, outputs, scales, finish };
        while first + ONE_ROW_PANELS <= weight.panels() {
            product.strip::<1, ONE_ROW_PANELS>(simd, &right[first * depth..], first, out);
            first += ONE_ROW_PANELS;
        }
    }
    let product = Product::<Levels, S, _> { left, depth, outputs, scales, finish };
    let wide = sized(&mut scratch.wide, S::PANELS * depth);
    while first < weight.panels() {
        let count = S::PANELS.min(weight.panels() - first);
        widen(simd, &right[first * depth..][..count * depth], wide);
        match count {
            2 => product.strip::<ROWS, 2>(simd, wide, first, out),
            _ => product.strip::<ROWS, 1>(simd, wide, first, out),
        }
        first += count;
    }
}

/// Widens the weights of a strip once for all its rows, which takes the widening out of the inner loop.
#[inline(always)]
fn widen<S: Simd>(simd: S, narrow: &[PairStep], wide: &mut [WideStep]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        simd.store_pairs(simd.widen_pairs(narrow), wide);
    }
}

/// A packed left side, and what is done with its products.
struct Product<'a, F: Format<S>, S: Simd, C> {
    left: &'a [[F::Left; ROWS]],
    /// Steps of a panel, on either side.
    depth: usize,
    outputs: usize,
    scales: C,
    finish: Finish<'a>,
}

impl<S: Simd, F: Format<S>, C: Scale<S, F::Sum>> Product<'_, F, S, C> {
    /// All rows times `P` panels, of which the first is the matrix's panel `first`.
    #[inline(always)]
    fn strip<const R: usize, const P: usize>(
        &self,
        simd: S,
        right: &[F::Right],
        first: usize,
        out: &mut [f32],
    ) {
        for (row_panel, out) in out.chunks_mut(ROWS * self.outputs).enumerate() {
            let left = &self.left[row_panel * self.depth..][..self.depth];
            let tile: [[F::Sum; P]; R] = tile::<S, F, R, P>(simd, left, right, self.depth);
            for ((row, out), sums) in (row_panel * ROWS..).zip(out.chunks_exact_mut(self.outputs)).zip(tile) {
                for (panel, sum) in (first..).zip(sums) {
                    let columns = panel * LANES..self.outputs.min((panel + 1) * LANES);
                    let value = self.scales.scaled(simd, sum, row, panel);
                    self.finish.store(simd, value, columns.start, &mut out[columns]);
                }
            }
        }
    }
}

/// What the sums of a row and a panel are worth.
trait Scale<S: Simd, Sum>: Copy {
    fn scaled(self, simd: S, sum: Sum, row: usize, panel: usize) -> S::F32;
}

#[derive(Clone, Copy)]
struct Unscaled;

impl<S: Simd> Scale<S, S::F32> for Unscaled {
    #[inline(always)]
    fn scaled(self, _: S, sum: S::F32, _: usize, _: usize) -> S::F32 {
        sum
    }
}

#[derive(Clone, Copy)]
struct Scales<'a> {
    rows: &'a [f32],
    columns: &'a [[f32; LANES]],
}

impl<S: Simd> Scale<S, S::I32> for Scales<'_> {
    #[inline(always)]
    fn scaled(self, simd: S, sum: S::I32, row: usize, panel: usize) -> S::F32 {
        let scale = simd.mul(simd.splat(self.rows[row]), simd.load(&self.columns[panel]));
        simd.mul(simd.convert(sum), scale)
    }
}

/// The epilogue; an empty bias is none.
#[derive(Clone, Copy)]
struct Finish<'a> {
    bias: &'a [f32],
    gelu: bool,
    accumulate: bool,
}

impl Finish<'_> {
    /// Stores up to eight columns of one row, from column `first` on.
    #[inline(always)]
    fn store<S: Simd>(self, simd: S, mut value: S::F32, first: usize, out: &mut [f32]) {
        if let Some(bias) = self.bias.get(first..).filter(|bias| !bias.is_empty()) {
            value = simd.add(value, load_part(simd, bias));
        }
        if self.gelu {
            value = gelu(simd, value);
        }
        if self.accumulate {
            value = simd.add(value, load_part(simd, out));
        }
        store_part(simd, value, out);
    }
}
