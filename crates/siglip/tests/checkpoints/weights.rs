//! Damaged weight files, and headers that lie: each gives an error that says where, none a panic.

use crate::support::checkpoints::{RANDOM_SMALL, config, load, read, repository};
use half::{bf16, f16};
use serde_json::{Map, Value, json};
use siglip::model::{Model, ModelLoader};
use siglip::weights::WeightReader;
use siglip::{Engine as _, EngineLoader as _, Error, LoadOptions};

/// The header's last tensor, by its place in the file.
const LAST: &str = "vision_model.post_layernorm.weight";

/// A safetensors file in its parts.
#[derive(Clone)]
struct File {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl File {
    fn read(name: &str) -> File {
        let bytes = read(&repository(RANDOM_SMALL).join(name));
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        File { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        with_header(&serde_json::to_vec(&self.header).unwrap(), &self.data)
    }

    /// The names in the order of their bytes.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<&String> = self.header.keys().filter(|name| *name != "__metadata__").collect();
        names.sort_by_key(|name| self.offsets(name));
        names.into_iter().cloned().collect()
    }

    fn offsets(&self, name: &str) -> [u64; 2] {
        serde_json::from_value(self.header[name]["data_offsets"].clone()).unwrap()
    }

    /// Sets a field of a tensor's entry.
    fn with(&self, name: &str, field: &str, value: Value) -> File {
        let mut file = self.clone();
        file.header[name][field] = value;
        file
    }

