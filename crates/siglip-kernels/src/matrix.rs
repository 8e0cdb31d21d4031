//! Weights of a linear layer in the layout the kernels read.

use crate::bf16;
use crate::dispatch::wide;
use crate::layout::{ColumnStepI8, WideColumnStepF32, WideColumnStepI8, WideColumnStepI16};
use crate::precision::Precision;
use crate::quantize::quantize_rows;
use crate::simd::{LANES, WIDE_LANES, padded};

/// The weights of y = x Wᵀ, in panels of eight outputs, or where there are wide vectors of sixteen.
///
/// [`Precision::F32`]: a panel holds its outputs' weights of the first input, then those of the second, and so on.
/// [`Precision::Bf16`]: a panel holds its outputs' pairs of weights for each pair of inputs.
/// The 8-bit precisions: the scales of all outputs, then the panels, which hold their outputs' pairs of quantized weights for each
/// pair of inputs. Wide panels hold quads for every four inputs, and the sums of all outputs' weights lie between scales and
/// panels. The last panel is padded with zeros.
#[derive(Clone)]
pub struct PackedMatrix {
    precision: Precision,
    inputs: usize,
    outputs: usize,
    /// Whether the panels are wide.
    is_wide: bool,
    words: Vec<f32>,
}

/// Compares bits: quantized weights, read as floats, may be NaN.
impl PartialEq for PackedMatrix {
    fn eq(&self, other: &Self) -> bool {
        (self.precision, self.inputs, self.outputs) == (other.precision, other.inputs, other.outputs)
            && self.is_wide == other.is_wide
            && self.words.iter().map(|word| word.to_bits()).eq(other.words.iter().map(|word| word.to_bits()))
    }
}

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { precision, inputs, outputs, .. } = self;
        write!(f, "PackedMatrix({precision:?}, [{outputs}, {inputs}])")
    }
}

/// f32 words that a [`ColumnStepI8`] takes.
const STEP_WORDS: usize = size_of::<ColumnStepI8>() / size_of::<f32>();

impl PackedMatrix {
    /// A matrix of zeros, in that precision as far as it is [available](Precision::available).
    pub fn new(precision: Precision, inputs: usize, outputs: usize) -> Self {
        Self::with_layout(precision, inputs, outputs, wide().is_some())
    }

    /// As [`PackedMatrix::new`]; `is_wide` says whether the panels are wide.
    pub(crate) fn with_layout(precision: Precision, inputs: usize, outputs: usize, is_wide: bool) -> Self {
        let precision = precision.available();
        let words = vec![0.0; Self::words(precision, inputs, outputs, is_wide)];
        PackedMatrix { precision, inputs, outputs, is_wide, words }
    }

    /// Bytes a matrix of this shape takes.
    pub fn bytes_of(precision: Precision, inputs: usize, outputs: usize) -> usize {
        Self::words(precision, inputs, outputs, wide().is_some()) * size_of::<f32>()
    }

    fn words(precision: Precision, inputs: usize, outputs: usize, is_wide: bool) -> usize {
        let padded_outputs = padded_outputs(outputs, is_wide);
        match precision.available() {
            Precision::F32 => padded_outputs * inputs,
            Precision::Bf16 => padded_outputs * inputs.div_ceil(2),
            Precision::Q8 | Precision::Q8Exact if is_wide => padded_outputs * (2 + inputs.div_ceil(4)),
            Precision::Q8 | Precision::Q8Exact => {
                padded_outputs + padded_outputs / LANES * inputs.div_ceil(2) * STEP_WORDS
            }
        }
    }

