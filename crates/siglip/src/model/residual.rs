//! The residual stream.

use siglip_kernels::Scratch;

use super::all_reduce::PartialOutput;
use super::layers::Linear;
use super::sequences::Sequences;
use crate::Shard;

/// The residual stream, to which every sub-layer adds its output.
#[derive(Debug)]
pub(crate) struct Residual {
    /// Row-major [rows, hidden_size]. Between steps it is equal to the last bit on every worker.
    pub x: Vec<f32>,
    /// Only if several workers share the model: what this worker contributes to the next addition.
    pub partial: Option<PartialOutput>,
}

impl Residual {
    pub fn new(shard: Shard) -> Self {
        let partial = (!shard.is_whole()).then(|| PartialOutput::new(shard));
        Residual { x: Vec::new(), partial }
    }

    /// x += projection(input). If several workers share the model, each has some columns of the input: then the sum
    /// awaits an all-reduce, after which [`PartialOutput::finish_output`] adds it.
    pub fn add(&mut self, projection: &Linear, input: &[f32], scratch: &mut Scratch) {
        let rows = self.x.len() / projection.weight.outputs();
        match &mut self.partial {
            None => projection.forward_add(input, rows, &mut self.x, scratch),
            Some(partial) => partial.begin_output(projection, input, rows, scratch),
        }
    }

    /// Where a tower adds its embedded patches or tokens: `x` itself, or zeros that the all-reduce adds to `x`.
    pub fn embedding_target(&mut self) -> &mut [f32] {
        match &mut self.partial {
            None => &mut self.x,
            Some(partial) => partial.zeroed(self.x.len()),
        }
    }

    /// Moves the last row of every sequence to the front and drops the others.
    pub fn drop_all_but_last_rows(&mut self, sequences: Sequences) {
        let Sequences { count, length } = sequences;
        let width = self.x.len() / (count * length);
        for sequence in 0..count {
            let last = (sequence + 1) * length - 1;
            self.x.copy_within(last * width..(last + 1) * width, sequence * width);
        }
        self.x.truncate(count * width);
    }
}
