//! Checkpoints of one tower: transformers' `SiglipVisionModel` and `SiglipTextModel`. Their config.json is that of the tower.

use serde_json::{Value, json};

use super::{FIXED, NAFLEX};
use crate::Towers;

/// The `model_type` of such a checkpoint, the one of the model that it was made of, and its tower.
const KINDS: [(&str, &str, Towers); 4] = [
    ("siglip_vision_model", FIXED, Towers::Image),
    ("siglip2_vision_model", NAFLEX, Towers::Image),
    ("siglip_text_model", FIXED, Towers::Text),
    ("siglip2_text_model", FIXED, Towers::Text),
];

fn kind(config: &Value) -> Option<(&'static str, Towers)> {
    let found = config.get("model_type")?.as_str()?;
    KINDS.into_iter().find(|(own, ..)| *own == found).map(|(_, whole, tower)| (whole, tower))
}

/// The tower that a checkpoint of one tower has, by its config.json; otherwise both.
pub(super) fn towers(config: &Value) -> Towers {
    kind(config).map_or(Towers::Both, |(_, tower)| tower)
}

/// A config.json as a model with both towers has it.
pub(super) fn of_both(config: Value) -> Value {
    match kind(&config) {
        None => config,
        Some((whole, Towers::Text)) => {
            // The embeddings of the tower that is not there would have the same width.
            let width = ["projection_size", "hidden_size"].into_iter().find_map(|field| config.get(field));
            let vision = match width {
                Some(width) if width.is_number() => json!({ "hidden_size": width }),
                _ => Value::Null,
            };
            json!({ "model_type": whole, "vision_config": vision, "text_config": config })
        }
        Some((whole, _)) => json!({ "model_type": whole, "vision_config": config }),
    }
}
