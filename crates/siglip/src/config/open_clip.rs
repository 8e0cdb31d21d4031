//! `open_clip_config.json`, from which the small files of the hub's layout are made.
//!
//! Sources: open_clip's `model.py` (the fields and their defaults), `model_configs/ViT-*SigLIP*.json` and
//! `push_to_hf_hub.py`; timm's `vision_transformer.py` (which of its models uses which GELU).

use serde::Deserialize;
use serde_json::{Value, json};

use super::blocks::{GELU_ERF, GELU_TANH};
use super::{Config, FIXED, TextConfig, VisionConfig, presets};
use crate::{Error, Towers, json as read_json};

/// timm's models whose GELU is the approximation by tanh, by the start of their names. That of all others is exact.
const TANH_MODELS: [&str; 4] = [
    "vit_base_patch32_siglip_256",
    "vit_large_patch16_siglip_512",
    "vit_so400m_patch16_siglip_",
    "vit_giantopt_patch16_siglip_",
];

/// What an `open_clip_config.json` says of a SigLIP.
#[derive(Debug, Deserialize)]
pub(crate) struct OpenClipConfig {
    model_cfg: ModelConfig,
    #[serde(default)]
    preprocess_cfg: PreprocessConfig,
}

#[derive(Debug, Deserialize)]
struct ModelConfig {
    embed_dim: usize,
    vision_cfg: VisionFields,
    text_cfg: TextFields,
}

