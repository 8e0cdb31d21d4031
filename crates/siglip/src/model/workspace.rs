use siglip_kernels::Scratch;

use super::Shard;
use super::layers::Linear;

/// Buffers of a forward pass, kept from one pass to the next: memory is asked for once.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub residual: Residual,
    /// The residual stream behind a layer norm, or a tower's input.
    pub normed: Vec<f32>,
    /// Queries, keys and values, or the MLP's middle.
    pub wide: Vec<f32>,
    /// What attention made of the values.
    pub mixed: Vec<f32>,
    pub scratch: Scratch,
}

impl Workspace {
    pub fn new(shard: Shard) -> Self {
        let residual = Residual { shard, x: Vec::new(), partial: Vec::new() };
        let scratch = Scratch::default();
        Workspace { residual, normed: Vec::new(), wide: Vec::new(), mixed: Vec::new(), scratch }
    }
}

/// The residual stream, and what a shard is about to add to it.
#[derive(Debug)]
pub(crate) struct Residual {
    pub shard: Shard,
    /// Row-major [rows, hidden_size]; equal on every shard between steps.
    pub x: Vec<f32>,
    /// A shard's part of a sum over all shards; empty where there is one worker.
    pub partial: Vec<f32>,
}

impl Residual {
    /// Adds `linear` of `rows` rows of `input`; of a shard, leaves its part of that in `partial`.
    pub fn add(&mut self, linear: &Linear, input: &[f32], rows: usize, scratch: &mut Scratch) {
        let values = rows * linear.weight.outputs();
        if self.shard.is_whole() {
            linear.forward_add(input, rows, &mut self.x[..values], scratch);
        } else {
            self.partial.resize(values, 0.0);
            linear.forward(input, rows, &mut self.partial, scratch);
        }
    }
}

/// The first `len` values of `buffer`, which grows where it is too short.
pub(crate) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
