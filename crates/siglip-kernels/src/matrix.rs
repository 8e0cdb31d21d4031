//! Weights of a linear layer in the layout the kernels read.

use crate::backend::{Kernel, dispatch};
use crate::quantise::{Quantiser, WEIGHT_LEVELS};
use crate::simd::{LANES, Simd};

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

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { precision, inputs, outputs, .. } = self;
        write!(f, "PackedMatrix({precision:?}, [{outputs}, {inputs}])")
    }
}

/// Packed bytes of a length other than the shape asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLengthError {
    /// Bytes of the shape.
    pub expected: usize,
    /// Bytes that were given.
    pub actual: usize,
}

impl std::fmt::Display for PackedLengthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { expected, actual } = self;
        write!(f, "{actual} bytes of packed weights where the shape takes {expected}; pack the weights anew")
    }
}

impl std::error::Error for PackedLengthError {}

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

    /// What [`PackedMatrix::as_bytes`] gave, of the same shape and precision.
    ///
    /// # Errors
    /// [`PackedLengthError`] where `bytes` is not as long as the shape asks for.
    pub fn from_bytes(
        precision: Precision,
        inputs: usize,
        outputs: usize,
        bytes: &[u8],
    ) -> Result<Self, PackedLengthError> {
        let expected = Self::bytes_of(precision, inputs, outputs);
        if bytes.len() != expected {
            return Err(PackedLengthError { expected, actual: bytes.len() });
        }
        let mut matrix = Self::new(precision, inputs, outputs);
        matrix.as_bytes_mut().copy_from_slice(bytes);
        Ok(matrix)
    }

    /// The packed weights, in the machine's byte order, for [`PackedMatrix::from_bytes`].
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the memory of f32s is readable as four times as many bytes, which have no invalid values.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), size_of_val(&self.words[..])) }
    }

    /// The same to write to, for packed weights that arrive in pieces. Bytes of any content are harmless.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        let len = size_of_val(&self.words[..]);
        // SAFETY: as in `as_bytes`; any four bytes are an f32 again.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), len) }
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
        dispatch(Pack { matrix: self, first_output, weight });
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

struct Pack<'a> {
    matrix: &'a mut PackedMatrix,
    first_output: usize,
    weight: &'a [f32],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let inputs = self.matrix.inputs;
        for (output, row) in (self.first_output..).zip(self.weight.chunks_exact(inputs)) {
            let (panel, lane) = (output / LANES, output % LANES);
            match self.matrix.precision {
                Precision::F32 => {
                    let steps = self.matrix.words[panel * inputs * LANES..].as_chunks_mut::<LANES>().0;
                    for (step, weight) in steps.iter_mut().zip(row) {
                        step[lane] = *weight;
                    }
                }
                Precision::Q8 => {
                    let pairs = inputs.div_ceil(2);
                    let (scales, steps) = self.matrix.pair_steps_mut();
                    scales[output] = pack_levels(simd, row, &mut steps[panel * pairs..][..pairs], lane);
                }
            }
        }
    }
}

/// Writes the levels of `row` to one lane of a panel; gives their scale.
#[inline(always)]
fn pack_levels<S: Simd>(simd: S, row: &[f32], steps: &mut [PairStep], lane: usize) -> f32 {
    let quantiser = Quantiser::of_row(simd, row, WEIGHT_LEVELS);
    let mut levels = [[0; 2]; LANES];
    for (values, steps) in row.chunks(2 * LANES).zip(steps.chunks_mut(LANES)) {
        simd.store_pairs(quantiser.quantise(simd, values), &mut levels);
        for (step, levels) in steps.iter_mut().zip(levels) {
            step[lane] = levels.map(|level| level as i8);
        }
    }
    quantiser.scale
}
