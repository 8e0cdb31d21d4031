//! The Cache API: whole files by URL, kept from visit to visit.

use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Response, WorkerGlobalScope};

use crate::error;

/// Its name in the browser; a change of what is kept takes a new one.
const NAME: &str = "siglip-web-1";

/// Something worth telling that stops nothing.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `quota` or `cache`.
    pub code: &'static str,
    /// For a person.
    pub message: String,
}

/// The browser's cache, or none where it has none or the page wants none.
#[derive(Clone)]
pub struct Store(Option<Cache>);

impl Store {
    /// A store that keeps nothing.
    pub fn none() -> Store {
        Store(None)
    }

    /// Opens the cache. Private windows and third-party frames may have none: then everything stays in memory.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<Store, Notice> {
        let opened = match scope.caches() {
            // The property is undefined outside secure contexts, whatever its type says.
            Ok(caches) if caches.is_undefined() => Err(js_sys::Error::new("the site is not on HTTPS").into()),
            Ok(caches) => JsFuture::from(caches.open(NAME)).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(cache) => Ok(Store(Some(cache.unchecked_into()))),
            Err(error) => Err(Notice {
                code: "cache",
                message: format!(
                    "this browser keeps nothing here ({}); the model will be fetched again next time",
                    error::message(&error)
                ),
            }),
        }
    }

    /// The file kept for `url`.
    pub async fn find(&self, url: &str) -> Option<Response> {
        let found = JsFuture::from(self.0.as_ref()?.match_with_str(url)).await.ok()?;
        found.dyn_into().ok()
    }

    /// Begins to keep `response`; only what arrives whole is kept. [`kept`] waits for that.
    pub fn keep(&self, url: &str, response: &Response) -> Option<Promise> {
        Some(self.0.as_ref()?.put_with_str(url, &response.clone().ok()?).unchecked_into())
    }

    /// Forgets the file kept for `url`.
    pub async fn forget(&self, url: &str) {
        if let Some(cache) = &self.0 {
            // A file that cannot be deleted is one that is not there.
            let _ = JsFuture::from(cache.delete_with_str(url)).await;
        }
    }
}

/// Waits until a file is kept; says why it could not be.
pub async fn kept(put: Promise) -> Result<(), Notice> {
    JsFuture::from(put).await.map(drop).map_err(|error: JsValue| match error::name(&error).as_str() {
        "QuotaExceededError" => Notice {
            code: "quota",
            message: "the browser's storage for this site is full; the model works from memory and will be fetched \
                      again next time"
                .into(),
        },
        _ => Notice {
            code: "cache",
            message: format!(
                "the model could not be kept ({}); it works from memory and will be fetched again next time",
                error::message(&error)
            ),
        },
    })
}
