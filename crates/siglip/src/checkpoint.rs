//! A checkpoint without its weights: read and checked before the first byte of those.

use crate::classes::no_texts;
use crate::image::Processor;
use crate::text::Tokenizer;
use crate::{CheckpointFiles, Config, Engine, Error, LabelSets, LoadOptions, Resolution, Towers};

/// A checkpoint without its weights.
#[derive(Debug)]
pub struct Checkpoint {
    /// `config.json`.
    pub config: Config,
    /// `preprocessor_config.json`.
    pub processor: Processor,
    /// `tokenizer.json`; `None` if that file is empty.
    pub tokenizer: Option<Tokenizer>,
    /// The labels that come with their embeddings: those of a bundle, otherwise none.
    pub labels: LabelSets,
    /// The towers that its weights have.
    available: Towers,
}

impl Checkpoint {
    /// Parses the small files. An empty `tokenizer.json` is accepted: then no text can be read.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that is wrong, or that contradicts another file; [`Error::BadWeights`] for
    /// label sets that are not this model's.
    pub fn parse(files: &CheckpointFiles) -> Result<Checkpoint, Error> {
        let config = Config::from_json(&files.config)?;
        let processor = Processor::from_json(&files.preprocessor)?;
        if config.towers.has_image() {
            processor.check(&config.vision_config)?;
        }
        let (tokenizer, text) = (files.tokenizer.as_bytes(), &config.text_config);
        let read = || {
            let tokenizer =
                Tokenizer::from_bytes(tokenizer, text.max_position_embeddings, text.pad_token_id)?;
            Ok::<_, Error>(tokenizer.canonicalizing(text.canonicalize))
        };
        let is_read = !tokenizer.is_empty() && config.classifier.is_none();
        let tokenizer = is_read.then(read).transpose()?;
        let labels = match &files.labels {
            Some(json) => LabelSets::of_bundle(json, config.embedding_size())?,
            None => LabelSets::default(),
        };
        Ok(Checkpoint { config, processor, tokenizer, labels, available: files.towers() })
    }

    /// The checkpoint of a model that sees images at this resolution.
    ///
    /// # Errors
    /// As [`Config::at`].
    pub fn at(mut self, resolution: Resolution) -> Result<Checkpoint, Error> {
        self.config = self.config.at(resolution)?;
        self.processor.set_resolution(resolution);
        Ok(self)
    }

    /// Those of the wanted towers that the checkpoint has.
    ///
    /// # Errors
    /// [`Error::BadInput`] if a tower alone is wanted that a bundle, a classifier or a checkpoint of one tower lacks.
    pub fn towers(&self, wanted: Towers) -> Result<Towers, Error> {
        match (self.available, wanted) {
            (Towers::Image, Towers::Text) => Err(match &self.config.classifier {
                Some(classifier) => no_texts(classifier),
                None if self.config.towers == Towers::Image => no_tower("text"),
                None => no_text_tower(),
            }),
            (Towers::Text, Towers::Image) => Err(no_tower("image")),
            (Towers::Both, wanted) => Ok(wanted),
            (available, _) => Ok(available),
        }
    }

    /// A loader that takes the weights for engine `E`.
    ///
    /// # Errors
    /// As [`Checkpoint::options`] and [`Engine::loader`].
    pub fn loader<E: Engine>(&self, options: LoadOptions) -> Result<E::Loader, Error> {
        E::loader(self.config.clone(), self.options(options)?)
    }

    /// These options, with those of the wanted towers that the checkpoint has.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for a text tower without a tokenizer; otherwise as [`Checkpoint::towers`].
    pub fn options(&self, mut options: LoadOptions) -> Result<LoadOptions, Error> {
        options.towers = self.towers(options.towers)?;
        if options.towers.has_text() && self.tokenizer.is_none() {
            return Err(Error::unsupported("tokenizer.json", "it is empty, and texts are to be read"));
        }
        Ok(options)
    }
}

fn no_tower(tower: &str) -> Error {
    Error::BadInput(format!("this checkpoint has no {tower} tower: its config.json is that of the other one"))
}

/// The error of a call that needs the text tower of a bundle.
pub(crate) fn no_text_tower() -> Error {
    Error::BadInput(
        "this is a bundle for fixed labels, without a text tower; for other texts load the model that it was made of".into(),
    )
}
