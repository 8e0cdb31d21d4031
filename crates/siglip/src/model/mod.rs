//! The model: two towers, built as their weights arrive, run a step at a time.

mod block;
mod layers;
mod loader;
mod memory;
mod packed;
mod pass;
mod patches;
mod shard;
mod text;
mod token_table;
mod towers;
mod vision;
mod workspace;

use crate::Config;

pub use loader::ModelLoader;
pub use memory::{memory_needed, packed_bytes};
pub use packed::Packer;
pub use pass::{Pass, Step};
pub use shard::Shard;
pub use siglip_kernels::Precision;
pub use towers::Towers;
pub(crate) use towers::missing_tower;

/// The instruction set the kernels were built for.
pub fn backend() -> &'static str {
    siglip_kernels::backend().name()
}

/// A SigLIP model, or one worker's part of it.
#[derive(Debug)]
pub struct Model {
    config: Config,
    vision: Option<vision::VisionTower>,
    text: Option<text::TextTower>,
    /// As stored: the natural logarithm of the scale.
    logit_scale: [f32; 1],
    logit_bias: [f32; 1],
    precision: Precision,
    workspace: workspace::Workspace,
}

impl Model {
    fn new(config: Config, towers: Towers, precision: Precision, shard: Shard) -> Model {
        let vision = || vision::VisionTower::new(&config.vision_config, precision, shard);
        let text = || text::TextTower::new(&config.text_config, precision, shard);
        Model {
            vision: towers.has_image().then(vision),
            text: towers.has_text().then(text),
            logit_scale: [0.0],
            logit_bias: [0.0],
            precision,
            workspace: workspace::Workspace::new(shard),
            config,
        }
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How its matrices are kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What a cosine is multiplied with: e to the stored logit_scale.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale[0].exp()
    }

    /// What is then added.
    pub fn logit_bias(&self) -> f32 {
        self.logit_bias[0]
    }

    /// Bytes its weights take in memory.
    pub fn bytes(&self) -> usize {
        let vision = self.vision.as_ref().map_or(0, |tower| tower.bytes());
        vision + self.text.as_ref().map_or(0, |tower| tower.bytes())
    }

    /// cosine x exp(logit_scale) + logit_bias of an image's embedding and each of the texts'.
    pub fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        let texts = text_embeds.chunks_exact(image_embeds.len());
        texts
            .map(|text| siglip_kernels::dot(image_embeds, text) * self.logit_scale() + self.logit_bias())
            .collect()
    }
}
