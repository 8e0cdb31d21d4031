//! A warm start: parameters from a model that an earlier run wrote, as far as the shapes allow.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};

use crate::Error;
use crate::captions::{Captions, read_words};
use crate::model::{Parameters, WORDS};
use crate::shape::{TEXT, VISION};

/// Name of the token table in a checkpoint.
pub const TOKENS: &str = "text_model.embeddings.token_embedding.weight";
const HEAD_ATTENTION: &str = "vision_model.head.attention";

/// Sets what the model in `folder` has: scale and bias, and each tower of the same width. Where the tower has fewer
/// layers there, the further ones here begin as copies of their neighbours that add nothing to the residual stream
/// (progressive stacking, Gong et al., 2019). Returns the towers that were found.
pub fn start_from(
    folder: &Path,
    parameters: &Parameters,
    captions: &Captions,
) -> Result<Vec<&'static str>, Error> {
    let path = folder.join("model.safetensors");
    let tensors = safetensors::load(&path, &Device::Cpu)?
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?)))
        .collect::<candle_core::Result<HashMap<_, _>>>()?;
    for name in ["logit_scale", "logit_bias"] {
        let tensor = tensors.get(name).ok_or_else(|| Error::data(&path)(format!("it has no {name}")))?;
        parameters.vars[name].set(tensor)?;
    }
    let mut found = Vec::new();
    for tower in [TEXT, VISION] {
        let mut start = Vec::new();
        for name in parameters.vars.keys().filter(|name| name.starts_with(tower)) {
            let tensor = if name == WORDS {
                words_matrix(folder, &tensors[TOKENS], captions)?
            } else {
                of_parameter(name, &tensors, parameters.shape.tower(tower).1)?
            };
            start.push((&parameters.vars[name], tensor));
        }
        let fits = |(var, tensor): &(&candle_core::Var, Option<Tensor>)| {
            tensor.as_ref().is_some_and(|tensor| tensor.elem_count() == var.elem_count())
        };
        if start.iter().all(fits) {
            for (var, tensor) in start {
                if let Some(tensor) = tensor {
                    var.set(&tensor.reshape(var.shape())?)?;
                }
            }
            found.push(tower);
        }
    }
    Ok(found)
}

/// What the checkpoint holds for a parameter of a tower that is to have `layers` layers.
fn of_parameter(
    name: &str,
    tensors: &HashMap<String, Tensor>,
    layers: usize,
) -> candle_core::Result<Option<Tensor>> {
    if let Some((tower, rest)) = name.split_once(".encoder.layers.") {
        let (layer, rest) = rest.split_once('.').expect("a layer's parameter has a name");
        let layer: usize = layer.parse().expect("layers are numbered");
        let prefix = format!("{tower}.encoder.layers.");
        let there: HashSet<&str> = tensors
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix).and_then(|rest| rest.split('.').next()))
            .collect();
        let source = |layer: usize| layer * there.len() / layers;
        let tensor = stored(&format!("{prefix}{}.{rest}", source(layer)), tensors)?;
        let copied = layer > 0 && source(layer) == source(layer - 1);
        let adds = rest.starts_with("self_attn.out_proj") || rest.starts_with("mlp.fc2");
        return tensor
            .map(|tensor| if copied && adds { tensor.zeros_like() } else { Ok(tensor) })
            .transpose();
    }
    stored(name, tensors)
}

/// The inverse of what an export does to one parameter, but for its shape.
fn stored(name: &str, tensors: &HashMap<String, Tensor>) -> candle_core::Result<Option<Tensor>> {
    if let Some(rest) = name.strip_prefix(HEAD_ATTENTION)
        && let Some((projection, rest)) = rest.trim_start_matches('.').split_once('.')
        && projection != "out_proj"
    {
        let Some(joined) = tensors.get(&format!("{HEAD_ATTENTION}.in_proj_{rest}")) else { return Ok(None) };
        let width = joined.dim(0)? / 3;
        let part = if projection == "q_proj" { (0, width) } else { (width, 2 * width) };
        return joined.narrow(0, part.0, part.1)?.contiguous().map(Some);
    }
    if let Some((attention, rest)) = name.split_once(".kv_proj.") {
        let part = |key: &str| tensors.get(&format!("{attention}.{key}_proj.{rest}"));
        let (Some(k), Some(v)) = (part("k"), part("v")) else { return Ok(None) };
        return Tensor::cat(&[k, v], 0).map(Some);
    }
    Ok(tensors.get(name).cloned())
}

/// The matrix by which the words' vectors give the token table best, in the least squares over the words of both.
fn words_matrix(folder: &Path, table: &Tensor, captions: &Captions) -> Result<Option<Tensor>, Error> {
    let path = folder.join("tokenizer.json");
    let there = read_words(&path)?;
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for (word, &id) in &there {
        if let Some(&here) = captions.words.get(word)
            && id > 1
        {
            from.push(here);
            to.push(id);
        }
    }
    let select = |tensor: &Tensor, ids: Vec<u32>| {
        let count = ids.len();
        tensor.index_select(&Tensor::from_vec(ids, count, &Device::Cpu)?, 0)?.to_dtype(DType::F64)
    };
    let (vectors, table) = (select(&captions.vectors, from)?, select(table, to)?);
    let square = vectors.t()?.matmul(&vectors)?.to_vec2::<f64>()?;
    let right = vectors.t()?.matmul(&table)?.to_vec2::<f64>()?;
    let solution =
        solve(square, right).ok_or_else(|| Error::data(path)("too few of its words have a vector"))?;
    Ok(Some(Tensor::new(solution, &Device::Cpu)?.to_dtype(DType::F32)?))
}

