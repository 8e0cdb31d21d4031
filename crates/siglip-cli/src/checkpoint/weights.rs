//! A checkpoint's weight files, read piece by piece.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use siglip::weights::{Logits, Metadata, StoredTensor, TensorShape, TensorSink, WeightIndex, WeightReader};

use crate::error::Error;

/// Bytes read from a weight file at a time.
const CHUNK: usize = 1 << 20;

/// A checkpoint's weight files.
pub struct Weights {
    /// Set if there are several files.
    pub index: Option<WeightIndex>,
    pub(super) files: Vec<WeightFile>,
}

impl Weights {
    /// Bytes of all files.
    pub fn bytes(&self) -> Result<u64, Error> {
        self.files.iter().map(WeightFile::bytes).sum()
    }

    /// Passes every tensor to `sink`, file after file. `progress` is called with the bytes read since its last call.
    pub fn read<S: TensorSink>(&self, sink: &mut S, mut progress: impl FnMut(u64)) -> Result<(), Error> {
        for file in &self.files {
            let reader = self.reader();
            let on_chunk = |_: &S, bytes| {
                progress(bytes);
                ControlFlow::Continue(())
            };
            file.read_all(reader, sink, on_chunk)?;
        }
        Ok(())
    }

    /// Reads only the header of every file, and `logit_scale` and `logit_bias`, which follow it. An ONNX is read whole: each
    /// of its tensors is described where its values are.
    pub fn headers(&self) -> Result<Vec<Header>, Error> {
        self.files.iter().map(|file| file.header(self.reader())).collect()
    }

    /// A reader at the start of a file.
    fn reader(&self) -> WeightReader {
        self.index.as_ref().map_or_else(WeightReader::new, WeightReader::one_of)
    }
}

/// What a weight file says about itself.
#[derive(Default)]
pub struct Header {
    /// Only of a GGUF.
    pub metadata: Option<Metadata>,
    pub tensors: Vec<StoredTensor>,
    /// The whole tensors that these are of; unknown of an ONNX.
    pub shapes: Vec<TensorShape>,
    /// The tensors' names, of an ONNX.
    pub names: Option<BTreeSet<String>>,
    pub logits: Logits,
}

impl TensorSink for Header {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), siglip::Error> {
        self.metadata = Some(metadata);
        Ok(())
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        self.shapes = tensors.to_vec();
        self.logits.begin(tensors)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), siglip::Error> {
        self.names = Some(names.iter().map(|name| (*name).into()).collect());
        self.logits.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), siglip::Error> {
        self.logits.rows(tensor, first_row, values)
    }
}

/// A file, or the weights that are built into the command.
pub(super) enum WeightFile {
    BuiltIn,
    Path(PathBuf),
}

impl WeightFile {
    pub(super) fn path(&self) -> &Path {
        match self {
            WeightFile::BuiltIn => Path::new("the built-in model"),
            WeightFile::Path(path) => path,
        }
    }

    fn bytes(&self) -> Result<u64, Error> {
        self.bytes_of(self.path())
    }

    /// Length of this file, or of one beside it.
    fn bytes_of(&self, path: &Path) -> Result<u64, Error> {
        match self {
            WeightFile::BuiltIn => Ok(siglip_tiny::WEIGHTS.len() as u64),
            WeightFile::Path(_) => Ok(fs::metadata(path).map_err(Error::file(path))?.len()),
        }
    }

    /// What [`Weights::headers`] reads of this file.
    pub(super) fn header(&self, reader: WeightReader) -> Result<Header, Error> {
        let mut header = Header::default();
        header.tensors = self.read_all(reader, &mut header, |header: &Header, _| {
            if header.logits.is_done() && header.names.is_none() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(header)
    }

    /// Reads the file, and the one with its data if that is another one, until they end or `on_chunk`, which is given each
    /// chunk's length, breaks. Returns the tensors.
    fn read_all<S: TensorSink>(
        &self,
        mut reader: WeightReader,
        sink: &mut S,
        mut on_chunk: impl FnMut(&S, u64) -> ControlFlow<()>,
    ) -> Result<Vec<StoredTensor>, Error> {
        let mut path = self.path().to_path_buf();
        loop {
            let bytes = self.bytes_of(&path)?;
            let read = match self {
                WeightFile::BuiltIn => {
                    read_from(siglip_tiny::WEIGHTS, &mut reader, &path, sink, &mut on_chunk)
                }
                WeightFile::Path(_) => {
                    let file = File::open(&path).map_err(Error::file(&path))?;
                    read_from(file, &mut reader, &path, sink, &mut on_chunk)
                }
            };
            if read?.is_break() {
                reader.check_len(bytes).map_err(Error::checkpoint(&path))?;
                return Ok(reader.tensors());
            }
            let tensors = reader.tensors();
            match reader.into_data_file().map_err(Error::checkpoint(&path))? {
                None => return Ok(tensors),
                Some((name, data)) => (path, reader) = (path.with_file_name(name), data),
            }
        }
    }
}

/// Reads until the file ends, or `on_chunk` breaks.
fn read_from<S: TensorSink>(
    mut source: impl Read,
    reader: &mut WeightReader,
    path: &Path,
    sink: &mut S,
    on_chunk: &mut impl FnMut(&S, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(ControlFlow::Continue(())),
            Ok(length) => {
                reader.push(&chunk[..length], sink).map_err(Error::checkpoint(path))?;
                if on_chunk(sink, length as u64).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::file(path)(error)),
        }
    }
}
