//! Models whose weights are ONNX files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{answer, refusal, repository};
use crate::{CAT, RANDOM_SMALL, folder, json_lines};

/// A test's folder as those of transformers.js are: the small files, and `onnx/` with one generation's file of both towers.
fn folder_of_onnx(test: &str, generation: &str) -> PathBuf {
    let folder = folder(&format!("onnx-{test}-{generation}"));
    let exports = repository().join("tests/fixtures/onnx");
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        fs::copy(exports.join(name), folder.join(name)).unwrap();
    }
    fs::create_dir(folder.join("onnx")).unwrap();
    let file = "model_quantized.onnx";
    fs::copy(exports.join(generation).join(file), folder.join("onnx").join(file)).unwrap();
    folder
}

#[test]
fn a_folder_for_transformers_js_is_a_model() {
    for generation in ["raw", "slim"] {
        let folder = folder_of_onnx("model", generation);
        let (folder, file) = (folder.to_str().unwrap(), folder.join("onnx/model_quantized.onnx"));
        let classify = |model: &str| answer(&["classify", CAT, "--label", "a", "--json", "--model", model]);
        assert_eq!(classify(folder), classify(file.to_str().unwrap()), "{generation}");
        let info: Value = serde_json::from_str(&answer(&["info", "--json", "--model", folder])).unwrap();
        assert_eq!(info["towers"]["image"]["tensors"], if generation == "raw" { 32 } else { 34 });
        assert!((info["logitScale"].as_f64().unwrap() - 0.959_571_7).abs() < 1e-6, "{info}");
        assert!(info["dtypes"]["U8"]["bytes"].as_u64().unwrap() > 100_000, "{info}");

        // A GGUF made of it gives the same, but for its own rounding.
        let gguf = Path::new(folder).join("converted.gguf");
        answer(&["convert", folder, gguf.to_str().unwrap(), "--to", "f32"]);
        let logit = |line: &str| json_lines(line)[0]["scores"][0]["logit"].as_f64().unwrap();
        let difference = logit(&classify(gguf.to_str().unwrap())) - logit(&classify(folder));
        assert!(difference.abs() < 1e-3, "{generation}: {difference}");
    }
}

#[test]
fn towers_in_onnx_files_of_their_own_take_scale_and_bias_from_beside() {
    let tower = format!("{RANDOM_SMALL}/onnx/vision_model_quantized.onnx");
    let logit = |model: &str| {
        let line = answer(&["classify", CAT, "--label", "a", "--json", "--model", model]);
        json_lines(&line)[0]["scores"][0]["logit"].as_f64().unwrap()
    };
    assert!((logit(&tower) - logit(RANDOM_SMALL)).abs() < 2.0, "{} {}", logit(&tower), logit(RANDOM_SMALL));

    // Without them it embeds all the same.
    let folder = folder("onnx-towers");
    fs::create_dir(folder.join("onnx")).unwrap();
    let small = ["config.json", "preprocessor_config.json", "tokenizer.json"];
    for name in
        small.into_iter().chain(["onnx/vision_model_quantized.onnx", "onnx/text_model_quantized.onnx"])
    {
        fs::copy(repository().join(RANDOM_SMALL).join(name), folder.join(name)).unwrap();
    }
    let model = folder.to_str().unwrap();
    answer(&["embed", "--image", CAT, "--model", model]);
    let message = refusal(&["search", "www/samples", "a", "--model", model]);
    assert!(message.contains("logit_scale"), "{message}");
}

#[test]
fn an_onnx_of_another_kind_is_refused_by_name() {
    let folder = folder_of_onnx("refused", "raw");
    let file = folder.join("onnx/model_quantized.onnx");
    let mut bytes = fs::read(&file).unwrap();
    let (from, to) = (b"/text_model/final_layer_norm/Mul", b"/text_model/final_batch_norm/Mul");
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(&file, bytes).unwrap();
    let message = refusal(&["info", "--model", folder.to_str().unwrap()]);
    assert!(message.contains("/text_model/final_batch_norm/Mul (Mul)"), "{message}");
    assert!(message.contains("model_quantized.onnx"), "{message}");
}
