//! `config.json`, with the reference's defaults filled in.
//!
//! The published files omit every value that equals the default of transformers' `configuration_siglip.py`, and this
//! reader fills it in.

mod classifier;
mod one_tower;
mod open_clip;
mod presets;
mod resolution;

use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use siglip_kernels::Gelu;

use crate::{Error, Resolution, Towers, json};

pub use classifier::{ClassifierConfig, ProblemType};
pub(crate) use open_clip::OpenClipConfig;
pub use presets::{PRESETS, preset};

/// The activation of every checkpoint of Google's: GELU in its tanh approximation.
const GELU_TANH: &str = "gelu_pytorch_tanh";
/// The activation of models that open_clip trained.
const GELU_ERF: &str = "gelu";
/// `model_type` of models with a fixed resolution: SigLIP, and SigLIP 2 other than NaFlex.
const FIXED: &str = "siglip";
/// `model_type` of SigLIP 2 NaFlex, whose images keep their aspect ratio.
const NAFLEX: &str = "siglip2";
/// Default `num_patches` of transformers' `Siglip2VisionConfig`.
const NAFLEX_PATCHES: usize = 256;
/// Longer sides of an image are taken for a mistake.
const MAX_IMAGE_SIZE: usize = 2048;
/// The same of a square image's patches along one side: they bound the memory of a pass.
const MAX_PATCHES_PER_SIDE: usize = 64;
/// Version 1 pads with `</s>`.
const PAD_TOKEN_ID: u32 = 1;
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

/// The vision tower's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width of the residual stream and of the embedding.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Attention heads per block.
    pub num_attention_heads: usize,
    /// Colour channels; 3.
    pub num_channels: usize,
    /// Side of the square image in pixels; with NaFlex, of the square with one position embedding per patch. It may be given
    /// as `[height, width]`, and so may that of a patch.
    #[serde(deserialize_with = "side_of_square")]
    pub image_size: usize,
    /// NaFlex: number of position embeddings, a square number. `None` for models with a fixed resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_patches: Option<usize>,
    /// Side of a patch, in pixels.
    #[serde(deserialize_with = "side_of_square")]
    pub patch_size: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// The MLP's activation.
    pub hidden_act: String,
    /// Whether the tower has an attention pooling head.
    pub vision_use_head: bool,
    /// Side of the images that the position embeddings were trained for, where [`Config::at`] has set another `image_size`.
    #[serde(skip)]
    pub trained_image_size: Option<usize>,
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

impl Default for VisionConfig {
    fn default() -> Self {
        VisionConfig {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            num_patches: None,
            patch_size: 16,
            layer_norm_eps: 1e-6,
            hidden_act: GELU_TANH.into(),
            vision_use_head: true,
            trained_image_size: None,
        }
    }
}

/// The configuration of a tower's blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BlockConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub layer_norm_eps: f32,
    /// The MLP's activation.
    pub gelu: Gelu,
}

impl BlockConfig {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

impl TextConfig {
    /// Width of the text embedding.
    pub fn embedding_size(&self) -> usize {
        self.projection_size.unwrap_or(self.hidden_size)
    }

    pub(crate) fn blocks(&self) -> BlockConfig {
        BlockConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            layer_norm_eps: self.layer_norm_eps,
            // `Config::check` refuses any other activation.
            gelu: gelu(&self.hidden_act).unwrap_or(Gelu::Tanh),
        }
    }
}

impl VisionConfig {
    /// Whether images keep their aspect ratio (NaFlex) or are resized to a square.
    pub fn keeps_aspect(&self) -> bool {
        self.num_patches.is_some()
    }

    /// Patches along one side. Pixels that do not fill a patch are left out, as by the reference's convolution.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a square image.
    pub fn num_patches(&self) -> usize {
        self.patches_per_side().pow(2)
    }

    /// Position embeddings along one side of the square that the checkpoint has them for.
    pub fn positions_per_side(&self) -> usize {
        self.trained_image_size.unwrap_or(self.image_size) / self.patch_size
    }

    /// Position embeddings in the checkpoint.
    pub fn num_positions(&self) -> usize {
        self.positions_per_side().pow(2)
    }

    /// Values per patch: channels x side x side.
    pub fn patch_values(&self) -> usize {
        self.num_channels * self.patch_size.pow(2)
    }