    /// Stores `weight`, row-major [n, inputs] as torch's `nn.Linear` does, as outputs `first_output..first_output + n`.
    ///
    /// # Panics
    /// If `weight` is not whole rows, or they go beyond the last output.
    pub fn pack(&mut self, first_output: usize, weight: &[f32]) {
        if weight.is_empty() {
            return;
        }
        assert!(
            self.inputs > 0 && weight.len().is_multiple_of(self.inputs),
            "weights are not whole rows of {}",
            self.inputs
        );
        assert!(
            first_output + weight.len() / self.inputs <= self.outputs,
            "rows beyond {} outputs",
            self.outputs
        );
        let inputs = self.inputs;
        match self.precision {
            Precision::F32 => {
                for (output, row) in (first_output..).zip(weight.chunks_exact(inputs)) {
                    match self.is_wide {
                        true => put_f32::<WIDE_LANES>(&mut self.words, output, row),
                        false => put_f32::<LANES>(&mut self.words, output, row),
                    }
                }
            }
            Precision::Bf16 => {
                let depth = inputs.div_ceil(2);
                for (output, row) in (first_output..).zip(weight.chunks_exact(inputs)) {
                    let (panel, lane) = (output / WIDE_LANES, output % WIDE_LANES);
                    let steps = &mut self.wide_steps_bf16_mut()[panel * depth..];
                    for (step, pair) in steps.iter_mut().zip(row.chunks(2)) {
                        for (to, weight) in step[lane].iter_mut().zip(pair) {
                            *to = bf16::round(*weight);
                        }
                    }
                }
            }
            Precision::Q8 | Precision::Q8Exact => {
                let (mut scale, mut quantized) = ([0.0], vec![0; inputs]);
                for (output, row) in (first_output..).zip(weight.chunks_exact(inputs)) {
                    quantize_rows(row, inputs, &mut scale, &mut quantized);
                    self.pack_quantized_row(output, scale[0], &quantized);
                }
            }
        }
    }

    /// Stores one output's weights, quantized by [`quantize_rows`](crate::quantize_rows): `quantized` is that row, or this
    /// matrix's columns of it.
    ///
    /// # Panics
    /// If the matrix is not of an 8-bit precision, `quantized` is not one row, or there is no such output.
    pub fn pack_quantized_row(&mut self, output: usize, scale: f32, quantized: &[i8]) {
        assert!(self.precision.is_quantized(), "quantized weights are for 8-bit matrices");
        assert_eq!(quantized.len(), self.inputs, "quantized weights are not one row");
        assert!(output < self.outputs, "row beyond {} outputs", self.outputs);
        if self.is_wide {
            let (panel, lane, depth) = (output / WIDE_LANES, output % WIDE_LANES, self.inputs.div_ceil(4));
            let (scales, sums, steps) = self.wide_steps_i8_mut();
            scales[output] = scale;
            sums[output] = quantized.iter().map(|weight| i32::from(*weight)).sum();
            put_lane(&mut steps[panel * depth..][..depth], lane, quantized);
        } else {
            let (panel, lane, depth) = (output / LANES, output % LANES, self.inputs.div_ceil(2));
            let (scales, steps) = self.pair_steps_mut();
            scales[output] = scale;
            put_lane(&mut steps[panel * depth..][..depth], lane, quantized);
        }
    }

    /// Length of x.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of y.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of memory the weights take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }

    /// Whether the panels are wide.
    pub(crate) fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// All panels of an f32 matrix, with `inputs` steps each.
    ///
    /// # Panics
    /// If the panels are wide.
    pub(crate) fn steps(&self) -> &[[f32; LANES]] {
        assert!(!self.is_wide, "weights in wide panels are for wide vectors");
        self.words.as_chunks().0
    }

    /// All wide panels of an f32 matrix, with `inputs` steps each.
    ///
    /// # Panics
    /// If the panels are not wide.
    pub(crate) fn wide_steps_f32(&self) -> &[WideColumnStepF32] {
        assert!(self.is_wide, "wide vectors are for weights in wide panels");
        self.words.as_chunks().0
    }

    /// All wide panels of a matrix of bfloat16, with `inputs / 2` steps each, rounded up.
    ///
    /// # Panics
    /// If the panels are not wide.
    pub(crate) fn wide_steps_bf16(&self) -> &[WideColumnStepI16] {
        let steps = self.wide_steps_f32();
        // SAFETY: a pair of i16 is as long as an f32, needs no larger alignment and has no invalid values.
        unsafe { std::slice::from_raw_parts(steps.as_ptr().cast(), steps.len()) }
    }

    fn wide_steps_bf16_mut(&mut self) -> &mut [WideColumnStepI16] {
        let steps = self.words.as_chunks_mut::<WIDE_LANES>().0;
        // SAFETY: as in `wide_steps_bf16`; any bytes are valid in an f32, too, and `steps` is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(steps.as_mut_ptr().cast(), steps.len()) }
    }

