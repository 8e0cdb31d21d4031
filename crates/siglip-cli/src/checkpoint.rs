//! Loading a checkpoint from a folder, or the one that is built in.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use siglip::image::{self, RgbImage};
use siglip::model::{Precision, Shard};
use siglip::weights::SafetensorsReader;
use siglip::{Checkpoint, Siglip};

use crate::error::Error;

/// Bytes read from a weight file at a time.
const CHUNK: usize = 1 << 20;

/// The small demonstration model, the one that the page ships.
mod tiny {
    pub const CONFIG: &str = include_str!("../../../www/models/tiny/config.json");
    pub const PREPROCESSOR: &str = include_str!("../../../www/models/tiny/preprocessor_config.json");
    pub const TOKENIZER: &[u8] = include_bytes!("../../../www/models/tiny/tokenizer.json");
    pub const WEIGHTS: &[u8] = include_bytes!("../../../www/models/tiny/model.safetensors");
}

/// Loads the checkpoint in `folder`, or the built-in one.
pub fn load(folder: Option<&Path>, precision: Precision) -> Result<Siglip, Error> {
    let Some(folder) = folder else {
        let checkpoint = Checkpoint::parse(tiny::CONFIG, tiny::PREPROCESSOR, tiny::TOKENIZER)?;
        return read_weights(checkpoint, precision, tiny::WEIGHTS, Path::new("the built-in model"));
    };
    let text = |name: &str| fs::read_to_string(folder.join(name)).map_err(Error::file(folder.join(name)));
    let tokenizer =
        fs::read(folder.join("tokenizer.json")).map_err(Error::file(folder.join("tokenizer.json")))?;
    let checkpoint = Checkpoint::parse(&text("config.json")?, &text("preprocessor_config.json")?, &tokenizer)
        .map_err(|source| Error::Checkpoint { path: folder.into(), source })?;
    let path = folder.join("model.safetensors");
    let file = File::open(&path).map_err(Error::file(&path))?;
    read_weights(checkpoint, precision, file, &path)
}

fn read_weights(
    checkpoint: Checkpoint,
    precision: Precision,
    mut source: impl Read,
    path: &Path,
) -> Result<Siglip, Error> {
    let wrong = |source| Error::Checkpoint { path: path.into(), source };
    let mut loader = checkpoint.loader(precision, Shard::WHOLE)?;
    let mut reader = SafetensorsReader::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => reader.push(&chunk[..length], &mut loader).map_err(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::file(path)(error)),
        }
    }
    reader.finish().map_err(wrong)?;
    Ok(Siglip::new(checkpoint, loader.finish().map_err(wrong)?))
}

/// Reads and decodes a picture.
pub fn picture(path: &Path) -> Result<RgbImage, Error> {
    let bytes = fs::read(path).map_err(Error::Picture)?;
    Ok(image::decode(&bytes).map_err(siglip::Error::from)?)
}
