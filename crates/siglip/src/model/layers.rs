//! Linear layers and layer norms.

use std::ops::Range;

use siglip_kernels::{Epilogue, Gelu, PackedMatrix, RowRange, Scratch};

use super::buffer::sized;
use super::destination::{Destination, whole_values};
use crate::Precision;

/// y = x Wᵀ + b.
#[derive(Debug)]
pub(crate) struct Linear {
    pub weight: PackedMatrix,
    pub bias: Vec<f32>,
    /// Length of x in the whole model. `weight` has fewer inputs if other workers hold the rest.
    whole_inputs: usize,
}

impl Linear {
    pub fn new(precision: Precision, inputs: usize, outputs: usize) -> Self {
        Linear::with_weight(PackedMatrix::new(precision, inputs, outputs), inputs)
    }

    /// One worker's share of a layer that is split by inputs (Megatron-LM's RowParallelLinear): it holds `inputs` of
    /// `whole_inputs`, and the workers' products have to be summed.
    pub fn row_parallel(precision: Precision, inputs: usize, whole_inputs: usize, outputs: usize) -> Self {
        Linear::with_weight(PackedMatrix::new(precision, inputs, outputs), whole_inputs)
    }

    fn with_weight(weight: PackedMatrix, whole_inputs: usize) -> Self {
        Linear { bias: vec![0.0; weight.outputs()], weight, whole_inputs }
    }

    /// The place of `weight` or `bias`. The tensor's `rows` become outputs `first_output..`; of its inputs, `columns` are
    /// stored.
    pub fn destination(
        &mut self,
        kind: &str,
        first_output: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Option<Destination<'_>> {
        match kind {
            "weight" => Some(Destination::Matrix { matrix: &mut self.weight, first_output, rows, columns }),
            "bias" => {
                let values = &mut self.bias[first_output..first_output + rows.len()];
                Some(Destination::Values { values, elements: rows })
            }
            _ => None,
        }
    }

    /// The place of `weight` or `bias` of a layer that is not split.
    pub fn whole(&mut self, kind: &str) -> Option<Destination<'_>> {
        let (rows, columns) = (0..self.weight.outputs(), 0..self.weight.inputs());
        self.destination(kind, 0, rows, columns)
    }

    /// `out` = x Wᵀ + b for `rows` rows of `x`.
    pub fn forward(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::Bias(&self.bias), out, scratch);
    }

    /// `out` = x Wᵀ.
    pub fn forward_without_bias(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::None, out, scratch);
    }

    /// `out` = GELU(x Wᵀ + b).
    pub fn forward_gelu(&self, gelu: Gelu, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::BiasGelu(&self.bias, gelu), out, scratch);
    }

    /// `out` += x Wᵀ + b.
    pub fn forward_add(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::Residual(&self.bias), out, scratch);
    }

    /// `sums` = x Wᵀ over this worker's inputs, as integers. `ranges` are those of the whole rows.
    pub fn partial_sums(&self, x: &[f32], ranges: &[RowRange], sums: &mut [i32], scratch: &mut Scratch) {
        siglip_kernels::linear_sums(x, ranges, self.whole_inputs, &self.weight, sums, scratch);
    }

    /// `out` += x Wᵀ + b, from the sum of all workers' [`Linear::partial_sums`].
    pub fn add_sums(&self, sums: &[i32], ranges: &[RowRange], out: &mut [f32]) {
        let epilogue = Epilogue::Residual(&self.bias);
        siglip_kernels::finish_sums(sums, ranges, self.whole_inputs, &self.weight, epilogue, out);
    }

    pub fn bytes(&self) -> usize {
        self.weight.bytes() + size_of_val(&self.bias[..])
    }
}

/// Layer normalization with its weight and bias.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub fn new(width: usize, eps: f32) -> Self {
        LayerNorm { weight: vec![1.0; width], bias: vec![0.0; width], eps }
    }

    pub fn destination(&mut self, kind: &str) -> Option<Destination<'_>> {
        let values = match kind {
            "weight" => &mut self.weight,
            "bias" => &mut self.bias,
            _ => return None,
        };
        Some(whole_values(values))
    }

    /// Normalizes every row of `x` into `buffer`.
    pub fn forward<'b>(&self, x: &[f32], buffer: &'b mut Vec<f32>) -> &'b mut [f32] {
        let out = sized(buffer, x.len());
        siglip_kernels::layer_norm(x, &self.weight, &self.bias, self.eps, out);
        out
    }

    pub fn bytes(&self) -> usize {
        2 * size_of_val(&self.weight[..])
    }
}
