//! Where a checkpoint comes from: a folder, a GGUF or ONNX file, or the command itself.

mod weights;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use siglip::image::{self, Decoded};
use siglip::weights::{
    Logits, OPEN_CLIP_WEIGHTS, TensorSink, WeightIndex, WeightReader, find_pickled_weights, onnx_candidates,
    onnx_files, pickled_weights,
};
use siglip::{CheckpointFiles, Engine, EngineLoader, LoadOptions, Siglip, Towers};
use weights::WeightFile;
pub use weights::{Header, Weights};

use crate::error::Error;

/// Where a checkpoint comes from.
pub enum Source {
    /// The model that is built into the command.
    BuiltIn,
    /// A folder in the hub's layout.
    Folder(PathBuf),
    /// A file that `siglip convert` wrote.
    Gguf(PathBuf),
    /// ONNX files, by their names in the folder that has the small files.
    Onnx(PathBuf, Vec<String>),
}

impl Source {
    /// The source that `--model` names.
    ///
    /// # Errors
    /// Of a file that is something else than it is called: what it is, and the way out.
    pub fn new(path: Option<&Path>) -> Result<Source, Error> {
        let Some(path) = path else { return Ok(Source::BuiltIn) };
        let is =
            |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
        if is("gguf") {
            Ok(Source::Gguf(path.into()))
        } else if is("onnx") {
            let source = Source::of_onnx(path);
            // What is wrong with the file itself comes before what is missing beside it.
            if path.is_file() && source.files().is_err() {
                WeightFile::Path(path.into()).header(WeightReader::new())?;
            }
            Ok(source)
        } else if is("safetensors") || path.is_file() {
            Source::of_weights(path)
        } else {
            Ok(Source::Folder(path.into()))
        }
    }

