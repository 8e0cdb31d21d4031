//! What a GGUF says about itself.

use std::collections::BTreeMap;

use crate::{CheckpointFiles, Error};

/// `general.architecture` of a file that `siglip convert` wrote.
pub(super) const ARCHITECTURE: &str = "siglip";

pub(super) const CONFIG: &str = "siglip.config_json";
pub(super) const PREPROCESSOR: &str = "siglip.preprocessor_config_json";
pub(super) const TOKENIZER: &str = "siglip.tokenizer_json";
/// Only of a bundle.
pub(super) const LABELS: &str = "siglip.labels_json";

/// What a GGUF says about itself: the strings under `general.` and `siglip.`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub(super) strings: BTreeMap<String, String>,
}

impl Metadata {
    /// The string of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.strings.get(key).map(String::as_str)
    }

    /// The checkpoint's small files.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] if the file is of another kind of model, or carries no small files.
    pub fn into_files(mut self) -> Result<CheckpointFiles, Error> {
        let architecture = self.get("general.architecture").unwrap_or("unknown").to_string();
        let mut take = |key: &str| {
            self.strings.remove(key).ok_or_else(|| {
                let reason = format!(
                    "is missing in this GGUF of architecture {architecture:?}; make one with `siglip convert`"
                );
                Error::unsupported(key, reason)
            })
        };
        let (config, preprocessor) = (take(CONFIG)?, take(PREPROCESSOR)?);
        let labels = take(LABELS).ok();
        let tokenizer = match take(TOKENIZER) {
            Err(_) if labels.is_some() || !CheckpointFiles::needs_tokenizer(&config) => String::new(),
            tokenizer => tokenizer?,
        };
        Ok(CheckpointFiles { config, preprocessor, tokenizer, labels })
    }
}
