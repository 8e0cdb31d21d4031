//! Reads what an earlier visit has cached of a model.

use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Towers};

use super::cache_writer::needed_by;
use super::callbacks::Callbacks;
use super::context::INDEX;
use super::model_builder::ModelBuilder;
use super::weight_file::WeightFile;
use crate::backend::Siglip;
use crate::error::Error;
use crate::integrity::{self, Digest};
use crate::options::Options;
use crate::store::{Contents, Log, Manifest, Progress, Record, Source};

/// A cached model, complete or not, with its weights in place.
pub struct CachedModel<'l> {
    options: &'l Options,
    /// The checkpoint's small files; `None` for a GGUF.
    pub files: Option<CheckpointFiles>,
    /// The index, if the weights are in several files.
    pub index: Option<WeightIndex>,
    /// The model as far as it was cached.
    pub builder: ModelBuilder<'l>,
    /// The weight files that were cached; the last one may be incomplete.
    pub weights: Vec<CachedWeightFile>,
    /// Whether one of them holds an ONNX's data. The tensors in it are described elsewhere, so it cannot be continued.
    pub has_data_file: bool,
    /// What is where in the log; as it says itself, if it is complete.
    pub contents: Contents,
    towers: Towers,
    complete: bool,
}

/// A weight file as far as it was cached.
pub struct CachedWeightFile {
    /// Where it came from.
    pub source: Source,
    /// The file with its header read.
    pub file: WeightFile,
    /// The position up to which it was cached.
    pub progress: Progress,
}

impl<'l> CachedModel<'l> {
    /// Reads these towers from a log, to its end. Returns `None` if it cannot be used.
    pub async fn read(
        log: &mut Log,
        length: Option<u64>,
        manifest: &Manifest,
        towers: Towers,
        options: &'l Options,
        callbacks: &'l Callbacks,
    ) -> Result<Option<CachedModel<'l>>, Error> {
        if log.next().await.as_ref() != Some(&Record::Manifest(manifest.clone())) {
            return Ok(None);
        }
        let mut cached = CachedModel {
            options,
            files: None,
            index: None,
            builder: ModelBuilder::of_towers(options, towers, callbacks),
            weights: Vec::new(),
            has_data_file: false,
            contents: Contents::default(),
            towers,
            complete: false,
        };
        let mut small = Vec::new();
        while !cached.complete {
            let start = log.end();
            match log.next().await {
                Some(Record::File(name, bytes)) => {
                    cached.contents.add(start..log.end(), needed_by(&name, &bytes));
                    small.push((name, bytes));
                }
                Some(Record::Header(source, header)) => {
                    cached.start(std::mem::take(&mut small))?;
                    cached.start_file(source, &header).await?;
                }
                Some(Record::Batches(progress, batches)) => {
                    let Some(file) = cached.weights.last_mut() else { return Ok(None) };
                    cached.builder.add(&batches).await?;
                    cached.contents.add(start..log.end(), cached.builder.towers_of(&batches));
                    cached.contents.ends.insert(file.source.file.clone(), progress.clone());
                    file.progress = progress;
                    callbacks.progress(&file.source.file, log.end(), length.unwrap_or(0), true);
                }
                Some(Record::End(contents)) => {
                    cached.complete = true;
                    cached.contents = contents.unwrap_or_default();
                }
                None => break,
                Some(Record::Manifest(_) | Record::LabelOwner(_) | Record::Label(..)) => return Ok(None),
            }
        }
        Ok((!cached.weights.is_empty()).then_some(cached))
    }

    /// Where its weights come from.
    pub fn sources(&self) -> Vec<Source> {
        self.weights.iter().map(|file| file.source.clone()).collect()
    }

    /// The finished model, if it is complete and has the hashes that the caller demands.
    pub fn into_model(self) -> Result<Option<Siglip>, Error> {
        if !self.complete || !self.has_demanded_hashes() {
            return Ok(None);
        }
        self.builder.finish().map(Some)
    }

    /// Starts the model if these are a checkpoint's small files, which come before the first weight file.
    fn start(&mut self, small: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let content = |name: &str| {
            let found = small.iter().find(|(cached, _)| cached == name);
            found.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        };
        if let [Some(config), Some(preprocessor), tokenizer] = CheckpointFiles::NAMES.map(content) {
            let tokenizer = tokenizer.unwrap_or_default();
            let files = CheckpointFiles { config, preprocessor, tokenizer, labels: None };
            self.builder.start(&files)?;
            self.files = Some(files);
        }
        if let Some((_, index)) = small.iter().find(|(name, _)| name == INDEX) {
            let index = WeightIndex::parse(index)?;
            self.builder.expect_files(&index)?;
            self.index = Some(index);
        }
        Ok(())
    }

    async fn start_file(&mut self, source: Source, header: &[u8]) -> Result<(), Error> {
        let mut file = WeightFile::new(source.file.clone(), self.index.as_ref());
        self.has_data_file |= header.is_empty();
        file.push(header, &mut self.builder)?;
        file.take_header();
        let progress = file.progress().get().await?;
        self.weights.push(CachedWeightFile { source, file, progress });
        Ok(())
    }

    /// Whether each weight file whose hash the caller demands was cached with the state of its digest.
    pub fn can_check_hashes(&self) -> bool {
        let is_demanded = |file: &CachedWeightFile| self.options.sha256.contains_key(&file.source.file);
        self.weights.iter().all(|file| file.progress.digest.is_some() || !is_demanded(file))
    }

    fn has_demanded_hashes(&self) -> bool {
        let demanded = |name: &str| self.options.sha256.get(name);
        let differs = |name: &str, content: &str| {
            demanded(name).is_some_and(|hash| *hash != integrity::sha256(content.as_bytes()))
        };
        let small_file_differs = |files: &CheckpointFiles| {
            let is_needed = |content: &str| self.towers.has_text() || !content.is_empty();
            files.named().iter().any(|(name, content)| is_needed(content) && differs(name, content))
        };
        if self.files.as_ref().is_some_and(small_file_differs) {
            return false;
        }
        self.weights.iter().all(|CachedWeightFile { source, progress, .. }| {
            // What was read of a part of the log may end before the file does.
            let end = self.contents.ends.get(&source.file).unwrap_or(progress);
            let digest = || end.digest.as_deref().and_then(Digest::resume).map(Digest::finish);
            demanded(&source.file).is_none_or(|hash| digest().as_ref() == Some(hash))
        })
    }
}
