//! Bytes as they come: an answer's body, a file of the visitor's, something kept.

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Blob, ReadableStream, ReadableStreamDefaultReader, Response};

use crate::error;

/// A stream that is read to its end or cancelled.
pub struct Body {
    reader: ReadableStreamDefaultReader,
    /// Ends the request that it belongs to.
    request: Option<AbortController>,
}

impl Body {
    /// Of an answer; `request` is aborted when it is dropped.
    pub fn of_response(response: &Response, request: Option<AbortController>) -> Option<Body> {
        Some(Body::new(&response.body()?, request))
    }

    /// Of a file or a part of one.
    pub fn of_blob(blob: &Blob) -> Body {
        Body::new(&blob.stream(), None)
    }

    fn new(stream: &ReadableStream, request: Option<AbortController>) -> Body {
        Body { reader: stream.get_reader().unchecked_into(), request }
    }

    /// The next bytes; `None` at the end. An error says what a person may be told.
    pub async fn next(&mut self) -> Result<Option<Uint8Array>, String> {
        let chunk = JsFuture::from(self.reader.read()).await.map_err(|error| error::message(&error))?;
        let field = |name: &str| Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        Ok(if field("done").is_truthy() { None } else { Some(field("value").unchecked_into()) })
    }

    /// The same, with an error after `timeout` milliseconds without a byte.
    pub async fn next_within(&mut self, timeout: u32) -> Result<Option<Uint8Array>, String> {
        let read = std::pin::pin!(self.next());
        match select(read, TimeoutFuture::new(timeout)).await {
            Either::Left((chunk, _)) => chunk,
            Either::Right(_) => Err(stalled(timeout)),
        }
    }
}

/// What is said of a server that has gone silent.
pub fn stalled(timeout: u32) -> String {
    format!("no byte came for {} s", f64::from(timeout) / 1000.0)
}

impl Drop for Body {
    fn drop(&mut self) {
        match &self.request {
            Some(request) => request.abort(),
            None => {
                let cancelled = JsFuture::from(self.reader.cancel());
                // Nobody waits for the end of what nobody reads.
                wasm_bindgen_futures::spawn_local(async move { drop(cancelled.await) });
            }
        }
    }
}
