//! Bytes as they come: an answer's body, a file of the visitor's, something kept.

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Blob, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader, Response,
};

use crate::error;

/// Bytes that are read at a time: as many as a browser has ready, so that it need not put any aside.
const PIECE: u32 = 1 << 22;

/// A stream that is read to its end or cancelled.
pub struct Body {
    reader: Reader,
    /// Ends the request that it belongs to.
    request: Option<AbortController>,
}

enum Reader {
    /// Into one buffer, again and again: what a whole model comes in would pile up until it is collected.
    Into(ReadableStreamByobReader, Uint8Array),
    /// Where the browser's streams can't: into buffers of its own.
    Plain(ReadableStreamDefaultReader),
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
        let reader = match ReadableStreamByobReader::new(stream) {
            Ok(reader) => Reader::Into(reader, Uint8Array::new_with_length(PIECE)),
            Err(_) => Reader::Plain(stream.get_reader().unchecked_into()),
        };
        Body { reader, request }
    }

    /// The next bytes, which are gone with the next call; `None` at the end. An error says what a person may be told.
    pub async fn next(&mut self) -> Result<Option<Uint8Array>, String> {
        let read = match &self.reader {
            Reader::Into(reader, buffer) => reader.read_with_array_buffer_view(buffer),
            Reader::Plain(reader) => reader.read(),
        };
        let chunk = JsFuture::from(read).await.map_err(|error| error::message(&error))?;
        let field = |name: &str| Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(None);
        }
        let chunk: Uint8Array = field("value").unchecked_into();
        if let Reader::Into(_, buffer) = &mut self.reader {
            // The buffer has passed through the stream and is another object now.
            *buffer = Uint8Array::new(&chunk.buffer());
        }
        Ok(Some(chunk))
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
                let cancelled = JsFuture::from(match &self.reader {
                    Reader::Into(reader, _) => reader.cancel(),
                    Reader::Plain(reader) => reader.cancel(),
                });
                // Nobody waits for the end of what nobody reads.
                wasm_bindgen_futures::spawn_local(async move { drop(cancelled.await) });
            }
        }
    }
}
