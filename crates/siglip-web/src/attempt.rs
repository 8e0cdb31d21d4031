//! A checkpoint on its way from a server, from its first byte or from where an earlier visit stopped.

use siglip::model::Towers;
use siglip::weights::WeightIndex;
use siglip::{CheckpointFiles, Siglip};

use crate::assembly::{self, Assembly, SMALL_FILES};
use crate::body::Body;
use crate::error::Error;
use crate::fetch::{self, Download, Event, Identity};
use crate::intake::Intake;
use crate::integrity;
use crate::load::{BATCHES, INDEX, Loading, WEIGHTS};
use crate::recorder::Recorder;
use crate::replay::{ReadFile, Replay};
use crate::store::{Part, Source};

/// Where the hub keeps a pointer, with its sha256, in each large file's place.
const HUB: &str = "https://huggingface.co/";

/// The small files, the weights so far, and what is kept of them.
pub struct Attempt<'a> {
    loading: &'a Loading<'a>,
    /// None of a GGUF.
    files: Option<CheckpointFiles>,
    index: Option<Index>,
    assembly: Assembly<'a>,
    recorder: Recorder<'a>,
    weights: Vec<WeightFile<'a>>,
    /// Which of them is being read.
    current: usize,
    /// The most that was told of the progress, which never goes back.
    told: u64,
}

/// Which of several weight files holds what, as it was fetched.
struct Index {
    json: Vec<u8>,
    total_size: Option<u64>,
}

struct WeightFile<'a> {
    name: String,
    download: Download<'a>,
    intake: Intake,
}

impl<'a> WeightFile<'a> {
    fn new(loading: &'a Loading<'a>, name: &str) -> WeightFile<'a> {
        let url = loading.url(name);
        let download = Download::new(&loading.client, url.clone());
        WeightFile { name: name.into(), download, intake: Intake::new(url) }
    }

    fn resume(loading: &'a Loading<'a>, file: ReadFile) -> Result<WeightFile<'a>, Error> {
        let ReadFile { source: Source { file: name, total, etag, last_modified }, mut intake, progress } =
            file;
        intake.resume(&progress)?;
        let identity = Identity { etag, last_modified, sha256: None };
        let download =
            Download::resume(&loading.client, loading.url(&name), identity, progress.position, total);
        Ok(WeightFile { name, download, intake })
    }
}

impl<'a> Attempt<'a> {
    /// Begins with the small files.
    pub async fn begin(loading: &'a Loading<'a>) -> Result<Self, Error> {
        let weights = vec![WeightFile::new(loading, loading.gguf().unwrap_or(WEIGHTS))];
        let mut attempt = Attempt {
            loading,
            files: None,
            index: None,
            assembly: Assembly::new(loading.options, loading.listeners),
            recorder: Recorder::none(loading.listeners),
            weights,
            current: 0,
            told: 0,
        };
        attempt.fetch_small_files().await?;
        Ok(attempt)
    }

    /// Goes on where an earlier visit stopped.
    pub async fn resume(loading: &'a Loading<'a>, part: &Part, replay: Replay<'a>) -> Result<Self, Error> {
        let Replay { files, index, assembly, weights: read, .. } = replay;
        let current = read.len() - 1;
        let mut weights = Vec::new();
        for file in read {
            weights.push(WeightFile::resume(loading, file)?);
        }
        let later = index.iter().flat_map(WeightIndex::files).skip(weights.len());
        weights.extend(later.map(|name| WeightFile::new(loading, name)).collect::<Vec<_>>());
        let recorder = Recorder::resume(&loading.store, &loading.manifest, part, loading.listeners).await;
        let index = index.map(|index| Index { json: Vec::new(), total_size: index.total_size() });
        Ok(Attempt { loading, files, index, assembly, recorder, weights, current, told: 0 })
    }

