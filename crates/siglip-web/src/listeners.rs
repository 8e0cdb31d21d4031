use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use crate::error::Error;
use crate::store::Notice;

/// What is told while a model loads; each a JavaScript function.
pub struct Listeners {
    /// `(file, loaded, total, kept)`: bytes of all files; the total is 0 where nobody knows it; whether they come
    /// from what was kept.
    pub progress: Function,
    /// `(code, message)`.
    pub notice: Function,
    /// `(config.json)`, before the first batches, and again where all begins anew: for the workers that hold the
    /// other shards.
    pub config: Function,
    /// `(batches)`, all of the weights in packed form, which are gone when it returns; what it returns is waited for.
    /// None where this worker has no others beside it.
    pub batches: Option<Function>,
}

impl Listeners {
    fn tell(function: &Function, arguments: &[JsValue]) {
        // What a listener throws is its own affair.
        let _ = function.apply(&JsValue::NULL, &arguments.iter().collect());
    }

    /// Tells how far it is.
    pub fn progress(&self, file: &str, loaded: u64, total: u64, kept: bool) {
        let figures = [file.into(), (loaded as f64).into(), (total as f64).into(), kept.into()];
        Self::tell(&self.progress, &figures);
    }

    /// Tells what is worth knowing.
    pub fn notice(&self, notice: &Notice) {
        Self::tell(&self.notice, &[notice.code.into(), notice.message.as_str().into()]);
    }

    /// Has the other workers begin, or begin anew.
    pub fn config(&self, config: &str) {
        Self::tell(&self.config, &[config.into()]);
    }

    /// Hands the other workers what they need, no faster than they take it.
    pub async fn batches(&self, batches: &[u8]) -> Result<(), Error> {
        let Some(function) = &self.batches else { return Ok(()) };
        // SAFETY: the function copies the bytes before it returns, and nothing runs here until then that could move
        // this module's memory.
        let view = unsafe { Uint8Array::view(batches) };
        let taken = function.call1(&JsValue::NULL, &view).map_err(Error::Worker)?;
        JsFuture::from(Promise::resolve(&taken)).await.map(drop).map_err(Error::Worker)
    }
}
