//! Files over HTTP or out of the cache, as streams.

use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Blob, ReadableStreamDefaultReader, Request, RequestInit, Response,
    WorkerGlobalScope,
};

use crate::cache::Store;
use crate::error::{self, Error};

/// Where a checkpoint's files come from.
pub enum Source {
    /// A folder's URL, ending in a slash.
    Folder(String),
    /// Files that the visitor chose, by name.
    Files(js_sys::Map),
}

impl Source {
    /// The name under which `file` is known: its URL, or its plain name.
    pub fn url(&self, file: &str) -> String {
        match self {
            Source::Folder(folder) => format!("{folder}{file}"),
            Source::Files(_) => file.to_string(),
        }
    }
}

/// A file that has begun to arrive.
pub struct Stream {
    url: String,
    reader: ReadableStreamDefaultReader,
    /// Resolves when the file is kept for the next visit.
    pub put: Option<Promise>,
    pub from_cache: bool,
    request: AbortController,
}

/// Opens files of one source for one load.
pub struct Opener<'s> {
    pub scope: &'s WorkerGlobalScope,
    pub source: &'s Source,
    pub store: &'s Store,
    pub signal: Option<&'s AbortSignal>,
}

impl Opener<'_> {
    /// Opens one of the source's files: kept from an earlier visit, or from the network.
    pub async fn open(&self, file: &str) -> Result<Stream, Error> {
        let url = self.source.url(file);
        match self.source {
            Source::Files(files) => {
                let missing = || Error::BadInput(format!("{file} is missing among the chosen files"));
                let blob: Blob = files.get(&file.into()).dyn_into().map_err(|_| missing())?;
                let response =
                    Response::new_with_opt_blob(Some(&blob)).map_err(|error| network(&url, &error))?;
                Stream::new(url, &response, None, false, new_controller()?)
            }
            Source::Folder(_) => {
                if let Some(response) = self.store.find(&url).await {
                    return Stream::new(url, &response, None, true, new_controller()?);
                }
                self.request(url).await
            }
        }
    }

    async fn request(&self, url: String) -> Result<Stream, Error> {
        let controller = new_controller()?;
        if let Some(signal) = self.signal {
            follow(signal, &controller)?;
        }
        let init = RequestInit::new();
        init.set_signal(Some(&controller.signal()));
        let request = Request::new_with_str_and_init(&url, &init).map_err(|error| network(&url, &error))?;
        let response: Response = JsFuture::from(self.scope.fetch_with_request(&request))
            .await
            .map_err(|error| network(&url, &error))?
            .unchecked_into();
        match response.status() {
            200 => {}
            status @ (404 | 410) => return Err(Error::NotFound { url, status }),
            status => {
                let reason = match status {
                    401 | 403 => {
                        format!("access is refused (HTTP {status}); the model may ask for a licence")
                    }
                    429 => "the server has had too many requests (HTTP 429); try again later".into(),
                    _ => format!("the server answers HTTP {status}; try again later"),
                };
                return Err(Error::Network { url, reason });
            }
        }
        let put = self.store.keep(&url, &response);
        Stream::new(url, &response, put, false, controller)
    }

    /// Whether the file kept for `url` is no longer the one that the server has; `false` where that cannot be told.
    pub async fn is_outdated(&self, url: &str) -> bool {
        let Some(kept) = self.store.find(url).await else { return false };
        let init = RequestInit::new();
        init.set_method("HEAD");
        let Ok(request) = Request::new_with_str_and_init(url, &init) else { return false };
        let Ok(answer) = JsFuture::from(self.scope.fetch_with_request(&request)).await else { return false };
        let answer: Response = answer.unchecked_into();
        let header = |response: &Response, name| response.headers().get(name).ok().flatten();
        // The length is that of the coded body, so it only speaks where neither answer is coded.
        let coded = header(&kept, "content-encoding").or(header(&answer, "content-encoding")).is_some();
        let telling = ["etag", "last-modified", "content-length"].into_iter().take(if coded { 2 } else { 3 });
        answer.ok()
            && telling.into_iter().any(|name| match (header(&kept, name), header(&answer, name)) {
                (Some(kept), Some(now)) => kept != now,
                _ => false,
            })
    }
}

impl Stream {
    fn new(
        url: String,
        response: &Response,
        put: Option<Promise>,
        from_cache: bool,
        request: AbortController,
    ) -> Result<Stream, Error> {
        let Some(body) = response.body() else {
            return Err(Error::Network { url, reason: "the answer is empty".into() });
        };
        let reader = body.get_reader().unchecked_into();
        Ok(Stream { url, reader, put, from_cache, request })
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Uint8Array>, Error> {
        let chunk = JsFuture::from(self.reader.read()).await.map_err(|error| network(&self.url, &error))?;
        let field = |name: &str| Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(field("value").unchecked_into()))
    }

    /// All that is still to come.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next().await? {
            let start = bytes.len();
            bytes.resize(start + chunk.length() as usize, 0);
            chunk.copy_to(&mut bytes[start..]);
        }
        Ok(bytes)
    }
}

impl Drop for Stream {
    /// Ends a request that is still under way, with the copy that was to be kept.
    fn drop(&mut self) {
        self.request.abort();
    }
}

fn new_controller() -> Result<AbortController, Error> {
    AbortController::new().map_err(|error| Error::BadInput(error::message(&error)))
}

/// Makes `controller` abort when `signal` does.
fn follow(signal: &AbortSignal, controller: &AbortController) -> Result<(), Error> {
    if signal.aborted() {
        return Err(Error::Aborted);
    }
    let abort = wasm_bindgen::closure::Closure::once_into_js({
        let controller = controller.clone();
        move || controller.abort()
    });
    signal.add_event_listener_with_callback("abort", abort.unchecked_ref()).map_err(|_| Error::Aborted)
}

fn network(url: &str, exception: &JsValue) -> Error {
    if error::name(exception) == "AbortError" {
        return Error::Aborted;
    }
    let reason =
        format!("{}; check the connection and that the server allows this page", error::message(exception));
    Error::Network { url: url.into(), reason }
}
