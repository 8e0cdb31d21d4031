//! What is kept from visit to visit: every model in one [`Log`], complete or as far as it came.

mod cache_api;
mod log;
mod opfs;

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{StorageEstimate, WorkerGlobalScope};

pub use log::{Log, Manifest, Progress, Record, Source};

use crate::{error, integrity};

/// The folder's name; a change of format takes a new one. `www/lib/model-cache.js` reads it too.
const FOLDER: &str = "siglip-web-2";
/// What a file takes beside its contents, at most: records, and the file system's own.
const OVERHEAD: u64 = 1 << 20;

/// Something worth telling that stops nothing.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `quota` or `cache`.
    pub code: &'static str,
    /// For a person.
    pub message: String,
}

impl Notice {
    fn of(exception: &JsValue) -> Notice {
        match error::name(exception).as_str() {
            "QuotaExceededError" => Notice::full(),
            _ => Notice {
                code: "cache",
                message: format!(
                    "the model is not kept here ({}); it works from memory and will be fetched again next time",
                    error::message(exception)
                ),
            },
        }
    }

    fn full() -> Notice {
        let message = "the browser's storage for this site is full; the model works from memory and will be fetched \
                       again next time";
        Notice { code: "quota", message: message.into() }
    }
}

/// Where models are kept: files, else the Cache API, else nowhere.
#[derive(Clone)]
pub enum Store {
    /// The origin private file system.
    Opfs(opfs::Opfs),
    /// Its stand-in: what it keeps is complete, or not there.
    CacheApi(cache_api::CacheApi),
    /// Memory, for this visit.
    Nowhere,
}

/// A log being written.
pub enum Writer {
    /// To a file.
    Opfs(opfs::Writer),
    /// To the Cache API.
    CacheApi(cache_api::Writer),
}

/// What an interrupted download has left.
pub struct Part {
    /// Its records.
    pub log: Log,
    /// Its length.
    pub length: u64,
}

impl Store {
    /// Opens the best there is. Private windows and third-party frames may have nothing: then a notice says so.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<Store, Notice> {
        if let Ok(opfs) = opfs::Opfs::open(scope).await {
            return Ok(Store::Opfs(opfs));
        }
        match cache_api::CacheApi::open(scope).await {
            Ok(cache) => Ok(Store::CacheApi(cache)),
            Err(error) => Err(Notice::of(&error)),
        }
    }

    /// The complete log of a model.
    pub async fn find(&self, manifest: &Manifest) -> Option<(Log, Option<u64>)> {
        let (body, length) = match self {
            Store::Opfs(opfs) => {
                opfs.find(&key(manifest)).await.map(|(body, length)| (body, Some(length)))?
            }
            Store::CacheApi(cache) => (cache.find(&key(manifest)).await?, None),
            Store::Nowhere => return None,
        };
        Some((Log::new(body), length))
    }

    /// What an interrupted download of a model has left.
    pub async fn find_part(&self, manifest: &Manifest) -> Option<Part> {
        let Store::Opfs(opfs) = self else { return None };
        let (body, length) = opfs.find_part(&key(manifest)).await?;
        Some(Part { log: Log::new(body), length })
    }

    /// Opens a model's log to write on from the end of the records of `part`, or from the start.
    pub async fn writer(&self, manifest: &Manifest, part: Option<&Part>) -> Result<Option<Writer>, Notice> {
        let key = key(manifest);
        let (length, end) = part.map_or((None, 0), |part| (Some(part.length), part.log.end()));
        let writer = match self {
            Store::Opfs(opfs) => opfs.writer(&key, length, end).await.map(Writer::Opfs),
            Store::CacheApi(cache) => cache.writer(&key).map(Writer::CacheApi),
            Store::Nowhere => return Ok(None),
        };
        writer.map(Some).map_err(|error| Notice::of(&error))
    }

    /// Forgets what is kept of a model.
    pub async fn remove(&self, manifest: &Manifest) {
        match self {
            Store::Opfs(opfs) => opfs.remove(&key(manifest)).await,
            Store::CacheApi(cache) => cache.remove(&key(manifest)).await,
            Store::Nowhere => {}
        }
    }
}

impl Writer {
    /// Writes a record.
    pub async fn append(&mut self, record: &Record) -> Result<(), Notice> {
        let bytes = record.to_bytes();
        let written = match self {
            Writer::Opfs(writer) => writer.append(&bytes),
            Writer::CacheApi(writer) => writer.append(&bytes).await.map(|()| true),
        };
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(Notice::full()),
            Err(error) => Err(Notice::of(&error)),
        }
    }

    /// Makes the log, now complete, the one that is found.
    pub async fn commit(self) -> Result<(), Notice> {
        let committed = match self {
            Writer::Opfs(writer) => writer.commit().await,
            Writer::CacheApi(writer) => writer.commit().await,
        };
        committed.map_err(|error| Notice::of(&error))
    }

    /// Forgets what was written.
    pub async fn discard(self) {
        match self {
            Writer::Opfs(writer) => writer.discard().await,
            Writer::CacheApi(writer) => writer.discard().await,
        }
    }
}

/// Whether there is room for `bytes` more; says so where the browser knows that there is not.
pub async fn check_room(scope: &WorkerGlobalScope, bytes: u64) -> Result<(), Notice> {
    let Ok(estimate) = scope.navigator().storage().estimate() else { return Ok(()) };
    let Ok(estimate) = JsFuture::from(estimate).await else { return Ok(()) };
    let estimate: StorageEstimate = estimate.unchecked_into();
    match (estimate.get_quota(), estimate.get_usage()) {
        (Some(quota), Some(usage)) if quota - usage < (bytes + OVERHEAD) as f64 => Err(Notice::full()),
        _ => Ok(()),
    }
}

/// A file's name for a model as it is kept.
fn key(Manifest { model, precision, towers }: &Manifest) -> String {
    integrity::sha256(format!("{model}\n{precision}\n{towers}").as_bytes())[..32].into()
}
