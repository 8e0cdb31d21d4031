//! Small checkpoints of tests/fixtures, and what the Python reference recorded of them.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use siglip::model::{Precision, Shard};
use siglip::weights::WeightReader;
use siglip::{Checkpoint, CheckpointFiles, Siglip};

fn path(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(path)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn files(fixture: &str) -> CheckpointFiles {
    let text = |file: &str| String::from_utf8(read(&format!("fixtures/{fixture}/{file}"))).unwrap();
    CheckpointFiles {
        config: text("config.json"),
        preprocessor: text("preprocessor_config.json"),
        tokenizer: text("tokenizer.json"),
    }
}

pub fn checkpoint(fixture: &str) -> Checkpoint {
    files(fixture).parse().unwrap()
}

pub fn weights(fixture: &str) -> Vec<u8> {
    read(&format!("fixtures/{fixture}/model.safetensors"))
}

pub fn load(fixture: &str, precision: Precision) -> Siglip {
    let checkpoint = checkpoint(fixture);
    let mut loader = checkpoint.loader(precision, Shard::WHOLE).unwrap();
    let mut reader = WeightReader::new();
    reader.push(&weights(fixture), &mut loader).unwrap();
    reader.finish().unwrap();
    Siglip::new(checkpoint, loader.finish().unwrap())
}

pub fn recording<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&read(&format!("parity/{name}.json"))).unwrap()
}

/// The largest difference of two lists of equal length.
pub fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