#[derive(Debug, Deserialize)]
struct VisionFields {
    image_size: Value,
    timm_model_name: Option<String>,
    timm_pool: Option<String>,
    timm_proj: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct TextFields {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    mlp_ratio: f64,
    no_causal_mask: bool,
    pool_type: String,
    proj_type: Option<String>,
    proj_bias: bool,
    hf_model_name: Option<String>,
    tokenizer_kwargs: TokenizerFields,
    act_kwargs: ActivationFields,
    norm_kwargs: NormFields,
}

impl Default for TextFields {
    fn default() -> Self {
        TextFields {
            context_length: 77,
            vocab_size: 49408,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
            no_causal_mask: false,
            pool_type: "argmax".into(),
            proj_type: Some("linear".into()),
            proj_bias: false,
            hf_model_name: None,
            tokenizer_kwargs: TokenizerFields::default(),
            act_kwargs: ActivationFields::default(),
            norm_kwargs: NormFields::default(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct TokenizerFields {
    clean: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ActivationFields {
    approximate: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct NormFields {
    eps: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PreprocessConfig {
    mean: Option<Value>,
    std: Option<Value>,
    interpolation: Option<String>,
    resize_mode: Option<String>,
}

impl OpenClipConfig {
    /// The file's name.
    pub const NAME: &str = "open_clip_config.json";

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for JSON that is broken or lacks a field.
    pub fn from_json(json: &str) -> Result<OpenClipConfig, Error> {
        read_json::parse(OpenClipConfig::NAME, json)
    }

    /// The model's configuration.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field by which the model is no SigLIP.
    pub fn config(&self) -> Result<Config, Error> {
        let ModelConfig { embed_dim, vision_cfg, text_cfg } = &self.model_cfg;
        let config = Config {
            model_type: FIXED.into(),
            vision_config: vision_cfg.config()?,
            text_config: text_cfg.config(*embed_dim)?,
            classifier: None,
            towers: Towers::Both,
        };
        config.check()?;
        Ok(config)
    }

    /// The content of the `preprocessor_config.json` that does the same.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for a way of resizing that no SigLIP has.
    pub fn preprocessor(&self) -> Result<Value, Error> {
        let PreprocessConfig { mean, std, interpolation, resize_mode } = &self.preprocess_cfg;
        // open_clip's default is another, but its own configurations of SigLIP leave this out and mean "squash".
        if let Some(mode) = resize_mode
            && mode != "squash"
        {
            return Err(unsupported("preprocess_cfg.resize_mode", mode, "\"squash\""));
        }
        let resample = match interpolation.as_deref() {
            None | Some("bicubic") => 3,
            Some("bilinear") => 2,
            Some(other) => {
                return Err(unsupported(
                    "preprocess_cfg.interpolation",
                    other,
                    "\"bicubic\" and \"bilinear\"",
                ));
            }
        };
        let side = self.model_cfg.vision_cfg.image_size()?;
        let half = || json!([0.5, 0.5, 0.5]);
        Ok(json!({
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": side, "width": side},
            "resample": resample,
            "image_mean": mean.clone().unwrap_or_else(half),
            "image_std": std.clone().unwrap_or_else(half),
        }))
    }
}

impl VisionFields {
    fn config(&self) -> Result<VisionConfig, Error> {
        let field = "vision_cfg.timm_model_name";
        let name = self.timm_model_name.as_deref().unwrap_or_default();
        let expected = "vit_base_patch16_siglip_224 and its like";
        let (size, patch_size) = parse_name(name).ok_or_else(|| unsupported(field, name, expected))?;
        for (field, value, expected) in [
            ("vision_cfg.timm_pool", &self.timm_pool, "map"),
            ("vision_cfg.timm_proj", &self.timm_proj, "none"),
        ] {
            let value = value.as_deref().unwrap_or(expected);
            if value != expected {
                return Err(unsupported(field, value, expected));
            }
        }
        let is_tanh = TANH_MODELS.iter().any(|model| name.starts_with(model));
        Ok(VisionConfig {
            patch_size,
            image_size: self.image_size()?,
            hidden_act: if is_tanh { GELU_TANH } else { GELU_ERF }.into(),
            ..presets::vision_tower(size)
        })
    }

    /// The side of the square image: a number, or a pair of the same.
    fn image_size(&self) -> Result<usize, Error> {
        let side = match &self.image_size {
            Value::Array(sides) if sides.len() == 2 && sides[0] == sides[1] => &sides[0],
            side => side,
        };
        let number = side.as_u64().and_then(|side| usize::try_from(side).ok());
        number.ok_or_else(|| unsupported("vision_cfg.image_size", &side.to_string(), "the side of a square"))
    }
}

impl TextFields {
    fn config(&self, embed_dim: usize) -> Result<TextConfig, Error> {
        if let Some(name) = &self.hf_model_name {
            return Err(unsupported("text_cfg.hf_model_name", name, "open_clip's own text tower"));
        }
        if self.pool_type != "last" {
            return Err(unsupported("text_cfg.pool_type", &self.pool_type, "\"last\""));
        }
        if !self.no_causal_mask {
            return Err(unsupported("text_cfg.no_causal_mask", "false", "true"));
        }
        let use_head = self.proj_type.as_deref() != Some("none");
        if use_head && !self.proj_bias {
            return Err(unsupported("text_cfg.proj_bias", "false", "true, or no projection"));
        }
        let is_tanh = self.act_kwargs.approximate.as_deref() == Some("tanh");
        Ok(TextConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.width,
            intermediate_size: (self.width as f64 * self.mlp_ratio) as usize,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            max_position_embeddings: self.context_length,
            layer_norm_eps: self.norm_kwargs.eps.unwrap_or(1e-5),
            hidden_act: if is_tanh { GELU_TANH } else { GELU_ERF }.into(),
            projection_size: use_head.then_some(embed_dim),
            use_head,
            canonicalize: self.tokenizer_kwargs.clean.as_deref() == Some("canonicalize"),
            ..TextConfig::default()
        })
    }
}

/// The size and patch size of `vit_base_patch16_siglip_224`: `base` and 16.
fn parse_name(name: &str) -> Option<(&'static str, usize)> {
    let (size, rest) = name.strip_prefix("vit_")?.split_once("_patch")?;
    let (patch_size, resolution) = rest.split_once("_siglip_")?;
    let size = match size {
        "base" => "base",
        "large" => "large",
        "so400m" => "so400m",
        "giantopt" => "giant-opt",
        _ => return None,
    };
    resolution.parse::<usize>().ok()?;
    Some((size, patch_size.parse().ok()?))
}

fn unsupported(field: &str, found: &str, expected: &str) -> Error {
    let found: String = found.chars().take(60).collect();
    Error::unsupported(field, format!("{found:?} is no SigLIP of open_clip's, which has {expected}"))
}