    /// The scales of an 8-bit matrix.
    pub(crate) fn scales(&self) -> &[[f32; LANES]] {
        self.words[..self.padded_outputs()].as_chunks().0
    }

    /// The outputs with those that the last panel is padded with.
    fn padded_outputs(&self) -> usize {
        padded_outputs(self.outputs, self.is_wide)
    }

    /// All panels of an 8-bit matrix, with `inputs / 2` steps each, rounded up.
    ///
    /// # Panics
    /// If the panels are wide.
    pub(crate) fn pair_steps(&self) -> &[ColumnStepI8] {
        assert!(!self.is_wide, "weights in wide panels are for wide vectors");
        let panels = &self.words[self.padded_outputs()..];
        // SAFETY: a ColumnStepI8 is as long as STEP_WORDS f32; bytes need no alignment and have no invalid values.
        unsafe { std::slice::from_raw_parts(panels.as_ptr().cast(), panels.len() / STEP_WORDS) }
    }

    fn pair_steps_mut(&mut self) -> (&mut [f32], &mut [ColumnStepI8]) {
        let outputs = self.padded_outputs();
        let (scales, panels) = self.words.split_at_mut(outputs);
        let count = panels.len() / STEP_WORDS;
        // SAFETY: as in `pair_steps`; any bytes are valid in an f32, too, and `panels` is borrowed for as long.
        let steps = unsafe { std::slice::from_raw_parts_mut(panels.as_mut_ptr().cast(), count) };
        (scales, steps)
    }

    /// The sums of all outputs' weights and all wide panels of an 8-bit matrix, with `inputs / 4` steps each, rounded up.
    ///
    /// # Panics
    /// If the panels are not wide.
    pub(crate) fn wide_steps_i8(&self) -> (&[[i32; LANES]], &[WideColumnStepI8]) {
        assert!(self.is_wide, "wide vectors are for weights in wide panels");
        let (sums, panels) = self.words[self.padded_outputs()..].split_at(self.padded_outputs());
        // SAFETY: an i32 is as long as an f32 and a WideColumnStepI8 as WIDE_LANES of them; neither needs a larger alignment or has
        // invalid values.
        unsafe {
            let sums = std::slice::from_raw_parts(sums.as_ptr().cast(), sums.len() / LANES);
            (sums, std::slice::from_raw_parts(panels.as_ptr().cast(), panels.len() / WIDE_LANES))
        }
    }

    fn wide_steps_i8_mut(&mut self) -> (&mut [f32], &mut [i32], &mut [WideColumnStepI8]) {
        let outputs = self.padded_outputs();
        let (scales, rest) = self.words.split_at_mut(outputs);
        let (sums, panels) = rest.split_at_mut(outputs);
        let count = panels.len() / WIDE_LANES;
        // SAFETY: as in `wide_steps_i8`; any bytes are valid in an f32, too, and both are borrowed for as long.
        let (sums, steps) = unsafe {
            (
                std::slice::from_raw_parts_mut(sums.as_mut_ptr().cast(), outputs),
                std::slice::from_raw_parts_mut(panels.as_mut_ptr().cast(), count),
            )
        };
        (scales, sums, steps)
    }
}

/// The outputs with those that the last panel is padded with.
fn padded_outputs(outputs: usize, is_wide: bool) -> usize {
    outputs.next_multiple_of(if is_wide { WIDE_LANES } else { LANES })
}

/// Stores one output's weights in f32, in panels of `L`.
fn put_f32<const L: usize>(panels: &mut [f32], output: usize, weights: &[f32]) {
    let panel = &mut panels[output / L * L * weights.len()..];
    for (step, weight) in panel.as_chunks_mut::<L>().0.iter_mut().zip(weights) {
        step[output % L] = *weight;
    }
}

/// Stores one output's weights, `N` per step, in one lane of a panel. The last step is padded with zeros.
fn put_lane<const L: usize, const N: usize>(steps: &mut [[[i8; N]; L]], lane: usize, weights: &[i8]) {
    let (whole, last) = weights.as_chunks();
    for (step, weights) in steps.iter_mut().zip(whole) {
        step[lane] = *weights;
    }
    if let ([_, ..], Some(step)) = (last, steps.last_mut()) {
        step[lane] = padded(last);
    }
}
