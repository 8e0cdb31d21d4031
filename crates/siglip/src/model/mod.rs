//! The engine of this crate: two towers, built as their weights arrive, run one step at a time.
//!
//! The forward pass reads from the top down: [`Model::step`] (pass.rs) runs a tower's embeddings (vision.rs, text.rs),
//! then every block's two sub-layers (block.rs), then the pooling head (pooling_head.rs, text.rs). Several workers that
//! share one model add up their sub-layers' outputs in all_reduce.rs.

mod all_reduce;
mod attention;
mod block;
mod buffer;
mod classifier;
mod destination;
mod layers;
mod loader;
mod memory;
mod mlp;
mod moments;
mod packed;
mod pass;
mod patches;
mod pooling_head;
mod residual;
mod sequences;
mod text;
mod token_table;
mod vision;
mod workspace;

use crate::{Config, Error, LoadOptions, Shard, Towers};
use classifier::Classifier;
use text::TextTower;
use vision::VisionTower;
use workspace::Workspace;

pub use loader::ModelLoader;
pub use memory::{memory_needed, packed_bytes};
pub use moments::InputMoments;
pub use packed::{Packer, towers_of, unpack};
pub use pass::{Pass, Pooling, Step};
pub use siglip_kernels::join_thread_pool;

/// The instruction set that the kernels use.
pub fn backend() -> &'static str {
    siglip_kernels::backend().name()
}

/// A SigLIP model, or one worker's shard of it.
#[derive(Debug)]
pub struct Model {
    config: Config,
    shard: Shard,
    vision: Option<VisionTower>,
    text: Option<TextTower>,
    /// Of a fine-tuned classifier; only the first worker has it.
    classifier: Option<Classifier>,
    /// As stored: the natural logarithm of the scale.
    logit_scale: [f32; 1],
    logit_bias: [f32; 1],
    workspace: Workspace,
}

impl Model {
    fn new(config: Config, options: LoadOptions) -> Model {
        let LoadOptions { precision, towers, shard, .. } = options;
        let has_head = config.classifier.is_none();
        let vision = || VisionTower::new(&config.vision_config, has_head, precision, shard);
        let text = || TextTower::new(&config.text_config, precision, shard);
        let classifier = config.classifier.as_ref().filter(|_| shard.is_first());
        let classifier = classifier
            .map(|classifier| Classifier::new(classifier.labels.len(), config.vision_config.hidden_size));
        // One tower alone has no scale and no bias, and so no scores.
        let logit = if config.towers == Towers::Both { 0.0 } else { f32::NAN };
        Model {
            shard,
            classifier,
            vision: towers.has_image().then(vision),
            text: towers.has_text().then(text),
            logit_scale: [logit],
            logit_bias: [logit],
            workspace: Workspace::new(shard),
            config,
        }
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The share of the model that this worker holds.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The factor of every cosine: exp of the stored `logit_scale`.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale[0].exp()
    }

    /// Added to every scaled cosine.
    pub fn logit_bias(&self) -> f32 {
        self.logit_bias[0]
    }

    /// Adds the text tower of `text`, a load of the same model's text tower alone.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if it is another model's, or another share of it.
    pub fn add_text_tower(&mut self, text: Model) -> Result<(), Error> {
        let own = (&self.config, self.shard, self.logit_scale[0].to_bits(), self.logit_bias[0].to_bits());
        let other = (&text.config, text.shard, text.logit_scale[0].to_bits(), text.logit_bias[0].to_bits());
        if own != other || text.text.is_none() {
            return Err(Error::other_text_tower());
        }
        self.text = text.text;
        Ok(())
    }

    /// Bytes that its weights take in memory.
    pub fn bytes(&self) -> usize {
        let vision = self.vision.as_ref().map_or(0, VisionTower::bytes);
        vision
            + self.text.as_ref().map_or(0, TextTower::bytes)
            + self.classifier.as_ref().map_or(0, Classifier::bytes)
    }

    /// The towers that are loaded.
    pub fn towers(&self) -> Towers {
        match (&self.vision, &self.text) {
            (Some(_), None) => Towers::Image,
            (None, Some(_)) => Towers::Text,
            _ => Towers::Both,
        }
    }

    fn vision(&self) -> Result<&VisionTower, Error> {
        self.vision.as_ref().ok_or_else(|| Error::missing_tower("image"))
    }

    fn text(&self) -> Result<&TextTower, Error> {
        self.text.as_ref().ok_or_else(|| Error::missing_tower("text"))
    }
}
