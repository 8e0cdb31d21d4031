//! The last layer of a fine-tuned classifier.

use super::destination::{Destination, whole_values};

/// A logit of each class: W x + b of the mean over an image's patches. In f32 always: it is small, and its output is the
/// answer.
#[derive(Debug, Default)]
pub(crate) struct Classifier {
    /// [classes, hidden size].
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Classifier {
    pub fn new(classes: usize, hidden_size: usize) -> Self {
        Classifier { weight: vec![0.0; classes * hidden_size], bias: vec![0.0; classes] }
    }

    pub fn destination(&mut self, kind: &str) -> Option<Destination<'_>> {
        match kind {
            "weight" => Some(whole_values(&mut self.weight)),
            "bias" => Some(whole_values(&mut self.bias)),
            _ => None,
        }
    }

    pub fn logits(&self, pooled: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(pooled.len().max(1)).zip(&self.bias);
        rows.map(|(row, bias)| siglip_kernels::dot(row, pooled) + bias).collect()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.weight[..]) + size_of_val(&self.bias[..])
    }
}
