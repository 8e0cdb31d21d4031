//! Where a checkpoint comes from: a folder, one GGUF file, or the command itself.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use siglip::image::{self, Decoded};
use siglip::weights::{Metadata, StoredTensor, TensorShape, TensorSink, WeightIndex, WeightReader};
use siglip::{CheckpointFiles, LoadOptions, Precision, Siglip};

use crate::error::Error;

/// Bytes read from a weight file at a time.
const CHUNK: usize = 1 << 20;

/// Where a checkpoint comes from.
pub enum Source {
    /// The model that is built into the command.
    BuiltIn,
    /// A folder in the hub's layout.
    Folder(PathBuf),
    /// A file that `siglip convert` wrote.
    Gguf(PathBuf),
}

impl Source {
    /// The source that `--model` names.
    pub fn new(path: Option<&Path>) -> Source {
        match path {
            None => Source::BuiltIn,
            Some(path)
                if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) =>
            {
                Source::Gguf(path.into())
            }
            Some(path) => Source::Folder(path.into()),
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        match self {
            Source::BuiltIn => "tiny".into(),
            Source::Folder(path) | Source::Gguf(path) => path.display().to_string(),
        }
    }

    /// The small files.
    pub fn files(&self) -> Result<CheckpointFiles, Error> {
        match self {
            Source::BuiltIn => Ok(CheckpointFiles {
                config: siglip_tiny::CONFIG.into(),
                preprocessor: siglip_tiny::PREPROCESSOR.into(),
                tokenizer: siglip_tiny::TOKENIZER.into(),
            }),
            Source::Folder(folder) => CheckpointFiles::read(|name| {
                fs::read_to_string(folder.join(name)).map_err(Error::file(folder.join(name)))
            }),
            Source::Gguf(path) => {
                let header = self.weights()?.headers()?.pop().unwrap_or_default();
                header.metadata.unwrap_or_default().into_files().map_err(Error::checkpoint(path))
            }
        }
    }

    /// The weight files.
    pub fn weights(&self) -> Result<Weights, Error> {
        match self {
            Source::BuiltIn => Ok(Weights { index: None, files: vec![WeightFile::BuiltIn] }),
            Source::Gguf(path) => Ok(Weights { index: None, files: vec![WeightFile::Path(path.clone())] }),
            Source::Folder(folder) => {
                let whole = folder.join("model.safetensors");
                let path = folder.join("model.safetensors.index.json");
                if whole.exists() || !path.exists() {
                    return Ok(Weights { index: None, files: vec![WeightFile::Path(whole)] });
                }
                let json = fs::read(&path).map_err(Error::file(&path))?;
                let index = WeightIndex::parse(&json).map_err(Error::checkpoint(path))?;
                let files = index.files().map(|file| WeightFile::Path(folder.join(file))).collect();
                Ok(Weights { index: Some(index), files })
            }
        }
    }

    /// Loads the model.
    pub fn load(&self, precision: Precision) -> Result<Siglip, Error> {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        match self {
            Source::BuiltIn => Siglip::from_files(siglip_tiny::open, options),
            Source::Folder(folder) => Siglip::from_files(|name| File::open(folder.join(name)), options),
            Source::Gguf(path) => Siglip::from_gguf(File::open(path).map_err(Error::file(path))?, options),
        }
        .map_err(|error| self.explain(error))
    }

    /// Names the file that an error is about by its path.
    fn explain(&self, error: siglip::Error) -> Error {
        let path = |name: &str| match self {
            Source::BuiltIn => PathBuf::from(name),
            Source::Folder(folder) => folder.join(name),
            Source::Gguf(path) => path.clone(),
        };
        match error {
            siglip::Error::Unreadable { name, source } => Error::file(path(&name))(source),
            siglip::Error::InFile { name, source } => Error::checkpoint(path(&name))(*source),
            siglip::Error::UnsupportedModel { .. } | siglip::Error::BadWeights(_) => {
                Error::checkpoint(self.name())(error)
            }
            error => Error::Siglip(error),
        }
    }
}

/// A checkpoint's weight files.
pub struct Weights {
    /// Set if there are several files.
    pub index: Option<WeightIndex>,
    files: Vec<WeightFile>,
}

