//! The transformer block both towers are made of: x + attention(norm(x)), then x + MLP(norm(x)).

use std::ops::Range;

use siglip_kernels::{AttentionShape, Precision, Scratch};

use super::Shard;
use super::layers::{Destination, LayerNorm, Linear};
use super::workspace::{Workspace, sized};
use crate::config::BlockConfig;

/// The rows of a pass: so many sequences of equal length, each attending within itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    pub sequences: usize,
    pub length: usize,
}

impl Rows {
    pub fn count(self) -> usize {
        self.sequences * self.length
    }
}

/// Which rows of a sequence a block has to answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Every one.
    All,
    /// Only the last: what is pooled from the text tower. `x` holds these rows alone afterwards.
    Last,
}

#[derive(Debug)]
pub(crate) struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    pub fn new(config: &BlockConfig, precision: Precision, shard: Shard) -> Self {
        Block {
            norm1: LayerNorm::new(config.hidden_size, config.layer_norm_eps),
            attention: Attention::new(config, precision, shard),
            norm2: LayerNorm::new(config.hidden_size, config.layer_norm_eps),
            mlp: Mlp::new(config, precision, shard),
        }
    }

    /// The place of one of its tensors, by the name that follows `encoder.layers.N.`.
    pub fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        let (layer, kind) = name.rsplit_once('.')?;
        match layer.split_once('.') {
            None if layer == "layer_norm1" => self.norm1.destination(kind),
            None if layer == "layer_norm2" => self.norm2.destination(kind),
            Some(("self_attn", projection)) => self.attention.destination(projection, kind),
            Some(("mlp", layer)) => self.mlp.destination(layer, kind),
            _ => None,
        }
    }

    /// attention(norm(x)), but for its last layer.
    pub fn attend(&self, rows: Rows, wanted: Wanted, workspace: &mut Workspace) {
        let Workspace { residual, normed, wide, inner, scratch } = workspace;
        let width = self.norm1.width();
        let normed = sized(normed, rows.count() * width);
        self.norm1.forward(&residual.x[..normed.len()], normed);
        let qkv = sized(wide, rows.count() * self.attention.qkv.weight.outputs());
        self.attention.qkv.forward(normed, rows.count(), qkv, scratch);
        let queries = match wanted {
            Wanted::All => rows.length,
            Wanted::Last => 1,
        };
        let mixed = inner.resize(rows.sequences * queries, self.attention.width());
        self.attention.mix(rows, queries, qkv, mixed);
        if wanted == Wanted::Last {
            for sequence in 0..rows.sequences {
                let last = (sequence + 1) * rows.length - 1;
                residual.x.copy_within(last * width..(last + 1) * width, sequence * width);
            }
        }
    }

    /// MLP(norm(x)), but for its last layer.
    pub fn transform(&self, rows: usize, workspace: &mut Workspace) {
        let Workspace { residual, normed, inner, scratch, .. } = workspace;
        let normed = sized(normed, rows * self.norm2.width());
        self.norm2.forward(&residual.x[..normed.len()], normed);
        let middle = inner.resize(rows, self.mlp.width());
        self.mlp.fc1.forward_gelu(normed, rows, middle, scratch);
    }

    pub fn bytes(&self) -> usize {
        self.norm1.bytes() + self.attention.bytes() + self.norm2.bytes() + self.mlp.bytes()
    }
}

/// The last layer of half a block, counted from the first block's.
pub(crate) fn last_layer(blocks: &[Block], half: usize) -> &Linear {
    let block = &blocks[half / 2];
    if half.is_multiple_of(2) { &block.attention.out } else { &block.mlp.fc2 }
}

/// Multi-head self-attention over some of the heads.
#[derive(Debug)]
struct Attention {
    /// Queries, keys and values in one product: [3 x width, hidden_size].
    qkv: Linear,
    out: Linear,
    head_dim: usize,
    /// Columns of the whole model's heads that are held here.
    columns: Range<usize>,
    hidden_size: usize,
}

