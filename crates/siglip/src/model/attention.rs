//! Multi-head self-attention.

use std::ops::Range;

use siglip_kernels::{AttentionShape, Scratch};

use super::block::BlockPrecision;
use super::buffer::sized;
use super::destination::Destination;
use super::layers::Linear;
use super::sequences::{OutputRows, Sequences};
use crate::config::BlockConfig;
use crate::{Precision, Shard};

/// Multi-head self-attention, or the heads of one worker's shard.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Queries, keys and values in one product: [3 x width, hidden_size].
    qkv: Linear,
    pub out_proj: Linear,
    head_dim: usize,
    /// The columns of the whole model's heads that this worker holds.
    columns: Range<usize>,
    hidden_size: usize,
}

impl Attention {
    pub fn new(config: &BlockConfig, precision: BlockPrecision, shard: Shard) -> Self {
        let (hidden_size, head_dim) = (config.hidden_size, config.head_dim());
        let heads = shard.range(config.num_attention_heads);
        let columns = heads.start * head_dim..heads.end * head_dim;
        Attention {
            qkv: Linear::new(precision.qkv, hidden_size, 3 * columns.len()),
            out_proj: Linear::row_parallel(precision.out_proj, columns.len(), hidden_size, hidden_size),
            head_dim,
            columns,
            hidden_size,
        }
    }

    /// Width of its heads' outputs together.
    fn width(&self) -> usize {
        self.columns.len()
    }

    /// `context` = softmax(q kᵀ / sqrt(head_dim)) v of the normed rows `x`, for every output row of every sequence: the
    /// input of `out_proj`. `qkv` is a buffer. Products are as precise as the weights.
    pub fn attend(
        &self,
        x: &[f32],
        sequences: Sequences,
        output_rows: OutputRows,
        qkv: &mut Vec<f32>,
        context: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let Sequences { count, length } = sequences;
        let (width, stride) = (self.width(), 3 * self.width());
        let qkv = sized(qkv, count * length * stride);
        self.qkv.forward(x, count * length, qkv, scratch);
        let queries = match output_rows {
            OutputRows::All => length,
            OutputRows::Last => 1,
        };
        context.resize(count * queries * width, 0.0);
        let shape = AttentionShape {
            q_rows: queries,
            kv_rows: length,
            heads: width / self.head_dim,
            head_dim: self.head_dim,
            q_stride: stride,
            kv_stride: stride,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
        };
        let attention = match self.qkv.weight.precision() {
            Precision::F32 => siglip_kernels::attention,
            Precision::Bf16 | Precision::Q8 | Precision::Q8Exact => siglip_kernels::attention_q8,
        };
        for (qkv, context) in qkv.chunks_exact(length * stride).zip(context.chunks_exact_mut(queries * width))
        {
            let q = &qkv[(length - queries) * stride..];
            attention(&shape, q, &qkv[width..], &qkv[2 * width..], context);
        }
    }

    pub fn destination(&mut self, projection: &str, kind: &str) -> Option<Destination<'_>> {
        let (columns, hidden, width) = (self.columns.clone(), 0..self.hidden_size, self.columns.len());
        match projection {
            "q_proj" => self.qkv.destination(kind, 0, columns, hidden),
            "k_proj" => self.qkv.destination(kind, width, columns, hidden),
            "v_proj" => self.qkv.destination(kind, 2 * width, columns, hidden),
            "out_proj" => self.out_proj.destination(kind, 0, hidden, columns),
            _ => None,
        }
    }

    pub fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out_proj.bytes()
    }
}
