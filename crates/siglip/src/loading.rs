//! A checkpoint from its files, read from their beginning to their end.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::weights::{Metadata, TensorShape, TensorSink, WeightIndex, WeightReader};
use crate::{Checkpoint, CheckpointFiles, Engine, EngineLoader, Error, LoadOptions};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Bytes read from a weight file at a time.
const CHUNK: usize = 1 << 20;

/// Loads a checkpoint in the hub's layout.
pub(crate) fn from_files<E: Engine, R: Read>(
    mut open: impl FnMut(&str) -> io::Result<R>,
    options: LoadOptions,
) -> Result<(Checkpoint, E), Error> {
    let files = CheckpointFiles::read(|name| {
        let mut text = String::new();
        open(name).and_then(|mut file| file.read_to_string(&mut text)).map_err(Error::unreadable(name))?;
        Ok::<_, Error>(text)
    })?;
    let checkpoint = Checkpoint::parse(&files)?;
    let mut loader = checkpoint.loader::<E>(options)?;
    match open(WEIGHTS) {
        Ok(file) => read(WEIGHTS, file, &mut loader).map_err(Error::in_file(WEIGHTS))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Several files with an index. If there is no index either, the missing file is the one to name.
            let mut json = Vec::new();
            match open(INDEX) {
                Ok(mut file) => file.read_to_end(&mut json).map_err(Error::unreadable(INDEX))?,
                Err(_) => return Err(Error::unreadable(WEIGHTS)(error)),
            };
            let index = WeightIndex::parse(&json).map_err(Error::in_file(INDEX))?;
            loader.expect_files(&index).map_err(Error::in_file(INDEX))?;
            for name in index.files() {
                let file = open(name).map_err(Error::unreadable(name))?;
                read(name, file, &mut loader).map_err(Error::in_file(name))?;
            }
        }
        Err(error) => return Err(Error::unreadable(WEIGHTS)(error)),
    }
    Ok((checkpoint, loader.finish()?))
}

/// Loads a GGUF that carries the checkpoint's small files.
pub(crate) fn from_gguf<E: Engine>(file: impl Read, options: LoadOptions) -> Result<(Checkpoint, E), Error> {
    let mut sink = GgufSink::<E> { options, begun: None };
    read("the GGUF file", file, &mut sink)?;
    let (checkpoint, loader) = sink.begun.ok_or_else(not_begun)?;
    Ok((checkpoint, loader.finish()?))
}

/// Gives the whole weight file `name` to `sink`.
fn read(name: &str, mut file: impl Read, sink: &mut dyn TensorSink) -> Result<(), Error> {
    let mut reader = WeightReader::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return reader.finish(),
            Ok(length) => reader.push(&chunk[..length], sink)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::unreadable(name)(error)),
        }
    }
}

/// Begins an engine when a GGUF's metadata arrives, then hands the tensors on to it.
struct GgufSink<E: Engine> {
    options: LoadOptions,
    /// Set once the file's header has arrived.
    begun: Option<(Checkpoint, E::Loader)>,
}

impl<E: Engine> GgufSink<E> {
    fn loader(&mut self) -> Result<&mut E::Loader, Error> {
        self.begun.as_mut().map(|(_, loader)| loader).ok_or_else(not_begun)
    }
}

impl<E: Engine> TensorSink for GgufSink<E> {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), Error> {
        let checkpoint = Checkpoint::parse(&metadata.into_files()?)?;
        let loader = checkpoint.loader::<E>(self.options)?;
        self.begun = Some((checkpoint, loader));
        Ok(())
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error> {
        self.loader()?.begin(tensors)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.loader()?.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.loader()?.rows(tensor, first_row, values)
    }
}

fn not_begun() -> Error {
    Error::BadWeights("this file has no configuration in it. A GGUF that `siglip convert` made has; other weights are loaded with \
         their config.json, preprocessor_config.json and tokenizer.json".into())
}
