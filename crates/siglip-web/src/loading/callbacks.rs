//! How a load reports to JavaScript and to the other workers.

use js_sys::{Function, Promise, Uint8Array};
use siglip::Towers;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::file_digest::DigestWorker;
use crate::error::Error;
use crate::store::Notice;

#[wasm_bindgen(typescript_custom_section)]
const LOAD_CALLBACKS: &str = r#"
/** What `Engine.load` reports. */
export interface LoadCallbacks {
  /** Bytes of all files; `total` is 0 while it is unknown; `cached` says that they come from the cache. */
  onProgress(file: string, loaded: number, total: number, cached: boolean): void;
  /** Something worth knowing that does not stop the load. */
  onNotice(code: string, message: string): void;
  /**
   * The text of config.json and the towers that are loaded: before the first weights, and again when the load starts over.
   * For workers with other shards. For a GPU also the sizes that a plan of the model is made of, as text for the module that
   * makes it.
   */
  onConfig(config: string, towers: string, sizes?: string): void;
  /**
   * Packed weights for the workers with other shards, in the engine's memory: copy them before you return. The load
   * waits for the promise. Leave it out if there are no such workers.
   */
  onWeights?(batches: Uint8Array): Promise<void>;
  /**
   * Another worker for the digests of large files. It is asked for while such a file is read, until it is ready; the engine
   * computes them meanwhile.
   */
  readonly digestWorker?: DigestWorker;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// The callbacks of a load: an object with the methods of the TypeScript interface above.
    #[wasm_bindgen(typescript_type = "LoadCallbacks")]
    pub type Callbacks;

    #[wasm_bindgen(method, structural, catch, js_name = onProgress)]
    fn on_progress(
        this: &Callbacks,
        file: &str,
        loaded: f64,
        total: f64,
        cached: bool,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(method, structural, catch, js_name = onNotice)]
    fn on_notice(this: &Callbacks, code: &str, message: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, structural, catch, js_name = onConfig)]
    fn on_config(this: &Callbacks, config: &str, towers: &str, sizes: Option<String>) -> Result<(), JsValue>;

    #[wasm_bindgen(method, structural, getter, js_name = onWeights)]
    fn on_weights(this: &Callbacks) -> Option<Function>;

    /// Another worker for the digests of large files, once it is ready.
    #[wasm_bindgen(method, structural, getter, js_name = digestWorker)]
    pub fn digest_worker(this: &Callbacks) -> Option<DigestWorker>;
}

// What `onProgress`, `onNotice` and `onConfig` throw is ignored: a report that fails does not stop the load.
impl Callbacks {
    /// Reports the bytes loaded so far.
    pub fn progress(&self, file: &str, loaded: u64, total: u64, cached: bool) {
        let _ = self.on_progress(file, loaded as f64, total as f64, cached);
    }

    /// Reports a notice.
    pub fn notice(&self, notice: &Notice) {
        let _ = self.on_notice(notice.code, &notice.message);
    }

    /// Has the other workers start, or start over, and a GPU if there are `sizes` of its plan.
    pub fn config(&self, config: &str, towers: Towers, sizes: Option<String>) {
        let _ = self.on_config(config, towers.name(), sizes);
    }

    /// Passes packed weights to the other workers, no faster than they take them.
    pub async fn weights(&self, batches: &[u8]) -> Result<(), Error> {
        let Some(on_weights) = self.on_weights() else { return Ok(()) };
        // SAFETY: the callback copies the bytes before it returns. Until then no code runs here that could allocate,
        // and so move this module's memory.
        let view = unsafe { Uint8Array::view(batches) };
        let taken = on_weights.call1(self, &view).map_err(Error::Worker)?;
        JsFuture::from(Promise::resolve(&taken)).await.map(drop).map_err(Error::Worker)
    }
}
