//! One request, from its headers to its answer's.

use std::collections::BTreeMap;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, Request, RequestCache, RequestInit, Response, WorkerGlobalScope,
};

use super::{Patience, Trouble};
use crate::body;
use crate::error::{self, Error};

/// Sends requests for one load.
pub struct Client<'l> {
    /// The worker's.
    pub scope: &'l WorkerGlobalScope,
    /// Sent with every request to the model's folder, kept nowhere.
    pub headers: &'l BTreeMap<String, String>,
    /// When to give up.
    pub patience: Patience,
    /// The caller's.
    pub signal: Option<&'l AbortSignal>,
}

/// An answer with its request, which ends when the controller is aborted.
pub struct Answer {
    /// Its head has arrived.
    pub response: Response,
    /// Of its request.
    pub controller: AbortController,
}

impl Answer {
    /// A header, where there is one and the server lets this page see it.
    pub fn header(&self, name: &str) -> Option<String> {
        self.response.headers().get(name).ok().flatten()
    }
}

impl Client<'_> {
    /// Fails where the caller has given up.
    pub fn check_aborted(&self) -> Result<(), Error> {
        match self.signal {
            Some(signal) if signal.aborted() => Err(Error::Aborted),
            _ => Ok(()),
        }
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let broken = |error: JsValue| Trouble::Final(Error::BadInput(error::message(&error)));
        let controller = AbortController::new().map_err(broken)?;
        self.follow_signal(&controller)?;
        let init = RequestInit::new();
        init.set_method(method);
        init.set_signal(Some(&controller.signal()));
        // What is worth keeping is kept in packed form; a second copy, by the browser, takes memory while it arrives.
        init.set_cache(RequestCache::NoStore);
        let sent = Headers::new().map_err(broken)?;
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            sent.set(name, value).map_err(broken)?;
        }
        init.set_headers(&sent);
        let request = Request::new_with_str_and_init(url, &init).map_err(broken)?;
        let answer = JsFuture::from(self.scope.fetch_with_request(&request));
        match select(answer, TimeoutFuture::new(self.patience.stall)).await {
            Either::Left((Ok(response), _)) => Ok(Answer { response: response.unchecked_into(), controller }),
            Either::Left((Err(error), _)) => {
                self.check_aborted()?;
                let reason = error::message(&error);
                Err(Trouble::passing(format!(
                    "{reason}; check the connection and that the server allows this page"
                )))
            }
            Either::Right(_) => {
                controller.abort();
                Err(Trouble::passing(body::stalled(self.patience.stall)))
            }
        }
    }

    /// Makes `controller` abort when the caller does.
    fn follow_signal(&self, controller: &AbortController) -> Result<(), Error> {
        self.check_aborted()?;
        let Some(signal) = self.signal else { return Ok(()) };
        let controller = controller.clone();
        let abort = Closure::once_into_js(move || controller.abort());
        signal.add_event_listener_with_callback("abort", abort.unchecked_ref()).map_err(|_| Error::Aborted)
    }
}
