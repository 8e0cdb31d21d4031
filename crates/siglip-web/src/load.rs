//! From a source to a model that answers.

use siglip::Siglip;
use siglip::model::Towers;
use wasm_bindgen::JsCast;
use web_sys::{AbortSignal, Blob, WorkerGlobalScope};

use crate::assembly::{Assembly, SmallFiles};
use crate::body::Body;
use crate::error::Error;
use crate::fetch::{self, Client, Download, Event, Identity};
use crate::intake::Intake;
use crate::integrity;
use crate::listeners::Listeners;
use crate::options::Options;
use crate::recorder::Recorder;
use crate::replay::Replay;
use crate::store::{Manifest, Part, Source as WeightFile, Store};

const WEIGHTS: &str = "model.safetensors";
/// Where the hub keeps a pointer, with its sha256, in each large file's place.
const HUB: &str = "https://huggingface.co/";
/// Bytes of batches that go on together: to the other workers, and to what is kept.
const BATCHES: usize = 1 << 18;

/// Where a checkpoint's files come from.
pub enum Source {
    /// A folder's URL, ending in a slash.
    Folder(String),
    /// Files that the visitor chose, by name.
    Files(js_sys::Map),
}

/// Loads a whole checkpoint: the first worker's part of it, and what the others need.
pub async fn load(
    source: Source,
    options: &Options,
    signal: Option<AbortSignal>,
    listeners: &Listeners,
) -> Result<Siglip, Error> {
    match source {
        Source::Files(files) => from_files(&files, options, listeners).await,
        Source::Folder(folder) => from_folder(folder, options, signal, listeners).await,
    }
}

async fn from_files(files: &js_sys::Map, options: &Options, listeners: &Listeners) -> Result<Siglip, Error> {
    let open = |name: &str| -> Result<Body, Error> {
        let missing = |_| Error::BadInput(format!("{name} is missing among the chosen files"));
        Ok(Body::of_blob(&files.get(&name.into()).dyn_into::<Blob>().map_err(missing)?))
    };
    let broken = |name: &str| {
        let name = name.to_string();
        move |reason| Error::BadInput(format!("{name} cannot be read: {reason}"))
    };
    let mut small = SmallFiles::default();
    for (name, _) in SmallFiles::default().named() {
        let mut body = open(name)?;
        let Some(bytes) = small.place(name) else { continue };
        while let Some(chunk) = body.next().await.map_err(broken(name))? {
            fetch::append(bytes, &chunk);
        }
    }
    let mut assembly = Assembly::new(&small, options, listeners)?;
    let mut intake = Intake::new(WEIGHTS.into());
    let mut body = open(WEIGHTS)?;
    let mut loaded = small.bytes();
    while let Some(chunk) = body.next().await.map_err(broken(WEIGHTS))? {
        intake.push(&chunk.to_vec(), &mut assembly.packer)?;
        loaded += u64::from(chunk.length());
        if assembly.packer.pending() >= BATCHES {
            let batches = assembly.packer.take();
            assembly.take(&batches).await?;
        }
        let total = intake.total().map_or(0, |total| small.bytes() + total);
        listeners.progress(WEIGHTS, loaded, total, false);
    }
    let batches = assembly.packer.take();
    assembly.take(&batches).await?;
    check_sha256(WEIGHTS, intake.finish()?, options.sha256(WEIGHTS)?)?;
    assembly.finish()
}

async fn from_folder(
    folder: String,
    options: &Options,
    signal: Option<AbortSignal>,
    listeners: &Listeners,
) -> Result<Siglip, Error> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let store = match options.cache {
        false => Store::Nowhere,
        true => Store::open(&scope).await.unwrap_or_else(|notice| {
            listeners.notice(&notice);
            Store::Nowhere
        }),
    };
    let client = Client {
        scope: &scope,
        headers: &options.headers,
        patience: options.patience(),
        signal: signal.as_ref(),
    };
    let manifest = options.manifest(&folder);
    let loading = Loading { client, folder, manifest, store, options, listeners };
    loading.run().await
}

/// A load from a folder on a server.
struct Loading<'l> {
    client: Client<'l>,
    folder: String,
    manifest: Manifest,
    store: Store,
    options: &'l Options,
    listeners: &'l Listeners,
}

impl<'l> Loading<'l> {
    async fn run(&self) -> Result<Siglip, Error> {
        if let Some(siglip) = self.from_kept().await? {
            return Ok(siglip);
        }
        if let Some((part, replay)) = self.find_part().await {
            match self.download(Some((part, replay))).await {
                // What an earlier visit left may be what is wrong.
                Err(error) if !error.is_passing() => {}
                done => return done,
            }
        }
        self.download(None).await
    }

