//! Sends one request and waits for the head of its response.

use std::collections::BTreeMap;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Headers, Request, RequestCache, RequestInit, WorkerGlobalScope};

use super::error::{FetchError, Timeouts};
use super::response::Response;
use crate::body;
use crate::error::{self, Error};

/// Sends requests for one load.
#[derive(Clone)]
pub struct Client<'l> {
    /// The worker's global scope.
    pub scope: &'l WorkerGlobalScope,
    /// Sent with every request to the model's folder; never stored.
    pub headers: &'l BTreeMap<String, String>,
    /// When to give up.
    pub timeouts: Timeouts,
    /// The caller's signal.
    pub signal: Option<&'l AbortSignal>,
}

impl Client<'_> {
    /// Fails if the caller has aborted.
    pub fn check_aborted(&self) -> Result<(), Error> {
        match self.signal {
            Some(signal) if signal.aborted() => Err(Error::Aborted),
            _ => Ok(()),
        }
    }

    /// Sends a request and waits for the head of the response, whatever its status.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, FetchError> {
        let broken = |error: JsValue| FetchError::Permanent(Error::BadInput(error::message(&error)));
        let controller = AbortController::new().map_err(broken)?;
        self.follow_signal(&controller)?;
        let init = RequestInit::new();
        init.set_method(method);
        init.set_signal(Some(&controller.signal()));
        // The model is cached in packed form. A second copy in the browser's HTTP cache would take memory meanwhile.
        init.set_cache(RequestCache::NoStore);
        let sent = Headers::new().map_err(broken)?;
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            sent.set(name, value).map_err(broken)?;
        }
        init.set_headers(&sent);
        let request = Request::new_with_str_and_init(url, &init).map_err(broken)?;
        let response = JsFuture::from(self.scope.fetch_with_request(&request));
        match select(response, TimeoutFuture::new(self.timeouts.stall)).await {
            Either::Left((Ok(response), _)) => Ok(Response { head: response.unchecked_into(), controller }),
            Either::Left((Err(error), _)) => {
                self.check_aborted()?;
                let reason = error::message(&error);
                Err(FetchError::transient(format!(
                    "{reason}; check the connection and that the server allows this page"
                )))
            }
            Either::Right(_) => {
                controller.abort();
                Err(FetchError::transient(body::stalled(self.timeouts.stall)))
            }
        }
    }

    /// Aborts `controller` when the caller aborts.
    fn follow_signal(&self, controller: &AbortController) -> Result<(), Error> {
        self.check_aborted()?;
        let Some(signal) = self.signal else { return Ok(()) };
        let controller = controller.clone();
        let abort = Closure::once_into_js(move || controller.abort());
        signal.add_event_listener_with_callback("abort", abort.unchecked_ref()).map_err(|_| Error::Aborted)
    }
}