impl Weights {
    /// Bytes of all files.
    pub fn bytes(&self) -> Result<u64, Error> {
        self.files.iter().map(WeightFile::bytes).sum()
    }

    /// Passes every tensor to `sink`, file after file. `progress` is called with the bytes read since its last call.
    pub fn read<S: TensorSink>(&self, sink: &mut S, mut progress: impl FnMut(u64)) -> Result<(), Error> {
        for file in &self.files {
            let reader = file.read(sink, |_, bytes| {
                progress(bytes);
                ControlFlow::Continue(())
            })?;
            reader.finish().map_err(Error::checkpoint(file.path()))?;
        }
        Ok(())
    }

    /// Reads only the header of every file, and `logit_scale` and `logit_bias`, which follow it.
    pub fn headers(&self) -> Result<Vec<Header>, Error> {
        let header = |file: &WeightFile| {
            let mut header = Header::default();
            let reader = file.read(&mut header, |header, _| match header.logits_left {
                Some(0) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })?;
            reader.check_len(file.bytes()?).map_err(Error::checkpoint(file.path()))?;
            header.tensors = reader.tensors();
            Ok(header)
        };
        self.files.iter().map(header).collect()
    }
}

/// What a weight file says about itself.
#[derive(Default)]
pub struct Header {
    /// Only of a GGUF.
    pub metadata: Option<Metadata>,
    pub tensors: Vec<StoredTensor>,
    pub logit_scale: Option<f32>,
    pub logit_bias: Option<f32>,
    /// How many of the two have not arrived; known once the header has arrived.
    logits_left: Option<usize>,
}

impl TensorSink for Header {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), siglip::Error> {
        self.metadata = Some(metadata);
        Ok(())
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        let logits = tensors.iter().filter(|tensor| tensor.name.starts_with("logit_"));
        self.logits_left = Some(logits.count());
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, _: usize, values: &[f32]) -> Result<(), siglip::Error> {
        let logit = match tensor.name.as_str() {
            "logit_scale" => &mut self.logit_scale,
            "logit_bias" => &mut self.logit_bias,
            _ => return Ok(()),
        };
        *logit = values.first().copied();
        self.logits_left = self.logits_left.map(|left| left.saturating_sub(1));
        Ok(())
    }
}

enum WeightFile {
    BuiltIn,
    Path(PathBuf),
}

impl WeightFile {
    fn path(&self) -> &Path {
        match self {
            WeightFile::BuiltIn => Path::new("the built-in model"),
            WeightFile::Path(path) => path,
        }
    }

    fn bytes(&self) -> Result<u64, Error> {
        match self {
            WeightFile::BuiltIn => Ok(siglip_tiny::WEIGHTS.len() as u64),
            WeightFile::Path(path) => Ok(fs::metadata(path).map_err(Error::file(path))?.len()),
        }
    }

    /// Reads until the file ends, or `on_chunk`, which is given each chunk's length, breaks.
    fn read<S: TensorSink>(
        &self,
        sink: &mut S,
        on_chunk: impl FnMut(&S, u64) -> ControlFlow<()>,
    ) -> Result<WeightReader, Error> {
        match self {
            WeightFile::BuiltIn => self.read_from(siglip_tiny::WEIGHTS, sink, on_chunk),
            WeightFile::Path(path) => {
                self.read_from(File::open(path).map_err(Error::file(path))?, sink, on_chunk)
            }
        }
    }

    fn read_from<S: TensorSink>(
        &self,
        mut source: impl Read,
        sink: &mut S,
        mut on_chunk: impl FnMut(&S, u64) -> ControlFlow<()>,
    ) -> Result<WeightReader, Error> {
        let mut reader = WeightReader::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return Ok(reader),
                Ok(length) => {
                    reader.push(&chunk[..length], sink).map_err(Error::checkpoint(self.path()))?;
                    if on_chunk(sink, length as u64).is_break() {
                        return Ok(reader);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::file(self.path())(error)),
            }
        }
    }
}

/// Reads and decodes an image.
pub fn image(path: &Path) -> Result<Decoded, Error> {
    let bytes = fs::read(path).map_err(Error::Picture)?;
    Ok(image::read(&bytes).map_err(siglip::Error::from)?)
}
