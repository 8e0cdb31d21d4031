//! What models of these files say, beside what onnxruntime says.

use std::collections::BTreeMap;

use siglip::model::{Model, ModelLoader};
use siglip::weights::{TensorShape, TensorSink, WeightReader};
use siglip::{Engine as _, EngineLoader as _, LoadOptions, PixelValues, Precision, Towers};

use super::{
    Collected, Embeds, RecordedFile, Recording, config_of_exports, fixture, load, towers_of, whole_exports,
};
use crate::support::checkpoints::{RANDOM_SMALL, config, model, read, repository, whole};
use crate::support::reference::{cosine, pixel_values, recording};
use crate::support::weight_files;

/// The embeddings of the recorded images and texts, by the towers that the model has.
fn embeds(model: &mut Model, towers: Towers, recording: &Recording) -> Embeds {
    let side = model.config().vision_config.image_size;
    let mut embeds = Embeds::default();
    if towers.has_image() {
        let images =
            (0..recording.images).map(|image| PixelValues::new(pixel_values(image, 3 * side * side), side));
        embeds.image_embeds = images.map(|image| model.image_embeds(vec![image]).unwrap()).collect();
    }
    if towers.has_text() {
        let texts = recording.input_ids.iter().cloned();
        embeds.text_embeds = texts.map(|text| model.text_embeds(text).unwrap()).collect();
    }
    embeds
}

/// The lowest cosine of embeddings with the exact ones.
fn lowest_cosine(found: &Embeds, exact: &Embeds) -> f64 {
    let images = found.image_embeds.iter().zip(&exact.image_embeds);
    let texts = found.text_embeds.iter().zip(&exact.text_embeds);
    images.chain(texts).map(|(found, exact)| cosine(found, exact)).fold(1.0, f64::min)
}

#[test]
fn embeddings_are_no_further_from_the_exact_ones_than_those_of_onnxruntime() {
    compare_with_onnxruntime(&recording("onnx"), &config_of_exports(), fixture);
}

fn compare_with_onnxruntime(
    recording: &Recording,
    config: &siglip::Config,
    file_of: impl Fn(&str) -> Vec<u8>,
) {
    for RecordedFile { file, onnxruntime, .. } in &recording.files {
        let towers = towers_of(file);
        let bytes = file_of(file);
        // Files of floats load in single precision.
        let precisions = match file.ends_with("fp16") {
            true => &[Precision::F32][..],
            false => &[Precision::F32, Precision::Q8, Precision::Q8Exact],
        };
        for &precision in precisions {
            // The split towers have neither scale nor bias.
            let mut loader =
                ModelLoader::new(config.clone(), LoadOptions { precision, towers, ..whole(precision) })
                    .unwrap();
            let mut reader = WeightReader::new();
            reader.push(&bytes, &mut loader).unwrap();
            reader.finish().unwrap();
            add_logits(&mut loader, towers);
            let mut model = loader.finish().unwrap();
            let found = lowest_cosine(&embeds(&mut model, towers, recording), &recording.exact);
            let theirs = lowest_cosine(onnxruntime, &recording.exact);
            println!("{file} in {precision:?}: cosine {found:.6}, onnxruntime {theirs:.6}");
            // The least difference that is worth naming.
            assert!(found >= theirs - 1e-5, "{file} in {precision:?}: {found} below {theirs}");
        }
    }
}

fn add_logits(loader: &mut ModelLoader, towers: Towers) {
    if towers == Towers::Both {
        return;
    }
    for name in ["logit_scale", "logit_bias"] {
        let tensor = TensorShape { name: name.into(), shape: vec![1] };
        loader.rows(&tensor, 0, &[1.0]).unwrap();
    }
}

#[test]
fn both_generations_store_the_same_scale_and_bias() {
    let models: Vec<Model> = ["raw", "slim"]
        .map(|generation| {
            let file = fixture(&format!("{generation}/model_quantized"));
            load(&[&file], config_of_exports(), whole(Precision::Q8)).unwrap()
        })
        .into();
    assert!((models[0].logit_scale() / models[1].logit_scale() - 1.0).abs() < 1e-6);
    assert_eq!(models[0].logit_bias(), models[1].logit_bias());
}

/// `make_onnx.py` of the benchmark gives its nodes no names: the layers are told by their structure.
#[test]
fn towers_without_names_are_read_by_their_structure() {
    let folder = repository(RANDOM_SMALL).join("onnx");
    let mut safetensors = weight_files::Collect::default();
    let whole_file = read(&repository(RANDOM_SMALL).join("model.safetensors"));
    weight_files::read(&whole_file, &mut safetensors).unwrap();
    let originals: BTreeMap<_, _> = weight_files::joined(safetensors.rows).into_iter().collect();
    let towers = ["vision", "text"].map(|tower| read(&folder.join(format!("{tower}_model_quantized.onnx"))));
    for tower in &towers {
        let collected = Collected::of([&tower[..]]).unwrap();
        for name in collected.tensors.keys() {
            let cosine = cosine(&collected.values(name), &originals[name]);
            assert!(cosine > 0.999 || originals[name].iter().all(|value| *value == 0.0), "{name}: {cosine}");
        }
    }
    let mut exact = model(RANDOM_SMALL, Precision::F32);
    let mut loader = ModelLoader::new(config(RANDOM_SMALL), whole(Precision::Q8)).unwrap();
    for tower in &towers {
        let mut reader = WeightReader::new();
        reader.push(tower, &mut loader).unwrap();
        reader.finish().unwrap();
    }
    for (name, value) in [("logit_scale", exact.logit_scale().ln()), ("logit_bias", exact.logit_bias())] {
        loader.rows(&TensorShape { name: name.into(), shape: vec![1] }, 0, &[value]).unwrap();
    }
    let mut model = loader.finish().unwrap();
    let side = model.config().vision_config.image_size;
    let image = || PixelValues::new(pixel_values(0, 3 * side * side), side);
    let images = [&mut exact, &mut model].map(|model| model.image_embeds(vec![image()]).unwrap());
    let ids: Vec<u32> = (0..16).map(|at| at * 7 % 157).collect();
    let texts = [&mut exact, &mut model].map(|model| model.text_embeds(ids.clone()).unwrap());
    // The cosines that onnxruntime 1.32 reaches with these files: weights of this model are drawn wide.
    for ([exact, found], theirs) in [(images, 0.988_158), (texts, 0.997_231)] {
        let cosine = cosine(&exact, &found);
        println!("cosine {cosine:.6}, onnxruntime {theirs:.6}");
        assert!(cosine >= theirs, "{cosine} below {theirs}");
    }
}

#[test]
fn whole_exports_embed_no_further_from_the_exact_ones_than_onnxruntime() {
    let Some(folder) = whole_exports() else { return };
    let config = String::from_utf8(read(&folder.join("config.json"))).unwrap();
    let config = siglip::Config::from_json(&config).unwrap();
    let file_of = |file: &str| read(&folder.join(format!("{file}.onnx")));
    compare_with_onnxruntime(&recording("onnx-whole"), &config, file_of);
}
