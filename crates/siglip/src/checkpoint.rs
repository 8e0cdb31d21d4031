//! A checkpoint's small files, and the whole that answers questions.

use std::collections::HashMap;

use crate::image::{Processor, RgbImage};
use crate::model::{Model, ModelLoader, Precision, Shard, Towers, missing_tower};
use crate::scores::{Keep, Score, rank};
use crate::text::{Template, Tokenizer};
use crate::weights::{Metadata, TensorShape, TensorSink};
use crate::{Config, Error};

/// Longer labels are refused: far more than any text tower reads.
const MAX_LABEL: usize = 1000;
/// Texts that go through the tower together: enough rows to be worth the weights' way through the caches.
const TEXTS_A_PASS: usize = 4;
/// Text embeddings kept at most; past that the oldest half goes.
const TEXTS_KEPT: usize = 4096;

/// A checkpoint's small files as they are published, and as a GGUF carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFiles {
    /// `config.json`.
    pub config: String,
    /// `preprocessor_config.json`.
    pub preprocessor: String,
    /// `tokenizer.json`; empty where no text is to be read.
    pub tokenizer: String,
}

impl CheckpointFiles {
    /// Reads them.
    ///
    /// # Errors
    /// As [`Checkpoint::parse`].
    pub fn parse(&self) -> Result<Checkpoint, Error> {
        Checkpoint::parse(&self.config, &self.preprocessor, self.tokenizer.as_bytes())
    }
}

/// A checkpoint without its weights: read and checked before the first byte of those.
#[derive(Debug)]
pub struct Checkpoint {
    /// `config.json`.
    pub config: Config,
    /// `preprocessor_config.json`.
    pub processor: Processor,
    /// `tokenizer.json`, unless no text is to be read.
    pub tokenizer: Option<Tokenizer>,
}

impl Checkpoint {
    /// Reads `config.json`, `preprocessor_config.json` and `tokenizer.json`, the last of which may be empty where no text
    /// is to be read.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names the field that does not fit, also where two files contradict each other.
    pub fn parse(config: &str, preprocessor: &str, tokenizer: &[u8]) -> Result<Checkpoint, Error> {
        let config = Config::from_json(config)?;
        let processor = Processor::from_json(preprocessor)?;
        processor.check(&config.vision_config)?;
        let text = &config.text_config;
        let read = || Tokenizer::from_bytes(tokenizer, text.max_position_embeddings, text.pad_token_id);
        let tokenizer = (!tokenizer.is_empty()).then(read).transpose()?;
        Ok(Checkpoint { config, processor, tokenizer })
    }

    /// What takes the weights.
    ///
    /// # Errors
    /// As [`ModelLoader::new`].
    pub fn loader(&self, precision: Precision, shard: Shard) -> Result<ModelLoader, Error> {
        self.loader_of(Towers::Both, precision, shard)
    }

    /// The same for one tower, or both.
    ///
    /// # Errors
    /// As [`ModelLoader::new`]; [`Error::UnsupportedModel`] for a text tower without a tokenizer.
    pub fn loader_of(
        &self,
        towers: Towers,
        precision: Precision,
        shard: Shard,
    ) -> Result<ModelLoader, Error> {
        if towers.has_text() && self.tokenizer.is_none() {
            return Err(Error::unsupported("tokenizer.json", "it is empty, and texts are to be read"));
        }
        ModelLoader::of_towers(self.config.clone(), towers, precision, shard)
    }
}

/// Builds a [`Siglip`] from a GGUF that carries the checkpoint's small files, as `siglip convert` writes it.
#[derive(Debug)]
pub struct GgufLoader {
    precision: Precision,
    shard: Shard,
    /// Once the file's header has arrived.
    begun: Option<(Checkpoint, ModelLoader)>,
}

impl GgufLoader {
    /// What a [`WeightReader`](crate::weights::WeightReader) is to be given for such a file.
    pub fn new(precision: Precision, shard: Shard) -> GgufLoader {
        GgufLoader { precision, shard, begun: None }
    }

