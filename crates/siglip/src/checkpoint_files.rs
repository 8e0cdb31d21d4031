//! The small files that describe a checkpoint: everything but its weights.

use serde::Deserialize;
use serde_json::json;

use crate::config::{OpenClipConfig, towers_of};
use crate::{Error, PublishedTokenizer, Towers};

/// In place of the `preprocessor_config.json` of a model that sees no images.
pub const NO_PREPROCESSOR: &str = "{}";

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

    /// The file that has the second one's contents in it in folders that transformers 5 has written.
    pub const PROCESSOR: &str = "processor_config.json";

    /// The file that a folder of open_clip's has in place of the first two.
    pub const OPEN_CLIP: &str = OpenClipConfig::NAME;

    /// The contents of [`CheckpointFiles::NAMES`], each read by `read`. Where the first is missing, they are made of
    /// [`CheckpointFiles::OPEN_CLIP`]; where the second is missing, [`CheckpointFiles::PROCESSOR`] is taken.
    ///
    /// # Errors
    /// The first error of `read`; for a missing tokenizer, [`PublishedTokenizer::missing`] where there is one.
    pub fn read<E: From<Error>>(
        mut read: impl FnMut(&'static str) -> Result<String, E>,
    ) -> Result<CheckpointFiles, E> {
        let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES;
        match read(config) {
            Ok(config) => Ok(CheckpointFiles {
                preprocessor: match CheckpointFiles::needs_preprocessor(&config) {
                    true => read(preprocessor)
                        .or_else(|missing| read(CheckpointFiles::PROCESSOR).map_err(|_| missing))?,
                    false => NO_PREPROCESSOR.into(),
                },
                tokenizer: match CheckpointFiles::needs_tokenizer(&config) {
                    true => read(tokenizer).map_err(|missing| match PublishedTokenizer::of(&config) {
                        Some(published) => published.missing().into(),
                        None => missing,
                    })?,
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

    /// Whether the model of this config.json reads texts. A fine-tuned classifier and a vision tower do not.
    pub fn needs_tokenizer(config: &str) -> bool {
        towers_of(config).has_text()
    }

    /// Whether the model of this config.json sees images. A text tower does not, and has no `preprocessor_config.json`.
    pub fn needs_preprocessor(config: &str) -> bool {
        towers_of(config).has_image()
    }

    /// The towers that the checkpoint's weights have: a bundle for fixed labels has no text tower, nor has a classifier.
    pub fn towers(&self) -> Towers {
        let is_bundle = self.labels.is_some() && self.tokenizer.is_empty();
        if is_bundle { Towers::Image } else { towers_of(&self.config) }
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
