//! Weights that MLX has quantized: what they are read as, what they give, and files that lie.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use siglip::model::{ModelLoader, Packer};
use siglip::weights::{Inventory, TensorShape, TensorSink, WeightIndex, WeightReader};
use siglip::{Config, EngineLoader as _, Error, Precision, Towers};

use crate::support::checkpoints::{RANDOM_SMALL, config, hex, read, read_text, repository, siglip, whole};
use crate::support::reference::{largest_difference, pictures, recording};
use crate::support::weight_files::{Collect, cut, message, read_chunks, rows_of};

const MLX: &str = "tests/fixtures/random-mlx";

/// `tests/parity/mlx.json`.
#[derive(Deserialize)]
struct Recording {
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    image_embeds: Vec<Vec<f32>>,
    texts: Vec<String>,
    text_embeds: Vec<Vec<f32>>,
    /// sha256 of the values in f32, by transformers' names.
    tensors: BTreeMap<String, String>,
}

fn fixture() -> Vec<u8> {
    read(&repository(MLX).join("model.safetensors"))
}

/// The values of every tensor, from rows in any order.
fn values(collected: &Collect) -> BTreeMap<String, Vec<f32>> {
    let mut tensors: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for rows in &collected.rows {
        let values = tensors.entry(rows.tensor.name.clone()).or_default();
        assert_eq!(rows.first_row * rows.tensor.row_len(), values.len(), "{}", rows.tensor.name);
        values.extend(&rows.values);
    }
    tensors
}

/// The header of a safetensors file as JSON, and its bytes after that.
fn parts(file: &[u8]) -> (Map<String, Value>, &[u8]) {
    let (length, rest) = file.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), data)
}

