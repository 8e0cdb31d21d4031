//! The cache of models between visits. Each model is one [`Log`], complete or as far as its download came.

mod cache_api;
mod contents;
mod labels;
mod log;
mod opfs;

use siglip::Towers;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{StorageEstimate, WorkerGlobalScope};

pub use contents::Contents;
pub use labels::KnownLabels;
pub use log::{Log, Manifest, Progress, Record, Source};

use crate::body::Body;
use crate::{error, integrity};

/// The most that a file takes beyond its contents: heads of records, and the file system's own data.
const OVERHEAD: u64 = 1 << 20;

/// Something worth knowing that does not stop the load.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `quota` or `cache`.
    pub code: &'static str,
    /// For the user.
    pub message: String,
}

impl Notice {
    fn of(exception: &JsValue) -> Notice {
        match error::name(exception).as_str() {
            "QuotaExceededError" => Notice::full(),
            _ => Notice {
                code: "cache",
                message: format!(
                    "the model cannot be cached ({}); it works from memory, and the next visit downloads it again",
                    error::message(exception)
                ),
            },
        }
    }

    fn full() -> Notice {
        let message = "the browser's storage for this site is full; the model works from memory, and the next visit \
                       downloads it again. Free space, or delete cached models, to cache it";
        Notice { code: "quota", message: message.into() }
    }
}

/// Where models are cached: files, else the Cache API, else nowhere.
#[derive(Clone)]
pub enum Store {
    /// The origin private file system.
    Opfs(opfs::Opfs),
    /// The Cache API. It has complete models only.
    CacheApi(cache_api::CacheApi),
    /// Nowhere: the model is in memory only.
    Nowhere,
}

/// A log being written.
pub enum Writer {
    /// To a file.
    Opfs(opfs::Writer),
    /// To the Cache API.
    CacheApi(cache_api::Writer),
}

/// What an interrupted download has cached.
pub struct PartialLog {
    /// Its records.
    pub log: Log,
    /// Its length in bytes.
    pub length: u64,
}

impl Store {
    /// Opens the best store there is. Private windows and third-party frames may have none: the notice says so.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<Store, Notice> {
        if let Ok(opfs) = opfs::Opfs::open(scope).await {
            return Ok(Store::Opfs(opfs));
        }
        match cache_api::CacheApi::open(scope).await {
            Ok(cache) => Ok(Store::CacheApi(cache)),
            Err(error) => Err(Notice::of(&error)),
        }
    }

    /// The complete log of a model, with its length if that is known.
    pub async fn find(&self, manifest: &Manifest) -> Option<(Log, Option<u64>)> {
        let (body, length) = self.read(&key(manifest)).await?;
        Some((Log::new(body), length))
    }

    /// The part of a model's complete log that one tower needs, with its length. `None` if the store cannot read a part, or the
    /// log has nothing else.
    pub async fn find_part(&self, manifest: &Manifest, tower: Towers) -> Option<(Log, Option<u64>)> {
        let Store::Opfs(opfs) = self else { return None };
        let file = opfs.find(&key(manifest)).await?;
        let part = Contents::read(&file).await?.part(&file, tower)?;
        Some((Log::new(Body::of_blob(&part)), Some(part.size() as u64)))
    }

    /// The contents of a model's complete log. `None` if the store cannot read a part, or the log is of an older version.
    pub async fn contents(&self, manifest: &Manifest) -> Option<Contents> {
        let Store::Opfs(opfs) = self else { return None };
        Contents::read(&opfs.find(&key(manifest)).await?).await
    }

    /// Whether a model is complete in the cache.
    pub async fn has(&self, manifest: &Manifest) -> bool {
        match self {
            Store::Opfs(opfs) => opfs.find(&key(manifest)).await.is_some(),
            Store::CacheApi(cache) => cache.find(&key(manifest)).await.is_some(),
            Store::Nowhere => false,
        }
    }

    /// The bytes of an entry, with their number if that is known.
    async fn read(&self, name: &str) -> Option<(Body, Option<u64>)> {
        match self {
            Store::Opfs(opfs) => {
                let file = opfs.find(name).await?;
                Some((Body::of_blob(&file), Some(file.size() as u64)))
            }
            Store::CacheApi(cache) => Some((cache.find(name).await?, None)),
            Store::Nowhere => None,
        }
    }

    /// Writes a small entry whole.
    async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), JsValue> {
        match self {
            Store::Opfs(opfs) => opfs.write(name, bytes).await,
            Store::CacheApi(cache) => cache.write(name, bytes).await,
            Store::Nowhere => Ok(()),
        }
    }

    /// What an interrupted download of a model has cached.
    pub async fn find_partial(&self, manifest: &Manifest) -> Option<PartialLog> {
        let Store::Opfs(opfs) = self else { return None };
        let file = opfs.find_partial(&key(manifest)).await?;
        Some(PartialLog { log: Log::new(Body::of_blob(&file)), length: file.size() as u64 })
    }

    /// Opens a model's log to append after the records of `partial`, or from the start.
    pub async fn writer(
        &self,
        manifest: &Manifest,
        partial: Option<&PartialLog>,
    ) -> Result<Option<Writer>, Notice> {
        let key = key(manifest);
        let (length, end) = partial.map_or((None, 0), |partial| (Some(partial.length), partial.log.end()));
        let writer = match self {
            Store::Opfs(opfs) => opfs.writer(&key, length, end).await.map(Writer::Opfs),
            Store::CacheApi(cache) => cache.writer(&key).map(Writer::CacheApi),
            Store::Nowhere => return Ok(None),
        };
        writer.map(Some).map_err(|error| Notice::of(&error))
    }

    /// Removes a model.
    pub async fn remove(&self, manifest: &Manifest) {
        match self {
            Store::Opfs(opfs) => opfs.remove(&key(manifest)).await,
            Store::CacheApi(cache) => cache.remove(&key(manifest)).await,
            Store::Nowhere => {}
        }
    }
}