    /// Takes a tensor out, and its bytes with it.
    fn without(&self, name: &str) -> File {
        let mut file = self.clone();
        let [start, end] = self.offsets(name);
        file.data.drain(start as usize..end as usize);
        file.header.remove(name);
        for other in file.names() {
            let offsets = file.offsets(&other).map(|at| if at > start { at - (end - start) } else { at });
            file.header[&other]["data_offsets"] = json!(offsets);
        }
        file
    }
}

fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

fn whole() -> File {
    File::read("model.safetensors")
}

fn read_weights(bytes: &[u8]) -> Result<Model, Error> {
    load(ModelLoader::new(config(RANDOM_SMALL), LoadOptions::default())?, [bytes])
}

/// The message of the error that `bytes` give.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    match read_weights(bytes) {
        Err(error @ Error::BadWeights(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused_for(file: &File, name: &str, reason: &str) {
    let message = refused(&file.bytes());
    assert!(message.contains(&format!("{name:?}")) && message.contains(reason), "{message}");
}

#[test]
fn a_file_built_from_parts_is_read() {
    assert!(read_weights(&whole().bytes()).is_ok());
}

#[test]
fn every_truncated_file_is_refused() {
    let file = whole();
    let bytes = file.bytes();
    let data = bytes.len() - file.data.len();
    for length in (0..data).step_by(97).chain([0, 1, 7, 8, 9, data - 1]) {
        let message = refused(&bytes[..length]);
        assert!(message.contains(&format!("after {length} bytes")), "{message}");
        assert!(message.contains("header"), "{message}");
    }
    for name in file.names() {
        let [start, end] = file.offsets(&name).map(|at| at as usize + data);
        for length in [start, start + 1, (start + end) / 2, end - 1] {
            let message = refused(&bytes[..length]);
            let place = format!("after {length} of {} bytes, before the end of tensor {name:?}", bytes.len());
            assert!(message.contains(&place), "{message}");
        }
    }
}

#[test]
fn bytes_after_the_last_tensor_are_refused() {
    let mut file = whole();
    file.data.push(0);
    assert!(refused(&file.bytes()).contains("bytes follow the last tensor"));
}

#[test]
fn a_header_of_a_false_length_is_refused() {
    let bytes = whole().bytes();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    let lies = [0, 1, 2, length - 1, length + 1, length + 8, bytes.len() as u64, 100_000_000];
    for lie in lies.into_iter().chain([100_000_001, 1 << 32, 1 << 63, u64::MAX]) {
        refused(&[&lie.to_le_bytes()[..], &bytes[8..]].concat());
    }
}

#[test]
fn other_files_are_refused() {
    for header in ["", "{", "[]", "{}", "null", "7", "\"\"", "{\"__metadata__\": {}}", "{\"a\": 1}"] {
        refused(&with_header(header.as_bytes(), &[]));
    }
    refused(&with_header(b"{\"\xff\": 1}", &[]));
    refused(&with_header(&[b'['; 100_000], &[]));
    refused(b"<!doctype html><title>404</title>");
    refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 812672320\n");
}

/// Feeds a file to a reader, in chunks.
fn reason_for(bytes: &[u8], chunk: usize) -> String {
    let mut loader = ModelLoader::new(config(RANDOM_SMALL), LoadOptions::default()).unwrap();
    let mut reader = WeightReader::new();
    let read = bytes.chunks(chunk).try_for_each(|chunk| reader.push(chunk, &mut loader));
    read.and_then(|()| reader.finish()).unwrap_err().to_string()
}

#[test]
fn other_files_in_place_of_weights_are_named_with_a_remedy() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 812672320\n";
    let files: [(&str, &str); 12] = [
        (pointer, "Git LFS pointer"),
        (&pointer.replace('\n', "\r\n"), "git lfs pull"),
        ("<!doctype html><title>404</title>", "HTML page"),
        ("<html><body>Sign in</body></html>", "HTML page"),
        ("\n\n  <!DOCTYPE HTML PUBLIC>", "HTML page"),
        ("\u{feff}<!doctype html>", "HTML page"),
        ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "check the address"),
        (r#"{"error": "Repository not found"}"#, "JSON"),
        (r#"{"weight_map": {"logit_scale": "model-1.safetensors"}}"#, "choose model.safetensors"),
        ("  \n[1, 2, 3, 4, 5, 6]", "JSON"),
        ("PK\u{3}\u{4}\u{14}\0\0\0\u{8}\u{8}\0\0archive/data.pkl", "pickled"),
        ("Entry not found", "neither a safetensors file nor a GGUF"),
    ];
    for (file, expected) in files {
        for chunk in [1, 7, 8, 9, 1000] {
            let reason = reason_for(file.as_bytes(), chunk);
            assert!(reason.contains(expected), "{file:?} in chunks of {chunk}: {reason}");
        }
    }
    assert!(reason_for(br#"{"error": "Repository not found"}"#, 1000).contains("Repository not found"));
}

/// Tensors without a number, at every place of the file.
#[test]
fn an_extra_empty_tensor_is_ignored() {
    let file = whole();
    let embeds = |mut model: Model| {
        model.text_embeds(vec![3; config(RANDOM_SMALL).text_config.max_position_embeddings]).unwrap()
    };
    let expected = embeds(read_weights(&file.bytes()).unwrap());
    let end = file.data.len() as u64;
    let mut places: Vec<u64> = file.names().iter().map(|name| file.offsets(name)[0]).collect();
    places.push(end);
    for (i, place) in places.into_iter().step_by(5).chain([end]).enumerate() {
        let shape = [json!([0]), json!([0, 5]), json!([5, 0]), json!([0, 0, 3])][i % 4].clone();
        let dtype = ["F32", "I64", "F16", "BOOL"][i % 4];
        let mut changed = file.clone();
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [place, place]});
        changed.header.insert("extra".into(), entry);
        assert_eq!(embeds(read_weights(&changed.bytes()).unwrap()), expected, "{shape} at {place}");
    }
}

#[test]
fn an_empty_tensor_in_place_of_one_of_the_models_is_refused() {
    let mut file = whole().without(LAST);
    let end = file.data.len();
    let entry = json!({"dtype": "F32", "shape": [0], "data_offsets": [end, end]});
    file.header.insert(LAST.into(), entry);
    refused_for(&file, LAST, "has shape [0]; config.json asks for");
}

#[test]
fn a_files_length_is_compared_with_its_header() {
    let file = whole().bytes();
    let mut loader = ModelLoader::new(config(RANDOM_SMALL), LoadOptions::default()).unwrap();
    let mut reader = WeightReader::new();
    reader.push(&file[..100], &mut loader).unwrap();
    assert!(reader.check_len(100).unwrap_err().to_string().contains("inside its header"));
    reader.push(&file[100..file.len() / 2], &mut loader).unwrap();
    let len = file.len() as u64;
    assert!(reader.check_len(len).is_ok());
    assert!(reader.check_len(len - 1).unwrap_err().to_string().contains("cut short"));
    assert!(reader.check_len(len + 1).unwrap_err().to_string().contains("1 bytes follow"));
}

#[test]
fn tensors_that_do_not_lie_one_after_another_are_refused() {
    let file = whole();
    let names = file.names();
    let (first, second) = (&names[0], &names[1]);
    let [start, end] = file.offsets(second);
    // Over the first, behind a gap, at the first's place, backwards, and the last beyond all that can be counted.
    refused_for(&file.with(second, "data_offsets", json!([start - 4, end - 4])), second, "after byte");
    refused_for(&file.with(second, "data_offsets", json!([start + 4, end + 4])), second, "after byte");
    refused_for(&file.with(first, "data_offsets", json!([4, file.offsets(first)[1]])), first, "");
    refused_for(&file.with(second, "data_offsets", json!([end, start])), second, "after byte");
    refused_for(&file.with(LAST, "data_offsets", json!([u64::MAX - 192, u64::MAX])), LAST, "after byte");
    refused_for(&file.with(LAST, "data_offsets", json!([0, u64::MAX])), LAST, "after byte");
    refused_for(&file.with(LAST, "data_offsets", json!([-1, 4])), LAST, "");
    refused_for(&file.with(LAST, "data_offsets", json!([0])), LAST, "");
    refused_for(&file.with(LAST, "data_offsets", json!([0, 1e300])), LAST, "");
}

#[test]
fn shapes_that_do_not_fill_their_bytes_are_refused() {
    let file = whole();
    let huge = 1u64 << 32;
    for shape in [
        json!([49]),
        json!([0]),
        json!([]),
        json!([48, 0]),
        json!([0, u64::MAX]),
        json!([huge, huge]),
        json!([huge, huge, 48]),
        json!([1u64 << 62, 2, 2]),
        json!([u64::MAX]),
        json!([u64::MAX, u64::MAX, u64::MAX]),
    ] {
        refused_for(&file.with(LAST, "shape", shape), LAST, "does not fill");
    }
    refused_for(&file.with(LAST, "shape", json!(vec![u32::MAX; 1000])), LAST, "1000 dimensions");
    for shape in [json!([-48]), json!([4.8]), json!(["48"]), json!(48), json!(null), json!([1e300])] {
        refused_for(&file.with(LAST, "shape", shape), LAST, "");
    }
}

#[test]
fn tensors_of_another_model_are_refused() {
    let file = whole();
    for name in file.names() {
        refused_for(&file.without(&name), &name, "is missing");
    }
    // The right number of values in the wrong shape.
    refused_for(&file.with(LAST, "shape", json!([6, 8])), LAST, "has shape [6, 8]");
    refused_for(&file.with(LAST, "shape", json!([1, 48])), LAST, "asks for [48]");

    let mut file = whole();
    let end = file.data.len();
    let extra = json!({"dtype": "F32", "shape": [2], "data_offsets": [end, end + 8]});
    file.header.insert("vision_model.extra".into(), extra);
    file.data.extend([0; 8]);
    refused_for(&file, "vision_model.extra", "another model");
}

#[test]
fn a_tensor_that_is_stored_twice_is_refused() {
    let file = whole();
    let header = serde_json::to_string(&file.header).unwrap();
    let again = format!("{{{:?}:{},{}", LAST, file.header[LAST], &header[1..]);
    let message = refused(&with_header(again.as_bytes(), &file.data));
    assert!(message.contains(&format!("{LAST:?} occurs twice")), "{message}");
}

#[test]
fn other_types_of_numbers_are_refused() {
    let file = whole();
    for dtype in ["F64", "I64", "I32", "U8", "BOOL", "F8_E4M3", "f32", ""] {
        refused_for(&file.with(LAST, "dtype", json!(dtype)), LAST, &format!("stored as {dtype}"));
    }
    refused_for(&file.with(LAST, "dtype", json!("F16")), LAST, "does not fill");
    refused_for(&file.with(LAST, "dtype", json!(32)), LAST, "");
    refused_for(&file.with(LAST, "dtype", Value::Null), LAST, "");
    let mut without = whole();
    without.header[LAST].as_object_mut().unwrap().remove("dtype");
    refused_for(&without, LAST, "dtype");
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let f32s = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|value| value.to_le_bytes().to_vec());
    let f16s = [f16::NAN, f16::INFINITY, f16::NEG_INFINITY].map(|value| value.to_le_bytes().to_vec());
    let bf16s = [bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY].map(|value| value.to_le_bytes().to_vec());
    for (name, values) in
        [("model.safetensors", f32s), ("model.f16.safetensors", f16s), ("model.bf16.safetensors", bf16s)]
    {
        let file = File::read(name);
        for tensor in file.names() {
            let [start, end] = file.offsets(&tensor).map(|at| at as usize);
            let size = values[0].len();
            for (value, place) in
                values.iter().zip([start, start + (end - start) / size / 2 * size, end - size])
            {
                let mut file = file.clone();
                file.data[place..place + size].copy_from_slice(value);
                refused_for(&file, &tensor, &format!("not finite, at {}", (place - start) / size));
            }
        }
    }
}

#[test]
fn an_empty_file_is_refused() {
    assert!(refused(&[]).contains("inside its header"));
    let loader = ModelLoader::new(config(RANDOM_SMALL), LoadOptions::default()).unwrap();
    assert_eq!(loader.finish().unwrap_err().code(), "bad-weights");
}

/// Digits, brackets and other bytes in the place of some of a header's.
fn mutated(header: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut header = header.to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..header.len());
        match rng.u8(..5) {
            0 => header[at] = rng.u8(..),
            1 => header[at] = *rng.choice(b"0123456789[]{},:\"-.eE\\").unwrap(),
            2 => drop(header.remove(at)),
            3 => header.insert(at, b'9'),
            _ => {
                let end = (at + rng.usize(..200)).min(header.len());
                let part = header[at..end].to_vec();
                header.splice(at..at, part);
            }
        }
    }
    header
}

/// A changed header is refused, or its change did not matter.
#[test]
fn a_changed_header_changes_no_weight() {
    let file = whole();
    let header = serde_json::to_vec(&file.header).unwrap();
    let embedding = |model: &mut Model| model.text_embeds((0..16).collect()).unwrap();
    let whole = embedding(&mut read_weights(&file.bytes()).unwrap());
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..3000 {
        let header = mutated(&header, &mut rng);
        match read_weights(&with_header(&header, &file.data)) {
            Err(Error::BadWeights(_)) => {}
            Err(other) => panic!("round {round}: {other:?}"),
            Ok(mut model) => assert_eq!(embedding(&mut model), whole, "round {round}"),
        }
    }
}