    /// The model that an earlier visit has kept.
    async fn from_kept(&self) -> Result<Option<Siglip>, Error> {
        let Some((mut log, length)) = self.store.find(&self.manifest).await else { return Ok(None) };
        let read = Replay::read(&mut log, length, &self.manifest, self.options, self.listeners).await;
        if let Ok(Some(replay)) = read {
            let weights = replay.source.clone();
            if let Ok(Some(siglip)) = replay.into_model(self.options) {
                self.forget_outdated(weights);
                return Ok(Some(siglip));
            }
        }
        self.client.check_aborted()?;
        self.store.remove(&self.manifest).await;
        Ok(None)
    }

    /// After a load from what was kept: where the server by now has other weights, the next load fetches them.
    fn forget_outdated(&self, kept: WeightFile) {
        let (scope, store, manifest) = (self.client.scope.clone(), self.store.clone(), self.manifest.clone());
        let (headers, patience) = (self.options.headers.clone(), self.client.patience);
        let url = self.url(&kept.file);
        wasm_bindgen_futures::spawn_local(async move {
            let client = Client { scope: &scope, headers: &headers, patience, signal: None };
            let Ok(answer) = client.send("HEAD", &url, &[]).await else { return };
            let now = Identity::of(&answer, &url);
            let differ = |kept: &Option<String>, now: &Option<String>| match (kept, now) {
                (Some(kept), Some(now)) => kept != now,
                _ => false,
            };
            if answer.response.ok()
                && (differ(&kept.etag, &now.etag) || differ(&kept.last_modified, &now.last_modified))
            {
                store.remove(&manifest).await;
            }
        });
    }

    /// What an interrupted download has left, as far as the server may continue it.
    async fn find_part(&self) -> Option<(Part, Replay<'l>)> {
        let mut part = self.store.find_part(&self.manifest).await?;
        let length = Some(part.length);
        let read = Replay::read(&mut part.log, length, &self.manifest, self.options, self.listeners).await;
        let replay = read.ok()??;
        replay.source.etag.is_some().then_some((part, replay))
    }

    async fn download(&self, part: Option<(Part, Replay<'l>)>) -> Result<Siglip, Error> {
        let url = self.url(WEIGHTS);
        let mut download = match &part {
            None => Download::new(&self.client, url.clone()),
            Some((_, replay)) => {
                let WeightFile { etag, last_modified, total, .. } = replay.source.clone();
                let identity = Identity { etag, last_modified, sha256: None };
                Download::resume(&self.client, url.clone(), identity, replay.position(), total)
            }
        };
        let mut told = 0;
        let mut attempt = match part {
            None => self.begin(url.clone()).await?,
            Some((part, replay)) => self.resume(url.clone(), &part, replay).await?,
        };
        loop {
            match attempt.run(&mut download, &mut told).await {
                Ok(true) => return attempt.finish(&download).await,
                Ok(false) => attempt = self.begin(url.clone()).await?,
                Err(error) => return Err(attempt.fail(error).await),
            }
        }
    }

    async fn begin(&self, url: String) -> Result<Attempt<'_>, Error> {
        let mut files = SmallFiles::default();
        for (name, _) in SmallFiles::default().named() {
            let url = self.url(name);
            let bytes = Download::new(&self.client, url.clone()).read_to_end().await?;
            if let Some(asked) = self.options.sha256(name)? {
                check_sha256(&url, Some(integrity::sha256(&bytes)), Some(asked))?;
            }
            if let Some(place) = files.place(name) {
                *place = bytes;
            }
        }
        let assembly = Assembly::new(&files, self.options, self.listeners)?;
        let recorder = Recorder::none(self.listeners);
        Ok(Attempt { loading: self, files, assembly, intake: Intake::new(url), recorder })
    }

