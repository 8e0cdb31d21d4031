//! The MLP: two layers with GELU between them.

use std::ops::Range;

use siglip_kernels::{Gelu, Scratch};

use super::buffer::sized;
use super::destination::Destination;
use super::layers::Linear;
use crate::config::BlockConfig;
use crate::{Precision, Shard};

/// Two layers with GELU between them, or the hidden columns of one worker's shard.
#[derive(Debug)]
pub(crate) struct Mlp {
    fc1: Linear,
    gelu: Gelu,
    pub fc2: Linear,
    /// The columns of the whole model's hidden layer that this worker holds.
    columns: Range<usize>,
}

impl Mlp {
    pub fn new(config: &BlockConfig, precision: Precision, shard: Shard) -> Self {
        let columns = shard.range(config.intermediate_size);
        Mlp {
            fc1: Linear::new(precision, config.hidden_size, columns.len()),
            gelu: config.gelu,
            fc2: Linear::row_parallel(precision, columns.len(), config.intermediate_size, config.hidden_size),
            columns,
        }
    }

    /// GELU(fc1(x)) of the normed rows `x`, in `buffer`: the input of `fc2`.
    pub fn hidden<'b>(&self, x: &[f32], buffer: &'b mut Vec<f32>, scratch: &mut Scratch) -> &'b mut [f32] {
        let rows = x.len() / self.fc1.weight.inputs();
        let hidden = sized(buffer, rows * self.columns.len());
        self.fc1.forward_gelu(self.gelu, x, rows, hidden, scratch);
        hidden
    }

    pub fn destination(&mut self, layer: &str, kind: &str) -> Option<Destination<'_>> {
        let (columns, hidden) = (self.columns.clone(), 0..self.fc1.weight.inputs());
        match layer {
            "fc1" => self.fc1.destination(kind, 0, columns, hidden),
            "fc2" => self.fc2.destination(kind, 0, hidden, columns),
            _ => None,
        }
    }

    pub fn bytes(&self) -> usize {
        self.fc1.bytes() + self.fc2.bytes()
    }
}
