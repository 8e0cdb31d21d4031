//! The tensors that nodes use, by the names that PyTorch's exporter gives nodes: the path of the module and the
//! operator, as in `/vision_model/encoder/layers.0/mlp/fc1/MatMul`. Initializers of matrices have no such names, only
//! numbers that differ from export to export.

use super::nodes::{Node, Nodes};
use super::weight::{Part, Storage, Weight, matrix, table};
use crate::Error;

/// An initializer by name, and the weight in it.
pub type Found = (String, Weight);

const IN_PROJ_WEIGHT: &str = "vision_model.head.attention.in_proj_weight";
const IN_PROJ_BIAS: &str = "vision_model.head.attention.in_proj_bias";
/// Modules that are linear layers, whatever module they are in.
const LINEAR: [&str; 7] = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "patch_embedding"];
const NORMS: [&str; 5] = ["layer_norm1", "layer_norm2", "post_layernorm", "final_layer_norm", "layernorm"];
/// What onnxruntime's quantizers append to a node's name.
const QUANTIZED: [&str; 3] = ["_quant", "_Q4", "_Bnb4"];

/// The weights that a node uses, by its name.
///
/// # Errors
/// [`Error::UnsupportedModel`] for a quantization that cannot be read.
pub fn weights(nodes: &Nodes, node: &Node) -> Result<Vec<Found>, Error> {
    let Some((module, leaf)) = path(node) else { return Ok(Vec::new()) };
    let (kind, last) = (node.op.as_str(), module.rsplit('.').next().unwrap_or(""));
    // The node's input that is an initializer, if one is.
    let direct = |at: usize| nodes.initializer(node.input(at), &["Identity", "Reshape"]);
    let either = || direct(0).or_else(|| direct(1));
    let found = |initializer: Option<&str>, tensor: String, part: Part| -> Vec<Found> {
        initializer.map(|initializer| (initializer.into(), Weight::new(tensor, part))).into_iter().collect()
    };
    let stored = |tensor: String, part: Part, initializer: &str, storage: Storage| -> Vec<Found> {
        vec![(initializer.into(), Weight { storage, ..Weight::new(tensor, part) })]
    };
    if let Some(layer) = linear_layer(&module, leaf) {
        if kind == "Add" && matches!(leaf, "Add" | "Gemm_Add" | "Conv_output_0_bias_add") {
            return Ok(found(either(), format!("{layer}.bias"), Part::Whole));
        }
        let Some((initializer, part, storage)) = matrix(nodes, node)? else { return Ok(Vec::new()) };
        let mut weights = stored(format!("{layer}.weight"), part, initializer, storage);
        if matches!(kind, "Gemm" | "Conv") {
            weights.extend(found(direct(2), format!("{layer}.bias"), Part::Whole));
        }
        return Ok(weights);
    }
    if NORMS.contains(&last) {
        return Ok(match (kind, leaf) {
            ("Mul", "Mul") => found(either(), format!("{module}.weight"), Part::Whole),
            ("Add", "Add_1") => found(either(), format!("{module}.bias"), Part::Whole),
            ("LayerNormalization", _) => [
                found(direct(1), format!("{module}.weight"), Part::Whole),
                found(direct(2), format!("{module}.bias"), Part::Whole),
            ]
            .concat(),
            _ => Vec::new(),
        });
    }
    Ok(match (module.as_str(), kind, leaf) {
        (_, "Gather", "Gather") if matches!(last, "token_embedding" | "position_embedding") => {
            let part = if last == "token_embedding" { Part::Whole } else { Part::Positions };
            let table = table(nodes, node);
            table.map_or_else(Vec::new, |(initializer, storage)| {
                stored(format!("{module}.weight"), part, initializer, storage)
            })
        }
        // Where constants were folded, the positions are added as they are.
        ("vision_model.embeddings" | "text_model.embeddings", "Add", "Add") => {
            found(either(), format!("{module}.position_embedding.weight"), Part::Positions)
        }
        // The probe is repeated for every image: by `Expand`, or by `Tile` where constants were folded.
        ("vision_model.head", "Expand" | "Tile", _) => {
            found(direct(0), "vision_model.head.probe".into(), Part::Whole)
        }
        // PyTorch cuts the input projection in two, for queries and for keys and values: at run time, or where
        // constants were folded already in the file.
        ("vision_model.head.attention", "Slice", "Slice_1" | "Slice_2") => {
            found(direct(0), IN_PROJ_WEIGHT.into(), Part::Whole)
        }
        ("vision_model.head.attention", "Slice", "Slice_3" | "Slice_4") => {
            found(direct(0), IN_PROJ_BIAS.into(), Part::Whole)
        }
        ("vision_model.head.attention", "Add", "Add_4") => {
            found(either(), IN_PROJ_BIAS.into(), Part::Thirds { first: 0, count: 1 })
        }
        ("vision_model.head.attention", "Add", "Add_5") => {
            found(either(), IN_PROJ_BIAS.into(), Part::Thirds { first: 1, count: 2 })
        }
        ("vision_model.head.attention", _, "MatMul" | "MatMul_1") => match matrix(nodes, node)? {
            Some((initializer, _, storage)) => {
                let first = usize::from(leaf == "MatMul_1");
                let part = Part::Thirds { first, count: first + 1 };
                stored(IN_PROJ_WEIGHT.into(), part, initializer, storage)
            }
            None => Vec::new(),
        },
        ("", "Exp", "Exp") => found(direct(0), "logit_scale".into(), Part::Number),
        ("", "Mul", "Mul") => found(either(), "logit_scale".into(), Part::Exponential),
        ("", "Add", "Add") => found(either(), "logit_bias".into(), Part::Number),
        _ => Vec::new(),
    })
}

/// Whether a node is named after a module of a SigLIP.
pub fn is_of_siglip(node: &Node) -> bool {
    path(node)
        .is_some_and(|(module, _)| module.starts_with("vision_model.") || module.starts_with("text_model."))
}

/// The module that a node is named after, such as `vision_model.head.mlp.fc1`, and the node's own name in it.
fn path(node: &Node) -> Option<(String, &str)> {
    let path = node.name.strip_prefix('/')?;
    let (module, leaf) = path.rsplit_once('/').unwrap_or(("", path));
    let leaf = QUANTIZED.iter().find_map(|suffix| leaf.strip_suffix(suffix)).unwrap_or(leaf);
    Some((module.replace('/', "."), leaf))
}

/// The linear layer or convolution that a module is, if it is one.
fn linear_layer(module: &str, leaf: &str) -> Option<String> {
    let (_, last) = module.rsplit_once('.')?;
    match module {
        "text_model.head" => Some(module.into()),
        // The pooling head's attention is one module, which also multiplies by the input projection.
        "vision_model.head.attention" => leaf.starts_with("Gemm").then(|| format!("{module}.out_proj")),
        _ => LINEAR.contains(&last).then(|| module.into()),
    }
}
