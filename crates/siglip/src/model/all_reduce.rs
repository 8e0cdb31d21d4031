//! The all-reduce of several workers that share a model ([`Shard`](crate::Shard)).
//!
//! A sub-layer ends with a product over columns of which each worker holds some. The output is the sum over all workers,
//! which every worker needs: an all-reduce. Each worker's contribution goes to all others, and each adds all of them in
//! the same order, so that `x` stays equal to the last bit everywhere.
//!
//! * In f32 the contributions are summands of the output ([`AllReduce::SumF32`]). The order of additions differs from
//!   that of one worker, and so do the last bits.
//! * In 8 bits the sums are integers, which are the same in any order, so the output equals one worker's to the last
//!   bit. It takes two all-reduces: [`AllReduce::Ranges`] agrees on how every row is quantized, then [`AllReduce::SumI32`]
//!   adds up the integer products.

use siglip_kernels::{RowRange, Scratch};

use super::layers::Linear;
use crate::{Precision, Shard};

/// How the workers' contributions are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllReduce {
    /// Sum of f32 values, added to `x` as they come.
    SumF32,
    /// The range of each row of the projection's input.
    Ranges,
    /// Sum of i32 products of quantized values.
    SumI32,
}

/// One worker's contribution to the output of a sub-layer, or of a tower's embeddings.
#[derive(Debug)]
pub(crate) struct PartialOutput {
    shard: Shard,
    operation: AllReduce,
    /// The range of each row; used with 8 bits.
    ranges: Vec<RowRange>,
    /// Values of f32 or of i32, by `operation`.
    sums: Vec<i32>,
}

impl PartialOutput {
    pub fn new(shard: Shard) -> Self {
        PartialOutput { shard, operation: AllReduce::SumF32, ranges: Vec::new(), sums: Vec::new() }
    }

    /// A contribution of `len` zeros in f32.
    pub fn zeroed(&mut self, len: usize) -> &mut [f32] {
        let values = self.values(len);
        values.fill(0.0);
        values
    }

    /// Computes the first contribution to x += projection(input), where `input` has this worker's columns.
    pub fn begin_output(&mut self, projection: &Linear, input: &[f32], rows: usize, scratch: &mut Scratch) {
        match projection.weight.precision() {
            Precision::F32 | Precision::Bf16 => {
                let is_first = self.shard.is_first();
                let values = self.values(rows * projection.weight.outputs());
                // The bias must be added once.
                let forward = if is_first { Linear::forward } else { Linear::forward_without_bias };
                forward(projection, input, rows, values, scratch);
            }
            Precision::Q8 | Precision::Q8Exact => {
                self.operation = AllReduce::Ranges;
                self.ranges.resize(rows, [0; 3]);
                siglip_kernels::row_ranges(input, projection.weight.inputs(), &mut self.ranges);
            }
        }
    }

    /// Continues after an all-reduce. Returns true if another all-reduce must follow, and false once `x` is complete. `input` begins
    /// with the input of `projection`.
    pub fn finish_output(
        &mut self,
        projection: &Linear,
        input: &[f32],
        x: &mut [f32],
        scratch: &mut Scratch,
    ) -> bool {
        match self.operation {
            AllReduce::SumF32 => false,
            AllReduce::Ranges => {
                self.operation = AllReduce::SumI32;
                self.sums.resize(self.ranges.len() * projection.weight.outputs(), 0);
                let input = &input[..self.ranges.len() * projection.weight.inputs()];
                projection.partial_sums(input, &self.ranges, &mut self.sums, scratch);
                true
            }
            AllReduce::SumI32 => {
                projection.add_sums(&self.sums, &self.ranges, x);
                false
            }
        }
    }

    /// This worker's contribution, as bits of f32 or i32.
    pub fn contribution(&self) -> &[u32] {
        match self.operation {
            AllReduce::Ranges => bytemuck::cast_slice(&self.ranges),
            AllReduce::SumF32 | AllReduce::SumI32 => bytemuck::cast_slice(&self.sums),
        }
    }

    /// Combines another worker's contribution with this worker's state, or adds it to `x`.
    pub fn reduce(&mut self, contribution: &[u32], x: &mut [f32]) {
        match self.operation {
            AllReduce::SumF32 => {
                let values = bytemuck::cast_slice(contribution);
                siglip_kernels::add_assign(&mut x[..values.len()], values);
            }
            AllReduce::Ranges => {
                siglip_kernels::merge_row_ranges(&mut self.ranges, bytemuck::cast_slice(contribution));
            }
            AllReduce::SumI32 => {
                let own = bytemuck::cast_slice_mut::<i32, u32>(&mut self.sums);
                own.iter_mut().zip(contribution).for_each(|(own, other)| *own = own.wrapping_add(*other));
            }
        }
    }

    /// Adds this worker's own contribution to `x`, in its turn among the others'. Ranges and integer sums hold it
    /// already.
    pub fn reduce_own(&self, x: &mut [f32]) {
        if self.operation == AllReduce::SumF32 {
            let values = bytemuck::cast_slice(&self.sums);
            siglip_kernels::add_assign(&mut x[..values.len()], values);
        }
    }

    /// Begins a contribution of `len` values in f32.
    fn values(&mut self, len: usize) -> &mut [f32] {
        self.operation = AllReduce::SumF32;
        self.sums.resize(len, 0);
        bytemuck::cast_slice_mut(&mut self.sums)
    }
}