    /// The model that a file of weights belongs to: the file itself, or its folder where that has these weights.
    fn of_weights(path: &Path) -> Result<Source, Error> {
        if WeightFile::Path(path.into()).header(WeightReader::new())?.metadata.is_some() {
            return Ok(Source::Gguf(path.into()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let source = Source::Folder(folder.into());
        let is_named = |file: &WeightFile| file.path().file_name() == path.file_name();
        if source.weights().is_ok_and(|weights| weights.files.iter().any(is_named)) {
            return Ok(source);
        }
        Err(Error::Usage(format!(
            "{}: these are weights without their model; put them beside their config.json, \
             preprocessor_config.json and tokenizer.json, as model.safetensors, and give that folder",
            path.display()
        )))
    }

    /// An ONNX, and the file with the other tower if it has one. The small files are beside it, or beside its folder `onnx`.
    fn of_onnx(path: &Path) -> Source {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let parent = path.parent().unwrap_or(Path::new(""));
        let (folder, name) = match parent.file_name() {
            Some(last) if last == "onnx" => {
                (parent.parent().unwrap_or(Path::new("")), format!("onnx/{name}"))
            }
            _ => (parent, name),
        };
        Source::Onnx(folder.into(), onnx_files(&name).unwrap_or_else(|| vec![name]))
    }

    /// The ONNX files of a folder that has no other weights: the best for their size.
    fn onnx_in(folder: &Path) -> Option<Vec<String>> {
        onnx_candidates(Towers::Both).find(|list| list.iter().all(|name| folder.join(name).exists()))
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        match self {
            Source::BuiltIn => "tiny".into(),
            Source::Folder(path) | Source::Gguf(path) => path.display().to_string(),
            Source::Onnx(folder, names) => {
                folder.join(names.first().map_or("", String::as_str)).display().to_string()
            }
        }
    }

    /// The small files.
    pub fn files(&self) -> Result<CheckpointFiles, Error> {
        match self {
            Source::BuiltIn => Ok(CheckpointFiles {
                config: siglip_tiny::CONFIG.into(),
                preprocessor: siglip_tiny::PREPROCESSOR.into(),
                tokenizer: siglip_tiny::TOKENIZER.into(),
                labels: None,
            }),
            Source::Folder(folder) | Source::Onnx(folder, _) => CheckpointFiles::read(|name| {
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
            Source::Onnx(folder, names) => Ok(Weights {
                index: None,
                files: names.iter().map(|name| WeightFile::Path(folder.join(name))).collect(),
            }),
            Source::Folder(folder) => {
                let [whole, path, open_clip] =
                    ["model.safetensors", "model.safetensors.index.json", OPEN_CLIP_WEIGHTS]
                        .map(|name| folder.join(name));
                let one = |path| Ok(Weights { index: None, files: vec![WeightFile::Path(path)] });
                if whole.exists() {
                    return one(whole);
                }
                if !path.exists() && open_clip.exists() {
                    return one(open_clip);
                }
                if !path.exists() {
                    return match Source::onnx_in(folder) {
                        Some(names) => Source::Onnx(folder.clone(), names).weights(),
                        None => match pickled_in(folder) {
                            Some(name) => Err(Error::checkpoint(folder.join(name))(pickled_weights())),
                            None => one(whole),
                        },
                    };
                }
                let json = fs::read(&path).map_err(Error::file(&path))?;
                let index = WeightIndex::parse(&json).map_err(Error::checkpoint(path))?;
                let files = index.files().map(|file| WeightFile::Path(folder.join(file))).collect();
                Ok(Weights { index: Some(index), files })
            }
        }
    }

    /// Whether the weights are ONNX files: those of single towers have neither scale nor bias.
    #[cfg(feature = "gpu")]
    pub fn may_lack_logits(&self) -> bool {
        let is_onnx =
            |file: &WeightFile| file.path().extension().is_some_and(|extension| extension == "onnx");
        self.weights().is_ok_and(|weights| weights.files.iter().all(is_onnx))
    }

    /// Its name in a file made of it: that of its folder or file, without the extension.
    pub fn stem(&self) -> String {
        let path = PathBuf::from(self.name());
        let path = path.canonicalize().unwrap_or(path);
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }

    /// The scale and bias that ONNX files of single towers lack: those of a model.safetensors beside, or of a published model.
    pub fn known_logits(&self, files: &CheckpointFiles) -> Option<Logits> {
        let (Source::Folder(folder) | Source::Onnx(folder, _)) = self else { return None };
        let beside = Weights { index: None, files: vec![WeightFile::Path(folder.join("model.safetensors"))] };
        let stored = beside.headers().ok().and_then(|headers| headers.first().map(|header| header.logits));
        stored
            .filter(Logits::is_complete)
            .or_else(|| Logits::known(&self.name()))
            .or_else(|| Logits::known(&files.source()?))
    }

    /// Loads the model.
    pub fn load<E: Engine>(&self, options: LoadOptions) -> Result<Siglip<E>, Error> {
        match self {
            Source::BuiltIn => Siglip::from_files_with_engine(siglip_tiny::open, options),
            Source::Folder(folder) => {
                // The engine opens files by their names. Other pickles are found in the folder alone.
                self.weights()?;
                Siglip::from_files_with_engine(|name| File::open(folder.join(name)), options)
            }
            Source::Gguf(path) => {
                Siglip::from_gguf_with_engine(File::open(path).map_err(Error::file(path))?, options)
            }
            Source::Onnx(folder, names) => {
                Siglip::from_onnx_with_engine(|name| File::open(folder.join(name)), names, options)
            }
        }
        .map_err(|error| self.explain(error))
    }

    /// Passes the weights to `sink`, which has the loader. `progress` is called with the bytes read since its last call.
    pub fn read<S: TensorSink, L: EngineLoader>(
        &self,
        files: &CheckpointFiles,
        sink: &mut S,
        loader: impl Fn(&mut S) -> &mut L,
        progress: impl FnMut(u64),
    ) -> Result<(), Error> {
        let (wrong, weights) = (Error::checkpoint(self.name()), self.weights()?);
        if let Some(index) = &weights.index {
            loader(sink).expect_files(index).map_err(&wrong)?;
        }
        weights.read(sink, progress)?;
        if loader(sink).lacks_logits()
            && let Some(logits) = self.known_logits(files)
        {
            logits.pass(loader(sink)).map_err(&wrong)?;
        }
        Ok(())
    }

    /// Names the file that an error is about by its path.
    fn explain(&self, error: siglip::Error) -> Error {
        let path = |name: &str| match self {
            Source::BuiltIn => PathBuf::from(name),
            Source::Folder(folder) | Source::Onnx(folder, _) => folder.join(name),
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

/// The name of weights in a folder that PyTorch has pickled.
fn pickled_in(folder: &Path) -> Option<String> {
    let names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    find_pickled_weights(names.iter().map(String::as_str)).map(String::from)
}

/// Reads and decodes an image.
pub fn image(path: &Path) -> Result<Decoded, Error> {
    let bytes = fs::read(path).map_err(Error::Picture)?;
    Ok(image::read(&bytes).map_err(siglip::Error::from)?)
}
