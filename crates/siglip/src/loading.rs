//! A checkpoint from its files, read from their beginning to their end.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::weights::{
    Logits, Metadata, OPEN_CLIP_WEIGHTS, PICKLED_WEIGHTS, TensorShape, TensorSink, WeightIndex, WeightReader,
    onnx_candidates, pickled_weights,
};
use crate::{Checkpoint, CheckpointFiles, Engine, EngineLoader, Error, LoadOptions, Towers};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Bytes read from a weight file at a time.
const CHUNK: usize = 1 << 20;

/// Loads a checkpoint in the hub's layout.
pub(crate) fn from_files<E: Engine, R: Read>(
    mut open: impl FnMut(&str) -> io::Result<R>,
    options: LoadOptions,
) -> Result<(Checkpoint, E), Error> {
    let files = small_files(&mut open)?;
    let checkpoint = Checkpoint::parse(&files)?.at(options.resolution)?;
    let mut loader = checkpoint.loader::<E>(options)?;
    read_weights(&mut open, &files, options.towers, &mut loader)?;
    Ok((checkpoint, loader.finish()?))
}

/// Reads the weights of a folder from the first of the places where they may be.
fn read_weights<R: Read>(
    open: &mut impl FnMut(&str) -> io::Result<R>,
    files: &CheckpointFiles,
    towers: Towers,
    loader: &mut impl EngineLoader,
) -> Result<(), Error> {
    let missing = match open(WEIGHTS) {
        Ok(file) => return read(open, WEIGHTS, WeightReader::new(), file, loader),
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        Err(error) => return Err(Error::unreadable(WEIGHTS)(error)),
    };
    if let Ok(index) = open(INDEX) {
        return read_indexed(open, index, loader);
    }
    if let Ok(file) = open(OPEN_CLIP_WEIGHTS) {
        return read(open, OPEN_CLIP_WEIGHTS, WeightReader::new(), file, loader);
    }
    if let Some(names) = find_onnx(open, towers) {
        return read_onnx(open, &names, files, loader);
    }
    if let Some(name) = PICKLED_WEIGHTS.into_iter().find(|name| open(name).is_ok()) {
        return Err(Error::in_file(name)(pickled_weights()));
    }
    // If there are no other weights either, the missing file is the one to name.
    Err(Error::unreadable(WEIGHTS)(missing))
}

/// Loads a checkpoint whose weights are in these ONNX files.
pub(crate) fn from_onnx<E: Engine, R: Read>(
    mut open: impl FnMut(&str) -> io::Result<R>,
    names: &[String],
    options: LoadOptions,
) -> Result<(Checkpoint, E), Error> {
    let files = small_files(&mut open)?;
    let checkpoint = Checkpoint::parse(&files)?.at(options.resolution)?;
    let mut loader = checkpoint.loader::<E>(options)?;
    read_onnx(&mut open, names, &files, &mut loader)?;
    Ok((checkpoint, loader.finish()?))
}

fn small_files<R: Read>(open: &mut impl FnMut(&str) -> io::Result<R>) -> Result<CheckpointFiles, Error> {
    CheckpointFiles::read(|name| {
        let mut text = String::new();
        open(name).and_then(|mut file| file.read_to_string(&mut text)).map_err(Error::unreadable(name))?;
        Ok(text)
    })
}

/// Reads several safetensors files with an index.
fn read_indexed<R: Read>(
    open: &mut impl FnMut(&str) -> io::Result<R>,
    mut index: R,
    loader: &mut impl EngineLoader,
) -> Result<(), Error> {
    let mut json = Vec::new();
    index.read_to_end(&mut json).map_err(Error::unreadable(INDEX))?;
    let index = WeightIndex::parse(&json).map_err(Error::in_file(INDEX))?;
    loader.expect_files(&index).map_err(Error::in_file(INDEX))?;
    index.files().try_for_each(|name| read_named(open, name, WeightReader::one_of(&index), loader))
}

