//! The published shapes by name, for `siglip random`.

use super::{Config, FIXED, GEMMA_VOCABULARY, NAFLEX, NAFLEX_PATCHES, TextConfig, VisionConfig};
use crate::Towers;

/// Names [`preset`] knows: the published checkpoints' names, those of version 1 without `siglip-`. docs/models.md lists them.
pub const PRESETS: &[&str] = &[
    "base-patch16-224",
    "base-patch16-256",
    "base-patch16-384",
    "base-patch16-512",
    "base-patch16-256-multilingual",
    "large-patch16-256",
    "large-patch16-384",
    "so400m-patch14-224",
    "so400m-patch14-384",
    "so400m-patch16-256-i18n",
    "siglip2-base-patch32-256",
    "siglip2-base-patch16-224",
    "siglip2-base-patch16-256",
    "siglip2-base-patch16-384",
    "siglip2-base-patch16-512",
    "siglip2-large-patch16-256",
    "siglip2-large-patch16-384",
    "siglip2-large-patch16-512",
    "siglip2-so400m-patch14-224",
    "siglip2-so400m-patch14-384",
    "siglip2-so400m-patch16-256",
    "siglip2-so400m-patch16-384",
    "siglip2-so400m-patch16-512",
    "siglip2-giant-opt-patch16-256",
    "siglip2-giant-opt-patch16-384",
    "siglip2-base-patch16-naflex",
    "siglip2-so400m-patch16-naflex",
    MEDSIGLIP,
];

/// A fine-tune of the shape so400m-patch14 at 448 pixels.
const MEDSIGLIP: &str = "medsiglip-448";

/// The configuration of a published checkpoint; `None` for a name not in [`PRESETS`].
pub fn preset(name: &str) -> Option<Config> {
    if !PRESETS.contains(&name) {
        return None;
    }
    let name = if name == MEDSIGLIP { "so400m-patch14-448" } else { name };
    let (is_v2, shape) = match name.strip_prefix("siglip2-") {
        Some(shape) => (true, shape),
        None => (false, name),
    };
    let (size, rest) = shape.split_once("-patch")?;
    let mut parts = rest.split('-');
    let patch_size = parts.next()?.parse().ok()?;
    let resolution = parts.next()?;
    let is_multilingual = parts.next().is_some();

    let text_config = TextConfig {
        vocab_size: match (is_v2, is_multilingual) {
            (true, _) => GEMMA_VOCABULARY,
            (false, true) => 250_000,
            (false, false) => 32_000,
        },
        // The one checkpoint trained on short texts.
        max_position_embeddings: if name == "so400m-patch14-224" { 16 } else { 64 },
        ..text_tower(size)
    };
    let vision_config = VisionConfig { patch_size, ..vision_tower(size) };
    Some(match resolution.parse() {
        Ok(image_size) => Config {
            model_type: FIXED.into(),
            text_config,
            vision_config: VisionConfig { image_size, ..vision_config },
            classifier: None,
            towers: Towers::Both,
        },
        Err(_) => Config {
            model_type: NAFLEX.into(),
            text_config,
            vision_config: VisionConfig {
                image_size: NAFLEX_PATCHES.isqrt() * patch_size,
                num_patches: Some(NAFLEX_PATCHES),
                ..vision_config
            },
            classifier: None,
            towers: Towers::Both,
        },
    })
}

fn text_tower(size: &str) -> TextConfig {
    let (hidden_size, num_hidden_layers, num_attention_heads, intermediate_size) = match size {
        "base" => (768, 12, 12, 3072),
        "large" => (1024, 24, 16, 4096),
        // giant-opt's is so400m's.
        _ => (1152, 27, 16, 4304),
    };
    let projection_size = (size == "giant-opt").then(|| vision_tower(size).hidden_size);
    TextConfig {
        hidden_size,
        num_hidden_layers,
        num_attention_heads,
        intermediate_size,
        projection_size,
        ..TextConfig::default()
    }
}

pub(super) fn vision_tower(size: &str) -> VisionConfig {
    if size == "giant-opt" {
        return VisionConfig {
            hidden_size: 1536,
            num_hidden_layers: 40,
            num_attention_heads: 16,
            intermediate_size: 6144,
            ..VisionConfig::default()
        };
    }
    let TextConfig { hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, .. } =
        text_tower(size);
    VisionConfig {
        hidden_size,
        num_hidden_layers,
        num_attention_heads,
        intermediate_size,
        ..VisionConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_model_that_runs() {
        for name in PRESETS {
            let config = preset(name).unwrap_or_else(|| panic!("{name} has no configuration"));
            config.check().unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(Config::from_json(&json).unwrap(), config, "{name}");
        }
        assert_eq!(preset("so400m-patch14-384").unwrap().vision_config.num_patches(), 27 * 27);
        assert_eq!(preset("medsiglip-448").unwrap().vision_config.num_patches(), 32 * 32);
        assert!(preset("base-patch16-255").is_none());
    }

    #[test]
    fn giant_has_a_wider_vision_tower() {
        let config = preset("siglip2-giant-opt-patch16-384").unwrap();
        assert_eq!((config.text_config.hidden_size, config.embedding_size()), (1152, 1536));
    }

    #[test]
    fn naflex_has_positions_in_place_of_a_side() {
        let config = preset("siglip2-base-patch16-naflex").unwrap();
        assert_eq!(config.model_type, "siglip2");
        assert_eq!((config.vision_config.num_patches, config.vision_config.num_patches()), (Some(256), 256));
    }
}