    /// The small files' content, once the file's header has arrived.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.begun.as_ref().map(|(checkpoint, _)| checkpoint)
    }

    /// What answers, once the file has been read to its end.
    ///
    /// # Errors
    /// As [`ModelLoader::finish`].
    pub fn finish(self) -> Result<Siglip, Error> {
        let (checkpoint, loader) = self.begun.ok_or_else(not_begun)?;
        Ok(Siglip::new(checkpoint, loader.finish()?))
    }

    fn loader(&mut self) -> Result<&mut ModelLoader, Error> {
        self.begun.as_mut().map(|(_, loader)| loader).ok_or_else(not_begun)
    }
}

fn not_begun() -> Error {
    Error::BadWeights("this file is no GGUF that carries its configuration".into())
}

impl TensorSink for GgufLoader {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), Error> {
        let checkpoint = metadata.into_files()?.parse()?;
        let loader = checkpoint.loader(self.precision, self.shard)?;
        self.begun = Some((checkpoint, loader));
        Ok(())
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error> {
        self.loader()?.begin(tensors)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.loader()?.rows(tensor, first_row, values)
    }
}

/// A loaded model that answers: pictures and labels in, probabilities out.
///
/// Text embeddings are kept, so that labels seen before cost nothing.
#[derive(Debug)]
pub struct Siglip {
    model: Model,
    processor: Processor,
    tokenizer: Option<Tokenizer>,
    texts: TextCache,
}

impl Siglip {
    /// Joins a checkpoint's small files and its model.
    pub fn new(checkpoint: Checkpoint, model: Model) -> Siglip {
        let Checkpoint { processor, tokenizer, .. } = checkpoint;
        Siglip { model, processor, tokenizer, texts: TextCache::default() }
    }

    /// The model, for what this type does not offer.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model, to drive its passes step by step.
    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// A picture as the model sees it: [3, height, width], see [`Siglip::height`].
    ///
    /// # Errors
    /// [`Error::BadImage`] where the picture cannot be resized.
    pub fn pixel_values(&self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        self.processor.pixel_values(image)
    }

    /// Lines of [`Siglip::pixel_values`] of this picture.
    pub fn height(&self, image: &RgbImage) -> usize {
        self.processor.sides(image).1 as usize
    }

