//! Weights in several files with an index, as a hub or a visitor may supply them.

use serde_json::json;
use siglip::model::{Model, ModelLoader};
use siglip::weights::{Dtype, TensorShape, WeightIndex, header_bytes, tensors};

use crate::support::checkpoints::whole;
use crate::support::weight_files::{
    self, Collect, changed, config, counting, cut, joined, message, read, read_chunks, rows_of,
};
use siglip::{Engine as _, EngineLoader as _, Error, PixelValues, Precision};

/// The small model's weights distributed over `count` files, and the index.
fn deal(count: usize) -> (WeightIndex, Vec<Vec<u8>>) {
    let whole = joined(rows_of(&weight_files::safetensors(&config(), Dtype::F32)).unwrap());
    let shapes = tensors(&config());
    let mut files: Vec<(Vec<TensorShape>, Vec<u8>)> = vec![Default::default(); count];
    let mut weight_map = serde_json::Map::new();
    for (at, (shape, (name, values))) in shapes.into_iter().zip(whole).enumerate() {
        weight_map.insert(name, format!("model-{}-of-{count}.safetensors", at % count).into());
        files[at % count].0.push(shape);
        files[at % count].1.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    let index = json!({"metadata": {"total_size": 12345}, "weight_map": weight_map}).to_string();
    let files = files.into_iter().map(|(shapes, data)| [header_bytes(&shapes, Dtype::F32), data].concat());
    (WeightIndex::parse(index.as_bytes()).unwrap(), files.collect())
}

fn loader() -> ModelLoader {
    ModelLoader::new(config(), whole(Precision::F32)).unwrap()
}

fn load(index: &WeightIndex, files: &[Vec<u8>], seed: u64) -> Result<Model, Error> {
    let mut loader = loader();
    loader.expect_files(index)?;
    for file in files {
        read_chunks(cut(file, seed), &mut loader)?;
    }
    loader.finish()
}

fn embeddings(mut model: Model) -> Vec<f32> {
    let pixels = (0..3 * 21 * 21).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut embeddings = model.image_embeds(vec![PixelValues::new(pixels, 21)]).unwrap();
    embeddings.extend(model.text_embeds((0..9).collect()).unwrap());
    embeddings
}

#[test]
fn several_files_make_the_model_that_one_file_makes() {
    let mut whole = loader();
    read(&weight_files::safetensors(&config(), Dtype::F32), &mut whole).unwrap();
    let whole = embeddings(whole.finish().unwrap());
    for count in [1, 2, 3, 7] {
        let (index, files) = deal(count);
        assert_eq!((index.files().len(), index.total_size()), (count, Some(12345)));
        assert_eq!(embeddings(load(&index, &files, count as u64).unwrap()), whole, "{count} files");
    }
}

#[test]
fn files_that_are_not_as_the_index_says_are_refused() {
    let (index, files) = deal(3);
    let cases: [(Vec<Vec<u8>>, &str); 5] = [
        (
            vec![files[1].clone(), files[0].clone(), files[2].clone()],
            "is missing in model-0-of-3.safetensors",
        ),
        (files[..2].to_vec(), "is missing: the weights have not arrived whole"),
        ([&files[..], &files[2..]].concat(), "follows the last that the index names"),
        (vec![files[0].clone(), files[1][..files[1].len() - 5].to_vec()], "the file ends after"),
        (vec![files[0].clone(), files[0].clone(), files[2].clone()], "is in model-1-of-3.safetensors"),
    ];
    for (files, expected) in cases {
        let reason = message(load(&index, &files, 1));
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
    }
    // Without the index, one of several files is no model.
    assert!(message(read(&files[0], &mut loader())).contains("is missing in the file"));
}

#[test]
fn an_index_of_another_model_is_refused_before_any_file() {
    let index_of = |shapes: Vec<TensorShape>| {
        let names = shapes.into_iter().map(|tensor| (tensor.name, json!("model.safetensors")));
        let index = json!({"weight_map": names.collect::<serde_json::Map<_, _>>()}).to_string();
        loader().expect_files(&WeightIndex::parse(index.as_bytes()).unwrap())
    };
    assert!(index_of(changed(Some)).is_ok());
    let reason = message(index_of(changed(|tensor| (tensor.name != "logit_bias").then_some(tensor))));
    assert!(reason.contains("\"logit_bias\" is missing in the index"), "{reason}");
    let reason = message(index_of(changed(|mut tensor| {
        tensor.name = tensor.name.replace("layers.1", "layers.2");
        Some(tensor)
    })));
    assert!(reason.contains("layers.2") && reason.contains("another model"), "{reason}");
}

#[test]
fn a_total_size_may_be_written_as_integer_or_float() {
    let sizes = [
        ("12345", Some(12345)),
        ("12345.0", Some(12345)),
        ("3.5e9", Some(3_500_000_000)),
        ("0", Some(0)),
        ("null", None),
        ("\"12345\"", None),
        ("-1", None),
        ("1e300", None),
        ("18446744073709551615", None),
        ("[1]", None),
    ];
    for (written, expected) in sizes {
        let index = format!(r#"{{"metadata": {{"total_size": {written}}}, "weight_map": {{}}}}"#);
        assert_eq!(WeightIndex::parse(index.as_bytes()).unwrap().total_size(), expected, "{written}");
    }
    for metadata in [r#""metadata": null, "#, r#""metadata": {}, "#, ""] {
        let index = format!(r#"{{{metadata}"weight_map": {{}}}}"#);
        assert_eq!(WeightIndex::parse(index.as_bytes()).unwrap().total_size(), None, "{metadata}");
    }
}

#[test]
fn an_html_page_or_lfs_pointer_in_place_of_the_index_is_named() {
    assert!(message(WeightIndex::parse(b"<!doctype html>")).contains("HTML page"));
    assert!(
        message(WeightIndex::parse(b"version https://git-lfs.github.com/spec/v1\n")).contains("git lfs pull")
    );
}

#[test]
fn an_index_cannot_name_files_outside_its_folder() {
    for file in [
        "../model.safetensors",
        "/model.safetensors",
        "a/b.safetensors",
        "model.bin",
        ".safetensors",
        "a\\b.safetensors",
        "http://a.safetensors",
        "",
    ] {
        let index = json!({"weight_map": {"logit_scale": file}}).to_string();
        assert!(message(WeightIndex::parse(index.as_bytes())).contains("logit_scale"), "{file}");
    }
    for broken in ["", "{}", "[]", r#"{"weight_map": {"a": 1}}"#, r#"{"weight_map": ["a"]}"#] {
        message(WeightIndex::parse(broken.as_bytes()));
    }
    let many = (0..1001).map(|at| (format!("t{at}"), json!(format!("{at}.safetensors"))));
    let index = json!({"weight_map": many.collect::<serde_json::Map<_, _>>()}).to_string();
    assert!(message(WeightIndex::parse(index.as_bytes())).contains("1001 files"));
}

/// Old exports store `arange(positions)` beside the weights, as integers.
#[test]
fn position_ids_are_ignored() {
    let ids = ["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"];
    let weights = counting(&[TensorShape { name: "logit_scale".into(), shape: vec![1] }]);
    let header: serde_json::Value = serde_json::from_slice(&weights[8..weights.len() - 4]).unwrap();
    let mut header = header.as_object().unwrap().clone();
    header.insert(ids[0].into(), json!({"dtype": "I64", "shape": [1, 9], "data_offsets": [4, 76]}));
    header.insert(ids[1].into(), json!({"dtype": "U8", "shape": [1, 9], "data_offsets": [76, 85]}));
    let json = serde_json::Value::Object(header).to_string();
    let file = [&(json.len() as u64).to_le_bytes(), json.as_bytes(), &1f32.to_le_bytes(), &[7; 81]].concat();
    for seed in 0..10 {
        let mut sink = Collect::default();
        read_chunks(cut(&file, seed), &mut sink).unwrap();
        assert_eq!(joined(sink.rows), [("logit_scale".into(), vec![1.0])]);
    }
    assert!(message(rows_of(&file[..file.len() - 1])).contains("the file ends after"));

    let mut names: serde_json::Map<_, _> =
        tensors(&config()).into_iter().map(|tensor| (tensor.name, json!("a.safetensors"))).collect();
    names.insert(ids[0].into(), json!("a.safetensors"));
    let index = WeightIndex::parse(json!({"weight_map": names}).to_string().as_bytes()).unwrap();
    loader().expect_files(&index).unwrap();
}
