//! The repository's checkpoints, loaded from bytes as they would arrive.

use std::fs::File;
use std::path::{Path, PathBuf};

use siglip::model::{Model, ModelLoader};
use siglip::weights::WeightReader;
use siglip::{CheckpointFiles, Config, EngineLoader as _, Error, LoadOptions, Precision, Shard, Siglip};

/// Of width 48, with sizes that are not multiples of a vector's length.
pub const RANDOM_SMALL: &str = "tests/fixtures/random-small";
pub const RANDOM_NAFLEX: &str = "tests/fixtures/random-naflex";
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

/// The small files of a checkpoint of the repository.
pub fn files(folder: &str) -> CheckpointFiles {
    let read = |name| Ok::<_, Error>(read_text(&repository(folder).join(name)));
    CheckpointFiles::read(read).unwrap()
}

pub fn config(folder: &str) -> Config {
    Config::from_json(&files(folder).config).unwrap()
}

/// The whole model in this precision.
pub fn whole(precision: Precision) -> LoadOptions {
    LoadOptions { precision, ..LoadOptions::default() }
}

/// Gives a weight file to a loader, in these chunks.
pub fn load<'c>(mut loader: ModelLoader, chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Model, Error> {
    let mut reader = WeightReader::new();
    for chunk in chunks {
        reader.push(chunk, &mut loader)?;
    }
    reader.finish()?;
    loader.finish()
}

/// The model of a checkpoint of the repository; `weights` names the file.
pub fn model_of(folder: &str, weights: &str, options: LoadOptions) -> Model {
    let loader = ModelLoader::new(config(folder), options).unwrap();
    load(loader, [&read(&repository(folder).join(weights))[..]]).unwrap()
}

/// The whole model of a checkpoint of the repository.
pub fn model(folder: &str, precision: Precision) -> Model {
    model_of(folder, "model.safetensors", whole(precision))
}

/// One worker's shard of it.
pub fn shard(folder: &str, precision: Precision, shard: Shard) -> Model {
    model_of(folder, "model.safetensors", LoadOptions { shard, ..whole(precision) })
}

/// A checkpoint anywhere.
pub fn siglip(folder: &Path, precision: Precision) -> Siglip {
    Siglip::from_files(|name| File::open(folder.join(name)), whole(precision)).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
