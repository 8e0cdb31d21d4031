//! The sha256 of a weight file while it is read: computed here, or for a large file in another worker.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::error::Error;
use crate::integrity::Digest;
use crate::store::Progress;

/// The digests of all bytes so far, and of those up to the settled position, where another visit can go on.
#[wasm_bindgen]
#[derive(Default)]
pub struct FileDigest {
    all: Digest,
    settled: Digest,
}

impl FileDigest {
    /// The digests with these states, unless one is invalid.
    pub fn resume(all: &str, settled: &str) -> Option<FileDigest> {
        Some(FileDigest { all: Digest::resume(all)?, settled: Digest::resume(settled)? })
    }
}

#[wasm_bindgen]
impl FileDigest {
    /// Takes the next bytes, of which the first `settled` are settled.
    pub fn update(&mut self, bytes: &[u8], settled: usize) {
        let (before, after) = bytes.split_at(bytes.len().min(settled));
        self.all.update(before);
        if !before.is_empty() {
            self.settled = self.all.clone();
        }
        self.all.update(after);
    }

    /// The state at the settled position.
    pub fn settled_state(&self) -> String {
        self.settled.state()
    }

    /// The sha256 of all bytes, in hexadecimal.
    pub fn finish(self) -> String {
        self.all.finish()
    }
}

#[wasm_bindgen(typescript_custom_section)]
const DIGEST_WORKER: &str = r#"
/** A {@link FileDigest} in another worker. It takes one file after the other. */
export interface DigestWorker {
  /** Begins a file, with these states. */
  begin(all: string, settled: string): void;
  /** Bytes in the engine's memory: copy them before you return. */
  update(bytes: Uint8Array, settled: number): void;
  /** The state at the settled position after what was given so far. */
  settled(): Promise<string>;
  finish(): Promise<string>;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// Another worker that computes digests: an object with the methods of the TypeScript interface above.
    #[wasm_bindgen(typescript_type = "DigestWorker")]
    pub type DigestWorker;

    #[wasm_bindgen(method, structural, catch)]
    fn begin(this: &DigestWorker, all: &str, settled: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    fn update(this: &DigestWorker, bytes: &Uint8Array, settled: usize) -> Result<(), JsValue>;

    #[wasm_bindgen(method, structural)]
    fn settled(this: &DigestWorker) -> Promise;

    #[wasm_bindgen(method, structural)]
    fn finish(this: &DigestWorker) -> Promise;
}

/// Who computes a file's digests.
pub enum Digests {
    /// Nobody: bytes were skipped, or nothing says what the digest should be.
    Skipped,
    /// This worker.
    Here(Box<FileDigest>),
    /// Another worker.
    There(DigestWorker),
}

impl Digests {
    /// Those of a file that was read up to the settled position, where its digest has this state.
    pub fn resume(state: Option<&str>) -> Digests {
        state
            .and_then(|state| FileDigest::resume(state, state))
            .map_or(Digests::Skipped, |digest| Digests::Here(Box::new(digest)))
    }

    /// Takes the next bytes, of which the first `settled` are settled.
    pub fn update(&mut self, bytes: &[u8], settled: usize) -> Result<(), Error> {
        match self {
            Digests::Skipped => Ok(()),
            Digests::Here(digest) => {
                digest.update(bytes, settled);
                Ok(())
            }
            Digests::There(worker) => {
                // SAFETY: `update` copies the bytes before it returns. Until then no code runs here that could allocate, and so
                // move this module's memory.
                let view = unsafe { Uint8Array::view(bytes) };
                worker.update(&view, settled).map_err(Error::Worker)
            }
        }
    }

    /// Has `worker` go on, if this worker computes them.
    pub fn hand_over(&mut self, worker: impl FnOnce() -> Option<DigestWorker>) -> Result<(), Error> {
        if let Digests::Here(digest) = self
            && let Some(worker) = worker()
        {
            worker.begin(&digest.all.state(), &digest.settled_state()).map_err(Error::Worker)?;
            *self = Digests::There(worker);
        }
        Ok(())
    }

    /// The state at the settled position, which may have to be waited for.
    pub fn settled(&self) -> SettledState {
        match self {
            Digests::Skipped => SettledState::Known(None),
            Digests::Here(digest) => SettledState::Known(Some(digest.settled_state())),
            Digests::There(worker) => SettledState::Asked(worker.settled()),
        }
    }

    /// The sha256 of the file, or `None` if nobody has computed it.
    pub async fn finish(self) -> Result<Option<String>, Error> {
        match self {
            Digests::Skipped => Ok(None),
            Digests::Here(digest) => Ok(Some(digest.finish())),
            Digests::There(worker) => answer(worker.finish()).await,
        }
    }
}

/// The state of a digest.
pub enum SettledState {
    /// It is at hand; `None` if nobody computes it.
    Known(Option<String>),
    /// Another worker answers it.
    Asked(Promise),
}

/// How far a file has been read, for the cache.
pub struct LaterProgress {
    /// The settled position.
    pub position: u64,
    /// The state of the digest there.
    pub digest: SettledState,
}

impl LaterProgress {
    /// Whether it has to be waited for.
    pub fn is_asked(&self) -> bool {
        matches!(self.digest, SettledState::Asked(_))
    }

    /// Waits for it.
    pub async fn get(self) -> Result<Progress, Error> {
        let digest = match self.digest {
            SettledState::Known(state) => state,
            SettledState::Asked(state) => answer(state).await?,
        };
        Ok(Progress { position: self.position, digest })
    }
}

async fn answer(promise: Promise) -> Result<Option<String>, Error> {
    Ok(JsFuture::from(promise).await.map_err(Error::Worker)?.as_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrity::sha256;

    #[test]
    fn a_digest_goes_on_elsewhere_from_both_its_states() {
        let bytes: Vec<u8> = (0..1000u32).map(|value| (value * 7) as u8).collect();
        let mut here = FileDigest::default();
        here.update(&bytes[..300], 200);
        here.update(&bytes[300..400], 0);
        let mut there = FileDigest::resume(&here.all.state(), &here.settled_state()).unwrap();
        // Nothing is settled beyond what was settled here.
        let resumed = |digest: &FileDigest, from: usize| {
            let mut resumed = Digest::resume(&digest.settled_state()).unwrap();
            resumed.update(&bytes[from..]);
            resumed.finish()
        };
        assert_eq!(resumed(&there, 200), sha256(&bytes));
        there.update(&bytes[400..], 555);
        assert_eq!(resumed(&there, 955), sha256(&bytes));
        assert_eq!(there.finish(), sha256(&bytes));
        assert!(FileDigest::resume("", &here.settled_state()).is_none());
    }
}
