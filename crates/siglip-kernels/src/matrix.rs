//! Weights of a linear layer in the layout the kernels read.

use crate::bf16;
use crate::layout::{ColumnStepI8, ColumnStepI16};
use crate::precision::Precision;
use crate::quantize::quantize_rows;
use crate::simd::LANES;

/// The weights of y = x Wᵀ, in panels of eight outputs.
///
/// [`Precision::F32`]: a panel holds the eight outputs' weights of the first input, then those of the second, and so on.
/// [`Precision::Bf16`]: a panel holds the eight outputs' pairs of weights for each pair of inputs.
/// The 8-bit precisions: the scales of all outputs, then the panels, which hold the eight outputs' pairs of quantized weights for
/// each pair of inputs. The layout is the same on every instruction set. The last panel is padded with zeros.
#[derive(Clone)]
pub struct PackedMatrix {
    precision: Precision,
    inputs: usize,
    outputs: usize,
    words: Vec<f32>,
}

/// Compares bits: quantized weights, read as floats, may be NaN.
impl PartialEq for PackedMatrix {
    fn eq(&self, other: &Self) -> bool {
        (self.precision, self.inputs, self.outputs) == (other.precision, other.inputs, other.outputs)
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
        let precision = precision.available();
        let words = vec![0.0; Self::words(precision, inputs, outputs)];
        PackedMatrix { precision, inputs, outputs, words }
    }

    /// Bytes a matrix of this shape takes.
    pub fn bytes_of(precision: Precision, inputs: usize, outputs: usize) -> usize {
        Self::words(precision, inputs, outputs) * size_of::<f32>()
    }

    fn words(precision: Precision, inputs: usize, outputs: usize) -> usize {
        let panels = outputs.div_ceil(LANES);
        match precision.available() {
            Precision::F32 => panels * inputs * LANES,
            Precision::Bf16 => panels * inputs.div_ceil(2) * LANES,
            Precision::Q8 | Precision::Q8Exact => panels * (LANES + inputs.div_ceil(2) * STEP_WORDS),
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
                    let (panel, lane) = (output / LANES, output % LANES);
                    let steps = self.words[panel * inputs * LANES..].as_chunks_mut::<LANES>().0;
                    for (step, weight) in steps.iter_mut().zip(row) {
                        step[lane] = *weight;
                    }
                }
            }
            Precision::Bf16 => {
                for (output, row) in (first_output..).zip(weight.chunks_exact(inputs)) {
                    let (panel, lane) = (output / LANES, output % LANES);
                    let steps = &mut self.bf16_steps_mut()[panel * inputs.div_ceil(2)..];
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
        let pairs = self.inputs.div_ceil(2);
        let (panel, lane) = (output / LANES, output % LANES);
        let (scales, steps) = self.pair_steps_mut();
        scales[output] = scale;
        let steps = &mut steps[panel * pairs..][..pairs];
        let (whole, last) = quantized.as_chunks();
        for (step, pair) in steps.iter_mut().zip(whole) {
            step[lane] = *pair;
        }
        if let ([last], Some(step)) = (last, steps.last_mut()) {
            step[lane] = [*last, 0];
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

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// All panels of an f32 matrix, with `inputs` steps each.
    pub(crate) fn steps(&self) -> &[[f32; LANES]] {
        self.words.as_chunks().0
    }

    /// All panels of a matrix of bfloat16, with `inputs / 2` steps each, rounded up.
    pub(crate) fn bf16_steps(&self) -> &[ColumnStepI16] {
        let steps = self.steps();
        // SAFETY: a pair of i16 is as long as an f32, needs no larger alignment and has no invalid values.
        unsafe { std::slice::from_raw_parts(steps.as_ptr().cast(), steps.len()) }
    }

    fn bf16_steps_mut(&mut self) -> &mut [ColumnStepI16] {
        let steps = self.words.as_chunks_mut::<LANES>().0;
        // SAFETY: as in `bf16_steps`; any bytes are valid in an f32, too, and `steps` is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(steps.as_mut_ptr().cast(), steps.len()) }
    }

    /// The scales and all panels of an 8-bit matrix, with `inputs / 2` steps each, rounded up.
    pub(crate) fn pair_steps(&self) -> (&[[f32; LANES]], &[ColumnStepI8]) {
        let (scales, panels) = self.words.split_at(self.panels() * LANES);
        // SAFETY: a ColumnStepI8 is as long as STEP_WORDS f32; bytes need no alignment and have no invalid values.
        let steps = unsafe { std::slice::from_raw_parts(panels.as_ptr().cast(), panels.len() / STEP_WORDS) };
        (scales.as_chunks().0, steps)
    }

    fn pair_steps_mut(&mut self) -> (&mut [f32], &mut [ColumnStepI8]) {
        let scales = self.panels() * LANES;
        let (scales, panels) = self.words.split_at_mut(scales);
        let count = panels.len() / STEP_WORDS;
        // SAFETY: as in `pair_steps`; any bytes are valid in an f32, too, and `panels` is borrowed for as long.
        let steps = unsafe { std::slice::from_raw_parts_mut(panels.as_mut_ptr().cast(), count) };
        (scales, steps)
    }
}
