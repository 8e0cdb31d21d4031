//! Downloads a checkpoint from a server: from its first byte, or from where an earlier visit stopped.

mod check;
mod places;
mod remote_file;
mod small_files;

use std::collections::VecDeque;

use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Towers};

use super::cache_writer::CacheWriter;
use super::context::{Context, FLUSH_BYTES, INDEX, Place};
use super::file_digest::LaterProgress;
use super::from_cache::CachedModel;
use super::logits;
use super::model_builder::ModelBuilder;
use super::weight_file::WeightFile;
use super::{LaterText, Loaded};
use crate::body;
use crate::error::Error;
use crate::fetch::{Event, Identity};
use crate::store::{KnownLabels, PartialLog, Source};
use remote_file::RemoteWeightFile;

/// The hub that serves, at `/raw/`, a Git LFS pointer for each large file. The pointer has the file's sha256.
const HUB: &str = "https://huggingface.co/";

/// Most bytes of an ONNX after its graph: the versions of the operators, and the exporter's notes.
const MAX_TAIL: u64 = 1 << 20;

/// The download of a checkpoint's files, one after another.
pub struct CheckpointDownload<'a> {
    context: &'a Context<'a>,
    /// `None` for a GGUF.
    files: Option<CheckpointFiles>,
    index: Option<Index>,
    builder: ModelBuilder<'a>,
    cache: CacheWriter<'a>,
    /// What comes next in the cache, once its digest is known.
    unwritten: Option<Unwritten>,
    weights: Vec<RemoteWeightFile<'a>>,
    /// Where the files that were begun come from.
    sources: Vec<Source>,
    /// Place in `weights` of the file that is being read.
    current: usize,
    /// Where the weights may be, if they are not in the files that are tried first.
    other_places: VecDeque<Place>,
    /// The error of the first file that was not there.
    missing: Option<Error>,
    /// The highest progress reported so far; progress never goes back.
    reported: u64,
}

/// The index of several weight files.
struct Index {
    json: Vec<u8>,
    index: WeightIndex,
}

/// Packed weights that these towers need, and how far the file was read with them.
struct Unwritten {
    progress: LaterProgress,
    batches: Vec<u8>,
    towers: Towers,
}

impl<'a> CheckpointDownload<'a> {
    /// Starts with the small files.
    pub async fn start(context: &'a Context<'a>) -> Result<Self, Error> {
        let mut other_places = context.places();
        let Some(Place::Files(names)) = other_places.pop_front() else {
            return Err(Error::BadInput("no weights".into()));
        };
        let weights = names.iter().map(|name| RemoteWeightFile::new(context, name, None)).collect();
        let mut download = CheckpointDownload {
            context,
            files: None,
            index: None,
            builder: ModelBuilder::new(context.options, context.callbacks),
            cache: CacheWriter::none(context.callbacks),
            unwritten: None,
            weights,
            sources: Vec::new(),
            current: 0,
            other_places,
            missing: None,
            reported: 0,
        };
        download.fetch_small_files().await?;
        Ok(download)
    }

    /// Continues where an earlier visit stopped.
    pub async fn resume(
        context: &'a Context<'a>,
        partial: &PartialLog,
        cached: CachedModel<'a>,
    ) -> Result<Self, Error> {
        let sources = cached.sources();
        let CachedModel { files, index, mut builder, weights: cached, contents, .. } = cached;
        builder.leave_out_begun();
        let current = cached.len() - 1;
        let mut weights = Vec::new();
        for file in cached {
            weights.push(RemoteWeightFile::resume(context, file)?);
        }
        let started: Vec<String> = weights.iter().map(|file| file.name.clone()).collect();
        let names: Vec<String> = match &index {
            Some(index) => index.files().map(String::from).collect(),
            // The list of files that begins with those that were started.
            None => {
                let lists = context.places().into_iter().filter_map(Place::files);
                lists.into_iter().find(|list| list.starts_with(&started)).unwrap_or_default()
            }
        };
        let file = |name: &String| RemoteWeightFile::new(context, name, index.as_ref());
        weights.extend(names.iter().skip(started.len()).map(file));
        let Context { store, manifest, callbacks, .. } = context;
        let cache = CacheWriter::resume(store, manifest, partial, contents, callbacks).await;
        let index = index.map(|index| Index { json: Vec::new(), index });
        let other_places = VecDeque::new();
        Ok(CheckpointDownload {
            context,
            files,
            index,
            builder,
            cache,
            unwritten: None,
            weights,
            sources,
            current,
            other_places,
            missing: None,
            reported: 0,
        })
    }

