//! The memory that a model takes, known before it is built.

use siglip_kernels::PackedMatrix;

use crate::config::{BlockConfig, TextConfig, VisionConfig};
use crate::{Config, Error, LoadOptions, Precision, Shard};

/// Memory is reserved in chunks of this size: on 32-bit targets one allocation is at most half the address space.
const CHUNK: usize = 64 << 20;

/// Bytes that the packed weights take: [`Model::bytes`](super::Model::bytes) of the loaded model.
pub fn packed_bytes(config: &Config, options: LoadOptions) -> u64 {
    let LoadOptions { precision, towers, shard, .. } = options;
    let sizes = Sizes { precision, shard };
    if let Some(classifier) = &config.classifier {
        let hidden = config.vision_config.hidden_size;
        let last = if shard.is_first() { values(classifier.labels.len() * (hidden + 1)) } else { 0 };
        return sizes.image_tower(&config.vision_config) + last;
    }
    let vision = if towers.has_image() { sizes.vision(&config.vision_config) } else { 0 };
    vision + if towers.has_text() { sizes.text(&config.text_config) } else { 0 }
}

/// Bytes that loading takes at its peak: the packed weights, and the tensors that the pooling head and interpolated positions
/// are computed from.
pub fn memory_needed(config: &Config, options: LoadOptions) -> u64 {
    let hidden = config.vision_config.hidden_size;
    let has_pooling_head =
        options.towers.has_image() && options.shard.is_first() && config.classifier.is_none();
    let unfolded = if has_pooling_head { values(3 * hidden * (hidden + 1) + hidden) } else { 0 };
    let vision = &config.vision_config;
    let is_interpolated = options.towers.has_image() && vision.trained_image_size.is_some();
    let trained_positions = if is_interpolated { values(vision.num_positions() * hidden) } else { 0 };
    packed_bytes(config, options) + unfolded + trained_positions
}

/// Checks that this much memory is available, by allocating and freeing it. WebAssembly memory never shrinks, so there
/// the model then uses the same memory.
pub(super) fn reserve(bytes: u64) -> Result<(), Error> {
    let mut chunks = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(CHUNK as u64);
        let mut chunk = Vec::<u8>::new();
        chunk.try_reserve_exact(length as usize).map_err(|_| Error::OutOfMemory { needed: bytes })?;
        chunks.push(chunk);
        left -= length;
    }
    Ok(())
}

struct Sizes {
    precision: Precision,
    shard: Shard,
}

impl Sizes {
    fn vision(&self, config: &VisionConfig) -> u64 {
        let head = if self.shard.is_first() { self.pooling_head(&config.blocks()) } else { 0 };
        self.image_tower(config) + head
    }

    /// The image tower without its pooling head.
    fn image_tower(&self, config: &VisionConfig) -> u64 {
        let (hidden, blocks) = (config.hidden_size, config.blocks());
        let patch_outputs = self.shard.range(hidden).len();
        let patch_embedding = linear(Precision::F32, config.patch_values(), patch_outputs);
        let positions = values(config.num_patches() * hidden);
        let last_norm = if self.shard.is_first() { norm(hidden) } else { 0 };
        patch_embedding + positions + self.blocks(&blocks) + last_norm
    }

    fn text(&self, config: &TextConfig) -> u64 {
        let hidden = config.hidden_size;
        let tokens = self.shard.range(config.vocab_size).len();
        let table = match self.precision {
            Precision::F32 | Precision::Bf16 => values(tokens * hidden),
            Precision::Q8 | Precision::Q8Exact => (tokens * hidden) as u64 + values(tokens),
        };
        let positions = values(config.max_position_embeddings * hidden);
        let head = match self.shard.is_first() {
            true => norm(hidden) + linear(self.precision, hidden, config.embedding_size()),
            false => 0,
        };
        table + positions + self.blocks(&config.blocks()) + head
    }

    fn blocks(&self, config: &BlockConfig) -> u64 {
        let hidden = config.hidden_size;
        let width = self.shard.range(config.num_attention_heads).len() * config.head_dim();
        let attention = linear(self.precision, hidden, 3 * width) + linear(self.precision, width, hidden);
        let block = 2 * norm(hidden) + attention + self.mlp(config, self.shard);
        self.shard.blocks(config.num_hidden_layers) as u64 * block
    }

    fn mlp(&self, config: &BlockConfig, shard: Shard) -> u64 {
        let (hidden, middle) = (config.hidden_size, shard.range(config.intermediate_size).len());
        linear(self.precision, hidden, middle) + linear(self.precision, middle, hidden)
    }

    fn pooling_head(&self, config: &BlockConfig) -> u64 {
        let hidden = config.hidden_size;
        let heads = config.num_attention_heads as u64;
        let attention = heads * (values(hidden) + linear(self.precision, hidden, config.head_dim()))
            + linear(self.precision, hidden, hidden);
        attention + norm(hidden) + self.mlp(config, Shard::WHOLE)
    }
}

fn linear(precision: Precision, inputs: usize, outputs: usize) -> u64 {
    PackedMatrix::bytes_of(precision, inputs, outputs) as u64 + values(outputs)
}

fn norm(width: usize) -> u64 {
    2 * values(width)
}

fn values(count: usize) -> u64 {
    (count * size_of::<f32>()) as u64
}
