//! Loads a checkpoint: from the cache, from a server, or from files that the user has chosen.
//!
//! [`load`] decides which. [`from_cache`] reads what an earlier visit has cached, [`download`] fetches the rest, and
//! [`local_files`] reads chosen files; [`image_first`] does the first two tower by tower. All three feed a [`model_builder`], one [`weight_file`] after another;
//! [`cache_writer`] caches what was downloaded, and [`file_digest`] tells whether it is whole.

mod cache_writer;
mod callbacks;
mod context;
mod download;
mod file_digest;
mod from_cache;
mod image_first;
mod local_files;
mod logits;
mod model_builder;
mod weight_file;

use siglip::Towers;
use wasm_bindgen::JsCast;
use web_sys::{AbortSignal, WorkerGlobalScope};

use crate::backend::Siglip;
use crate::error::Error;
use crate::fetch::{Client, Identity};
use crate::options::Options;
use crate::store::{KnownLabels, Log, Manifest, PartialLog, Source, Store};

pub use callbacks::Callbacks;
use context::Context;
use download::CheckpointDownload;
pub use file_digest::FileDigest;
use from_cache::CachedModel;
pub use local_files::LocalFiles;
pub use model_builder::ShardBuilder;

/// A loaded model.
pub struct Loaded {
    /// It expects its text tower if that is loaded later.
    pub siglip: Siglip,
    /// Where its text tower is.
    pub text: LaterText,
    /// Where its weights come from.
    pub sources: Vec<Source>,
    /// The labels that it has embedded, if it is cached.
    pub labels: Option<KnownLabels>,
}

/// Where the text tower of a loaded model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaterText {
    /// In the model, if it has one.
    Loaded,
    /// In the cache.
    Cached,
    /// On the server.
    OnServer,
}

/// Loads a checkpoint from `address`: the URL of a folder, with its slash, of a `.gguf` or of an `.onnx`.
pub async fn load(
    address: String,
    options: &Options,
    signal: Option<AbortSignal>,
    callbacks: &Callbacks,
) -> Result<Loaded, Error> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let store = match options.cache {
        false => Store::Nowhere,
        true => Store::open(&scope).await.unwrap_or_else(|notice| {
            callbacks.notice(&notice);
            Store::Nowhere
        }),
    };
    let client = Client {
        scope: &scope,
        headers: &options.headers,
        timeouts: options.timeouts(),
        signal: signal.as_ref(),
    };
    let manifest = options.manifest(&address);
    run(Context { client, manifest, store, options, callbacks }).await
}

async fn run(mut context: Context<'_>) -> Result<Loaded, Error> {
    if let Some(loaded) = load_cached(&context).await? {
        return Ok(loaded);
    }
    let Context { options, manifest, store, .. } = &context;
    if options.image_first
        && !options.gpu
        && options.towers == Towers::Both
        && let Some(loaded) = image_first::load(&context).await?
    {
        return Ok(loaded);
    }
    if options.later && !store.has(&image_first::tower(manifest, Towers::Image)).await {
        // The cache has lost a model that is in use. The next visit downloads both towers.
        context.store = Store::Nowhere;
    }
    fetch(&context).await
}

/// Downloads a model, from where an earlier visit stopped if there is one.
async fn fetch(context: &Context<'_>) -> Result<Loaded, Error> {
    if let Some((log, cached)) = find_partial(context).await? {
        let download = CheckpointDownload::resume(context, &log, cached).await?;
        match download.run().await {
            // The fault may lie in what the earlier visit has cached: start again without it.
            Err(error) if !error.is_transient() => {}
            result => return result,
        }
    }
    CheckpointDownload::start(context).await?.run().await
}

/// The model, if an earlier visit has cached it whole. Of two towers only the image tower is read: the labels may be known, so
/// that no text has to be embedded. A GPU gets both, since its check at load is of both.
async fn load_cached(context: &Context<'_>) -> Result<Option<Loaded>, Error> {
    let Context { manifest, options, .. } = context;
    if options.towers == Towers::Both && !options.gpu {
        if let Some(mut loaded) = load_part(context, manifest, Towers::Image).await? {
            loaded.siglip.expect_text();
            loaded.text = LaterText::Cached;
            return Ok(Some(loaded));
        }
    } else if options.towers != Towers::Both {
        let both = Manifest { towers: Towers::Both.name().into(), ..manifest.clone() };
        if let Some(loaded) = load_part(context, &both, options.towers).await? {
            return Ok(Some(loaded));
        }
    }
    if let Some((log, length)) = context.store.find(manifest).await {
        return load_log(context, log, length, manifest, options.towers).await;
    }
    match options.towers == Towers::Both && !options.gpu {
        true => image_first::load_cached(context).await,
        false => Ok(None),
    }
}

