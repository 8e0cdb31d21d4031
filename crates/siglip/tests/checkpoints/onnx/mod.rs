//! ONNX: files of both generations of exports, what they hold and what they give, and files that lie.

mod embeddings;
mod refusals;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use siglip::model::{Model, ModelLoader};
use siglip::weights::{TensorShape, TensorSink, WeightReader};
use siglip::{EngineLoader as _, Error, LoadOptions, Towers};

use crate::support::checkpoints::{config, read, repository};
use crate::support::weight_files::cut;

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

fn towers_of(file: &str) -> Towers {
    match file.rsplit('/').next() {
        Some(name) if name.starts_with("vision") => Towers::Image,
        Some(name) if name.starts_with("text") => Towers::Text,
        _ => Towers::Both,
    }
}

fn config_of_exports() -> siglip::Config {
    config(FIXTURES)
}

/// Where the whole exports are, and the safetensors that they were made of, if they are at hand.
fn whole_exports() -> Option<PathBuf> {
    std::env::var_os("SIGLIP_ONNX_EXPORTS").map(PathBuf::from)
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
