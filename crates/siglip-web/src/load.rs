//! From a folder on a server, or from what was kept of it, to a model that answers.

use siglip::Siglip;
use wasm_bindgen::JsCast;
use web_sys::{AbortSignal, WorkerGlobalScope};

use crate::attempt::Attempt;
use crate::error::Error;
use crate::fetch::{Client, Identity};
use crate::listeners::Listeners;
use crate::options::Options;
use crate::replay::Replay;
use crate::store::{Manifest, Part, Source, Store};

/// The weights, where they are in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// Which of several files holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// Bytes of batches that go on together: to the other workers, and to what is kept.
pub const BATCHES: usize = 1 << 18;

/// Loads a checkpoint from `address`, a folder's URL with its slash or that of a `.gguf`.
pub async fn load(
    address: String,
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
    let manifest = options.manifest(&address);
    Loading { client, manifest, store, options, listeners }.run().await
}

/// A load from a server.
pub struct Loading<'l> {
    /// Sends its requests.
    pub client: Client<'l>,
    /// What it is called where it is kept.
    pub manifest: Manifest,
    /// Where that is.
    pub store: Store,
    /// The caller's.
    pub options: &'l Options,
    /// Told how it goes.
    pub listeners: &'l Listeners,
}

impl<'l> Loading<'l> {
    async fn run(&self) -> Result<Siglip, Error> {
        if let Some(siglip) = self.load_kept().await? {
            return Ok(siglip);
        }
        if let Some((part, replay)) = self.find_part().await {
            let attempt = Attempt::resume(self, &part, replay).await?;
            match attempt.run().await {
                // What an earlier visit left may be what is wrong.
                Err(error) if !error.is_passing() => {}
                done => return done,
            }
        }
        Attempt::begin(self).await?.run().await
    }

    /// The URL of the `.gguf`, or of a file in the folder.
    pub fn url(&self, file: &str) -> String {
        let (folder, _) = self.manifest.model.rsplit_once('/').unwrap_or_default();
        format!("{folder}/{file}")
    }

    /// The name of the `.gguf`, if it is one.
    pub fn gguf(&self) -> Option<&str> {
        let (_, name) = self.manifest.model.rsplit_once('/')?;
        name.ends_with(".gguf").then_some(name)
    }

    /// The model that an earlier visit has kept.
    async fn load_kept(&self) -> Result<Option<Siglip>, Error> {
        let Some((mut log, length)) = self.store.find(&self.manifest).await else { return Ok(None) };
        let read = Replay::read(&mut log, length, &self.manifest, self.options, self.listeners).await;
        if let Ok(Some(replay)) = read {
            let weights = replay.weights.first().map(|file| file.source.clone());
            if let Ok(Some(siglip)) = replay.into_model() {
                self.forget_outdated(weights);
                return Ok(Some(siglip));
            }
        }
        self.client.check_aborted()?;
        self.store.remove(&self.manifest).await;
        Ok(None)
    }

    /// After a load from what was kept: where the server by now has other weights, the next load fetches them.
    fn forget_outdated(&self, kept: Option<Source>) {
        let Some(kept) = kept else { return };
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

    /// What an interrupted download has left, if the server may continue it.
    async fn find_part(&self) -> Option<(Part, Replay<'l>)> {
        let mut part = self.store.find_part(&self.manifest).await?;
        let length = Some(part.length);
        let read = Replay::read(&mut part.log, length, &self.manifest, self.options, self.listeners).await;
        let replay = read.ok()??;
        let can_continue = replay.weights.last().is_some_and(|file| file.source.etag.is_some());
        can_continue.then_some((part, replay))
    }
}