/// One tower of a model that is cached with both.
async fn load_part(
    context: &Context<'_>,
    manifest: &Manifest,
    tower: Towers,
) -> Result<Option<Loaded>, Error> {
    let Some((log, length)) = context.store.find_part(manifest, tower).await else { return Ok(None) };
    load_log(context, log, length, manifest, tower).await
}

/// What a log has of these towers. If it has not all of them, it is removed.
async fn load_log(
    context: &Context<'_>,
    mut log: Log,
    length: Option<u64>,
    manifest: &Manifest,
    towers: Towers,
) -> Result<Option<Loaded>, Error> {
    let Context { store, options, callbacks, .. } = context;
    let read = CachedModel::read(&mut log, length, manifest, towers, options, callbacks).await;
    if let Some(cached) = usable(read)? {
        let (sources, id) = (cached.sources(), cached.contents.id.clone());
        if let Ok(Some(mut siglip)) = cached.into_model() {
            if !options.later {
                remove_outdated(context, manifest, sources.first().cloned());
            }
            let mut labels = (!id.is_empty()).then(|| KnownLabels::new(store, manifest, id));
            if let Some(labels) = labels.as_mut().filter(|_| options.towers == Towers::Both) {
                labels.read().await.into_iter().for_each(|known| siglip.add_known_label(known));
            }
            return Ok(Some(Loaded { siglip, text: LaterText::Loaded, sources, labels }));
        }
    }
    context.client.check_aborted()?;
    store.remove(manifest).await;
    Ok(None)
}

/// What was read of a log. An option that the model cannot have is no fault of the log.
fn usable(read: Result<Option<CachedModel<'_>>, Error>) -> Result<Option<CachedModel<'_>>, Error> {
    match read {
        Err(error) if error.code() == "bad-input" => Err(error),
        read => Ok(read.ok().flatten()),
    }
}

/// Asks the server, without waiting for its answer, whether its weights have changed since they were cached. If they
/// have, removes the model from the cache, so that the next load downloads the new ones.
fn remove_outdated(context: &Context<'_>, manifest: &Manifest, cached: Option<Source>) {
    let Some(cached) = cached else { return };
    let (scope, headers) = (context.client.scope.clone(), context.options.headers.clone());
    let (store, manifest) = (context.store.clone(), manifest.clone());
    let (timeouts, url) = (context.client.timeouts, context.url(&cached.file));
    wasm_bindgen_futures::spawn_local(async move {
        let client = Client { scope: &scope, headers: &headers, timeouts, signal: None };
        let Ok(response) = client.send("HEAD", &url, &[]).await else { return };
        let now = Identity::of(&response, &url);
        let differ = |cached: &Option<String>, now: &Option<String>| match (cached, now) {
            (Some(cached), Some(now)) => cached != now,
            _ => false,
        };
        let changed = differ(&cached.etag, &now.etag) || differ(&cached.last_modified, &now.last_modified);
        if response.head.ok() && changed {
            store.remove(&manifest).await;
            if manifest.towers == Towers::Image.name() {
                // The text tower that was cached for this image tower.
                store.remove(&image_first::tower(&manifest, Towers::Text)).await;
            }
        }
    });
}

/// What an interrupted download has cached, if the download can be resumed from there.
async fn find_partial<'c>(context: &Context<'c>) -> Result<Option<(PartialLog, CachedModel<'c>)>, Error> {
    let Context { manifest, options, callbacks, .. } = context;
    let Some(mut partial) = context.store.find_partial(manifest).await else { return Ok(None) };
    let PartialLog { log, length } = &mut partial;
    let read = CachedModel::read(log, Some(*length), manifest, options.towers, options, callbacks).await;
    let Some(cached) = usable(read)? else { return Ok(None) };
    let has_etag = cached.weights.last().is_some_and(|file| file.source.etag.is_some());
    let can_resume = has_etag && !cached.has_data_file && cached.can_check_hashes();
    Ok(can_resume.then_some((partial, cached)))
}
