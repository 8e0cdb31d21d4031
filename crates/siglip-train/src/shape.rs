//! The shape of the model.

use clap::Args;
use serde_json::{Value, json};

/// Sides of the pictures that the recipe renders, in pixels.
pub const IMAGE_SIZE: usize = 64;
/// Words that the text tower reads.
pub const CONTEXT: usize = 12;

/// The towers, as checkpoints name them.
pub const TEXT: &str = "text_model";
/// See [`TEXT`].
pub const VISION: &str = "vision_model";

/// Attention heads of either tower.
pub const HEADS: usize = 4;

/// Width inside the MLP of a tower of this width.
pub fn intermediate(width: usize) -> usize {
    4 * width
}

/// The model's measures; those of the embedded model unless given.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width of the vision tower and of the embeddings.
    #[arg(long, default_value_t = 128)]
    pub width: usize,
    /// Width of the text tower. Nearly all of its weights are the token table, so a narrow one has room for more words.
    #[arg(long, default_value_t = 128)]
    pub text_width: usize,
    /// Side of a patch in pixels.
    #[arg(long, default_value_t = 8)]
    pub patch: usize,
    /// Layers of the vision tower.
    #[arg(long, default_value_t = 6)]
    pub vision_layers: usize,
    /// Layers of the text tower.
    #[arg(long, default_value_t = 2)]
    pub text_layers: usize,
}

impl Shape {
    /// Patches of one picture.
    pub fn patches(&self) -> usize {
        (IMAGE_SIZE / self.patch).pow(2)
    }

    /// Numbers of one patch.
    pub fn patch_size(&self) -> usize {
        3 * self.patch * self.patch
    }

    /// Width and layers of a tower.
    pub fn tower(&self, name: &str) -> (usize, usize) {
        if name == TEXT { (self.text_width, self.text_layers) } else { (self.width, self.vision_layers) }
    }

    /// The config.json of a hub checkpoint.
    pub fn config(&self, vocabulary: usize) -> Value {
        json!({
            "architectures": ["SiglipModel"],
            "model_type": "siglip",
            "text_config": {
                "model_type": "siglip_text_model",
                "vocab_size": vocabulary,
                "hidden_size": self.text_width,
                "intermediate_size": intermediate(self.text_width),
                "projection_size": self.width,
                "num_hidden_layers": self.text_layers,
                "num_attention_heads": HEADS,
                "max_position_embeddings": CONTEXT,
                "pad_token_id": 0,
                "bos_token_id": 0,
                "eos_token_id": 0,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "hidden_size": self.width,
                "intermediate_size": intermediate(self.width),
                "num_hidden_layers": self.vision_layers,
                "num_attention_heads": HEADS,
                "image_size": IMAGE_SIZE,
                "patch_size": self.patch,
            },
        })
    }
}
