//! A model from what an earlier visit has kept of it.

use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Siglip};

use crate::assembly::{self, Assembly, SMALL_FILES};
use crate::error::Error;
use crate::intake::Intake;
use crate::integrity::{self, Digest};
use crate::listeners::Listeners;
use crate::load::INDEX;
use crate::options::Options;
use crate::store::{Log, Manifest, Progress, Record, Source};

/// What a log holds, with its batches already in place.
pub struct Replay<'l> {
    options: &'l Options,
    /// The checkpoint's small files; none of a GGUF.
    pub files: Option<CheckpointFiles>,
    /// Which weight file holds what, if there are several.
    pub index: Option<WeightIndex>,
    /// The model as far as it came.
    pub assembly: Assembly<'l>,
    /// The weight files so far, the last perhaps in part.
    pub weights: Vec<ReadFile>,
    complete: bool,
}

/// A weight file as far as it was read.
pub struct ReadFile {
    /// What it was.
    pub source: Source,
    /// Its reader, which has seen the header.
    pub intake: Intake,
    /// How far it came.
    pub progress: Progress,
}

impl<'l> Replay<'l> {
    /// Reads a log to its end; `None` where it is of no use.
    pub async fn read(
        log: &mut Log,
        length: Option<u64>,
        manifest: &Manifest,
        options: &'l Options,
        listeners: &'l Listeners,
    ) -> Result<Option<Replay<'l>>, Error> {
        if log.next().await.as_ref() != Some(&Record::Manifest(manifest.clone())) {
            return Ok(None);
        }
        let assembly = Assembly::new(options, listeners);
        let mut replay =
            Replay { options, files: None, index: None, assembly, weights: Vec::new(), complete: false };
        let mut small = Vec::new();
        while !replay.complete {
            match log.next().await {
                Some(Record::File(name, bytes)) => small.push((name, bytes)),
                Some(Record::Header(source, header)) => {
                    replay.begin(std::mem::take(&mut small))?;
                    replay.begin_file(source, &header)?;
                }
                Some(Record::Batches(progress, batches)) => {
                    let Some(file) = replay.weights.last_mut() else { return Ok(None) };
                    replay.assembly.take(&batches).await?;
                    file.progress = progress;
                    listeners.progress(&file.source.file, log.end(), length.unwrap_or(0), true);
                }
                Some(Record::End) => replay.complete = true,
                None => break,
                Some(Record::Manifest(_)) => return Ok(None),
            }
        }
        Ok((!replay.weights.is_empty()).then_some(replay))
    }

    /// The finished model, if the log is complete and its files are those that the page asks for.
    pub fn into_model(self) -> Result<Option<Siglip>, Error> {
        if !self.complete || !self.is_as_asked() {
            return Ok(None);
        }
        self.assembly.finish().map(Some)
    }

    /// Begins the model, if these are the small files of a checkpoint: they come before its first weight file.
    fn begin(&mut self, small: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let content = |name: &str| {
            let found = small.iter().find(|(kept, _)| kept == name);
            found.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        };
        if let [Some(config), Some(preprocessor), Some(tokenizer)] = SMALL_FILES.map(content) {
            let files = CheckpointFiles { config, preprocessor, tokenizer };
            self.assembly.begin(&files)?;
            self.files = Some(files);
        }
        if let Some((_, index)) = small.iter().find(|(name, _)| name == INDEX) {
            let index = WeightIndex::parse(index)?;
            self.assembly.expect_files(&index)?;
            self.index = Some(index);
        }
        Ok(())
    }

    fn begin_file(&mut self, source: Source, header: &[u8]) -> Result<(), Error> {
        let mut intake = Intake::new(source.file.clone());
        intake.push(header, &mut self.assembly)?;
        intake.take_header();
        let progress = intake.progress();
        self.weights.push(ReadFile { source, intake, progress });
        Ok(())
    }

    fn is_as_asked(&self) -> bool {
        let asked = |name: &str| self.options.sha256.get(name);
        let differs = |name: &str, content: &String| {
            asked(name).is_some_and(|asked| *asked != integrity::sha256(content.as_bytes()))
        };
        if self.files.as_ref().is_some_and(|files| assembly::named(files).iter().any(|(n, c)| differs(n, c)))
        {
            return false;
        }
        self.weights.iter().all(|ReadFile { source, progress, .. }| {
            let digest = || progress.digest.as_deref().and_then(Digest::resume).map(Digest::finish);
            asked(&source.file).is_none_or(|asked| digest().as_ref() == Some(asked))
        })
    }
}
