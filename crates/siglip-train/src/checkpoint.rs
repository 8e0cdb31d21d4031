//! What a run leaves: its state, for a later run to go on from, and the model in the layout of the hub.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};

use crate::Error;
use crate::captions::Captions;
use crate::model::{Parameters, SCALARS, TEACHER, WORDS};
use crate::shape::{CONTEXT, IMAGE_SIZE};

const PARAMETER: &str = "parameter/";
const AVERAGE: &str = "average/";
const STEP: &str = "step";

/// The step of an earlier run, and what its optimizer remembered.
pub type Resumed = (usize, BTreeMap<String, Tensor>);

/// Writes parameters, their average, optimizer and step, in one piece or not at all.
pub fn save(
    out: &Path,
    parameters: &Parameters,
    averages: &Parameters,
    state: &BTreeMap<String, Tensor>,
    step: usize,
) -> Result<(), Error> {
    let mut tensors: HashMap<String, Tensor> =
        state.iter().map(|(name, t)| (name.clone(), t.clone())).collect();
    for (kind, parameters) in [(PARAMETER, parameters), (AVERAGE, averages)] {
        for (name, var) in &parameters.vars {
            tensors.insert(format!("{kind}{name}"), var.as_detached_tensor());
        }
    }
    tensors.insert(STEP.into(), Tensor::new(step as i64, &Device::Cpu)?);
    let (half, whole) = (out.join("state.partial"), out.join("state.safetensors"));
    safetensors::save(&tensors, &half)?;
    std::fs::rename(&half, &whole).map_err(Error::file(whole))
}

/// Brings parameters and their average to where an earlier run left them; its step and what its optimizer remembered, or
/// none where there was no earlier run.
pub fn resume(out: &Path, parameters: &Parameters, averages: &Parameters) -> Result<Option<Resumed>, Error> {
    let path = out.join("state.safetensors");
    if !path.exists() {
        return Ok(None);
    }
    let mut tensors = safetensors::load(&path, &Device::Cpu)?;
    let missing = |name: &str| Error::State { path: path.clone(), reason: format!("it has no {name}") };
    for (kind, parameters) in [(PARAMETER, parameters), (AVERAGE, averages)] {
        for (name, var) in &parameters.vars {
            let tensor = tensors.remove(&format!("{kind}{name}")).ok_or_else(|| missing(name))?;
            if tensor.shape() != var.shape() {
                let reason = format!("{name} is {:?} there, {:?} here", tensor.dims(), var.dims());
                return Err(Error::State { path, reason });
            }
            var.set(&tensor)?;
        }
    }
    let step = tensors.remove(STEP).ok_or_else(|| missing(STEP))?.to_scalar::<i64>()? as usize;
    Ok(Some((step, tensors.into_iter().collect())))
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
    let tensors: HashMap<String, Tensor> = hub_tensors(parameters, &captions.vectors)?
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F16)?.contiguous()?)))
        .collect::<candle_core::Result<_>>()?;
    Ok(safetensors::save(&tensors, folder.join("model.safetensors"))?)
}

