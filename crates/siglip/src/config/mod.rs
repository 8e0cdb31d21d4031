//! `config.json`, with the reference's defaults filled in.
//!
//! The published files omit every value that equals the default of transformers' `configuration_siglip.py`, and this
//! reader fills it in.

mod blocks;
mod classifier;
mod one_tower;
mod open_clip;
mod presets;
mod resolution;
mod text;
mod vision;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Error, Resolution, Towers, json};

pub(crate) use blocks::BlockConfig;
pub use classifier::{ClassifierConfig, ProblemType};
pub(crate) use open_clip::OpenClipConfig;
pub use presets::{PRESETS, preset};
pub use text::TextConfig;
pub use vision::VisionConfig;

/// `model_type` of models with a fixed resolution: SigLIP, and SigLIP 2 other than NaFlex.
const FIXED: &str = "siglip";
/// `model_type` of SigLIP 2 NaFlex, whose images keep their aspect ratio.
const NAFLEX: &str = "siglip2";
/// Default `num_patches` of transformers' `Siglip2VisionConfig`.
const NAFLEX_PATCHES: usize = 256;
/// Size of Gemma's vocabulary, which every SigLIP 2 uses.
pub(crate) const GEMMA_VOCABULARY: usize = 256_000;

/// A whole model's configuration: `config.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Config {
    /// The kind of model: `siglip`, or `siglip2` for NaFlex.
    #[serde(default)]
    pub model_type: String,
    /// The text tower; `null` means the defaults, as in transformers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub text_config: TextConfig,
    /// The vision tower; `null` means the defaults, as in transformers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub vision_config: VisionConfig,
    /// Of a fine-tuned classifier, which has no text tower.
    #[serde(skip)]
    pub classifier: Option<ClassifierConfig>,
    /// The towers of the checkpoint: one alone where its `model_type` is that of a tower. A classifier has `Both` here.
    #[serde(skip)]
    pub towers: Towers,
}

/// The towers that the checkpoint of a config.json has. A fine-tuned classifier has no text tower.
pub(crate) fn towers_of(config: &str) -> Towers {
    match serde_json::from_str::<Value>(config) {
        Ok(config) if classifier::names_classifier(&config) => Towers::Image,
        Ok(config) => one_tower::towers(&config),
        Err(_) => Towers::Both,
    }
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names a field that is malformed, belongs to another model, or contradicts another field.
    ///
    /// ```
    /// // Everything that siglip-base-patch16-256 publishes except defaults.
    /// let json = r#"{"model_type": "siglip", "vision_config": {"image_size": 256}}"#;
    /// let config = siglip::Config::from_json(json)?;
    /// assert_eq!(config.vision_config.num_patches(), 256);
    /// assert_eq!(config.text_config.vocab_size, 32000);
    /// # Ok::<(), siglip::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Config, Error> {
        let stored: Value = json::parse("config.json", json)?;
        let towers = one_tower::towers(&stored);
        let mut config: Config = match towers {
            Towers::Both => json::parse("config.json", json)?,
            _ => json::parse("config.json", &one_tower::of_both(stored).to_string())?,
        };
        (config.classifier, config.towers) = (ClassifierConfig::from_json(json)?, towers);
        config.settle_positions();
        config.check()?;
        Ok(config)
    }

    /// NaFlex gives the number of position embeddings in place of the image's side. Other configurations may hold that
    /// number too, where it means nothing.
    fn settle_positions(&mut self) {
        let vision = &mut self.vision_config;
        vision.num_patches =
            (self.model_type == NAFLEX).then(|| vision.num_patches.unwrap_or(NAFLEX_PATCHES));
        if let Some(num_patches) = vision.num_patches {
            vision.image_size = num_patches.isqrt().saturating_mul(vision.patch_size);
        }
    }

    /// Checks that the values describe a model that this crate runs.
    ///
    /// # Errors
    /// As [`Config::from_json`].
    pub fn check(&self) -> Result<(), Error> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let expected = if vision.keeps_aspect() { NAFLEX } else { FIXED };
        if self.model_type != expected {
            let seen = &self.model_type;
            let reason = format!("{seen:?} is not a SigLIP; \"{FIXED}\" and \"{NAFLEX}\" (NaFlex) run here");
            return Err(Error::unsupported("model_type", reason));
        }
        if self.towers.has_image() {
            vision.check()?;
        }
        // A classifier has neither a text tower nor a use for the head.
        if self.classifier.is_some() {
            return Ok(());
        }
        if self.towers.has_image() && !vision.vision_use_head {
            let reason = "a vision tower without its attention pooling head gives no embedding";
            return Err(Error::unsupported("vision_config.vision_use_head", reason));
        }
        if !self.towers.has_text() {
            return Ok(());
        }
        text.check()?;
        if text.embedding_size() != vision.hidden_size {
            let (text, vision) = (text.embedding_size(), vision.hidden_size);
            let reason = format!(
                "text embeddings of width {text} cannot be compared with image embeddings of width {vision}"
            );
            return Err(Error::unsupported("text_config.projection_size", reason));
        }
        Ok(())
    }

    /// The configuration of a model that sees images at this resolution. Again with the same one it changes nothing.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a resolution that this model cannot have.
    pub fn at(mut self, resolution: Resolution) -> Result<Config, Error> {
        if resolution != Resolution::default() && !self.towers.has_image() {
            return Err(Error::BadInput("a model without an image tower has no resolution".into()));
        }
        self.vision_config.set_resolution(resolution)?;
        Ok(self)
    }

    /// Width of the embeddings of both towers.
    pub fn embedding_size(&self) -> usize {
        self.vision_config.hidden_size
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