    fn check(&self) -> Result<(), Error> {
        check_blocks("vision_config", &self.blocks(), &self.hidden_act)?;
        in_range("vision_config.num_channels", self.num_channels, 3..=3)?;
        in_range("vision_config.patch_size", self.patch_size, 1..=64)?;
        in_range("vision_config.image_size", self.image_size, self.patch_size..=MAX_IMAGE_SIZE)?;
        let patches = "number of patches (image_size / patch_size, squared)";
        in_range(patches, self.num_patches(), 1..=MAX_PATCHES_PER_SIDE.pow(2))?;
        match self.num_patches {
            Some(num_patches) if num_patches != self.num_patches() => {
                let reason = format!("{num_patches} positions are not a square number");
                Err(Error::unsupported("vision_config.num_patches", reason))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn blocks(&self) -> BlockConfig {
        BlockConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            layer_norm_eps: self.layer_norm_eps,
            // `Config::check` refuses any other activation.
            gelu: gelu(&self.hidden_act).unwrap_or(Gelu::Tanh),
        }
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
        check_blocks("text_config", &text.blocks(), &text.hidden_act)?;
        in_range("text_config.vocab_size", text.vocab_size, 1..=1 << 20)?;
        in_range("text_config.max_position_embeddings", text.max_position_embeddings, 1..=4096)?;
        if text.pad_token_id as usize >= text.vocab_size {
            let reason = format!("{} is outside the vocabulary of {}", text.pad_token_id, text.vocab_size);
            return Err(Error::unsupported("text_config.pad_token_id", reason));
        }
        if !text.use_head && text.embedding_size() != text.hidden_size {
            let reason = format!("{} without a head, whose output it is", text.embedding_size());
            return Err(Error::unsupported("text_config.projection_size", reason));
        }
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

/// A side, or the height and width of a square: transformers 5 writes either.
fn side_of_square<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the side of a square, or its height and width")]
    enum Side {
        Both(usize),
        Each([usize; 2]),
    }
    match Side::deserialize(deserializer)? {
        Side::Both(side) => Ok(side),
        Side::Each([height, width]) if height == width => Ok(height),
        Side::Each([height, width]) => {
            Err(D::Error::custom(format!("[{height}, {width}] is no square, which runs here")))
        }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

fn pad_token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(PAD_TOKEN_ID))
}

fn check_blocks(tower: &str, blocks: &BlockConfig, hidden_act: &str) -> Result<(), Error> {
    in_range(&format!("{tower}.hidden_size"), blocks.hidden_size, 1..=8192)?;
    in_range(&format!("{tower}.intermediate_size"), blocks.intermediate_size, 1..=32768)?;
    in_range(&format!("{tower}.num_hidden_layers"), blocks.num_hidden_layers, 1..=128)?;
    in_range(&format!("{tower}.num_attention_heads"), blocks.num_attention_heads, 1..=blocks.hidden_size)?;
    if !blocks.hidden_size.is_multiple_of(blocks.num_attention_heads) {
        let reason =
            format!("{} does not divide hidden_size {}", blocks.num_attention_heads, blocks.hidden_size);
        return Err(Error::unsupported(format!("{tower}.num_attention_heads"), reason));
    }
    if !(blocks.layer_norm_eps > 0.0 && blocks.layer_norm_eps < 1.0) {
        let reason = format!("{} is not between 0 and 1", blocks.layer_norm_eps);
        return Err(Error::unsupported(format!("{tower}.layer_norm_eps"), reason));
    }
    if gelu(hidden_act).is_none() {
        let reason = format!("{hidden_act:?} is not supported; {GELU_TANH:?} and {GELU_ERF:?} are");
        return Err(Error::unsupported(format!("{tower}.hidden_act"), reason));
    }
    Ok(())
}

/// The activation of a `hidden_act`; `None` for any other than the two that SigLIPs have.
fn gelu(hidden_act: &str) -> Option<Gelu> {
    match hidden_act {
        GELU_TANH => Some(Gelu::Tanh),
        GELU_ERF => Some(Gelu::Erf),
        _ => None,
    }
}

fn in_range(field: &str, value: usize, range: RangeInclusive<usize>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::unsupported(field, format!("{value} is not in {}..={}", range.start(), range.end())))
}