/// The parameters by the names and shapes of the hub's checkpoints.
fn hub_tensors(parameters: &Parameters, vectors: &Tensor) -> candle_core::Result<BTreeMap<String, Tensor>> {
    let shape = parameters.shape;
    let mut tensors = BTreeMap::new();
    for (name, var) in &parameters.vars {
        let tensor = var.as_detached_tensor();
        if name == WORDS {
            tensors.insert("text_model.embeddings.token_embedding.weight".into(), vectors.matmul(&tensor)?);
        } else if name == "vision_model.embeddings.patch_embedding.weight" {
            tensors.insert(name.clone(), tensor.reshape((shape.width, 3, shape.patch, shape.patch))?);
        } else if name == "vision_model.head.probe" {
            tensors.insert(name.clone(), tensor.unsqueeze(0)?);
        } else if let Some((attention, rest)) = name.split_once(".kv_proj.") {
            let width = tensor.dim(0)? / 2;
            let [k, v] = [0, 1].map(|part| tensor.narrow(0, part * width, width));
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

#[cfg(test)]
pub mod tests {
    use siglip::model::{Model, ModelLoader};
    use siglip::weights::WeightReader;
    use siglip::{Config, Engine as _, EngineLoader as _, LoadOptions, PixelValues, Precision};

    use super::*;
    use crate::data::push_patch;
    use crate::model::normalize;
    use crate::shape::Shape;

    /// A folder of the test's own, gone with it.
    pub struct Folder(pub std::path::PathBuf);

    impl Folder {
        pub fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("siglip-train-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const WORDS: usize = 20;

    fn parameters(seed: u64) -> Parameters {
        let shape = Shape { width: 128, text_width: 64, patch: 16, vision_layers: 2, text_layers: 1 };
        Parameters::random(shape, 50, 8, seed).unwrap()
    }

    fn close(expected: &Tensor, found: &[f32]) {
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(expected.len(), found.len());
        for (a, b) in expected.iter().zip(found) {
            assert!((a - b).abs() < 1e-5, "{a} against {b}");
        }
    }

    #[test]
    fn the_engine_computes_what_was_trained() {
        let parameters = parameters(3);
        let shape = parameters.shape;
        let vectors = Tensor::randn(0f32, 1.0, (WORDS, 50), &Device::Cpu).unwrap();
        let folder = Folder::new("engine");
        let file = folder.0.join("model.safetensors");
        let tensors: HashMap<_, _> = hub_tensors(&parameters, &vectors).unwrap().into_iter().collect();
        safetensors::save(&tensors, &file).unwrap();
        let config = Config::from_json(&shape.config(WORDS).to_string()).unwrap();
        let options = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
        let mut loader = ModelLoader::new(config, options).unwrap();
        let mut reader = WeightReader::new();
        reader.push(&std::fs::read(&file).unwrap(), &mut loader).unwrap();
        reader.finish().unwrap();
        let mut engine: Model = loader.finish().unwrap();
        let weights = parameters.frozen();

        let pixels: Vec<u8> = (0..IMAGE_SIZE * IMAGE_SIZE * 3).map(|i| (i * 131 % 251) as u8).collect();
        let mut patches = Vec::new();
        (0..shape.patches()).for_each(|position| push_patch(&mut patches, &pixels, position, shape.patch));
        let patches = Tensor::from_vec(patches, (shape.patches(), shape.patch_size()), &Device::Cpu).unwrap();
        let positions = Tensor::arange(0u32, shape.patches() as u32, &Device::Cpu).unwrap();
        let trained = normalize(&weights.image_features(&patches, &positions, 1).unwrap()).unwrap();
        let value = |channel: usize, i: usize| f32::from(pixels[3 * i + channel]) / 127.5 - 1.0;
        let area = IMAGE_SIZE * IMAGE_SIZE;
        let pixel_values = (0..3).flat_map(|channel| (0..area).map(move |i| value(channel, i))).collect();
        let image = PixelValues::new(pixel_values, IMAGE_SIZE);
        close(&trained, &engine.image_embeds(vec![image]).unwrap());

        let input_ids: Vec<u32> = (0..2 * CONTEXT).map(|i| (i * 7 % WORDS) as u32).collect();
        let ids = Tensor::from_slice(&input_ids, input_ids.len(), &Device::Cpu).unwrap();
        let trained = normalize(&weights.text_features(&ids, &vectors).unwrap()).unwrap();
        close(&trained, &engine.text_embeds(input_ids).unwrap());
    }

    #[test]
    fn a_run_goes_on_where_it_was_saved() {
        let folder = Folder::new("state");
        let (saved, fresh) = (parameters(1), parameters(2));
        let momentum = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
        assert!(resume(&folder.0, &fresh, &fresh).unwrap().is_none());
        let averages = parameters(3);
        save(&folder.0, &saved, &averages, &BTreeMap::from([("momentum/x".into(), momentum)]), 17).unwrap();
        let fresh_averages = parameters(4);
        let (step, state) = resume(&folder.0, &fresh, &fresh_averages).unwrap().unwrap();
        assert_eq!((step, state.keys().map(String::as_str).collect::<Vec<_>>()), (17, vec!["momentum/x"]));
        for (fresh, saved) in [(&fresh, &saved), (&fresh_averages, &averages)] {
            for (name, var) in &fresh.vars {
                let expected: Vec<f32> = saved.vars[name].flatten_all().unwrap().to_vec1().unwrap();
                assert_eq!(var.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected, "{name}");
            }
        }
    }

    #[test]
    fn a_state_of_another_shape_is_refused() {
        let folder = Folder::new("shape");
        save(&folder.0, &parameters(1), &parameters(1), &BTreeMap::new(), 1).unwrap();
        let shape = Shape { width: 64, text_width: 64, patch: 16, vision_layers: 2, text_layers: 1 };
        let other = Parameters::random(shape, 50, 8, 1).unwrap();
        assert!(matches!(resume(&folder.0, &other, &other), Err(Error::State { .. })));
    }
}
