//! The text tower: token and position embeddings, blocks, and a linear head on the last position.

use std::ops::Range;

use super::block::{self, Block, BlockPrecision, SubLayer};
use super::destination::{Destination, whole_values};
use super::layers::{LayerNorm, Linear};
use super::sequences::{OutputRows, Sequences};
use super::token_table::TokenTable;
use super::workspace::Workspace;
use crate::config::TextConfig;
use crate::{Precision, Shard};

#[derive(Debug)]
pub(crate) struct TextTower {
    config: TextConfig,
    token_embedding: TokenTable,
    /// The ids whose rows this worker holds.
    tokens: Range<usize>,
    position_embedding: Vec<f32>,
    /// All, or the first one alone if something else runs them.
    blocks: Vec<Block>,
    /// Of the matrices.
    precision: Precision,
    /// Only the first worker has it.
    head: Option<TextHead>,
}

#[derive(Debug)]
struct TextHead {
    final_layer_norm: LayerNorm,
    projection: Option<Linear>,
}

impl TextHead {
    fn bytes(&self) -> usize {
        self.final_layer_norm.bytes() + self.projection.as_ref().map_or(0, Linear::bytes)
    }
}

/// The precision of a block's products. A text has one row from the last block's attention output on, and its rounding errors
/// are those of the embedding.
fn precision_of(block: usize, blocks: usize, precision: Precision) -> BlockPrecision {
    let after_attention = if block + 1 == blocks { precision.exact() } else { precision };
    BlockPrecision { qkv: precision, out_proj: after_attention, mlp: after_attention }
}

impl TextTower {
    pub fn new(config: &TextConfig, precision: Precision, shard: Shard) -> Self {
        let (blocks, hidden) = (config.blocks(), config.hidden_size);
        let tokens = shard.range(config.vocab_size);
        TextTower {
            token_embedding: TokenTable::new(precision, tokens.len(), hidden),
            tokens,
            position_embedding: vec![0.0; config.max_position_embeddings * hidden],
            blocks: (0..shard.blocks(blocks.num_hidden_layers))
                .map(|block| {
                    Block::new(&blocks, precision_of(block, blocks.num_hidden_layers, precision), shard)
                })
                .collect(),
            head: shard.is_first().then(|| TextHead {
                final_layer_norm: LayerNorm::new(hidden, config.layer_norm_eps),
                projection: config
                    .use_head
                    .then(|| Linear::new(precision.exact(), hidden, config.embedding_size())),
            }),
            precision,
            config: config.clone(),
        }
    }

    /// The place of one of its tensors, by the name after `text_model.`.
    pub fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        if let Some((layer, name)) =
            name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'))
        {
            let layer: usize = layer.parse().ok()?;
            return match self.blocks.get_mut(layer) {
                Some(block) => block.destination(name),
                None => (layer < self.config.num_hidden_layers)
                    .then(|| Destination::Elsewhere(block::stored_precision(name, self.precision))),
            };
        }
        match name {
            "embeddings.token_embedding.weight" => {
                let (table, rows) = (&mut self.token_embedding, self.tokens.clone());
                return Some(Destination::Table { table, rows });
            }
            "embeddings.position_embedding.weight" => {
                return Some(whole_values(&mut self.position_embedding));
            }
            _ => {}
        }
        let Some(head) = &mut self.head else { return Some(Destination::Elsewhere(Precision::F32)) };
        match name.split_once('.')? {
            ("final_layer_norm", kind) => head.final_layer_norm.destination(kind),
            ("head", kind) => head.projection.as_mut()?.whole(kind),
            _ => None,
        }
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Tokens of one text.
    pub fn length(&self) -> usize {
        self.config.max_position_embeddings
    }

    pub fn vocab_size(&self) -> usize {
        self.config.vocab_size
    }

    /// x = token embedding of `input_ids` [texts, length] + position embedding.
    pub fn embed(&self, input_ids: &[u32], workspace: &mut Workspace) {
        let residual = &mut workspace.residual;
        residual.x.clear();
        for _ in 0..input_ids.len() / self.length() {
            residual.x.extend_from_slice(&self.position_embedding);
        }
        let rows = residual.embedding_target().chunks_exact_mut(self.config.hidden_size);
        for (&id, row) in input_ids.iter().zip(rows) {
            if self.tokens.contains(&(id as usize)) {
                self.token_embedding.add_row(id as usize - self.tokens.start, row);
            }
        }
    }

    /// Runs one sub-layer over all texts. The last block computes only the rows that are pooled.
    pub fn forward(&self, sub_layer: SubLayer, texts: usize, workspace: &mut Workspace) {
        let block = sub_layer.block();
        let output_rows = if block + 1 == self.blocks.len() { OutputRows::Last } else { OutputRows::All };
        let sequences = Sequences { count: texts, length: self.length() };
        self.blocks[block].forward(sub_layer, sequences, output_rows, workspace);
    }

    /// The texts' embeddings, [texts, embedding size], not yet normalized; empty on every worker but the first.
    pub fn pool(&self, texts: usize, workspace: &mut Workspace) -> Vec<f32> {
        let Some(head) = &self.head else { return Vec::new() };
        let Workspace { residual, normed, scratch, .. } = workspace;
        let normed = head.final_layer_norm.forward(&residual.x, normed);
        let Some(projection) = &head.projection else { return normed.to_vec() };
        let mut embeddings = vec![0.0; texts * self.config.embedding_size()];
        projection.forward(normed, texts, &mut embeddings, scratch);
        embeddings
    }

    pub fn bytes(&self) -> usize {
        self.token_embedding.bytes()
            + size_of_val(&self.position_embedding[..])
            + self.blocks.iter().map(Block::bytes).sum::<usize>()
            + self.head.as_ref().map_or(0, TextHead::bytes)
    }
}