    async fn resume(&self, url: String, part: &Part, mut replay: Replay<'l>) -> Result<Attempt<'_>, Error> {
        let intake = replay.intake(url)?;
        let recorder = Recorder::resume(&self.store, &self.manifest, part, self.listeners).await;
        let Replay { files, assembly, .. } = replay;
        Ok(Attempt { loading: self, files, assembly, intake, recorder })
    }

    fn url(&self, file: &str) -> String {
        format!("{}{file}", self.folder)
    }

    /// The sha256 that a weight file has to have, if anybody knows.
    async fn expected_sha256(
        &self,
        url: &str,
        download: &Download<'_>,
        total: u64,
    ) -> Result<Option<String>, Error> {
        if let Some(asked) = self.options.sha256(WEIGHTS)? {
            return Ok(Some(asked));
        }
        if let Some(known) = integrity::known(url, total) {
            return Ok(Some(known.into()));
        }
        if let Some(told) = &download.identity().sha256 {
            return Ok(Some(told.clone()));
        }
        // The hub tells it with the answer that leads on to the store, which no page gets to see.
        if !url.starts_with(HUB) {
            return Ok(None);
        }
        let pointer = url.replacen("/resolve/", "/raw/", 1);
        let Ok(answer) = self.client.send("GET", &pointer, &[]).await else { return Ok(None) };
        let Some(mut body) = Body::of_response(&answer.response, Some(answer.controller)) else {
            return Ok(None);
        };
        let Ok(Some(start)) = body.next_within(self.client.patience.stall).await else { return Ok(None) };
        Ok(integrity::of_pointer(&String::from_utf8_lossy(&start.to_vec())))
    }
}

/// One attempt at a checkpoint, from its first byte or from where an earlier visit stopped.
struct Attempt<'a> {
    loading: &'a Loading<'a>,
    files: SmallFiles,
    assembly: Assembly<'a>,
    intake: Intake,
    recorder: Recorder<'a>,
}

impl Attempt<'_> {
    /// Reads the weights to their end; `false` where the file begins anew. `told` is the most that was told of the
    /// progress, which never goes back.
    async fn run(&mut self, download: &mut Download<'_>, told: &mut u64) -> Result<bool, Error> {
        let mut bytes = Vec::new();
        loop {
            match download.next().await? {
                Event::Restart => return Ok(false),
                Event::End => break,
                Event::Chunk(chunk) => {
                    bytes.clear();
                    fetch::append(&mut bytes, &chunk);
                }
            }
            self.intake.push(&bytes, &mut self.assembly.packer)?;
            self.keep_header(download).await;
            if self.assembly.packer.pending() >= BATCHES {
                self.flush().await?;
            }
            if self.may_leave_out(download)?
                && let Some(next) = self.intake.next_wanted(&self.assembly.packer)
            {
                self.intake.seek(next)?;
                download.seek(next);
            }
            self.tell(download, told);
        }
        self.flush().await?;
        Ok(true)
    }

    async fn keep_header(&mut self, download: &mut Download<'_>) {
        let (Some(header), Some(total)) = (self.intake.take_header(), self.intake.total()) else { return };
        download.expect(total);
        let Loading { client, store, manifest, .. } = self.loading;
        self.recorder.begin(client.scope, store, manifest, &self.files, &self.assembly.packer).await;
        let Identity { etag, last_modified, .. } = download.identity().clone();
        self.recorder.header(WeightFile { file: WEIGHTS.into(), total, etag, last_modified }, header).await;
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let batches = self.assembly.packer.take();
        self.assembly.take(&batches).await?;
        self.recorder.batches(&self.intake, batches).await;
        Ok(())
    }

    /// Whether a tower's bytes may be left out: not where the page wants the whole file's sha256 checked.
    fn may_leave_out(&self, download: &Download<'_>) -> Result<bool, Error> {
        let options = self.loading.options;
        Ok(options.towers()? != Towers::Both && download.can_seek() && options.sha256(WEIGHTS)?.is_none())
    }

    fn tell(&self, download: &Download<'_>, told: &mut u64) {
        let loaded = self.files.bytes() + download.position();
        if let Some(total) = self.intake.total()
            && loaded > *told
        {
            *told = loaded;
            self.loading.listeners.progress(WEIGHTS, loaded, self.files.bytes() + total, false);
        }
    }

    async fn finish(self, download: &Download<'_>) -> Result<Siglip, Error> {
        let Attempt { loading, assembly, intake, recorder, .. } = self;
        let url = loading.url(WEIGHTS);
        let total = intake.total().unwrap_or(0);
        let checked = async {
            let found = intake.finish()?;
            let expected = loading.expected_sha256(&url, download, total).await?;
            check_sha256(&url, found, expected)?;
            assembly.finish()
        };
        match checked.await {
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

    /// Ends with an error. What has arrived stays for the next attempt if the error lies in the connection.
    async fn fail(self, error: Error) -> Error {
        if !error.is_passing() {
            self.recorder.discard().await;
        }
        error
    }
}

/// Nothing to say where nobody knows what it has to be, or parts of the file were left out.
fn check_sha256(url: &str, found: Option<String>, expected: Option<String>) -> Result<(), Error> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => {
            Err(Error::Integrity { url: url.into(), found, expected })
        }
        _ => Ok(()),
    }
}