    /// Reads everything that is missing. What has arrived is kept for the next attempt if it ends with an error that
    /// lies in the connection.
    pub async fn run(mut self) -> Result<Siglip, Error> {
        match self.read_all().await {
            Ok(()) => {
                let Attempt { assembly, recorder, .. } = self;
                match assembly.finish() {
                    Ok(siglip) => {
                        recorder.commit().await;
                        Ok(siglip)
                    }
                    Err(error) => {
                        recorder.discard().await;
                        Err(error)
                    }
                }
            }
            Err(error) => {
                if !error.is_passing() {
                    self.recorder.discard().await;
                }
                Err(error)
            }
        }
    }

    async fn read_all(&mut self) -> Result<(), Error> {
        while self.current < self.weights.len() {
            match self.read_file().await {
                Ok(true) => {
                    self.check_file().await?;
                    self.current += 1;
                }
                Ok(false) => self.begin_anew().await?,
                Err(error @ Error::NotFound { .. }) if self.may_be_several() => {
                    self.find_several().await.map_err(|other| match other {
                        Error::NotFound { .. } => error,
                        other => other,
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads a weight file to its end; `false` where it begins anew.
    async fn read_file(&mut self) -> Result<bool, Error> {
        let mut bytes = Vec::new();
        loop {
            let file = &mut self.weights[self.current];
            match file.download.next().await? {
                Event::Restart => return Ok(false),
                Event::End => break,
                Event::Chunk(chunk) => {
                    bytes.clear();
                    fetch::append(&mut bytes, &chunk);
                }
            }
            for piece in bytes.chunks(BATCHES) {
                self.weights[self.current].intake.push(piece, &mut self.assembly)?;
                self.keep_header().await;
                if self.assembly.pending() >= BATCHES {
                    self.flush().await?;
                }
            }
            self.leave_out()?;
            self.tell();
        }
        self.flush().await?;
        Ok(true)
    }

    /// The file's header has just arrived: from now on everything is kept.
    async fn keep_header(&mut self) {
        let file = &mut self.weights[self.current];
        let (Some(header), Some(total)) = (file.intake.take_header(), file.intake.total()) else { return };
        file.download.expect(total);
        let Identity { etag, last_modified, .. } = file.download.identity().clone();
        let source = Source { file: file.name.clone(), total, etag, last_modified };
        if self.current == 0 {
            let Loading { client, store, manifest, .. } = self.loading;
            let bytes = self.small_bytes() + header.len() as u64 + self.assembly.total_bytes();
            self.recorder.begin(client.scope, store, manifest, bytes).await;
            if let Some(files) = &self.files {
                self.recorder.small_files(files).await;
            }
            if let Some(index) = &self.index {
                self.recorder.file(INDEX, &index.json).await;
            }
        }
        self.recorder.header(source, header).await;
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let batches = self.assembly.take_pending();
        self.assembly.take(&batches).await?;
        self.recorder.batches(&self.weights[self.current].intake, batches).await;
        Ok(())
    }

    /// Leaves out the bytes of a tower that is not needed; not where the page wants the whole file's sha256 checked.
    fn leave_out(&mut self) -> Result<(), Error> {
        let (options, file) = (self.loading.options, &mut self.weights[self.current]);
        if options.towers == Towers::Both
            || options.sha256.contains_key(&file.name)
            || !file.download.can_seek()
        {
            return Ok(());
        }
        if let Some(next) = file.intake.next_wanted(&self.assembly) {
            file.intake.seek(next)?;
            file.download.seek(next);
        }
        Ok(())
    }

    fn tell(&mut self) {
        let Some(total) = self.weights[self.current].intake.total() else { return };
        let read: u64 = self.weights.iter().map(|file| file.download.position()).sum();
        let loaded = self.small_bytes() + read;
        if loaded > self.told {
            self.told = loaded;
            let total = self.index.as_ref().and_then(|index| index.total_size).unwrap_or(total);
            let total = loaded.max(self.small_bytes() + total);
            self.loading.listeners.progress(&self.weights[self.current].name, loaded, total, false);
        }
    }

    fn small_bytes(&self) -> u64 {
        let files = self.files.iter().flat_map(assembly::named);
        files.map(|(_, content)| content.len() as u64).sum()
    }

    /// Throws away what has arrived, here and with the other workers, and begins with the small files, which may have
    /// changed as well.
    async fn begin_anew(&mut self) -> Result<(), Error> {
        self.assembly = Assembly::new(self.loading.options, self.loading.listeners);
        self.recorder = Recorder::none(self.loading.listeners);
        for file in &mut self.weights {
            file.download.rewind();
            file.intake = Intake::new(self.loading.url(&file.name));
        }
        self.current = 0;
        self.fetch_small_files().await?;
        if self.index.is_some() {
            self.find_several().await?;
        }
        Ok(())
    }

    async fn fetch_small_files(&mut self) -> Result<(), Error> {
        if self.loading.gguf().is_some() {
            return Ok(());
        }
        let [config, preprocessor, tokenizer] = SMALL_FILES;
        let files = CheckpointFiles {
            config: self.fetch_small_file(config).await?,
            preprocessor: self.fetch_small_file(preprocessor).await?,
            tokenizer: if self.loading.options.towers.has_text() {
                self.fetch_small_file(tokenizer).await?
            } else {
                String::new()
            },
        };
        self.assembly.begin(&files)?;
        self.files = Some(files);
        Ok(())
    }

    async fn fetch_small_file(&self, name: &str) -> Result<String, Error> {
        let url = self.loading.url(name);
        let bytes = Download::new(&self.loading.client, url.clone()).read_to_end().await?;
        if let Some(asked) = self.loading.options.sha256.get(name) {
            integrity::check(&url, Some(integrity::sha256(&bytes)), Some(asked.clone()))?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn may_be_several(&self) -> bool {
        self.current == 0 && self.index.is_none() && self.loading.gguf().is_none()
    }

    /// Reads the index of a checkpoint whose weights are in several files.
    async fn find_several(&mut self) -> Result<(), Error> {
        let json = Download::new(&self.loading.client, self.loading.url(INDEX)).read_to_end().await?;
        let index = WeightIndex::parse(&json)?;
        self.assembly.expect_files(&index)?;
        // Files that have been asked for before know how often that failed.
        let known = std::mem::take(&mut self.weights);
        let (loading, mut known) = (self.loading, known.into_iter().map(Some).collect::<Vec<_>>());
        for name in index.files() {
            let old = known.iter_mut().find(|file| file.as_ref().is_some_and(|file| file.name == name));
            let old = old.and_then(Option::take);
            self.weights.push(old.unwrap_or_else(|| WeightFile::new(loading, name)));
        }
        self.index = Some(Index { total_size: index.total_size(), json });
        Ok(())
    }

    /// Whether the file that was read is the one that it has to be.
    async fn check_file(&mut self) -> Result<(), Error> {
        let WeightFile { name, download, intake } = &mut self.weights[self.current];
        let (url, total) = (self.loading.url(name), intake.total().unwrap_or(0));
        let told = download.identity().sha256.clone();
        let found = std::mem::replace(intake, Intake::new(url.clone())).finish()?;
        let expected = match self.loading.options.sha256.get(name) {
            Some(asked) => Some(asked.clone()),
            None => match integrity::known(&url, total).map(String::from).or(told) {
                None if found.is_some() => self.hub_sha256(&url).await,
                known => known,
            },
        };
        integrity::check(&url, found, expected)
    }

    /// What the hub says of a file. It tells it with the answer that leads on to the store, which no page gets to see,
    /// and in the file's pointer.
    async fn hub_sha256(&self, url: &str) -> Option<String> {
        if !url.starts_with(HUB) {
            return None;
        }
        let client = &self.loading.client;
        let answer = client.send("GET", &url.replacen("/resolve/", "/raw/", 1), &[]).await.ok()?;
        let mut body = Body::of_response(&answer.response, Some(answer.controller))?;
        let start = body.next_within(client.patience.stall).await.ok()??;
        integrity::of_pointer(&String::from_utf8_lossy(&start.to_vec()))
    }
}
