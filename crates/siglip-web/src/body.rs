//! Streams of bytes: a response's body, a chosen file, a cached file.

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Blob, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader, Response,
};

use crate::error;

/// Bytes of the read buffer. It is as large as what a browser has ready at once, so that nothing is read twice.
const BUFFER_BYTES: u32 = 1 << 22;

/// A stream of bytes, cancelled when dropped before its end.
pub struct Body {
    reader: Reader,
    /// Aborts the request that the stream belongs to.
    request: Option<AbortController>,
}

enum Reader {
    /// Reads into one buffer again and again. A new buffer per chunk would pile up until garbage collection.
    Byob(ReadableStreamByobReader, Uint8Array),
    /// Reads into the browser's own buffers, where it does not support the other.
    Default(ReadableStreamDefaultReader),
}

impl Body {
    /// The body of a response; `request` is aborted when the stream is dropped.
    pub fn of_response(response: &Response, request: Option<AbortController>) -> Option<Body> {
        Some(Body::new(&response.body()?, request))
    }

    /// The bytes of a file.
    pub fn of_blob(blob: &Blob) -> Body {
        Body::new(&blob.stream(), None)
    }

    fn new(stream: &ReadableStream, request: Option<AbortController>) -> Body {
        let reader = match ReadableStreamByobReader::new(stream) {
            Ok(reader) => Reader::Byob(reader, Uint8Array::new_with_length(BUFFER_BYTES)),
            Err(_) => Reader::Default(stream.get_reader().unchecked_into()),
        };
        Body { reader, request }
    }

    /// The next bytes, valid until the next call; `None` at the end. An error is a reason for the user.
    pub async fn next(&mut self) -> Result<Option<Uint8Array>, String> {
        let read = match &self.reader {
            Reader::Byob(reader, buffer) => reader.read_with_array_buffer_view(buffer),
            Reader::Default(reader) => reader.read(),
        };
        let chunk = JsFuture::from(read).await.map_err(|error| error::message(&error))?;
        let field = |name: &str| Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(None);
        }
        let chunk: Uint8Array = field("value").unchecked_into();
        if let Reader::Byob(_, buffer) = &mut self.reader {
            // Reading has transferred the buffer: it is a new object now.
            *buffer = Uint8Array::new(&chunk.buffer());
        }
        Ok(Some(chunk))
    }

    /// As [`Body::next`], with an error after `timeout` milliseconds without a byte.
    pub async fn next_within(&mut self, timeout: u32) -> Result<Option<Uint8Array>, String> {
        let read = std::pin::pin!(self.next());
        match select(read, TimeoutFuture::new(timeout)).await {
            Either::Left((chunk, _)) => chunk,
            Either::Right(_) => Err(stalled(timeout)),
        }
    }
}

/// The reason for a read that timed out.
pub fn stalled(timeout: u32) -> String {
    format!("no byte came for {} s", f64::from(timeout) / 1000.0)
}

/// Appends a chunk to `bytes`, which are in this module's memory.
pub fn append(bytes: &mut Vec<u8>, chunk: &Uint8Array) {
    let start = bytes.len();
    bytes.resize(start + chunk.length() as usize, 0);
    chunk.copy_to(&mut bytes[start..]);
}

impl Drop for Body {
    fn drop(&mut self) {
        match &self.request {
            Some(request) => request.abort(),
            None => {
                let cancelled = JsFuture::from(match &self.reader {
                    Reader::Byob(reader, _) => reader.cancel(),
                    Reader::Default(reader) => reader.cancel(),
                });
                // The outcome is of no interest: nothing is read any more.
                wasm_bindgen_futures::spawn_local(async move { drop(cancelled.await) });
            }
        }
    }
}
