//! The repository's checkpoints, loaded from bytes as they would arrive.
#![allow(dead_code, reason = "every test binary takes the part it needs")]

use std::path::{Path, PathBuf};

use siglip::model::{Model, ModelLoader, Precision, Shard};
use siglip::weights::WeightReader;
use siglip::{Checkpoint, Config, Error, Siglip};

/// 48 wide, with sides that are no multiples of anything.
pub const RANDOM_SMALL: &str = "tests/fixtures/random-small";
/// The embedded demonstration model, in f16.
pub const TINY: &str = "www/models/tiny";

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn read_text(path: &Path) -> String {
    String::from_utf8(read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn config(folder: &str) -> Config {
    Config::from_json(&read_text(&repository(folder).join("config.json"))).unwrap()
}

/// Gives a weight file to a loader, in these pieces.
pub fn load<'c>(mut loader: ModelLoader, chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Model, Error> {
    let mut reader = WeightReader::new();
    for chunk in chunks {
        reader.push(chunk, &mut loader)?;
    }
    reader.finish()?;
    loader.finish()
}

/// A worker's part of a checkpoint of the repository; `weights` names the file.
pub fn shard(folder: &str, weights: &str, precision: Precision, shard: Shard) -> Model {
    let loader = ModelLoader::new(config(folder), precision, shard).unwrap();
    load(loader, [&read(&repository(folder).join(weights))[..]]).unwrap()
}

/// The whole model of a checkpoint of the repository.
pub fn model(folder: &str, precision: Precision) -> Model {
    shard(folder, "model.safetensors", precision, Shard::WHOLE)
}

/// A checkpoint anywhere, ready to answer.
pub fn siglip(folder: &Path, precision: Precision) -> Siglip {
    let text = |name: &str| read_text(&folder.join(name));
    let tokenizer = read(&folder.join("tokenizer.json"));
    let checkpoint =
        Checkpoint::parse(&text("config.json"), &text("preprocessor_config.json"), &tokenizer).unwrap();
    let loader = checkpoint.loader(precision, Shard::WHOLE).unwrap();
    let model = load(loader, [&read(&folder.join("model.safetensors"))[..]]).unwrap();
    Siglip::new(checkpoint, model)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