/// A file of these tensors, with their bytes, in this order.
fn file_of(tensors: &[(String, Value, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, entry, bytes) in tensors {
        let mut entry = entry.clone();
        entry["data_offsets"] = json!([data.len(), data.len() + bytes.len()]);
        header.insert(name.clone(), entry);
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// The tensors of a file with their entries and bytes, in the order of their names.
fn tensors_of(file: &[u8]) -> Vec<(String, Value, Vec<u8>)> {
    let (header, data) = parts(file);
    let bytes = |entry: &Value| {
        let [start, end] = [0, 1].map(|at| entry["data_offsets"][at].as_u64().unwrap() as usize);
        data[start..end].to_vec()
    };
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    tensors.map(|(name, entry)| (name, entry.clone(), bytes(&entry))).collect()
}

#[test]
fn every_tensor_has_the_values_that_mlx_has_stored() {
    let (recording, file): (Recording, _) = (recording("mlx"), fixture());
    for seed in 0..20 {
        let mut collected = Collect::default();
        read_chunks(cut(&file, seed), &mut collected).unwrap();
        let hashes: BTreeMap<String, String> = values(&collected)
            .into_iter()
            .map(|(name, values)| {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (name, hex(&Sha256::digest(bytes)))
            })
            .collect();
        assert_eq!(hashes, recording.tensors, "{seed}");
    }
}

#[test]
fn the_model_embeds_as_the_reference_does_with_these_weights() {
    let recording: Recording = recording("mlx");
    for (precision, bound) in [(Precision::F32, 2e-6), (Precision::Q8, 0.02)] {
        let mut siglip = siglip(&repository(MLX), precision);
        for (picture, expected) in pictures(&recording.pictures).iter().zip(&recording.image_embeds) {
            let found = siglip.image_embeds(picture).unwrap();
            assert!(largest_difference(&found, expected) < bound, "{precision:?}");
        }
        let found = siglip.text_embeds(&recording.texts).unwrap().concat();
        assert!(largest_difference(&found, &recording.text_embeds.concat()) < bound, "{precision:?}");
    }
}

/// In mlx's order codes may come before or after their scales and biases.
#[test]
fn the_order_of_the_tensors_does_not_matter() {
    let expected = values(&{
        let mut collected = Collect::default();
        read_chunks([&fixture()[..]], &mut collected).unwrap();
        collected
    });
    let mut tensors = tensors_of(&fixture());
    let mut random = fastrand::Rng::with_seed(5);
    for seed in 0..20 {
        random.shuffle(&mut tensors);
        let (file, mut collected) = (file_of(&tensors), Collect::default());
        read_chunks(cut(&file, seed), &mut collected).unwrap();
        assert_eq!(values(&collected), expected);
    }
}

/// A packer of the fixture, and where its tensors are needed.
fn loader() -> ModelLoader {
    ModelLoader::new(config(MLX), whole(Precision::Q8)).unwrap()
}

#[test]
fn a_download_that_stopped_anywhere_is_continued() {
    let file = fixture();
    let mut whole = loader();
    let mut packer: Packer = whole.packer();
    read_chunks([&file[..]], &mut packer).unwrap();
    whole.push_packed(&packer.take()).unwrap();
    let mut whole = whole.finish().unwrap();
    let ids: Vec<u32> = (0..16).collect();
    let expected = siglip::Engine::text_embeds(&mut whole, ids.clone()).unwrap();

    for stop in (1..file.len()).step_by(9973) {
        let mut loader = loader();
        let (mut reader, mut packer) = (WeightReader::new(), loader.packer());
        reader.push(&file[..stop], &mut packer).unwrap();
        loader.push_packed(&packer.take()).unwrap();
        let (Some(header), Some(settled)) = (reader.header_len(), reader.settled()) else { continue };
        assert!(header <= settled && settled <= stop as u64);

        let (mut reader, mut packer) = (WeightReader::new(), loader.packer());
        reader.push(&file[..header as usize], &mut packer).unwrap();
        packer.leave_out_begun(loader.inventory());
        reader.seek(settled).unwrap();
        reader.push(&file[settled as usize..], &mut packer).unwrap();
        reader.finish().unwrap();
        loader.push_packed(&packer.take()).unwrap();
        let found = siglip::Engine::text_embeds(&mut loader.finish().unwrap(), ids.clone()).unwrap();
        assert_eq!(found, expected, "stopped at {stop}");
    }
}

#[test]
fn of_one_tower_the_other_is_skipped() {
    let file = fixture();
    let mut loader =
        ModelLoader::new(config(MLX), siglip::LoadOptions { towers: Towers::Image, ..whole(Precision::Q8) })
            .unwrap();
    let (mut reader, mut packer) = (WeightReader::new(), loader.packer());
    let mut at = 0;
    while at < file.len() {
        let end = file.len().min(at + 100);
        reader.push(&file[at..end], &mut packer).unwrap();
        at = end;
        if let Some(next) = reader.next_wanted(|tensor| packer.wants(tensor)) {
            reader.seek(next).unwrap();
            at = next as usize;
        }
    }
    reader.finish().unwrap();
    loader.push_packed(&packer.take()).unwrap();
    assert!(loader.finish().is_ok());
}

#[test]
fn matrices_without_their_parts_and_other_numbers_of_bits_are_refused() {
    let tensors = tensors_of(&fixture());
    let query = "vision_model.vision_model.encoder.layers.0.self_attn.q_proj";
    let refusal = |change: &dyn Fn(&str, &mut Value, &mut Vec<u8>) -> bool| {
        let mut tensors = tensors.clone();
        tensors.retain_mut(|(name, entry, bytes)| change(name, entry, bytes));
        message(rows_of(&file_of(&tensors)))
    };
    for part in ["scales", "biases"] {
        let missing = format!("{query}.{part}");
        let reason = refusal(&|name, _, _| name != missing);
        assert!(reason.contains("without the scales and biases") && reason.contains(query), "{reason}");
        let reason = refusal(&|name, entry, _| {
            if name == missing {
                entry["shape"] = json!([32, 4]);
            }
            true
        });
        assert!(reason.contains("do not fit scales") && reason.contains(query), "{reason}");
    }
    let reason = refusal(&|name, entry, bytes| {
        if name == format!("{query}.weight") {
            entry["shape"] = json!([64, 8]);
            bytes.truncate(64 * 8 * 4);
        }
        true
    });
    assert!(reason.contains("quantized in 4 bits by MLX; 8 bits can be read"), "{reason}");
    let reason = refusal(&|name, entry, _| {
        if name == format!("{query}.bias") {
            entry["dtype"] = json!("I64");
        }
        true
    });
    assert!(reason.contains("is stored as I64"), "{reason}");
    let whole = fixture();
    for length in [whole.len() - 1, whole.len() / 2] {
        assert!(message(rows_of(&whole[..length])).contains("the file ends after"));
    }
}

/// Deals the tensors of a file to several, and gives the index and the files, by their names.
fn deal(file: &[u8], count: usize, place: impl Fn(&str) -> usize) -> (Vec<u8>, HashMap<String, Vec<u8>>) {
    let mut shards = vec![Vec::new(); count];
    let mut weight_map = Map::new();
    for tensor in tensors_of(file) {
        let at = place(&tensor.0) % count;
        weight_map.insert(tensor.0.clone(), format!("model-{at}.safetensors").into());
        shards[at].push(tensor);
    }
    let files = shards.iter().enumerate();
    let files = files.map(|(at, tensors)| (format!("model-{at}.safetensors"), file_of(tensors)));
    (json!({"weight_map": weight_map}).to_string().into_bytes(), files.collect())
}

/// Reads files as their index says.
fn read_indexed(json: &[u8], files: &HashMap<String, Vec<u8>>, sink: &mut Checked) -> Result<(), Error> {
    let index = WeightIndex::parse(json)?;
    sink.inventory.expect_files(&index)?;
    for name in index.files() {
        let mut reader = WeightReader::one_of(&index);
        for chunk in cut(&files[name], 3) {
            reader.push(chunk, sink)?;
        }
        reader.finish()?;
    }
    Ok(())
}

/// Collects what arrives and checks it.
struct Checked {
    inventory: Inventory,
    collected: Collect,
}

impl TensorSink for Checked {
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error> {
        self.inventory.begin(tensors)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        self.collected.rows(tensor, first_row, values)
    }
}

#[test]
fn an_index_may_have_the_names_of_mlx_or_of_one_tower() {
    // A shard with the blocks alone does not tell which tower they are of.
    let by_length = |name: &str| {
        let owner = name.rsplit_once('.').map_or(name, |(owner, _)| owner);
        if name.contains("layers") { 0 } else { 1 + owner.len() }
    };
    for folder in [MLX, "tests/fixtures/random-vision", "tests/fixtures/random-text", RANDOM_SMALL] {
        let file = read(&repository(folder).join("model.safetensors"));
        let config = Config::from_json(&read_text(&repository(folder).join("config.json"))).unwrap();
        let checked = || Checked { inventory: Inventory::new(&config), collected: Collect::default() };
        let mut expected = checked();
        read_chunks([&file[..]], &mut expected).unwrap();
        for count in [1, 2, 5] {
            let (index, files) = deal(&file, count, by_length);
            let mut found = checked();
            read_indexed(&index, &files, &mut found).unwrap();
            found.inventory.finish(|_| true).unwrap();
            assert_eq!(values(&found.collected), values(&expected.collected), "{folder}, {count} files");
        }
    }
}

#[test]
fn an_index_that_parts_a_matrix_from_its_scales_is_refused() {
    let (index, _) = deal(&fixture(), 2, |name| usize::from(name.ends_with(".scales")));
    assert!(message(WeightIndex::parse(&index)).contains("is in another file than"));
}
