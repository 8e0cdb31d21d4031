//! Tensors under the names that open_clip and timm give them, as in `open_clip_model.safetensors`.
//!
//! Sources: open_clip's `transformer.py`, timm's `vision_transformer.py` and `attention_pool.py`, and transformers'
//! `convert_siglip_to_hf.py`. Some tensors hold several of transformers' one after another (`qkv`), or a part of one (the
//! pooling head's `q` and `kv`). Rows are stored one after another, so each of these is a range of a tensor's bytes.

use super::row_parser::PlacedTensor;
use super::{TensorShape, bad};
use crate::Error;

/// The name of the weight file in a folder of open_clip's.
pub const OPEN_CLIP_WEIGHTS: &str = "open_clip_model.safetensors";

/// Gives tensors the names and shapes that transformers gives them, if they have those of open_clip. Others are left as
/// they are.
pub(super) fn rename(tensors: Vec<PlacedTensor>) -> Result<Vec<PlacedTensor>, Error> {
    let is_open_clip = |tensor: &PlacedTensor| {
        tensor.shape().name.starts_with("visual.trunk.")
            || tensor.shape().name.starts_with("text.transformer.")
    };
    if !tensors.iter().any(is_open_clip) {
        return Ok(tensors);
    }
    let mut renamed = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        match target(&tensor.shape().name) {
            None => renamed.push(tensor),
            Some(Target::Whole(name)) => renamed.push(whole(tensor, name)),
            Some(Target::Split(names)) => split(&tensor, names, &mut renamed)?,
            Some(Target::Part { name, thirds, first_third }) => {
                renamed.push(part(tensor, name, thirds, first_third)?);
            }
        }
    }
    Ok(renamed)
}

/// Which of transformers' tensors a tensor is.
enum Target {
    Whole(String),
    /// Three tensors of equal size, one after another.
    Split([String; 3]),
    /// `thirds` of a tensor's rows, from `first_third` on.
    Part {
        name: String,
        thirds: usize,
        first_third: usize,
    },
}

/// The target of a tensor of open_clip's; `None` for a tensor that no SigLIP has.
fn target(name: &str) -> Option<Target> {
    let whole = |name: String| Some(Target::Whole(name));
    if let "logit_scale" | "logit_bias" = name {
        return whole(name.into());
    }
    if let Some(rest) = name.strip_prefix("visual.trunk.") {
        let (layer, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
        if let Some(pool) = layer.strip_prefix("attn_pool.") {
            let part = |thirds, first_third| {
                let name = format!("vision_model.head.attention.in_proj_{kind}");
                Some(Target::Part { name, thirds, first_third })
            };
            return match pool {
                "q" => part(1, 0),
                "kv" => part(2, 1),
                "proj" => whole(format!("vision_model.head.attention.out_proj.{kind}")),
                "norm" => whole(format!("vision_model.head.layernorm.{kind}")),
                "mlp.fc1" | "mlp.fc2" => whole(format!("vision_model.head.{pool}.{kind}")),
                _ => None,
            };
        }
        if let Some((block, layer)) = layer.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
            return of_block(&format!("vision_model.encoder.layers.{block}"), layer, kind);
        }
        return match (layer, kind) {
            ("patch_embed.proj", _) => whole(format!("vision_model.embeddings.patch_embedding.{kind}")),
            ("pos_embed", "") => whole("vision_model.embeddings.position_embedding.weight".into()),
            ("attn_pool", "latent") => whole("vision_model.head.probe".into()),
            ("norm", _) => whole(format!("vision_model.post_layernorm.{kind}")),
            _ => None,
        };
    }
    let rest = name.strip_prefix("text.")?;
    let (layer, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    if let Some((block, layer)) =
        layer.strip_prefix("transformer.resblocks.").and_then(|rest| rest.split_once('.'))
    {
        return of_block(&format!("text_model.encoder.layers.{block}"), layer, kind);
    }
    match (layer, kind) {
        ("token_embedding", "weight") => whole("text_model.embeddings.token_embedding.weight".into()),
        ("positional_embedding", "") => whole("text_model.embeddings.position_embedding.weight".into()),
        ("ln_final", _) => whole(format!("text_model.final_layer_norm.{kind}")),
        ("text_projection", _) => whole(format!("text_model.head.{kind}")),
        _ => None,
    }
}

/// The target of a tensor of a block, by the names of timm and of open_clip's text tower.
fn of_block(block: &str, layer: &str, kind: &str) -> Option<Target> {
    let query_key_value = |kind: &str| {
        let names = ["q_proj", "k_proj", "v_proj"];
        Some(Target::Split(names.map(|name| format!("{block}.self_attn.{name}.{kind}"))))
    };
    let layer = match layer {
        "norm1" | "ln_1" => "layer_norm1",
        "norm2" | "ln_2" => "layer_norm2",
        "attn.qkv" => return query_key_value(kind),
        // Those of torch's MultiheadAttention, `in_proj_weight` and `in_proj_bias`.
        "attn" => return query_key_value(kind.strip_prefix("in_proj_")?),
        "attn.proj" | "attn.out_proj" => "self_attn.out_proj",
        "mlp.fc1" | "mlp.c_fc" => "mlp.fc1",
        "mlp.fc2" | "mlp.c_proj" => "mlp.fc2",
        _ => return None,
    };
    Some(Target::Whole(format!("{block}.{layer}.{kind}")))
}

fn whole(tensor: PlacedTensor, name: String) -> PlacedTensor {
    let shape = match tensor.shape().shape.as_slice() {
        [] => vec![1],
        // timm's position embeddings have a batch dimension.
        [1, rows, width] if name.ends_with("position_embedding.weight") => vec![*rows, *width],
        shape => shape.to_vec(),
    };
    let shape = TensorShape { name, shape };
    PlacedTensor::new(shape, tensor.encoding, tensor.start, tensor.bytes())
}

/// Adds the three tensors that `tensor` holds.
fn split(tensor: &PlacedTensor, names: [String; 3], to: &mut Vec<PlacedTensor>) -> Result<(), Error> {
    let (rows, bytes) = (part_rows(tensor, 3)?, tensor.bytes() / 3);
    for (at, name) in names.into_iter().enumerate() {
        let mut shape = tensor.shape().shape.clone();
        shape[0] = rows;
        let start = tensor.start + at as u64 * bytes;
        to.push(PlacedTensor::new(TensorShape { name, shape }, tensor.encoding, start, bytes));
    }
    Ok(())
}

/// `tensor` as `thirds` of the tensor `name`.
fn part(
    tensor: PlacedTensor,
    name: String,
    thirds: usize,
    first_third: usize,
) -> Result<PlacedTensor, Error> {
    let third = part_rows(&tensor, thirds)?;
    let mut shape = tensor.shape().shape.clone();
    let own = TensorShape { name: name.clone(), shape: shape.clone() };
    shape[0] = third.saturating_mul(3);
    let placed = PlacedTensor::new(own, tensor.encoding, tensor.start, tensor.bytes());
    Ok(placed.part_of(TensorShape { name, shape }, first_third * third))
}

/// Rows of one of `parts` equal parts of a tensor.
fn part_rows(tensor: &PlacedTensor, parts: usize) -> Result<usize, Error> {
    let TensorShape { name, shape } = tensor.shape();
    match shape.first() {
        Some(rows) if rows.is_multiple_of(parts) => Ok(rows / parts),
        _ => Err(bad(format!("tensor {name:?} has shape {shape:?}, which is not {parts} equal parts"))),
    }
}
