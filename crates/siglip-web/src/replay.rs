//! A model from what an earlier visit has kept of it.

use siglip::Siglip;

use crate::assembly::{Assembly, SmallFiles};
use crate::error::Error;
use crate::intake::Intake;
use crate::integrity::{self, Digest};
use crate::listeners::Listeners;
use crate::options::Options;
use crate::store::{Log, Manifest, Progress, Record, Source};

/// What a log holds, with its batches already in place.
pub struct Replay<'l> {
    /// The checkpoint's small files.
    pub files: SmallFiles,
    /// The model as far as it came.
    pub assembly: Assembly<'l>,
    /// The weight file that was being read.
    pub source: Source,
    header: Vec<u8>,
    progress: Progress,
    complete: bool,
}

impl<'l> Replay<'l> {
    /// Reads a log to its end; `None` where it is of no use.
    pub async fn read(
        log: &mut Log,
        length: Option<u64>,
        manifest: &Manifest,
        options: &Options,
        listeners: &'l Listeners,
    ) -> Result<Option<Replay<'l>>, Error> {
        if log.next().await.as_ref() != Some(&Record::Manifest(manifest.clone())) {
            return Ok(None);
        }
        let mut files = SmallFiles::default();
        let (source, header) = loop {
            match log.next().await {
                Some(Record::File(name, bytes)) => {
                    if let Some(place) = files.place(&name) {
                        *place = bytes;
                    }
                }
                Some(Record::Header(source, header)) => break (source, header),
                _ => return Ok(None),
            }
        };
        let assembly = Assembly::new(&files, options, listeners)?;
        let progress = Progress { position: 0, digest: None };
        let mut replay = Replay { files, assembly, source, header, progress, complete: false };
        while !replay.complete {
            match log.next().await {
                Some(Record::Batches(progress, batches)) => {
                    replay.assembly.take(&batches).await?;
                    replay.progress = progress;
                }
                Some(Record::End) => replay.complete = true,
                _ => break,
            }
            listeners.progress(&replay.source.file, log.end(), length.unwrap_or(0), true);
        }
        Ok((replay.progress.position > 0).then_some(replay))
    }

    /// The finished model, if the log is complete and its files are those that the page asks for.
    pub fn into_model(self, options: &Options) -> Result<Option<Siglip>, Error> {
        if !self.complete || !self.is_as_asked(options)? {
            return Ok(None);
        }
        self.assembly.finish().map(Some)
    }

    /// The weight file's reader, at the byte that follows.
    pub fn intake(&mut self, url: String) -> Result<Intake, siglip::Error> {
        Intake::resume(url, &self.header, &self.progress, &mut self.assembly.packer)
    }

    /// The byte that follows.
    pub fn position(&self) -> u64 {
        self.progress.position
    }

    fn is_as_asked(&self, options: &Options) -> Result<bool, Error> {
        for (name, bytes) in self.files.named() {
            if options.sha256(name)?.is_some_and(|asked| asked != integrity::sha256(bytes)) {
                return Ok(false);
            }
        }
        let Some(asked) = options.sha256(&self.source.file)? else { return Ok(true) };
        let kept = self.progress.digest.as_deref().and_then(Digest::resume).map(Digest::finish);
        Ok(kept.is_some_and(|kept| kept == asked))
    }
}
