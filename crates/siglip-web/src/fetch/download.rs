//! One file over HTTP, despite dropped connections, silent servers and transient refusals.

use gloo_timers::future::TimeoutFuture;
use js_sys::Uint8Array;

use super::error::FetchError;
use super::request::Client;
use super::response::{ContentRange, Identity, Response};
use crate::body::{self, Body};
use crate::error::Error;

/// A download fails after this many failures in a row without a new byte.
const MAX_FAILURES: u32 = 5;
/// The longest wait before a retry, in milliseconds. A server that asks for more is given up.
const LONGEST_WAIT: u32 = 60_000;

/// What a download delivers.
pub enum Event {
    /// The bytes that follow those before.
    Chunk(Uint8Array),
    /// The file starts over: the bytes delivered before are useless.
    Restart,
    /// The end of the file.
    End,
}

/// One file, from its start or from where an earlier visit stopped.
pub struct Download<'c> {
    client: &'c Client<'c>,
    url: String,
    /// The next byte's position in the file.
    position: u64,
    /// The highest position so far. Only bytes beyond it count as progress.
    furthest: u64,
    /// The file's length by its own header. Content-Length is the length of the encoded body, so it is not used.
    total: Option<u64>,
    /// The length of the body by Content-Length: that of the file, unless the server has encoded it.
    stated: Option<u64>,
    /// The version of the file that the bytes so far belong to.
    identity: Identity,
    body: Option<Body>,
    /// Bytes to drop from the body because they come before `position`.
    surplus: u64,
    takes_ranges: bool,
    /// Whether a server that sends the whole file in place of a part fails the download.
    only_parts: bool,
    failures: u32,
}

