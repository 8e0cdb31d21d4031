//! Tensors under other names than those of transformers' SigLIP with both towers.
//!
//! - A checkpoint of one tower has no prefix: transformers 5's `SiglipVisionModel` and `SiglipTextModel`.
//! - MLX (mlx-embeddings' `siglip.py`) doubles the prefix, names the pooling head's projection otherwise, and stores the patch
//!   embedding with the channels last.

use super::TensorShape;
use super::row_parser::PlacedTensor;

const POSITIONS: &str = "embeddings.position_embedding.weight";
const PATCHES: &str = "vision_model.embeddings.patch_embedding.weight";

/// Gives tensors the names and shapes that transformers gives them. Others are left as they are.
pub(super) fn rename(tensors: Vec<PlacedTensor>) -> Vec<PlacedTensor> {
    let has = |name: &str| tensors.iter().any(|tensor| tensor.shape().name == name);
    let prefix = match has(POSITIONS) {
        true if has("embeddings.token_embedding.weight") => "text_model.",
        true => "vision_model.",
        false => "",
    };
    let is_mlx = tensors.iter().any(|tensor| is_doubled(&tensor.shape().name));
    if prefix.is_empty() && !is_mlx {
        return tensors;
    }
    tensors.into_iter().map(|tensor| if is_mlx { of_mlx(tensor) } else { prefixed(tensor, prefix) }).collect()
}

fn is_doubled(name: &str) -> bool {
    name.starts_with("vision_model.vision_model.") || name.starts_with("text_model.text_model.")
}

fn prefixed(tensor: PlacedTensor, prefix: &str) -> PlacedTensor {
    let TensorShape { name, shape } = tensor.shape().clone();
    let is_of_tower = ["embeddings.", "encoder.", "post_layernorm.", "final_layer_norm.", "head."]
        .iter()
        .any(|start| name.starts_with(start));
    match is_of_tower {
        true => tensor.renamed(TensorShape { name: format!("{prefix}{name}"), shape }),
        false => tensor,
    }
}

fn of_mlx(tensor: PlacedTensor) -> PlacedTensor {
    let TensorShape { name, shape } = tensor.shape().clone();
    let name = match name.split_once('.') {
        Some((_, inner)) if is_doubled(&name) => inner.replace(".attention.in_proj.", ".attention.in_proj_"),
        _ => name,
    };
    match shape[..] {
        [outputs, height, width, channels] if name == PATCHES => {
            let shape = vec![outputs, channels, height, width];
            tensor.renamed(TensorShape { name, shape }).with_channels_last()
        }
        _ => tensor.renamed(TensorShape { name, shape }),
    }
}
