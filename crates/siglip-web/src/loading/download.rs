//! Downloads a checkpoint from a server: from its first byte, or from where an earlier visit stopped.

use std::collections::VecDeque;

use siglip::weights::{WeightIndex, pickled_weights};
use siglip::{CheckpointFiles, NO_PREPROCESSOR, PublishedTokenizer, Towers};

use super::cache_writer::CacheWriter;
use super::context::{Context, FLUSH_BYTES, INDEX, Place};
use super::file_digest::LaterProgress;
use super::from_cache::{CachedModel, CachedWeightFile};
use super::logits;
use super::model_builder::ModelBuilder;
use super::weight_file::{DataFile, WeightFile};
use super::{LaterText, Loaded};
use crate::body::{self, Body};
use crate::error::Error;
use crate::fetch::{Download, Event, Identity};
use crate::integrity;
use crate::store::{KnownLabels, PartialLog, Source};

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

struct RemoteWeightFile<'a> {
    name: String,
    download: Download<'a>,
    file: WeightFile,
    /// The file's length, once its header has arrived and if it is known.
    total: Option<u64>,
    /// Whether it holds the data of the ONNX before it, which names it.
    is_data: bool,
}

impl<'a> RemoteWeightFile<'a> {
    fn new(context: &'a Context<'a>, name: &str, index: Option<&WeightIndex>) -> RemoteWeightFile<'a> {
        let file = WeightFile::new(context.url(name), index);
        RemoteWeightFile::at_start(context, name.into(), file)
    }

    fn at_start(context: &'a Context<'a>, name: String, file: WeightFile) -> RemoteWeightFile<'a> {
        let download = Download::new(&context.client, context.url(&name));
        RemoteWeightFile { name, download, file, total: None, is_data: false }
    }

    fn resume(context: &'a Context<'a>, cached: CachedWeightFile) -> Result<RemoteWeightFile<'a>, Error> {
        let CachedWeightFile { source, mut file, progress } = cached;
        let Source { file: name, total, etag, last_modified } = source;
        file.resume(&progress)?;
        let identity = Identity { etag, last_modified, sha256: None };
        let download =
            Download::resume(&context.client, context.url(&name), identity, progress.position, total);
        Ok(RemoteWeightFile { name, download, file, total: Some(total), is_data: false })
    }
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

    async fn fetch_small_files(&mut self) -> Result<(), Error> {
        if self.context.gguf().is_some() {
            return Ok(());
        }
        let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
        let files = match self.fetch_small_file(config).await {
            Ok(config) => CheckpointFiles {
                preprocessor: match CheckpointFiles::needs_preprocessor(&config) {
                    true => self.fetch_preprocessor(preprocessor).await?,
                    false => NO_PREPROCESSOR.into(),
                },
                tokenizer: match CheckpointFiles::needs_tokenizer(&config) {
                    true => self.fetch_tokenizer(tokenizer, &config).await?,
                    false => String::new(),
                },
                config,
                labels: None,
            },
            Err(missing @ Error::NotFound { .. }) => {
                let open_clip = match self.fetch_small_file(CheckpointFiles::OPEN_CLIP).await {
                    Err(Error::NotFound { .. }) => return Err(missing),
                    fetched => fetched?,
                };
                CheckpointFiles::from_open_clip(&open_clip, self.fetch_tokenizer(tokenizer, "").await?)?
            }
            Err(error) => return Err(error),
        };
        self.builder.start(&files)?;
        self.files = Some(files);
        Ok(())
    }

    async fn fetch_preprocessor(&self, name: &str) -> Result<String, Error> {
        match self.fetch_small_file(name).await {
            Err(missing @ Error::NotFound { .. }) => {
                match self.fetch_small_file(CheckpointFiles::PROCESSOR).await {
                    Err(Error::NotFound { .. }) => Err(missing),
                    fetched => fetched,
                }
            }
            fetched => fetched,
        }
    }

    /// The tokenizer; empty if no text is to be read. A folder without one gets the published one of its vocabulary.
    async fn fetch_tokenizer(&self, name: &str, config: &str) -> Result<String, Error> {
        let options = self.context.options;
        if !options.towers.has_text() {
            return Ok(String::new());
        }
        match self.fetch_small_file(name).await {
            Err(missing @ Error::NotFound { .. }) => match PublishedTokenizer::of(config) {
                Some(published) if !options.sha256.contains_key(name) => {
                    let url = format!("{HUB}{}", published.path);
                    self.fetch_text(&url, Some(published.sha256)).await
                }
                _ => Err(missing),
            },
            fetched => fetched,
        }
    }

    async fn fetch_small_file(&self, name: &str) -> Result<String, Error> {
        let demanded = self.context.options.sha256.get(name).map(String::as_str);
        self.fetch_text(&self.context.url(name), demanded).await
    }

    async fn fetch_text(&self, url: &str, sha256: Option<&str>) -> Result<String, Error> {
        let bytes = Download::new(&self.context.client, url.into()).read_to_end().await?;
        if let Some(demanded) = sha256 {
            integrity::check(url, Some(integrity::sha256(&bytes)), Some(demanded.into()))?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Goes on to the next place where the weights may be. If there is none, the file that was looked for first is the one
    /// to name.
    async fn try_elsewhere(&mut self, missing: Error) -> Result<(), Error> {
        let first = self.missing.take().unwrap_or(missing);
        loop {
            match self.other_places.pop_front() {
                None => return Err(first),
                Some(Place::Files(names)) => {
                    self.weights =
                        names.iter().map(|name| RemoteWeightFile::new(self.context, name, None)).collect();
                    self.missing = Some(first);
                    return Ok(());
                }
                Some(Place::Indexed) => match self.fetch_index().await {
                    Ok(()) => {
                        self.missing = Some(first);
                        return Ok(());
                    }
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
                Some(Place::Pickled(name)) => {
                    let found = Download::new(&self.context.client, self.context.url(name)).next().await;
                    match found {
                        Ok(_) => {
                            let url = self.context.url(name);
                            return Err(Error::File { url, source: pickled_weights() });
                        }
                        Err(Error::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Fetches the index of a checkpoint whose weights are in several files.
    async fn fetch_index(&mut self) -> Result<(), Error> {
        let json = Download::new(&self.context.client, self.context.url(INDEX)).read_to_end().await?;
        let index = WeightIndex::parse(&json)?;
        self.builder.expect_files(&index)?;
        // Downloads of the same name stay: they know how often they have failed.
        let mut before = std::mem::take(&mut self.weights);
        for name in index.files() {
            let same = before.iter().position(|file| file.name == name);
            let mut file = match same {
                Some(at) => before.swap_remove(at),
                None => RemoteWeightFile::new(self.context, name, None),
            };
            file.file = WeightFile::new(self.context.url(name), Some(&index));
            self.weights.push(file);
        }
        self.index = Some(Index { json, index });
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

    /// Checks the sha256 of the file that was read. If its data are in another file, that is the next one.
    async fn check_file(&mut self) -> Result<(), Error> {
        let RemoteWeightFile { name, download, file, total, .. } = &mut self.weights[self.current];
        let (name, url, total) = (name.clone(), self.context.url(name), total.unwrap_or(0));
        let from_server = download.identity().sha256.clone();
        let (found, data) = std::mem::replace(file, WeightFile::new(url.clone(), None)).finish().await?;
        let expected = match self.context.options.sha256.get(&name) {
            Some(demanded) => Some(demanded.clone()),
            None => match integrity::known(&url, total).map(String::from).or(from_server) {
                None if found.is_some() => self.hub_sha256(&url).await,
                known => known,
            },
        };
        integrity::check(&url, found, expected)?;
        if let Some(DataFile { name: data, file }) = data {
            let name = match name.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{data}"),
                None => data,
            };
            let file = RemoteWeightFile::at_start(self.context, name, file);
            self.weights.insert(self.current + 1, RemoteWeightFile { is_data: true, ..file });
        }
        Ok(())
    }

    /// The sha256 that the hub has for a file. The hub sends it on the redirect, which fetch hides, and in the file's
    /// Git LFS pointer.
    async fn hub_sha256(&self, url: &str) -> Option<String> {
        if !url.starts_with(HUB) {
            return None;
        }
        let client = &self.context.client;
        let response = client.send("GET", &url.replacen("/resolve/", "/raw/", 1), &[]).await.ok()?;
        let mut body = Body::of_response(&response.head, Some(response.controller))?;
        let start = body.next_within(client.timeouts.stall).await.ok()??;
        integrity::of_pointer(&String::from_utf8_lossy(&start.to_vec()))
    }
}

/// How the reading of a weight file ended.
enum FileRead {
    Complete,
    /// The file has changed on the server, so all that was read before is useless.
    Changed,
}
