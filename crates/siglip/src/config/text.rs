//! The text tower's part of `config.json`.

use serde::{Deserialize, Deserializer, Serialize};

use super::blocks::{BlockConfig, GELU_TANH, blocks_of, check_blocks, in_range};
use crate::Error;

/// Version 1 pads with `</s>`.
const PAD_TOKEN_ID: u32 = 1;

/// The text tower's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Attention heads per block.
    pub num_attention_heads: usize,
    /// Context length: texts are cut and padded to this number of tokens.
    pub max_position_embeddings: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// The MLP's activation.
    pub hidden_act: String,
    /// The id that short texts are padded with. transformers takes the tokenizer's and allows `null` here: then it is the
    /// default.
    #[serde(deserialize_with = "pad_token_id")]
    pub pad_token_id: u32,
    /// Width of the embedding; the hidden size unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection_size: Option<usize>,
    /// Whether a linear layer makes the embedding of the last position. Only one model of open_clip's has none.
    #[serde(skip_serializing_if = "is_true")]
    pub use_head: bool,
    /// Whether texts are cleaned before they are tokenized; see [`canonicalize`](crate::text::canonicalize). transformers
    /// leaves this to the caller, open_clip's files ask for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub canonicalize: bool,
}

impl Default for TextConfig {
    fn default() -> Self {
        TextConfig {
            vocab_size: 32000,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 64,
            layer_norm_eps: 1e-6,
            hidden_act: GELU_TANH.into(),
            pad_token_id: PAD_TOKEN_ID,
            projection_size: None,
            use_head: true,
            canonicalize: false,
        }
    }
}

impl TextConfig {
    /// Width of the text embedding.
    pub fn embedding_size(&self) -> usize {
        self.projection_size.unwrap_or(self.hidden_size)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_blocks("text_config", &self.blocks(), &self.hidden_act)?;
        in_range("text_config.vocab_size", self.vocab_size, 1..=1 << 20)?;
        in_range("text_config.max_position_embeddings", self.max_position_embeddings, 1..=4096)?;
        if self.pad_token_id as usize >= self.vocab_size {
            let reason = format!("{} is outside the vocabulary of {}", self.pad_token_id, self.vocab_size);
            return Err(Error::unsupported("text_config.pad_token_id", reason));
        }
        if !self.use_head && self.embedding_size() != self.hidden_size {
            let reason = format!("{} without a head, whose output it is", self.embedding_size());
            return Err(Error::unsupported("text_config.projection_size", reason));
        }
        Ok(())
    }

    pub(crate) fn blocks(&self) -> BlockConfig {
        blocks_of!(self)
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

fn pad_token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(PAD_TOKEN_ID))
}
