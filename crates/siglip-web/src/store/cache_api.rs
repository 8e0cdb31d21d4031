//! The Cache API, where there are no files: it takes a stream, and keeps it only when that has come to its end.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Response, TransformStream, WorkerGlobalScope, WritableStreamDefaultWriter};

use super::FOLDER;
use crate::body::Body;

/// The cache that the models are kept in.
#[derive(Clone)]
pub struct CacheApi(Cache);

/// An entry being written; nothing is kept unless it is committed.
pub struct Writer {
    stream: WritableStreamDefaultWriter,
    put: Promise,
}

impl CacheApi {
    /// Opens the cache, where there is one.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<CacheApi, JsValue> {
        let caches = scope.caches()?;
        if caches.is_undefined() {
            return Err(js_sys::Error::new("only pages from https: may keep anything").into());
        }
        let cache = JsFuture::from(caches.open(FOLDER)).await?;
        Ok(CacheApi(cache.unchecked_into()))
    }

    /// The complete entry of this key; its size is not known.
    pub async fn find(&self, key: &str) -> Option<Body> {
        let found = JsFuture::from(self.0.match_with_str(&address(key))).await.ok()?;
        Body::of_response(found.dyn_ref::<Response>()?, None)
    }

    /// Begins an entry.
    pub fn writer(&self, key: &str) -> Result<Writer, JsValue> {
        let pipe = TransformStream::new()?;
        let response = Response::new_with_opt_readable_stream(Some(&pipe.readable()))?;
        let put = self.0.put_with_str(&address(key), &response);
        Ok(Writer { stream: pipe.writable().get_writer()?, put: put.unchecked_into() })
    }

    /// Forgets what is kept under this key.
    pub async fn remove(&self, key: &str) {
        // What cannot be removed is not there.
        let _ = JsFuture::from(self.0.delete_with_str(&address(key))).await;
    }
}

/// Entries have addresses; this one leads nowhere.
fn address(key: &str) -> String {
    format!("/{FOLDER}/{key}")
}

impl Writer {
    /// Writes on.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        JsFuture::from(self.stream.write_with_chunk(&Uint8Array::from(bytes))).await.map(drop)
    }

    /// Puts the entry, now complete, in the place of the one before.
    pub async fn commit(self) -> Result<(), JsValue> {
        JsFuture::from(self.stream.close()).await?;
        JsFuture::from(self.put).await.map(drop)
    }

    /// Gives the entry up.
    pub async fn discard(self) {
        // That the stream has failed is what it is told to say.
        let _ = JsFuture::from(self.stream.abort()).await;
        let _ = JsFuture::from(self.put).await;
    }
}