impl Attention {
    fn new(config: &BlockConfig, precision: Precision, shard: Shard) -> Self {
        let (hidden_size, head_dim) = (config.hidden_size, config.head_dim());
        let heads = shard.part(config.num_attention_heads);
        let columns = heads.start * head_dim..heads.end * head_dim;
        Attention {
            qkv: Linear::new(precision, hidden_size, 3 * columns.len()),
            out: Linear::part(precision, columns.len(), hidden_size, hidden_size),
            head_dim,
            columns,
            hidden_size,
        }
    }

    /// Width of what its heads make together.
    fn width(&self) -> usize {
        self.columns.len()
    }

    fn destination(&mut self, projection: &str, kind: &str) -> Option<Destination<'_>> {
        let (columns, hidden, width) = (self.columns.clone(), 0..self.hidden_size, self.columns.len());
        match projection {
            "q_proj" => self.qkv.destination(kind, 0, columns, hidden),
            "k_proj" => self.qkv.destination(kind, width, columns, hidden),
            "v_proj" => self.qkv.destination(kind, 2 * width, columns, hidden),
            "out_proj" => self.out.destination(kind, 0, hidden, columns),
            _ => None,
        }
    }

    /// softmax(q kᵀ / sqrt(head_dim)) v for the last `queries` rows of every sequence, as precise as the products.
    fn mix(&self, rows: Rows, queries: usize, qkv: &[f32], mixed: &mut [f32]) {
        let (width, stride) = (self.width(), 3 * self.width());
        let shape = AttentionShape {
            q_rows: queries,
            kv_rows: rows.length,
            heads: width / self.head_dim,
            head_dim: self.head_dim,
            q_stride: stride,
            kv_stride: stride,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
        };
        let attend = match self.qkv.weight.precision() {
            Precision::F32 => siglip_kernels::attention,
            Precision::Q8 => siglip_kernels::attention_q8,
        };
        let sequences = qkv.chunks_exact(rows.length * stride).zip(mixed.chunks_exact_mut(queries * width));
        for (qkv, mixed) in sequences {
            let q = &qkv[(rows.length - queries) * stride..];
            attend(&shape, q, &qkv[width..], &qkv[2 * width..], mixed);
        }
    }

    fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out.bytes()
    }
}

/// Two layers with GELU between them, over some of the middle's columns.
#[derive(Debug)]
pub(crate) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    /// Columns of the whole model's middle that are held here.
    columns: Range<usize>,
}

impl Mlp {
    pub fn new(config: &BlockConfig, precision: Precision, shard: Shard) -> Self {
        let columns = shard.part(config.intermediate_size);
        Mlp {
            fc1: Linear::new(precision, config.hidden_size, columns.len()),
            fc2: Linear::part(precision, columns.len(), config.intermediate_size, config.hidden_size),
            columns,
        }
    }

    pub fn destination(&mut self, layer: &str, kind: &str) -> Option<Destination<'_>> {
        let (columns, hidden) = (self.columns.clone(), 0..self.fc1.weight.inputs());
        match layer {
            "fc1" => self.fc1.destination(kind, 0, columns, hidden),
            "fc2" => self.fc2.destination(kind, 0, hidden, columns),
            _ => None,
        }
    }

    fn width(&self) -> usize {
        self.columns.len()
    }

    /// `out` += what it makes of one row, of a whole model.
    pub fn add_row(&self, x: &[f32], wide: &mut Vec<f32>, out: &mut [f32], scratch: &mut Scratch) {
        let middle = sized(wide, self.width());
        self.fc1.forward_gelu(x, 1, middle, scratch);
        self.fc2.forward_add(middle, 1, out, scratch);
    }

    pub fn bytes(&self) -> usize {
        self.fc1.bytes() + self.fc2.bytes()
    }
}
