//! What a run leaves: its state, for a later run to go on from, and the model in the layout of the hub.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};

use crate::Error;
use crate::captions::Captions;
use crate::model::{Parameters, SCALARS, TEACHER, WORDS};
use crate::shape::{CONTEXT, IMAGE_SIZE};

const PARAMETER: &str = "parameter/";
const STEP: &str = "step";

/// Writes parameters, optimizer and step, in one piece or not at all.
pub fn save(
    out: &Path,
    parameters: &Parameters,
    state: &BTreeMap<String, Tensor>,
    step: usize,
) -> Result<(), Error> {
    let mut tensors: HashMap<String, Tensor> =
        state.iter().map(|(name, t)| (name.clone(), t.clone())).collect();
    for (name, var) in &parameters.vars {
        tensors.insert(format!("{PARAMETER}{name}"), var.as_detached_tensor());
    }
    tensors.insert(STEP.into(), Tensor::new(step as i64, &Device::Cpu)?);
    let (half, whole) = (out.join("state.partial"), out.join("state.safetensors"));
    safetensors::save(&tensors, &half)?;
    std::fs::rename(&half, &whole).map_err(Error::file(whole))
}

/// Brings parameters to where an earlier run left them; its step and what its optimizer remembered, or the beginning.
pub fn resume(out: &Path, parameters: &Parameters) -> Result<(usize, BTreeMap<String, Tensor>), Error> {
    let path = out.join("state.safetensors");
    if !path.exists() {
        return Ok((0, BTreeMap::new()));
    }
    let mut tensors = safetensors::load(&path, &Device::Cpu)?;
    let missing = |name: &str| Error::State { path: path.clone(), reason: format!("it has no {name}") };
    for (name, var) in &parameters.vars {
        let tensor = tensors.remove(&format!("{PARAMETER}{name}")).ok_or_else(|| missing(name))?;
        if tensor.shape() != var.shape() {
            let reason = format!("{name} is {:?} there, {:?} here", tensor.dims(), var.dims());
            return Err(Error::State { path, reason });
        }
        var.set(&tensor)?;
    }
    let step = tensors.remove(STEP).ok_or_else(|| missing(STEP))?.to_scalar::<i64>()? as usize;
    Ok((step, tensors.into_iter().collect()))
}

/// Writes the model to `folder` as the hub has it, in half precision, with its tokenizer from the recipe's folder.
pub fn export(folder: &Path, data: &Path, parameters: &Parameters, captions: &Captions) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).map_err(Error::file(folder.join(name)))
    };
    let pretty =
        |value: &serde_json::Value| serde_json::to_vec_pretty(value).expect("a JSON value has a JSON form");
    write("config.json", &pretty(&parameters.shape.config(captions.vectors.dim(0)?)))?;
    write("preprocessor_config.json", &pretty(&preprocessor()))?;
    write("tokenizer_config.json", &pretty(&tokenizer_config()))?;
    let tokenizer = data.join("tokenizer.json");
    write("tokenizer.json", &std::fs::read(&tokenizer).map_err(Error::file(&tokenizer))?)?;
    let tensors: HashMap<String, Tensor> = hub_tensors(parameters, captions)?
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F16)?.contiguous()?)))
        .collect::<candle_core::Result<_>>()?;
    Ok(safetensors::save(&tensors, folder.join("model.safetensors"))?)
}

/// The parameters by the names and shapes of the hub's checkpoints.
fn hub_tensors(
    parameters: &Parameters,
    captions: &Captions,
) -> candle_core::Result<BTreeMap<String, Tensor>> {
    let shape = parameters.shape;
    let mut tensors = BTreeMap::new();
    for (name, var) in &parameters.vars {
        let tensor = var.as_detached_tensor();
        if name == WORDS {
            tensors.insert(
                "text_model.embeddings.token_embedding.weight".into(),
                captions.vectors.matmul(&tensor)?,
            );
        } else if name == "vision_model.embeddings.patch_embedding.weight" {
            tensors.insert(name.clone(), tensor.reshape((shape.width, 3, shape.patch, shape.patch))?);
        } else if name == "vision_model.head.probe" {
            tensors.insert(name.clone(), tensor.unsqueeze(0)?);
        } else if let Some((attention, rest)) = name.split_once(".kv_proj.") {
            let [k, v] = [0, 1].map(|part| tensor.narrow(0, part * shape.width, shape.width));
            if attention == "vision_model.head.attention" {
                let q = parameters.vars[&format!("{attention}.q_proj.{rest}")].as_detached_tensor();
                tensors.insert(format!("{attention}.in_proj_{rest}"), Tensor::cat(&[q, k?, v?], 0)?);
            } else {
                tensors.insert(format!("{attention}.k_proj.{rest}"), k?);
                tensors.insert(format!("{attention}.v_proj.{rest}"), v?);
            }
        } else if !name.starts_with(TEACHER)
            && name != SCALARS[2]
            && !name.starts_with("vision_model.head.attention.q_proj")
        {
            tensors.insert(name.clone(), tensor);
        }
    }
    Ok(tensors)
}

fn preprocessor() -> serde_json::Value {
    serde_json::json!({
        "do_normalize": true, "do_rescale": true, "do_resize": true,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor",
        "resample": 3, "rescale_factor": 1.0 / 255.0,
        "size": { "height": IMAGE_SIZE, "width": IMAGE_SIZE },
    })
}

fn tokenizer_config() -> serde_json::Value {
    serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>", "unk_token": "<unk>", "model_max_length": CONTEXT,
    })
}
