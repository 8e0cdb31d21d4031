//! Weights of a linear layer in the layout the kernels read.

use crate::quantise::quantise_rows;
use crate::simd::LANES;

/// How weights are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// Weights in 8 bits with a scale an output, activations in 12 bits or more with a scale a row.
    #[default]
    Q8,
}

impl Precision {
    /// Its name in lower case: `f32` or `q8`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Q8 => "q8",
        }
    }

    /// The precision that [`Precision::name`] calls `name`.
    pub fn from_name(name: &str) -> Option<Precision> {
        [Precision::F32, Precision::Q8].into_iter().find(|precision| precision.name() == name)
    }
}

/// The weights of y = x Wᵀ, in panels of eight outputs.
///
/// [`Precision::F32`]: a panel holds, input after input, the eight outputs' weights.
/// [`Precision::Q8`]: the scales of all outputs, then panels that hold, for each pair of inputs, the eight outputs'
/// pairs of levels. The layout is the same on every instruction set. The last panel is padded with zeros.
#[derive(Clone)]
pub struct PackedMatrix {
    precision: Precision,
    inputs: usize,
    outputs: usize,
    words: Vec<f32>,
}

/// Bit for bit: levels, taken for floats, may be NaN.
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

/// One panel's pairs of inputs.
pub(crate) type PairStep = [[i8; 2]; LANES];

/// f32 words a [`PairStep`] takes.
const PAIR_WORDS: usize = size_of::<PairStep>() / size_of::<f32>();

impl PackedMatrix {
    /// A matrix of zeros.
    pub fn new(precision: Precision, inputs: usize, outputs: usize) -> Self {
        let words = vec![0.0; Self::words(precision, inputs, outputs)];
        PackedMatrix { precision, inputs, outputs, words }
    }

    /// Bytes a matrix of this shape takes.
    pub fn bytes_of(precision: Precision, inputs: usize, outputs: usize) -> usize {
        Self::words(precision, inputs, outputs) * size_of::<f32>()
    }

    fn words(precision: Precision, inputs: usize, outputs: usize) -> usize {
        let panels = outputs.div_ceil(LANES);
        match precision {
            Precision::F32 => panels * inputs * LANES,
            Precision::Q8 => panels * (LANES + inputs.div_ceil(2) * PAIR_WORDS),
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
            Precision::Q8 => {
                let (mut scale, mut levels) = ([0.0], vec![0; inputs]);
                for (output, row) in (first_output..).zip(weight.chunks_exact(inputs)) {
                    quantise_rows(row, inputs, &mut scale, &mut levels);
                    self.pack_levels(output, scale[0], &levels);
                }
            }
        }
    }

    /// Stores one output's weights as [`quantise_rows`](crate::quantise_rows) gave them, or some columns of them.
    ///
    /// # Panics
    /// If the matrix is not of [`Precision::Q8`], `levels` is not one row, or there is no such output.
    pub fn pack_levels(&mut self, output: usize, scale: f32, levels: &[i8]) {
        assert_eq!(self.precision, Precision::Q8, "levels are for 8-bit matrices");
        assert_eq!(levels.len(), self.inputs, "levels are not a row");
        assert!(output < self.outputs, "row beyond {} outputs", self.outputs);
        let pairs = self.inputs.div_ceil(2);
        let (panel, lane) = (output / LANES, output % LANES);
        let (scales, steps) = self.pair_steps_mut();
        scales[output] = scale;
        let steps = &mut steps[panel * pairs..][..pairs];
        let (whole, last) = levels.as_chunks();
        for (step, pair) in steps.iter_mut().zip(whole) {
            step[lane] = *pair;
        }
        if let ([level], Some(step)) = (last, steps.last_mut()) {
            step[lane] = [*level, 0];
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

    /// Panels of eight outputs.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// All panels of an f32 matrix, `inputs` steps each.
    pub(crate) fn steps(&self) -> &[[f32; LANES]] {
        self.words.as_chunks().0
    }

    /// The scales and all panels of a q8 matrix, `inputs / 2` steps each, rounded up.
    pub(crate) fn pair_steps(&self) -> (&[[f32; LANES]], &[PairStep]) {
        let (scales, levels) = self.words.split_at(self.panels() * LANES);
        // SAFETY: a PairStep is PAIR_WORDS f32s long, and bytes need no alignment and have no invalid values.
        let steps = unsafe { std::slice::from_raw_parts(levels.as_ptr().cast(), levels.len() / PAIR_WORDS) };
        (scales.as_chunks().0, steps)
    }

    fn pair_steps_mut(&mut self) -> (&mut [f32], &mut [PairStep]) {
        let scales = self.panels() * LANES;
        let (scales, levels) = self.words.split_at_mut(scales);
        let count = levels.len() / PAIR_WORDS;
        // SAFETY: as in `pair_steps`; all bytes are valid in an f32 too, and `levels` is borrowed for as long.
        let steps = unsafe { std::slice::from_raw_parts_mut(levels.as_mut_ptr().cast(), count) };
        (scales, steps)
    }
}