impl<'c> Download<'c> {
    /// A file from its start.
    pub fn new(client: &'c Client<'c>, url: String) -> Download<'c> {
        Download {
            client,
            url,
            position: 0,
            furthest: 0,
            total: None,
            stated: None,
            identity: Identity::default(),
            body: None,
            surplus: 0,
            takes_ranges: true,
            only_parts: false,
            failures: 0,
        }
    }

    /// A file of which an earlier visit has the first `position` bytes.
    pub fn resume(
        client: &'c Client<'c>,
        url: String,
        identity: Identity,
        position: u64,
        total: u64,
    ) -> Download<'c> {
        Download { position, total: Some(total), identity, ..Download::new(client, url) }
    }

    /// What the server says about the file, once it has responded.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The next byte's position in the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to the start. The next response says anew what the file is.
    pub fn rewind(&mut self) {
        if self.position > 0 {
            self.body = None;
            self.start_over();
        }
    }

    /// Sets the file's length, from its own header. Without it, a truncated response cannot be detected.
    pub fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// The length by the server, if it lies in a range that the file's own contents allow. An encoded body has another.
    pub fn stated_total(&self, plausible: std::ops::Range<u64>) -> Option<u64> {
        self.stated.filter(|stated| plausible.contains(stated))
    }

    /// Whether bytes can be skipped.
    pub fn can_seek(&self) -> bool {
        self.takes_ranges && self.identity.etag.is_some() && self.total.is_some()
    }

    /// Continues at another position.
    pub fn seek(&mut self, position: u64) {
        self.body = None;
        self.position = position;
        self.furthest = self.furthest.max(position);
    }

    /// Fails when the server sends the whole file in place of a part.
    pub fn take_only_parts(&mut self) {
        self.only_parts = true;
    }

    /// The next bytes. After a transient failure it waits and tries again.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            self.client.check_aborted()?;
            if self.total == Some(self.position) {
                self.body = None;
                return Ok(Event::End);
            }
            match self.attempt().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(FetchError::Permanent(error)) => return Err(error),
                Err(FetchError::Transient { reason, retry_after }) => {
                    self.client.check_aborted()?;
                    self.body = None;
                    self.failures += 1;
                    let wait = retry_after.unwrap_or(self.client.timeouts.retry << (self.failures - 1));
                    if self.failures >= MAX_FAILURES || wait > LONGEST_WAIT {
                        return Err(self.network(reason));
                    }
                    TimeoutFuture::new(wait).await;
                }
            }
        }
    }

    /// A whole file whose length is not known beforehand.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        loop {
            match self.next().await? {
                Event::Chunk(chunk) => body::append(&mut bytes, &chunk),
                Event::Restart => bytes.clear(),
                Event::End => return Ok(bytes),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Event>, FetchError> {
        let Some(body) = &mut self.body else { return self.open().await };
        let chunk = body.next_within(self.client.timeouts.stall).await.map_err(FetchError::transient)?;
        let Some(mut chunk) = chunk else {
            return match self.total {
                // Without a length, the browser's own check against Content-Length is all there is.
                None => Ok(Some(Event::End)),
                Some(total) => {
                    let position = self.position;
                    Err(FetchError::transient(format!(
                        "the connection ended after {position} of {total} bytes"
                    )))
                }
            };
        };
        if self.surplus > 0 {
            let skipped = self.surplus.min(chunk.length().into());
            self.surplus -= skipped;
            chunk = chunk.subarray(skipped as u32, chunk.length());
        }
        if chunk.length() == 0 {
            return Ok(None);
        }
        self.position += u64::from(chunk.length());
        if self.position > self.furthest {
            (self.furthest, self.failures) = (self.position, 0);
        }
        Ok(Some(Event::Chunk(chunk)))
    }

    /// Requests the bytes from `position` on.
    async fn open(&mut self) -> Result<Option<Event>, FetchError> {
        if self.position > 0 && !(self.total.is_some() && self.identity.etag.is_some()) {
            return Ok(Some(self.start_over()));
        }
        let range = format!("bytes={}-", self.position);
        let mut headers = Vec::new();
        if self.position > 0 {
            headers.push(("range", range.as_str()));
            // To another origin, If-Range would cause a CORS preflight, which few servers answer. The ETag is compared below.
            if let (true, Some(etag)) = (self.is_same_origin(), &self.identity.etag) {
                headers.push(("if-range", etag));
            }
        }
        let response = self.client.send("GET", &self.url, &headers).await?;
        let identity = Identity::of(&response, &self.url);
        let same = identity.etag.is_some() && identity.etag == self.identity.etag;
        match response.head.status() {
            200 if self.position > 0 && self.only_parts => {
                response.controller.abort();
                Err(Error::Whole { url: self.url.clone() }.into())
            }
            200 if self.position == 0 || same => {
                self.takes_ranges &= self.position == 0;
                self.stated = response.header("content-length").and_then(|value| value.trim().parse().ok());
                self.surplus = self.position;
                self.identity = identity;
                self.take_body(response)
            }
            200 => {
                self.take_body(response)?;
                self.identity = identity;
                self.restart("the file keeps changing on the server; try again later")
            }
            206 if self.position > 0 && same && self.is_next(&response) => {
                self.surplus = 0;
                self.take_body(response)
            }
            206 | 416 => {
                response.controller.abort();
                self.identity = Identity::default();
                self.restart("the server sends another range of the file than it was asked for; use another server, with `baseUrl`")
            }
            status => {
                response.controller.abort();
                Err(self.refusal(status, &response))
            }
        }
    }

    fn take_body(&mut self, Response { head, controller }: Response) -> Result<Option<Event>, FetchError> {
        let body = Body::of_response(&head, Some(controller));
        self.body =
            Some(body.ok_or_else(|| FetchError::transient("the response has no body; try again later"))?);
        Ok(None)
    }

    /// Starts the file over.
    fn start_over(&mut self) -> Event {
        (self.position, self.surplus, self.total, self.takes_ranges) = (0, 0, None, false);
        Event::Restart
    }

    /// Starts over because the server's responses do not fit together. It counts as a failure, so that this ends.
    fn restart(&mut self, reason: &str) -> Result<Option<Event>, FetchError> {
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            return Err(FetchError::Permanent(self.network(reason.into())));
        }
        Ok(Some(self.start_over()))
    }

    /// Whether a `206` response starts at the next byte of this file.
    fn is_next(&self, response: &Response) -> bool {
        let range = response.header("content-range").and_then(|value| ContentRange::parse(&value));
        matches!((range, self.total), (Some(range), Some(total)) if range.fits(self.position, total))
    }

    fn is_same_origin(&self) -> bool {
        let origin = self.client.scope.origin();
        self.url.strip_prefix(&origin).is_some_and(|rest| rest.starts_with('/'))
    }

    fn refusal(&self, status: u16, response: &Response) -> FetchError {
        let transient = |reason: String| {
            let seconds = response.header("retry-after").and_then(|value| value.trim().parse().ok());
            FetchError::Transient {
                reason,
                retry_after: seconds.map(|seconds: u32| seconds.saturating_mul(1000)),
            }
        };
        match status {
            404 | 410 => Error::NotFound { url: self.url.clone(), status }.into(),
            401 | 403 => {
                let way_out = "if the model is gated, accept its terms at the hub and pass a token: headers: {Authorization: 'Bearer …'}; \
                               or open its files here";
                self.network(format!("access is refused (HTTP {status}); {way_out}")).into()
            }
            429 => transient("the server has had too many requests (HTTP 429); try again later".into()),
            408 | 425 | 500.. => transient(format!("the server answers HTTP {status}; try again later")),
            _ => self.network(format!("the server answers HTTP {status}; check the address")).into(),
        }
    }

    fn network(&self, reason: String) -> Error {
        Error::Network { url: self.url.clone(), reason }
    }
}
