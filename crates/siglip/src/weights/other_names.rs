//! Tensors under other names than those of transformers' SigLIP with both towers.
//!
//! - A checkpoint of one tower has no prefix: transformers 5's `SiglipVisionModel` and `SiglipTextModel`.
//! - MLX (mlx-embeddings' `siglip.py`) doubles the prefix, names the pooling head's projection otherwise, and stores the patch
//!   embedding with the channels last.

use super::TensorShape;
use super::row_parser::PlacedTensor;

const POSITIONS: &str = "embeddings.position_embedding.weight";
const TOKENS: &str = "embeddings.token_embedding.weight";
const PATCHES: &str = "vision_model.embeddings.patch_embedding.weight";

/// Whose names the tensors of a checkpoint have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Naming {
    /// Those of transformers' SigLIP with both towers, or of nobody.
    #[default]
    Whole,
    /// Those of one tower, without this prefix.
    OneTower(&'static str),
    Mlx,
}

impl Naming {
    /// Tells it by all names of a checkpoint. Those of one of several files do not always tell which tower it is.
    pub fn of<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Naming {
        let has = |wanted: &str| names.clone().any(|name| name == wanted);
        if names.clone().any(is_doubled) {
            Naming::Mlx
        } else if has(POSITIONS) {
            Naming::OneTower(if has(TOKENS) { "text_model." } else { "vision_model." })
        } else {
            Naming::Whole
        }
    }

    /// The name that transformers gives a tensor.
    pub fn whole(self, name: &str) -> String {
        match (self, name.split_once('.')) {
            (Naming::OneTower(prefix), Some((part, _))) if PARTS.contains(&part) => format!("{prefix}{name}"),
            (Naming::Mlx, Some((_, inner))) if is_doubled(name) => {
                inner.replace(".attention.in_proj.", ".attention.in_proj_")
            }
            _ => name.into(),
        }
    }
}

/// What a tower consists of.
const PARTS: [&str; 5] = ["embeddings", "encoder", "post_layernorm", "final_layer_norm", "head"];

/// Gives tensors the names and shapes that transformers gives them. Others are left as they are.
pub(super) fn rename(tensors: Vec<PlacedTensor>, naming: Naming) -> Vec<PlacedTensor> {
    let rename = |tensor: PlacedTensor| {
        let tensor = tensor.map_names(|name| naming.whole(name));
        let TensorShape { name, shape } = tensor.shape().clone();
        match shape[..] {
            [outputs, height, width, channels] if naming == Naming::Mlx && name == PATCHES => {
                let shape = vec![outputs, channels, height, width];
                tensor.renamed(TensorShape { name, shape }).with_channels_last()
            }
            _ => tensor,
        }
    };
    tensors.into_iter().map(rename).collect()
}

fn is_doubled(name: &str) -> bool {
    name.starts_with("vision_model.vision_model.") || name.starts_with("text_model.text_model.")
}
