//! The transformer block that both towers are made of.

use super::attention::Attention;
use super::destination::Destination;
use super::layers::{LayerNorm, Linear};
use super::mlp::Mlp;
use super::sequences::{OutputRows, Sequences};
use super::workspace::Workspace;
use crate::config::BlockConfig;
use crate::{Precision, Shard};

/// One of the two residual updates of a block. The number is the block's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubLayer {
    /// x += attention(norm1(x))
    Attention(usize),
    /// x += mlp(norm2(x))
    Mlp(usize),
}

impl SubLayer {
    /// The number of its block.
    pub fn block(self) -> usize {
        let (SubLayer::Attention(block) | SubLayer::Mlp(block)) = self;
        block
    }

    /// The next sub-layer of a tower with this number of blocks; `None` after the last.
    pub fn next(self, blocks: usize) -> Option<SubLayer> {
        match self {
            SubLayer::Attention(block) => Some(SubLayer::Mlp(block)),
            SubLayer::Mlp(block) => (block + 1 < blocks).then_some(SubLayer::Attention(block + 1)),
        }
    }
}

/// The precision that one of a block's tensors is stored in, by the name after `encoder.layers.N.`: its matrices in that of the
/// model, biases and norms in f32.
pub(crate) fn stored_precision(name: &str, matrices: Precision) -> Precision {
    let is_matrix = name.ends_with(".weight") && !name.starts_with("layer_norm");
    if is_matrix { matrices } else { Precision::F32 }
}

/// The precisions of a block's products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockPrecision {
    pub qkv: Precision,
    /// Of the attention's output.
    pub out_proj: Precision,
    pub mlp: Precision,
}

impl From<Precision> for BlockPrecision {
    fn from(precision: Precision) -> Self {
        BlockPrecision { qkv: precision, out_proj: precision, mlp: precision }
    }
}

#[derive(Debug)]
pub(crate) struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    pub fn new(config: &BlockConfig, precision: BlockPrecision, shard: Shard) -> Self {
        Block {
            norm1: LayerNorm::new(config.hidden_size, config.layer_norm_eps),
            attention: Attention::new(config, precision, shard),
            norm2: LayerNorm::new(config.hidden_size, config.layer_norm_eps),
            mlp: Mlp::new(config, precision.mlp, shard),
        }
    }

    /// Runs one sub-layer: x += attention(norm1(x)), or x += mlp(norm2(x)).
    pub fn forward(
        &self,
        sub_layer: SubLayer,
        sequences: Sequences,
        output_rows: OutputRows,
        workspace: &mut Workspace,
    ) {
        let Workspace { residual, normed, wide, context, scratch } = workspace;
        match sub_layer {
            SubLayer::Attention(_) => {
                let normed = self.norm1.forward(&residual.x, normed);
                self.attention.attend(normed, sequences, output_rows, wide, context, scratch);
                if output_rows == OutputRows::Last {
                    residual.drop_all_but_last_rows(sequences);
                }
                residual.add(&self.attention.out_proj, context, scratch);
            }
            SubLayer::Mlp(_) => {
                let normed = self.norm2.forward(&residual.x, normed);
                let hidden = self.mlp.hidden(normed, wide, scratch);
                residual.add(&self.mlp.fc2, hidden, scratch);
            }
        }
    }

    /// The layer whose output a sub-layer adds to `x`.
    pub fn output_projection(&self, sub_layer: SubLayer) -> &Linear {
        match sub_layer {
            SubLayer::Attention(_) => &self.attention.out_proj,
            SubLayer::Mlp(_) => &self.mlp.fc2,
        }
    }

    /// The place of one of its tensors, by the name after `encoder.layers.N.`.
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

    pub fn bytes(&self) -> usize {
        self.norm1.bytes() + self.attention.bytes() + self.norm2.bytes() + self.mlp.bytes()
    }
}