/// The X of A X = B for a symmetric, positive definite A, by Gauss's elimination; none where A is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for pivot in 0..a.len() {
        let scale = a[pivot][pivot];
        if scale.abs() < 1e-9 {
            return None;
        }
        for row in 0..a.len() {
            if row != pivot {
                let factor = a[row][pivot] / scale;
                for matrix in [&mut a, &mut b] {
                    let line = matrix[pivot].clone();
                    matrix[row].iter_mut().zip(line).for_each(|(x, y)| *x -= factor * y);
                }
            }
        }
        for matrix in [&mut a, &mut b] {
            matrix[pivot].iter_mut().for_each(|x| *x /= scale);
        }
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;
    use crate::checkpoint::tests::Folder;
    use crate::model::normalize;
    use crate::shape::{CONTEXT, Shape};

    const VOCABULARY: usize = 90;

    /// The recipe's folder, as far as a model is written and read with it.
    fn captions(folder: &Path) -> Captions {
        let words: HashMap<String, usize> = (0..VOCABULARY).map(|id| (format!("word{id}"), id)).collect();
        let tokenizer = serde_json::json!({ "model": { "vocab": words } });
        std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let captions = serde_json::json!({ "phrases": [], "teacher": [], "classes": {} });
        std::fs::write(folder.join("captions.json"), captions.to_string()).unwrap();
        let vectors = Tensor::randn(0f32, 1.0, (VOCABULARY, 50), &Device::Cpu).unwrap();
        let vectors = HashMap::from([("vectors", vectors)]);
        safetensors::save(&vectors, folder.join("words.safetensors")).unwrap();
        Captions::read(folder).unwrap()
    }

    /// What both towers make of some patches and some words.
    fn embeddings(parameters: &Parameters, captions: &Captions) -> [Tensor; 2] {
        let (weights, shape) = (parameters.frozen(), parameters.shape);
        let numbers = (0..shape.patches() * shape.patch_size()).map(|i| (i * 131 % 251) as f32 / 125.0 - 1.0);
        let patches = Tensor::from_iter(numbers, &Device::Cpu).unwrap();
        let patches = patches.reshape((shape.patches(), shape.patch_size())).unwrap();
        let positions = Tensor::arange(0u32, shape.patches() as u32, &Device::Cpu).unwrap();
        let ids = Tensor::arange(2u32, 2 + CONTEXT as u32, &Device::Cpu).unwrap();
        [
            normalize(&weights.image_features(&patches, &positions, 1).unwrap()).unwrap(),
            normalize(&weights.text_features(&ids, &captions.vectors).unwrap()).unwrap(),
        ]
    }

    fn cosine(a: &Tensor, b: &Tensor) -> f32 {
        (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
    }

    const SMALL: Shape = Shape { width: 128, text_width: 64, patch: 16, vision_layers: 2, text_layers: 1 };

    #[test]
    fn a_written_model_is_found_again_also_with_more_layers() {
        let folder = Folder::new("init");
        let captions = captions(&folder.0);
        let written = Parameters::random(SMALL, 50, 8, 1).unwrap();
        checkpoint::export(&folder.0, &folder.0, &written, &captions).unwrap();
        for layers in [2, 5] {
            let shape = Shape { vision_layers: layers, ..SMALL };
            let found = Parameters::random(shape, 50, 8, 2).unwrap();
            assert_eq!(start_from(&folder.0, &found, &captions).unwrap(), [TEXT, VISION]);
            let same = embeddings(&written, &captions).iter().zip(&embeddings(&found, &captions)).all(
                // As near as weights of half precision allow.
                |(a, b)| cosine(a, b) > 0.9999,
            );
            assert!(same, "{layers} layers");
        }
    }

    #[test]
    fn a_tower_of_another_width_begins_at_random() {
        let folder = Folder::new("init-width");
        let captions = captions(&folder.0);
        let written = Parameters::random(SMALL, 50, 8, 1).unwrap();
        checkpoint::export(&folder.0, &folder.0, &written, &captions).unwrap();
        let other = Parameters::random(Shape { text_width: 128, ..SMALL }, 50, 8, 2).unwrap();
        let random = embeddings(&other, &captions);
        assert_eq!(start_from(&folder.0, &other, &captions).unwrap(), [VISION]);
        let [image, text] = embeddings(&other, &captions);
        assert!(cosine(&image, &embeddings(&written, &captions)[0]) > 0.9999);
        assert!(cosine(&text, &random[1]) > 0.9999);
    }

    #[test]
    fn solve_finds_what_was_multiplied() {
        let a = vec![vec![4.0, 1.0, 0.5], vec![1.0, 3.0, -0.2], vec![0.5, -0.2, 2.0]];
        let x = [[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]];
        let b: Vec<Vec<f64>> = a
            .iter()
            .map(|row| (0..2).map(|j| row.iter().zip(x).map(|(a, x)| a * x[j]).sum()).collect())
            .collect();
        for (found, expected) in solve(a, b).unwrap().iter().flatten().zip(x.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
        assert!(solve(vec![vec![0.0]], vec![vec![1.0]]).is_none());
    }
}
