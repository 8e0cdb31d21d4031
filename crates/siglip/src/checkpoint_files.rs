//! The small files that describe a checkpoint: everything but its weights.

use serde::Deserialize;
use serde_json::json;

use crate::config::{OpenClipConfig, is_classifier};
use crate::{Error, Towers};

/// A checkpoint's small files as they are published, and as a GGUF carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFiles {
    /// `config.json`.
    pub config: String,
    /// `preprocessor_config.json`.
    pub preprocessor: String,
    /// `tokenizer.json`. It may be empty if no text is to be read; a fine-tuned classifier has none.
    pub tokenizer: String,
    /// The label sets of a bundle, as [`LabelSets::to_json`](crate::LabelSets::to_json) writes them.
    pub labels: Option<String>,
}

impl CheckpointFiles {
    /// Their file names, in the order of the fields.
    pub const NAMES: [&str; 3] = ["config.json", "preprocessor_config.json", "tokenizer.json"];

    /// The file that a folder of open_clip's has in place of the first two.
    pub const OPEN_CLIP: &str = OpenClipConfig::NAME;

    /// The contents of [`CheckpointFiles::NAMES`], each read by `read`. Where the first is missing, they are made of
    /// [`CheckpointFiles::OPEN_CLIP`].
    ///
    /// # Errors
    /// The first error of `read`.
    pub fn read<E: From<Error>>(
        mut read: impl FnMut(&'static str) -> Result<String, E>,
    ) -> Result<CheckpointFiles, E> {
        let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
        match read(config) {
            Ok(config) => Ok(CheckpointFiles {
                preprocessor: read(preprocessor)?,
                tokenizer: match CheckpointFiles::needs_tokenizer(&config) {
                    true => read(tokenizer)?,
                    false => String::new(),
                },
                config,
                labels: None,
            }),
            Err(missing) => match read(CheckpointFiles::OPEN_CLIP) {
                Ok(open_clip) => Ok(CheckpointFiles::from_open_clip(&open_clip, read(tokenizer)?)?),
                Err(_) => Err(missing),
            },
        }
    }

    /// The small files of a model whose `open_clip_config.json` is given.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field by which the model is no SigLIP.
    pub fn from_open_clip(open_clip_config: &str, tokenizer: String) -> Result<CheckpointFiles, Error> {
        let open_clip = OpenClipConfig::from_json(open_clip_config)?;
        Ok(CheckpointFiles {
            config: json!(open_clip.config()?).to_string(),
            preprocessor: open_clip.preprocessor()?.to_string(),
            tokenizer,
            labels: None,
        })
    }

    /// Whether the model of this config.json reads texts. A fine-tuned classifier does not.
    pub fn needs_tokenizer(config: &str) -> bool {
        !is_classifier(config)
    }

    /// The towers that the checkpoint's weights have: a bundle for fixed labels has no text tower, nor has a classifier.
    pub fn towers(&self) -> Towers {
        let is_bundle = self.labels.is_some() && self.tokenizer.is_empty();
        if is_bundle || is_classifier(&self.config) { Towers::Image } else { Towers::Both }
    }

    /// The model that config.json says it was made of, such as `google/siglip2-base-patch16-224`.
    pub fn source(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Source {
            _name_or_path: Option<String>,
        }
        serde_json::from_str::<Source>(&self.config).ok()?._name_or_path
    }

    /// Each file's name and content.
    pub fn named(&self) -> [(&'static str, &str); 3] {
        let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
        [(config, &self.config), (preprocessor, &self.preprocessor), (tokenizer, &self.tokenizer)]
    }
}
