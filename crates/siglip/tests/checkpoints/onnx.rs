//! ONNX: files of both generations of exports, what they hold and what they give, and files that lie.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use siglip::model::{Model, ModelLoader};
use siglip::weights::{TensorShape, TensorSink, WeightReader};
use siglip::{Engine as _, EngineLoader as _, Error, LoadOptions, PixelValues, Precision, Towers};

use crate::support::checkpoints::{RANDOM_SMALL, config, hex, model, read, repository, whole};
use crate::support::reference::{cosine, pixel_values, recording};
use crate::support::weight_files::{self, cut};

/// The shortened exports; see `tests/parity/record_onnx.py`.
const FIXTURES: &str = "tests/fixtures/onnx";

/// `tests/parity/onnx.json`.
#[derive(Deserialize)]
struct Recording {
    images: usize,
    input_ids: Vec<Vec<u32>>,
    /// What the safetensors give in f32.
    #[serde(flatten)]
    exact: Embeds,
    files: Vec<RecordedFile>,
}

#[derive(Deserialize)]
struct RecordedFile {
    file: String,
    /// Shape, and sha256 of the values in f32; none of whole exports.
    #[serde(default)]
    tensors: BTreeMap<String, (Vec<usize>, String)>,
    /// What onnxruntime gives.
    #[serde(flatten)]
    onnxruntime: Embeds,
}

/// Of the towers that a file has.
#[derive(Deserialize, Default)]
struct Embeds {
    #[serde(default)]
    image_embeds: Vec<Vec<f32>>,
    #[serde(default)]
    text_embeds: Vec<Vec<f32>>,
}

/// Every tensor, put together from its rows, and the names of those that had quantized rows.
#[derive(Debug, Default, PartialEq)]
struct Collected {
    named: BTreeSet<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<Option<f32>>)>,
    quantized: BTreeSet<String>,
}

impl TensorSink for Collected {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        panic!("an ONNX has no shapes at its beginning")
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.named = names.iter().map(|name| (*name).into()).collect();
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        let empty = || (tensor.shape.clone(), vec![None; tensor.len()]);
        let (shape, stored) = self.tensors.entry(tensor.name.clone()).or_insert_with(empty);
        assert_eq!(*shape, tensor.shape, "{}", tensor.name);
        for (stored, value) in stored[first_row * tensor.row_len()..].iter_mut().zip(values) {
            assert!(stored.replace(*value).is_none(), "{} comes twice", tensor.name);
        }
        Ok(())
    }

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        assert_eq!(quantized.len(), scales.len() * tensor.row_len());
        assert!(!quantized.contains(&-128), "{} has a level that the kernels do not take", tensor.name);
        self.quantized.insert(tensor.name.clone());
        let rows = quantized.chunks_exact(tensor.row_len()).zip(scales);
        let values: Vec<f32> =
            rows.flat_map(|(row, scale)| row.iter().map(move |&level| f32::from(level) * scale)).collect();
        self.rows(tensor, first_row, &values)
    }
}

impl Collected {
    fn of<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Collected, Error> {
        let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
        for chunk in chunks {
            reader.push(chunk, &mut sink)?;
        }
        reader.finish()?;
        Ok(sink)
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensors[name].1.iter().map(|value| value.expect("every value has arrived")).collect()
    }
}

fn fixture(file: &str) -> Vec<u8> {
    read(&repository(FIXTURES).join(format!("{file}.onnx")))
}

fn load(files: &[&[u8]], config: siglip::Config, options: LoadOptions) -> Result<Model, Error> {
    let mut loader = ModelLoader::new(config, options)?;
    for file in files {
        let mut reader = WeightReader::new();
        for chunk in cut(file, 7) {
            reader.push(chunk, &mut loader)?;
        }
        reader.finish()?;
    }
    loader.finish()
}

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

fn towers_of(file: &str) -> Towers {
    match file.rsplit('/').next() {
        Some(name) if name.starts_with("vision") => Towers::Image,
        Some(name) if name.starts_with("text") => Towers::Text,
        _ => Towers::Both,
    }
}

