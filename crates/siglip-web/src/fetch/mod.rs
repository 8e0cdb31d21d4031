//! Files over HTTP, through dropped connections, silent servers and refusals that pass.

mod answer;
mod request;

pub use answer::strong_etag;
pub use request::{Answer, Client};

use answer::ContentRange;
use gloo_timers::future::TimeoutFuture;
use js_sys::Uint8Array;

use crate::body::Body;
use crate::error::Error;

/// Failures in a row, none of which brought a new byte, after which a file is given up.
const MAX_FAILURES: u32 = 5;
/// The longest wait between two attempts, in milliseconds, whatever the server asks for.
const LONGEST_WAIT: u32 = 60_000;

/// How long to wait, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a byte.
    pub stall: u32,
    /// After a first failure; twice as long after each that follows.
    pub retry: u32,
}

/// Why an attempt has failed.
pub enum Trouble {
    /// Another attempt may succeed.
    Passing {
        /// What happened, for a person.
        reason: String,
        /// Milliseconds that the server asks to wait.
        wait: Option<u32>,
    },
    /// None will.
    Final(Error),
}

impl Trouble {
    fn passing(reason: impl Into<String>) -> Trouble {
        Trouble::Passing { reason: reason.into(), wait: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Final(error)
    }
}

/// What a download gives.
pub enum Event {
    /// The bytes that follow those before.
    Chunk(Uint8Array),
    /// What came before is of no use: the file begins anew.
    Restart,
    /// The end.
    End,
}

/// One file, from its start or from where an earlier visit left it.
pub struct Download<'c> {
    client: &'c Client<'c>,
    url: String,
    /// Where in the file the next byte stands.
    position: u64,
    /// The furthest it ever was: what counts as progress.
    furthest: u64,
    /// Length of the file by its own header. Content-Length is that of a coded body, so it tells nothing.
    total: Option<u64>,
    /// What the bytes so far belong to, if the server says so in a way that can be relied on.
    identity: Identity,
    body: Option<Body>,
    /// Bytes of the body that are before `position`.
    surplus: u64,
    takes_ranges: bool,
    failures: u32,
}

