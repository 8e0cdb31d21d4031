//! The Cache API, for browsers without the file system. It takes a stream and stores it when the stream has ended.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Cache, Response, TransformStream, WorkerGlobalScope, WritableStreamDefaultWriter};

use super::labels::labels;
use super::log::FOLDER;
use crate::body::Body;

/// The cache of the models.
#[derive(Clone)]
pub struct CacheApi {
    cache: Cache,
    /// The page's origin. A worker that runs from a blob: has no base that an entry's URL could be relative to.
    origin: String,
}

/// An entry being written. It is stored only if it is committed.
pub struct Writer {
    stream: WritableStreamDefaultWriter,
    put: Promise,
}

impl CacheApi {
    /// Opens the cache. Fails if this page has none.
    pub async fn open(scope: &WorkerGlobalScope) -> Result<CacheApi, JsValue> {
        let caches = scope.caches()?;
        if caches.is_undefined() {
            return Err(js_sys::Error::new("only pages from https: can use the Cache API").into());
        }
        let cache = JsFuture::from(caches.open(FOLDER)).await?;
        Ok(CacheApi { cache: cache.unchecked_into(), origin: scope.origin() })
    }

    /// The entry of this key.
    pub async fn find(&self, key: &str) -> Option<Body> {
        let found = JsFuture::from(self.cache.match_with_str(&self.address(key))).await.ok()?;
        Body::of_response(found.dyn_ref::<Response>()?, None)
    }

    /// Writes a small entry whole.
    pub async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), JsValue> {
        let blob = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes)))?;
        let response = Response::new_with_opt_blob(Some(&blob))?;
        JsFuture::from(self.cache.put_with_str(&self.address(name), &response)).await.map(drop)
    }

    /// Starts an entry.
    pub fn writer(&self, key: &str) -> Result<Writer, JsValue> {
        let pipe = TransformStream::new()?;
        let response = Response::new_with_opt_readable_stream(Some(&pipe.readable()))?;
        let put = self.cache.put_with_str(&self.address(key), &response);
        Ok(Writer { stream: pipe.writable().get_writer()?, put: put.unchecked_into() })
    }

    /// Removes the entry of this key.
    pub async fn remove(&self, key: &str) {
        // An entry that cannot be removed does not exist.
        for name in [key, &labels(key)] {
            let _ = JsFuture::from(self.cache.delete_with_str(&self.address(name))).await;
        }
    }

    /// The URL of an entry. The cache needs one; nothing is ever served there.
    fn address(&self, key: &str) -> String {
        format!("{}/{FOLDER}/{key}", self.origin)
    }
}

impl Writer {
    /// Appends bytes.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.unless_put_fails(self.stream.write_with_chunk(&Uint8Array::from(bytes))).await
    }

    /// Stores the entry, now complete. It replaces an earlier one.
    pub async fn commit(self) -> Result<(), JsValue> {
        self.unless_put_fails(self.stream.close()).await?;
        JsFuture::from(self.put).await.map(drop)
    }

    /// Waits for a step of the stream. Where the cache has given up, nobody reads the stream and the step has no end.
    async fn unless_put_fails(&self, step: Promise) -> Result<(), JsValue> {
        JsFuture::from(Promise::race(&Array::of2(&step, &self.put))).await.map(drop)
    }

    /// Drops the entry.
    pub async fn discard(self) {
        // abort() waits for a chunk under way. Where the cache has given up, nobody takes that chunk.
        let _ = self.unless_put_fails(self.stream.abort()).await;
        let _ = JsFuture::from(self.put).await;
    }
}
