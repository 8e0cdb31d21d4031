//! The published shapes by name, for `siglip random`.

use super::{Config, TextConfig, VisionConfig};

/// Names [`preset`] knows: the published checkpoints' names without `siglip-`.
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
];

/// The configuration of a published checkpoint; `None` for a name not in [`PRESETS`].
pub fn preset(name: &str) -> Option<Config> {
    if !PRESETS.contains(&name) {
        return None;
    }
    let (size, rest) = name.split_once("-patch")?;
    let mut numbers = rest.split('-');
    let patch_size = numbers.next()?.parse().ok()?;
    let image_size = numbers.next()?.parse().ok()?;
    let (hidden_size, num_hidden_layers, num_attention_heads, intermediate_size) = match size {
        "base" => (768, 12, 12, 3072),
        "large" => (1024, 24, 16, 4096),
        _ => (1152, 27, 16, 4304),
    };
    let multilingual = numbers.next().is_some();
    let text_config = TextConfig {
        vocab_size: if multilingual { 250_000 } else { 32_000 },
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        // The one checkpoint trained on short texts.
        max_position_embeddings: if name == "so400m-patch14-224" { 16 } else { 64 },
        ..TextConfig::default()
    };
    let vision_config = VisionConfig {
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        image_size,
        patch_size,
        ..VisionConfig::default()
    };
    Some(Config { model_type: "siglip".into(), text_config, vision_config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_model_that_runs() {
        for name in PRESETS {
            preset(name).unwrap_or_else(|| panic!("{name} has no configuration")).check().unwrap();
        }
        assert_eq!(preset("so400m-patch14-384").unwrap().vision_config.num_patches(), 27 * 27);
        assert!(preset("base-patch16-255").is_none());
    }
}