impl Writer {
    /// Appends a record. Returns its length.
    pub async fn append(&mut self, record: &Record) -> Result<u64, Notice> {
        let bytes = record.to_bytes();
        let written = match self {
            Writer::Opfs(writer) => writer.append(&bytes),
            Writer::CacheApi(writer) => writer.append(&bytes).await.map(|()| true),
        };
        match written {
            Ok(true) => Ok(bytes.len() as u64),
            Ok(false) => Err(Notice::full()),
            Err(error) => Err(Notice::of(&error)),
        }
    }

    /// Completes the log: from now on [`Store::find`] finds it.
    pub async fn commit(self) -> Result<(), Notice> {
        let committed = match self {
            Writer::Opfs(writer) => writer.commit().await,
            Writer::CacheApi(writer) => writer.commit().await,
        };
        committed.map_err(|error| Notice::of(&error))
    }

    /// Removes what was written.
    pub async fn discard(self) {
        match self {
            Writer::Opfs(writer) => writer.discard().await,
            Writer::CacheApi(writer) => writer.discard().await,
        }
    }
}

/// Fails if the browser knows that it has no room for `bytes` more.
pub async fn check_room(scope: &WorkerGlobalScope, bytes: u64) -> Result<(), Notice> {
    let Ok(estimate) = scope.navigator().storage().estimate() else { return Ok(()) };
    let Ok(estimate) = JsFuture::from(estimate).await else { return Ok(()) };
    let estimate: StorageEstimate = estimate.unchecked_into();
    match (estimate.get_quota(), estimate.get_usage()) {
        (Some(quota), Some(usage)) if quota - usage < (bytes + OVERHEAD) as f64 => Err(Notice::full()),
        _ => Ok(()),
    }
}

/// The name of a model's file.
fn key(Manifest { model, precision, towers, onnx }: &Manifest) -> String {
    let onnx = onnx.iter().map(|onnx| format!("\n{onnx}")).collect::<String>();
    integrity::sha256(format!("{model}\n{precision}\n{towers}{onnx}").as_bytes())[..32].into()
}