/// The lowest cosine of embeddings with the exact ones.
fn lowest_cosine(found: &Embeds, exact: &Embeds) -> f64 {
    let images = found.image_embeds.iter().zip(&exact.image_embeds);
    let texts = found.text_embeds.iter().zip(&exact.text_embeds);
    images.chain(texts).map(|(found, exact)| cosine(found, exact)).fold(1.0, f64::min)
}

#[test]
fn every_tensor_has_the_values_that_the_file_holds() {
    for RecordedFile { file, tensors, .. } in recording::<Recording>("onnx").files {
        let collected = Collected::of([&fixture(&file)[..]]).unwrap();
        let names: BTreeSet<_> = tensors.keys().cloned().collect();
        assert_eq!(collected.named, names, "{file}");
        for (name, (shape, sha256)) in tensors {
            let bytes: Vec<u8> =
                collected.values(&name).iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(collected.tensors[&name].0, shape, "{file}: {name}");
            // The logarithm of a float may differ by a bit between libraries.
            if name != "logit_scale" || file.starts_with("raw") {
                assert_eq!(hex(&Sha256::digest(bytes)), sha256, "{file}: {name}");
            }
        }
    }
}

#[test]
fn eight_bit_matrices_are_not_requantized() {
    for (file, count) in [("raw/model_quantized", 18), ("slim/model_quantized", 18)] {
        let quantized = Collected::of([&fixture(file)[..]]).unwrap().quantized;
        let is_matrix = |name: &&String| {
            name.ends_with("proj.weight") || name.contains(".fc") || name.ends_with("head.weight")
        };
        assert_eq!(quantized.iter().filter(is_matrix).count(), 16, "{file}: {quantized:?}");
        assert!(quantized.len() >= count, "{file}: {quantized:?}");
    }
}