/// The ONNX files of a folder that are the best for their size.
fn find_onnx<R: Read>(open: &mut impl FnMut(&str) -> io::Result<R>, towers: Towers) -> Option<Vec<String>> {
    onnx_candidates(towers).find(|list| list.iter().all(|name| open(name).is_ok()))
}

/// Reads ONNX files. Those of a single tower have no scale and bias: these are in a `model.safetensors` beside, or known
/// of the model that config.json names.
fn read_onnx<R: Read>(
    open: &mut impl FnMut(&str) -> io::Result<R>,
    names: &[String],
    files: &CheckpointFiles,
    loader: &mut impl EngineLoader,
) -> Result<(), Error> {
    for name in names {
        read_named(open, name, WeightReader::new(), loader)?;
    }
    if !loader.lacks_logits() {
        return Ok(());
    }
    let stored = open(WEIGHTS).ok().and_then(|file| stored_logits(file).ok());
    match stored.or_else(|| Logits::known(&files.source()?)) {
        Some(logits) => logits.pass(loader),
        None => loader.without_logits(),
    }
}

/// The scale and bias of a safetensors file, of which only the start is read.
fn stored_logits(mut file: impl Read) -> io::Result<Logits> {
    let (mut reader, mut logits) = (WeightReader::new(), Logits::default());
    let mut chunk = vec![0; CHUNK];
    while !logits.is_done() {
        let length = file.read(&mut chunk)?;
        let pushed = reader.push(&chunk[..length], &mut logits);
        if length == 0 || pushed.is_err() {
            break;
        }
    }
    if logits.is_complete() { Ok(logits) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Loads a GGUF that carries the checkpoint's small files.
pub(crate) fn from_gguf<E: Engine>(file: impl Read, options: LoadOptions) -> Result<(Checkpoint, E), Error> {
    let mut sink = GgufSink::<E> { options, begun: None };
    push_all(WeightReader::new(), "the GGUF file", file, &mut sink)?;
    let (checkpoint, loader) = sink.begun.ok_or_else(not_begun)?;
    Ok((checkpoint, loader.finish()?))
}

/// Gives the whole weight file `name` to `sink`.
fn read_named<R: Read>(
    open: &mut impl FnMut(&str) -> io::Result<R>,
    name: &str,
    reader: WeightReader,
    sink: &mut dyn TensorSink,
) -> Result<(), Error> {
    let file = open(name).map_err(Error::unreadable(name))?;
    read(open, name, reader, file, sink)
}

/// Gives an open weight file to `sink`, and the file with its data if that is another one.
fn read<R: Read>(
    open: &mut impl FnMut(&str) -> io::Result<R>,
    name: &str,
    reader: WeightReader,
    file: R,
    sink: &mut dyn TensorSink,
) -> Result<(), Error> {
    let Some((data, reader)) = push_all(reader, name, file, sink).map_err(Error::in_file(name))? else {
        return Ok(());
    };
    let data = match name.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{data}"),
        None => data,
    };
    let file = open(&data).map_err(Error::unreadable(&data))?;
    push_all(reader, &data, file, sink).map_err(Error::in_file(&data)).map(drop)
}

/// Gives a file to a reader. Returns the name of the file with its data, and a reader of that, if it is another one.
fn push_all(
    mut reader: WeightReader,
    name: &str,
    mut file: impl Read,
    sink: &mut dyn TensorSink,
) -> Result<Option<(String, WeightReader)>, Error> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return reader.into_data_file(),
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
        let checkpoint = Checkpoint::parse(&metadata.into_files()?)?.at(self.options.resolution)?;
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

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        self.loader()?.quantized_rows(tensor, first_row, scales, quantized)
    }
}

fn not_begun() -> Error {
    Error::BadWeights("this file has no configuration in it. A GGUF that `siglip convert` made has; other weights are loaded with \
         their config.json, preprocessor_config.json and tokenizer.json".into())
}