    /// Those of `texts` whose embeddings are not there yet, as many as go through the tower together.
    pub fn missing_texts(&self, texts: &[String]) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for text in texts {
            if missing.len() < TEXTS_A_PASS
                && !self.texts.embeddings.contains_key(text)
                && !missing.contains(text)
            {
                missing.push(text.clone());
            }
        }
        missing
    }

    /// The texts as the model reads them: [texts, context length].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; [`Error::BadInput`] without the text tower.
    pub fn input_ids(&self, texts: &[String]) -> Result<Vec<u32>, Error> {
        let mut input_ids = Vec::new();
        for text in texts {
            input_ids.extend(self.tokenizer()?.encode(text)?);
        }
        Ok(input_ids)
    }

    /// The words of a label that the model cannot read.
    ///
    /// # Errors
    /// As [`Siglip::input_ids`].
    pub fn unknown_words(&self, label: &str) -> Result<Vec<String>, Error> {
        self.tokenizer()?.unknown_words(label)
    }

    fn tokenizer(&self) -> Result<&Tokenizer, Error> {
        self.tokenizer.as_ref().ok_or_else(|| missing_tower("text"))
    }

    /// Keeps what a pass over `texts` made.
    pub fn keep_texts(&mut self, texts: &[String], embeddings: &[f32]) {
        for (text, embedding) in
            texts.iter().zip(embeddings.chunks_exact(self.model.config().embedding_size()))
        {
            self.texts.insert(text.clone(), embedding.to_vec());
        }
    }

    /// The kept embedding of a text.
    pub fn kept_text(&self, text: &str) -> Option<&[f32]> {
        self.texts.embeddings.get(text).map(Vec::as_slice)
    }

    /// The picture's embedding, of L2 norm 1.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`].
    pub fn image_embeds(&mut self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        let pass = self.model.begin_image_of_height(self.pixel_values(image)?, self.height(image))?;
        Ok(self.model.run(pass))
    }

    /// The texts' embeddings, each of L2 norm 1.
    ///
    /// # Errors
    /// As [`Siglip::input_ids`].
    pub fn text_embeds(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut embeddings = Vec::with_capacity(texts.len());
        // In portions, so that no more has to be kept at a time than the cache holds.
        for portion in texts.chunks(TEXTS_A_PASS) {
            let missing = self.missing_texts(portion);
            if !missing.is_empty() {
                let pass = self.model.begin_texts(self.input_ids(&missing)?)?;
                let embeddings = self.model.run(pass);
                self.keep_texts(&missing, &embeddings);
            }
            embeddings.extend(portion.iter().filter_map(|text| self.kept_text(text)).map(<[f32]>::to_vec));
        }
        Ok(embeddings)
    }

    /// The labels' scores for a picture's embedding, best first.
    ///
    /// # Errors
    /// As [`prompts`].
    pub fn scores(
        &mut self,
        image_embeds: &[f32],
        labels: &[String],
        template: &Template,
        keep: Keep,
    ) -> Result<Vec<Score>, Error> {
        let text_embeds = self.text_embeds(&prompts(labels, template)?)?.concat();
        let logits = self.model.logits_per_image(image_embeds, &text_embeds);
        let score = |(label, &logit): (&String, &f32)| {
            let unknown = self.unknown_words(label)?;
            let read = unknown.is_empty();
            Ok(if read {
                Score::new(label, logit)
            } else {
                Score::unread(label, unknown, self.model.logit_bias())
            })
        };
        Ok(rank(labels.iter().zip(&logits).map(score).collect::<Result<_, Error>>()?, keep))
    }

    /// Decodes nothing, keeps nothing of the picture: the labels' scores, best first.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`] and [`prompts`].
    pub fn classify(
        &mut self,
        image: &RgbImage,
        labels: &[String],
        template: &Template,
        keep: Keep,
    ) -> Result<Vec<Score>, Error> {
        let image_embeds = self.image_embeds(image)?;
        self.scores(&image_embeds, labels, template, keep)
    }
}

/// The texts that ask for `labels`.
///
/// # Errors
/// [`Error::BadInput`] for no labels, an empty one, or one that is no label any more.
pub fn prompts(labels: &[String], template: &Template) -> Result<Vec<String>, Error> {
    if labels.is_empty() {
        return Err(Error::BadInput("there are no labels; give at least one".into()));
    }
    for label in labels {
        let length = label.chars().count();
        if label.trim().is_empty() {
            return Err(Error::BadInput("a label is empty; remove it or give it a name".into()));
        }
        if length > MAX_LABEL {
            let start: String = label.chars().take(20).collect();
            let reason = format!(
                "the label \"{start}…\" has {length} characters; shorten it to {MAX_LABEL} at most: the model reads \
                 but the first few dozen words"
            );
            return Err(Error::BadInput(reason));
        }
    }
    Ok(labels.iter().map(|label| template.apply(label)).collect())
}

#[derive(Debug, Default)]
struct TextCache {
    embeddings: HashMap<String, Vec<f32>>,
    /// Oldest first.
    order: std::collections::VecDeque<String>,
}

impl TextCache {
    fn insert(&mut self, text: String, embedding: Vec<f32>) {
        if self.order.len() >= TEXTS_KEPT {
            for old in self.order.drain(..TEXTS_KEPT / 2) {
                self.embeddings.remove(&old);
            }
        }
        if self.embeddings.insert(text.clone(), embedding).is_none() {
            self.order.push_back(text);
        }
    }
}
