//! What every step of a load from a server needs.

use super::callbacks::Callbacks;
use crate::fetch::Client;
use crate::options::Options;
use crate::store::{Manifest, Store};

/// The weights, where they are in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// The index of weights that are in several files.
pub const INDEX: &str = "model.safetensors.index.json";
/// Packed weights are passed on, to the other workers and to the cache, when this many bytes have been made.
pub const FLUSH_BYTES: usize = 1 << 18;

/// A load from a server.
pub struct Context<'l> {
    /// Sends its requests.
    pub client: Client<'l>,
    /// Names the model in the cache.
    pub manifest: Manifest,
    /// The cache.
    pub store: Store,
    /// The caller's options.
    pub options: &'l Options,
    /// The caller's callbacks.
    pub callbacks: &'l Callbacks,
}

impl Context<'_> {
    /// The URL of a file in the model's folder.
    pub fn url(&self, file: &str) -> String {
        let (folder, _) = self.manifest.model.rsplit_once('/').unwrap_or_default();
        format!("{folder}/{file}")
    }

    /// The name of the `.gguf`, if the model is one.
    pub fn gguf(&self) -> Option<&str> {
        let (_, name) = self.manifest.model.rsplit_once('/')?;
        name.ends_with(".gguf").then_some(name)
    }
}