    /// Downloads everything that is missing. If it fails for a transient reason, what has arrived stays in the cache
    /// for the next load.
    pub async fn run(mut self) -> Result<Loaded, Error> {
        if let Err(error) = self.read_all().await {
            if !error.is_transient() {
                self.cache.discard().await;
            }
            return Err(error);
        }
        match self.builder.finish() {
            Ok(siglip) => {
                let Context { store, manifest, .. } = self.context;
                let id = self.cache.commit().await;
                let labels = id.map(|id| KnownLabels::new(store, manifest, id));
                Ok(Loaded { siglip, text: LaterText::Loaded, sources: self.sources, labels })
            }
            Err(error) => {
                self.cache.discard().await;
                Err(error)
            }
        }
    }

    async fn read_all(&mut self) -> Result<(), Error> {
        while self.current < self.weights.len() {
            match self.read_file().await {
                Ok(FileRead::Complete) => {
                    let has_data = self.weights[self.current].file.has_data_file();
                    if self.current + 1 == self.weights.len() && !has_data {
                        self.add_logits().await?;
                    }
                    self.check_file().await?;
                    self.current += 1;
                }
                Ok(FileRead::Changed) => self.start_over().await?,
                Err(error @ Error::NotFound { .. }) if self.current == 0 => self.try_elsewhere(error).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads the current weight file to its end, unless it changes on the server.
    async fn read_file(&mut self) -> Result<FileRead, Error> {
        let name = &self.weights[self.current].name;
        if self.is_image_first() && name.ends_with(".onnx") && !name.contains("vision_model") {
            // Nothing tells where in it the image tower is.
            return Err(Error::Whole { url: self.context.url(name) });
        }
        let mut bytes = Vec::new();
        loop {
            match self.weights[self.current].download.next().await? {
                Event::Restart => return Ok(FileRead::Changed),
                Event::End => break,
                Event::Chunk(chunk) => {
                    bytes.clear();
                    body::append(&mut bytes, &chunk);
                }
            }
            if self.weights[self.current].file.is_at_start() && !self.may_know_sha256() {
                self.weights[self.current].file.skip_digest();
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let file = &mut self.weights[self.current].file;
                // A record of the cache has weights of one tower, so that the other can be read without them.
                let (most, ends_tower) = file.next_piece();
                let (piece, later) = rest.split_at(rest.len().min(most));
                file.push(piece, &mut self.builder)?;
                rest = later;
                let begins = self.cache_header().await;
                if begins || self.builder.pending() >= FLUSH_BYTES || (ends_tower && piece.len() == most) {
                    self.flush().await?;
                }
            }
            self.skip_unneeded()?;
            self.report_progress();
        }
        self.flush().await?;
        self.write_rest().await?;
        Ok(FileRead::Complete)
    }

    /// Caches the file's header as soon as it has arrived, and returns whether it has now. With the first file's header the
    /// cache starts.
    async fn cache_header(&mut self) -> bool {
        let RemoteWeightFile { name, download, file, total: known_total, .. } =
            &mut self.weights[self.current];
        let (Some(header), Some(least)) = (file.take_header(), file.least()) else { return false };
        // An ONNX does not say where it ends: some bytes follow its graph.
        *known_total = file.total().or_else(|| download.stated_total(least..least + MAX_TAIL));
        if let Some(total) = *known_total {
            download.expect(total);
        }
        let total = known_total.unwrap_or(least);
        let Identity { etag, last_modified, .. } = download.identity().clone();
        let source = Source { file: name.clone(), total, etag, last_modified };
        if self.current == 0 {
            let Context { client, store, manifest, .. } = self.context;
            let bytes = self.small_bytes() + header.len() as u64 + self.builder.total_bytes();
            self.cache.start(client.scope, store, manifest, bytes).await;
            if let Some(files) = &self.files {
                self.cache.small_files(files).await;
            }
            if let Some(index) = &self.index {
                self.cache.file(INDEX, &index.json).await;
            }
        }
        self.sources.push(source.clone());
        self.cache.header(source, header).await;
        true
    }

    /// Adds the waiting batches to the model and to the cache.
    async fn flush(&mut self) -> Result<(), Error> {
        let batches = self.builder.take_pending();
        self.builder.add(&batches).await?;
        let towers = self.builder.towers_of(&batches);
        let progress = self.weights[self.current].file.progress();
        let is_asked = progress.is_asked();
        let last = self.unwritten.replace(Unwritten { progress, batches, towers });
        self.write(last).await?;
        // While another worker computes the digest, this one packs the next weights.
        if is_asked { Ok(()) } else { self.write_rest().await }
    }

    async fn write_rest(&mut self) -> Result<(), Error> {
        let rest = self.unwritten.take();
        self.write(rest).await
    }

    async fn write(&mut self, unwritten: Option<Unwritten>) -> Result<(), Error> {
        let Some(Unwritten { progress, batches, towers }) = unwritten else { return Ok(()) };
        let progress = progress.get().await?;
        self.cache.batches(&self.weights[self.current].name, progress, batches, towers).await;
        Ok(())
    }

    /// Skips the bytes of a tower that is not needed, unless the caller demands the sha256 of the whole file.
    fn skip_unneeded(&mut self) -> Result<(), Error> {
        let (options, image_first) = (self.context.options, self.is_image_first());
        let RemoteWeightFile { name, download, file, .. } = &mut self.weights[self.current];
        if options.towers == Towers::Both {
            return Ok(());
        }
        let Some(next) = file.next_wanted(&self.builder) else { return Ok(()) };
        if options.sha256.contains_key(name) || !download.can_seek() {
            return if image_first { Err(Error::Whole { url: self.context.url(name) }) } else { Ok(()) };
        }
        if image_first {
            download.take_only_parts();
        }
        file.seek(next)?;
        download.seek(next);
        Ok(())
    }

    /// Whether the text tower is downloaded later, so that no byte of it is to be read now.
    fn is_image_first(&self) -> bool {
        let options = self.context.options;
        options.image_first && options.towers == Towers::Image
    }

    fn report_progress(&mut self) {
        let current = &self.weights[self.current];
        let Some(of_file) = current.total.or_else(|| current.file.least()) else { return };
        let read: u64 = self.weights.iter().map(|file| file.download.position()).sum();
        let loaded = self.small_bytes() + read;
        if loaded > self.reported {
            self.reported = loaded;
            let others = self.weights.iter().enumerate().filter(|(at, _)| *at != self.current);
            let others: u64 = others.filter_map(|(_, file)| file.total).sum();
            let total = self.index.as_ref().and_then(|index| index.index.total_size());
            let total = total.unwrap_or(others + of_file);
            let total = loaded.max(self.small_bytes() + total);
            self.context.callbacks.progress(&self.weights[self.current].name, loaded, total, false);
        }
    }

    fn small_bytes(&self) -> u64 {
        let files = self.files.iter().flat_map(CheckpointFiles::named);
        files.map(|(_, content)| content.len() as u64).sum()
    }

    /// Drops what has arrived, here and in the other workers. Starts with the small files, which may have changed too.
    async fn start_over(&mut self) -> Result<(), Error> {
        self.builder = ModelBuilder::new(self.context.options, self.context.callbacks);
        self.cache = CacheWriter::none(self.context.callbacks);
        self.unwritten = None;
        self.weights.retain(|file| !file.is_data);
        for RemoteWeightFile { name, download, file, total, .. } in &mut self.weights {
            download.rewind();
            *file = WeightFile::new(self.context.url(name), None);
            *total = None;
        }
        self.sources.clear();
        self.current = 0;
        self.fetch_small_files().await?;
        if self.index.is_some() {
            self.fetch_index().await?;
        }
        Ok(())
    }

    /// Adds the model's scale and bias, which files of single towers lack.
    async fn add_logits(&mut self) -> Result<(), Error> {
        if !self.builder.lacks_logits() {
            return Ok(());
        }
        let logits = logits::find(self.context).await;
        if logits.is_none() && (self.context.options.towers == Towers::Both || self.is_image_first()) {
            self.context.callbacks.notice(&logits::missing());
        }
        self.builder.add_logits(logits)?;
        self.flush().await?;
        self.write_rest().await
    }
}

/// How the reading of a weight file ended.
enum FileRead {
    Complete,
    /// The file has changed on the server, so all that was read before is useless.
    Changed,
}