#[test]
fn a_file_reads_the_same_in_chunks_of_any_size() {
    for RecordedFile { file, .. } in recording::<Recording>("onnx").files {
        let bytes = fixture(&file);
        let whole = Collected::of([&bytes[..]]).unwrap();
        for seed in 0..3 {
            assert_eq!(Collected::of(cut(&bytes, seed)).unwrap(), whole, "{file}, seed {seed}");
        }
        assert_eq!(Collected::of(bytes.chunks(1)).unwrap(), whole, "{file}, byte by byte");
    }
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

fn config_of_exports() -> siglip::Config {
    config(FIXTURES)
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

/// Where the whole exports are, and the safetensors that they were made of, if they are at hand.
fn whole_exports() -> Option<PathBuf> {
    std::env::var_os("SIGLIP_ONNX_EXPORTS").map(PathBuf::from)
}

#[test]
fn whole_exports_embed_no_further_from_the_exact_ones_than_onnxruntime() {
    let Some(folder) = whole_exports() else { return };
    let config = String::from_utf8(read(&folder.join("config.json"))).unwrap();
    let config = siglip::Config::from_json(&config).unwrap();
    let file_of = |file: &str| read(&folder.join(format!("{file}.onnx")));
    compare_with_onnxruntime(&recording("onnx-whole"), &config, file_of);
}

#[test]
fn whole_exports_hold_what_they_were_made_of() {
    let Some(folder) = whole_exports() else { return };
    let mut exact = weight_files::Collect::default();
    weight_files::read(&read(&folder.join("model.safetensors")), &mut exact).unwrap();
    let exact: BTreeMap<String, Vec<f32>> = weight_files::joined(exact.rows).into_iter().collect();
    let files = [
        "model_quantized",
        "vision_model_fp16",
        "text_model_fp16",
        "vision_model_quantized",
        "text_model_quantized",
        "vision_model_q4f16",
    ];
    for generation in ["raw", "slim"] {
        for file in files {
            let bytes = read(&folder.join(generation).join(format!("{file}.onnx")));
            let collected = Collected::of(cut(&bytes, 1)).unwrap();
            let mut worst = 0.0f64;
            for name in collected.tensors.keys() {
                let (found, exact) = (collected.values(name), &exact[name]);
                let norm = |values: &mut dyn Iterator<Item = f64>| {
                    values.map(|value| value * value).sum::<f64>().sqrt()
                };
                let difference = norm(&mut found.iter().zip(exact).map(|(a, b)| f64::from(a - b)));
                worst =
                    worst.max(difference / norm(&mut exact.iter().map(|&value| f64::from(value))).max(1e-9));
            }
            let bound = match file {
                _ if file.ends_with("fp16") => 1e-3,
                _ if file.ends_with("quantized") => 0.02,
                _ => 0.2,
            };
            println!(
                "{generation}/{file}: {} tensors, relative difference {worst:.2e}",
                collected.tensors.len()
            );
            assert!(worst < bound, "{generation}/{file}: {worst}");
            let all = match towers_of(file) {
                Towers::Both => exact.len(),
                Towers::Image => exact.keys().filter(|name| name.starts_with("vision_model")).count(),
                Towers::Text => exact.keys().filter(|name| name.starts_with("text_model")).count(),
            };
            assert_eq!(collected.tensors.len(), all, "{generation}/{file}");
        }
    }
}

#[test]
fn another_reader_continues_where_one_was_settled() {
    for file in ["raw/model_quantized", "slim/vision_model_q4f16"] {
        let bytes = fixture(file);
        let whole = Collected::of([&bytes[..]]).unwrap();
        for stop in (0..bytes.len()).step_by(4999) {
            let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
            reader.push(&bytes[..stop], &mut sink).unwrap();
            let (Some(header), Some(settled)) = (reader.header_len(), reader.settled()) else { continue };
            assert!(settled <= stop as u64);
            let mut next = WeightReader::new();
            next.push(&bytes[..header as usize], &mut Collected::default()).unwrap();
            // Rows of a tensor that had not ended come again.
            sink.tensors.retain(|_, (_, values)| values.iter().all(Option::is_some));
            next.seek(settled).unwrap();
            let mut rest = Collected::default();
            next.push(&bytes[settled as usize..], &mut rest).unwrap();
            next.finish().unwrap();
            rest.tensors.extend(sink.tensors);
            assert_eq!(rest.tensors, whole.tensors, "{file}, stopped at {stop}");
        }
    }
}

/// An export as the `onnx` package saves it with its data in another file.
#[test]
fn an_export_is_the_same_with_its_data_in_a_file_beside_it() {
    let expected = Collected::of([&fixture("slim/model_quantized")[..]]).unwrap();
    let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
    for chunk in cut(&fixture("external/model_quantized"), 4) {
        reader.push(chunk, &mut sink).unwrap();
    }
    assert!(reader.has_data_file());
    let (name, mut reader) = reader.into_data_file().unwrap().unwrap();
    let data = read(&repository(FIXTURES).join("external").join(name));
    for chunk in cut(&data, 5) {
        reader.push(chunk, &mut sink).unwrap();
    }
    assert_eq!((reader.header_len(), reader.settled()), (Some(0), Some(data.len() as u64)));
    reader.finish().unwrap();
    assert_eq!(sink, expected);
}

/// A tensor of [4, 6] by columns, in a file of its own.
#[test]
fn data_may_be_in_a_file_beside_it() {
    let onnx = &include_bytes!("../../../../fuzz/seeds/onnx/external")[1..];
    let data: Vec<u8> = (0..24).flat_map(|number| (number as f32).to_le_bytes()).collect();
    let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
    reader.push(onnx, &mut sink).unwrap();
    let (name, mut reader) = reader.into_data_file().unwrap().unwrap();
    assert_eq!(name, "m.onnx_data");
    for chunk in data.chunks(7) {
        reader.push(chunk, &mut sink).unwrap();
    }
    reader.finish().unwrap();
    let name = "vision_model.encoder.layers.0.mlp.fc1.weight";
    assert_eq!(sink.tensors[name].0, [6, 4]);
    assert_eq!(sink.values(name)[..5], [0.0, 6.0, 12.0, 18.0, 1.0]);

    let error = Collected::of([onnx]).unwrap_err().to_string();
    assert!(error.contains("m.onnx_data"), "{error}");
    let elsewhere =
        Collected::of([&renamed(onnx, "m.onnx_data", "../../../pw")[..]]).unwrap_err().to_string();
    assert!(elsewhere.contains("not a file beside it"), "{elsewhere}");
}

#[test]
fn a_file_that_is_cut_short_says_so() {
    let bytes = fixture("slim/model_quantized");
    for end in (0..bytes.len()).step_by(1999) {
        let error = Collected::of([&bytes[..end]]).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{end}: {error}");
    }
}

/// Replaces every occurrence of a name by one of the same length.
fn renamed(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut file = file.to_vec();
    let mut at = 0;
    while let Some(found) = file[at..].windows(from.len()).position(|bytes| bytes == from.as_bytes()) {
        file[at + found..at + found + to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    file
}

#[test]
fn an_unknown_graph_is_refused_by_name() {
    let file = fixture("raw/model_quantized");
    for (from, to) in [
        (
            "/vision_model/encoder/layers.0/mlp/fc1/MatMul_quant",
            "/vision_model/encoder/layers.0/mlp/fcx/MatMul_quant",
        ),
        ("/text_model/embeddings/token_embedding/Gather", "/text_model/embeddings/class_embedding/Gather"),
        ("/vision_model/head/attention/Gemm_MatMul_quant", "/vision_model/tail/attention/Gemm_MatMul_quant"),
    ] {
        let error = Collected::of([&renamed(&file, from, to)[..]]).unwrap_err();
        assert_eq!(error.code(), "unsupported-model", "{error}");
        assert!(error.to_string().contains(to), "{error}");
    }
}

#[test]
fn a_missing_tensor_is_named_before_the_weights() {
    let file = renamed(
        &fixture("raw/model_quantized"),
        "/vision_model/post_layernorm/Add_1",
        "/vision_model/post_layernorm/Add_9",
    );
    let error = load(&[&file], config_of_exports(), whole(Precision::Q8)).unwrap_err();
    assert!(error.to_string().contains("vision_model.post_layernorm.bias"), "{error}");
}

#[test]
fn a_model_of_another_shape_is_refused() {
    let file = fixture("raw/model_quantized");
    let error = load(&[&file], config(RANDOM_SMALL), whole(Precision::Q8)).unwrap_err();
    assert_eq!(error.code(), "bad-weights");
}

/// Bytes changed at random: an error or other values, but no panic, and no more memory than the file gives reason for.
#[test]
fn changed_bytes_do_not_panic() {
    let files = ["raw/model_quantized", "slim/vision_model_q4f16"].map(fixture);
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..600 {
        let mut file = files[round % 2].clone();
        // Most changes hit the graph, which is where lengths are.
        let reach = if round % 3 == 0 { file.len() } else { 60_000 };
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..reach);
            match random.u8(..4) {
                0 => file[at] = random.u8(..),
                1 => file[at] = 255,
                2 => file[at] ^= 1 << random.u8(..8),
                _ => file.truncate(file.len().min(at + random.usize(..file.len()))),
            }
            if file.len() <= reach {
                break;
            }
        }
        let _ = Changed::read(&file);
    }
}

/// Takes anything.
struct Changed;

impl Changed {
    fn read(file: &[u8]) -> Result<(), Error> {
        let mut reader = WeightReader::new();
        for chunk in file.chunks(4096) {
            reader.push(chunk, &mut Changed)?;
        }
        reader.finish()
    }
}

impl TensorSink for Changed {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        Ok(())
    }

    fn begin_named(&mut self, _: &BTreeSet<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        let rows = values.len() / tensor.row_len().max(1);
        assert!(values.len() == rows * tensor.row_len() && first_row + rows <= tensor.rows());
        Ok(())
    }
}
