//! A checkpoint without its weights: read and checked before the first byte of those.

use crate::image::Processor;
use crate::text::Tokenizer;
use crate::{CheckpointFiles, Config, Engine, Error, LoadOptions};

/// A checkpoint without its weights.
#[derive(Debug)]
pub struct Checkpoint {
    /// `config.json`.
    pub config: Config,
    /// `preprocessor_config.json`.
    pub processor: Processor,
    /// `tokenizer.json`; `None` if that file is empty.
    pub tokenizer: Option<Tokenizer>,
}

impl Checkpoint {
    /// Parses the small files. An empty `tokenizer.json` is accepted: then no text can be read.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that is wrong, or that contradicts another file.
    pub fn parse(files: &CheckpointFiles) -> Result<Checkpoint, Error> {
        let config = Config::from_json(&files.config)?;
        let processor = Processor::from_json(&files.preprocessor)?;
        processor.check(&config.vision_config)?;
        let (tokenizer, text) = (files.tokenizer.as_bytes(), &config.text_config);
        let read = || Tokenizer::from_bytes(tokenizer, text.max_position_embeddings, text.pad_token_id);
        let tokenizer = (!tokenizer.is_empty()).then(read).transpose()?;
        Ok(Checkpoint { config, processor, tokenizer })
    }

    /// A loader that takes the weights for engine `E`.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for a text tower without a tokenizer; otherwise as [`Engine::loader`].
    pub fn loader<E: Engine>(&self, options: LoadOptions) -> Result<E::Loader, Error> {
        if options.towers.has_text() && self.tokenizer.is_none() {
            return Err(Error::unsupported("tokenizer.json", "it is empty, and texts are to be read"));
        }
        E::loader(self.config.clone(), options)
    }
}