/// What the server says about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// A strong one.
    pub etag: Option<String>,
    /// As the server wrote it.
    pub last_modified: Option<String>,
    /// The sha256, where the server tells it.
    pub sha256: Option<String>,
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
            identity: Identity::default(),
            body: None,
            surplus: 0,
            takes_ranges: true,
            failures: 0,
        }
    }

    /// A file of which the first `position` bytes came in an earlier visit.
    pub fn resume(
        client: &'c Client<'c>,
        url: String,
        identity: Identity,
        position: u64,
        total: u64,
    ) -> Download<'c> {
        Download { position, total: Some(total), identity, ..Download::new(client, url) }
    }

    /// What the server says about the file, once it has answered.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where in the file the next byte stands.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to the start, for an attempt that begins anew; what the server says by now is read again.
    pub fn rewind(&mut self) {
        if self.position > 0 {
            self.body = None;
            self.start_over();
        }
    }

    /// Says how long the file is, by its own header: only then can it be told from a part of it.
    pub fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Whether bytes can be left out.
    pub fn can_seek(&self) -> bool {
        self.takes_ranges && self.identity.etag.is_some() && self.total.is_some()
    }

    /// Goes on at another byte.
    pub fn seek(&mut self, position: u64) {
        self.body = None;
        self.position = position;
        self.furthest = self.furthest.max(position);
    }

    /// The next bytes. Waits and asks again where that may help.
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
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { reason, wait }) => {
                    self.client.check_aborted()?;
                    self.body = None;
                    self.failures += 1;
                    let wait = wait.unwrap_or(self.client.patience.retry << (self.failures - 1));
                    if self.failures >= MAX_FAILURES || wait > LONGEST_WAIT {
                        return Err(self.network(reason));
                    }
                    TimeoutFuture::new(wait).await;
                }
            }
        }
    }

    /// All of a file that does not say how long it is.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        loop {
            match self.next().await? {
                Event::Chunk(chunk) => append(&mut bytes, &chunk),
                Event::Restart => bytes.clear(),
                Event::End => return Ok(bytes),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Event>, Trouble> {
        let Some(body) = &mut self.body else { return self.open().await };
        let chunk = body.next_within(self.client.patience.stall).await.map_err(Trouble::passing)?;
        let Some(mut chunk) = chunk else {
            return match self.total {
                // A file without a length of its own: the browser has counted its bytes where that can be done.
                None => Ok(Some(Event::End)),
                Some(total) => {
                    let position = self.position;
                    Err(Trouble::passing(format!("the connection ended after {position} of {total} bytes")))
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

    /// Sends a request for what is missing.
    async fn open(&mut self) -> Result<Option<Event>, Trouble> {
        if self.position > 0 && !(self.total.is_some() && self.identity.etag.is_some()) {
            return Ok(Some(self.start_over()));
        }
        let range = format!("bytes={}-", self.position);
        let mut headers = Vec::new();
        if self.position > 0 {
            headers.push(("range", range.as_str()));
            // From another origin it would take a preflight, which few servers answer; the ETag is compared anyway.
            if let (true, Some(etag)) = (self.is_same_origin(), &self.identity.etag) {
                headers.push(("if-range", etag));
            }
        }
        let answer = self.client.send("GET", &self.url, &headers).await?;
        let identity = Identity::of(&answer, &self.url);
        let same = identity.etag.is_some() && identity.etag == self.identity.etag;
        match answer.response.status() {
            200 if self.position == 0 || same => {
                self.takes_ranges &= self.position == 0;
                self.surplus = self.position;
                self.identity = identity;
                self.take_body(answer)
            }
            200 => {
                self.take_body(answer)?;
                self.identity = identity;
                self.restart("the file changes on the server")
            }
            206 if self.position > 0 && same && self.is_next(&answer) => {
                self.surplus = 0;
                self.take_body(answer)
            }
            206 | 416 => {
                answer.controller.abort();
                self.identity = Identity::default();
                self.restart("the server answers with another part of the file than it was asked for")
            }
            status => {
                answer.controller.abort();
                Err(self.refusal(status, &answer))
            }
        }
    }

    fn take_body(&mut self, Answer { response, controller }: Answer) -> Result<Option<Event>, Trouble> {
        let body = Body::of_response(&response, Some(controller));
        self.body = Some(body.ok_or_else(|| Trouble::passing("the answer is empty"))?);
        Ok(None)
    }

    /// Begins anew.
    fn start_over(&mut self) -> Event {
        (self.position, self.surplus, self.total, self.takes_ranges) = (0, 0, None, false);
        Event::Restart
    }

    /// Begins anew for the server's sake, which counts as a failure: it must not go on for ever.
    fn restart(&mut self, reason: &str) -> Result<Option<Event>, Trouble> {
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            return Err(Trouble::Final(self.network(reason.into())));
        }
        Ok(Some(self.start_over()))
    }

    /// Whether a `206` starts at the next byte of this file.
    fn is_next(&self, answer: &Answer) -> bool {
        let range = answer.header("content-range").and_then(|value| ContentRange::parse(&value));
        matches!((range, self.total), (Some(range), Some(total)) if range.fits(self.position, total))
    }

    fn is_same_origin(&self) -> bool {
        let origin = self.client.scope.origin();
        self.url.strip_prefix(&origin).is_some_and(|rest| rest.starts_with('/'))
    }

    fn refusal(&self, status: u16, answer: &Answer) -> Trouble {
        let passing = |reason: String| {
            let seconds = answer.header("retry-after").and_then(|value| value.trim().parse().ok());
            Trouble::Passing { reason, wait: seconds.map(|seconds: u32| seconds.saturating_mul(1000)) }
        };
        match status {
            404 | 410 => Error::NotFound { url: self.url.clone(), status }.into(),
            401 | 403 => {
                let licence = "the model may ask for a licence, or for a token in `headers`";
                self.network(format!("access is refused (HTTP {status}); {licence}")).into()
            }
            429 => passing("the server has had too many requests (HTTP 429); try again later".into()),
            408 | 425 | 500.. => passing(format!("the server answers HTTP {status}; try again later")),
            _ => self.network(format!("the server answers HTTP {status}")).into(),
        }
    }

    fn network(&self, reason: String) -> Error {
        Error::Network { url: self.url.clone(), reason }
    }
}

impl Identity {
    /// What an answer says.
    pub fn of(answer: &Answer, url: &str) -> Identity {
        let etag = answer.header("etag").and_then(|value| strong_etag(&value).map(String::from));
        // A hub's ETag is the sha256 of a large file; that of the store it may redirect to is something else.
        let of_hub = url.contains("/resolve/") && !answer.response.redirected();
        let own = etag.as_deref().filter(|_| of_hub);
        let linked = answer.header("x-linked-etag");
        let sha256 = linked.as_deref().or(own).and_then(crate::integrity::parse);
        Identity { sha256, last_modified: answer.header("last-modified"), etag }
    }
}

/// Appends a chunk to bytes of this module's own memory.
pub fn append(bytes: &mut Vec<u8>, chunk: &Uint8Array) {
    let start = bytes.len();
    bytes.resize(start + chunk.length() as usize, 0);
    chunk.copy_to(&mut bytes[start..]);
}
