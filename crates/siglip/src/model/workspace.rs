use siglip_kernels::{Precision, Scratch};

use super::Shard;
use super::layers::Linear;

/// Buffers of a forward pass, kept from one pass to the next: memory is asked for once.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub residual: Residual,
    /// The residual stream behind a layer norm, or a tower's input.
    pub normed: Vec<f32>,
    /// Queries, keys and values, or what a pooling head makes.
    pub wide: Vec<f32>,
    pub inner: Inner,
    pub scratch: Scratch,
}

impl Workspace {
    pub fn new(shard: Shard) -> Self {
        Workspace {
            residual: Residual::new(shard),
            normed: Vec::new(),
            wide: Vec::new(),
            inner: Inner::default(),
            scratch: Scratch::default(),
        }
    }
}

/// What half a block makes of its input, before its last layer: the heads' outputs, or the middle of the MLP.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    values: Vec<f32>,
    rows: usize,
}

impl Inner {
    /// Room for `rows` rows of `width`.
    pub fn resize(&mut self, rows: usize, width: usize) -> &mut [f32] {
        self.rows = rows;
        self.values.resize(rows * width, 0.0);
        &mut self.values
    }
}

/// The residual stream, and what a shard is about to add to it.
#[derive(Debug)]
pub(crate) struct Residual {
    pub shard: Shard,
    /// Row-major [rows, hidden_size]; equal to the last bit on every shard between steps.
    pub x: Vec<f32>,
    stage: Stage,
    /// The largest magnitude of each row of the input of a layer in 8 bits.
    magnitudes: Vec<f32>,
    /// f32s or i32s, by the stage.
    part: Vec<i32>,
}

/// What shards exchange.
///
/// A layer in 8 bits is added up in integers, whose sum is the same in any order: first the shards agree on the
/// magnitude of every row, by which it is scaled to levels, then they add up their sums over levels. So a model in 8 bits
/// gives the same bits with any number of workers. Sums in f32 differ in the last bits from those of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `part` is in f32, to be added to `x`.
    Values,
    /// `magnitudes`, of which the largest count.
    Magnitudes,
    /// `part` is in levels, to be added up.
    Levels,
}

impl Residual {
    pub fn new(shard: Shard) -> Self {
        Residual { shard, x: Vec::new(), stage: Stage::Values, magnitudes: Vec::new(), part: Vec::new() }
    }

    /// What a tower's input may be added to, a shard's part of it: values of `x`, or zeros.
    pub fn contribution(&mut self) -> &mut [f32] {
        if self.shard.is_whole() {
            return &mut self.x;
        }
        let len = self.x.len();
        let part = self.values(len);
        part.fill(0.0);
        part
    }

    /// Begins to add `layer` of `inner`, or a contribution where there is no layer. Whether the shards have to exchange
    /// parts before [`Residual::proceed`].
    pub fn offer(&mut self, layer: Option<&Linear>, inner: &Inner, scratch: &mut Scratch) -> bool {
        let Some(layer) = layer else { return !self.shard.is_whole() };
        let (input, rows) = (&inner.values[..], inner.rows);
        let values = rows * layer.weight.outputs();
        if self.shard.is_whole() {
            layer.forward_add(input, rows, &mut self.x[..values], scratch);
            return false;
        }
        match layer.weight.precision() {
            Precision::F32 => {
                let (is_first, part) = (self.shard.is_first(), self.values(values));
                let forward = if is_first { Linear::forward } else { Linear::forward_without_bias };
                forward(layer, input, rows, part, scratch);
            }
            Precision::Q8 => {
                self.stage = Stage::Magnitudes;
                self.magnitudes.resize(rows, 0.0);
                siglip_kernels::row_magnitudes(input, layer.weight.inputs(), &mut self.magnitudes);
            }
        }
        true
    }

    /// Goes on after an exchange; whether another has to follow.
    pub fn proceed(&mut self, layer: Option<&Linear>, inner: &Inner, scratch: &mut Scratch) -> bool {
        match (self.stage, layer) {
            (Stage::Magnitudes, Some(layer)) => {
                self.stage = Stage::Levels;
                self.part.resize(inner.rows * layer.weight.outputs(), 0);
                layer.sums(&inner.values, &self.magnitudes, &mut self.part, scratch);
                true
            }
            (Stage::Levels, Some(layer)) => {
                layer.add_sums(&self.part, &self.magnitudes, &mut self.x[..self.part.len()]);
                false
            }
            _ => false,
        }
    }

    /// This shard's part.
    pub fn part(&self) -> &[u32] {
        match self.stage {
            Stage::Magnitudes => bytemuck::cast_slice(&self.magnitudes),
            Stage::Values | Stage::Levels => bytemuck::cast_slice(&self.part),
        }
    }

    /// Adds another shard's part.
    pub fn add_part(&mut self, part: &[u32]) {
        match self.stage {
            Stage::Values => {
                let part = bytemuck::cast_slice(part);
                siglip_kernels::add_assign(&mut self.x[..part.len()], part);
            }
            // Magnitudes are in the order of their bits, a NaN above all.
            Stage::Magnitudes => {
                let own = bytemuck::cast_slice_mut::<f32, u32>(&mut self.magnitudes);
                own.iter_mut().zip(part).for_each(|(own, other)| *own = (*own).max(*other));
            }
            Stage::Levels => {
                let own = bytemuck::cast_slice_mut::<i32, u32>(&mut self.part);
                own.iter_mut().zip(part).for_each(|(own, other)| *own = own.wrapping_add(*other));
            }
        }
    }

    /// Adds this shard's own part, in its place among the others'.
    pub fn add_own_part(&mut self) {
        if self.stage == Stage::Values {
            let part = bytemuck::cast_slice(&self.part);
            siglip_kernels::add_assign(&mut self.x[..part.len()], part);
        }
    }

    /// Room for a part in f32.
    fn values(&mut self, values: usize) -> &mut [f32] {
        self.stage = Stage::Values;
        self.part.resize(values, 0);
        bytemuck::cast_slice_mut(&mut self.part)
    }
}

/// The first `len` values of `buffer`, which grows where it is too short.
pub(crate) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
