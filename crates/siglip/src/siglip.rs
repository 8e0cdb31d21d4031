//! The facade: images and labels in, probabilities out.

use std::io::{self, Read};

use crate::classes::no_texts;
use crate::image::{Processor, RgbImage};
use crate::index::IndexModel;
use crate::label_sets::mean_embedding;
use crate::model::{Model, Pooling};
use crate::scores::{Adjustment, LogitScale, Score, ScoreFilter, rank};
use crate::text::{Template, Tokenizer};
use crate::text_cache::TextCache;
use crate::{Checkpoint, Engine, Error, LabelSets, LoadOptions, PixelValues, loading, prompts};

/// Labels whose texts are embedded at a time.
const LABELS: usize = 64;

/// A loaded model: images and labels in, probabilities out.
///
/// `E` runs the towers. Text embeddings are cached, so labels seen before cost nothing.
#[derive(Debug)]
pub struct Siglip<E = Model> {
    pub(crate) engine: E,
    processor: Processor,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) texts: TextCache,
    /// The labels that come with their embeddings.
    pub(crate) label_sets: LabelSets,
    /// Whether the text tower and the tokenizer are added later.
    pub(crate) expects_text: bool,
}

impl Siglip {
    /// Loads a checkpoint in the hub's layout. `open` opens a file by its name: `config.json`,
    /// `preprocessor_config.json`, `tokenizer.json`, then `model.safetensors`, or
    /// `model.safetensors.index.json` and the files it names, or files for transformers.js such as
    /// `onnx/model_quantized.onnx`.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a file that cannot be read, [`Error::InFile`] for one that is wrong, and
    /// [`Error::OutOfMemory`].
    pub fn from_files<R: Read>(
        open: impl FnMut(&str) -> io::Result<R>,
        options: LoadOptions,
    ) -> Result<Siglip, Error> {
        Siglip::from_files_with_engine(open, options)
    }

    /// Loads a checkpoint whose weights are in these ONNX files, such as [`onnx_files`](crate::weights::onnx_files) and
    /// [`OnnxDtypes::files`](crate::weights::OnnxDtypes::files) list them. `open` opens them and the small files.
    ///
    /// The files of single towers lack the model's scale and bias. If there is no `model.safetensors` that has them, and they
    /// are not known either, the model embeds but has no scores.
    ///
    /// # Errors
    /// As [`Siglip::from_files`].
    pub fn from_onnx<R: Read>(
        open: impl FnMut(&str) -> io::Result<R>,
        names: &[String],
        options: LoadOptions,
    ) -> Result<Siglip, Error> {
        Siglip::from_onnx_with_engine(open, names, options)
    }

    /// Loads a GGUF that carries the checkpoint's small files, as `siglip convert` writes it.
    ///
    /// # Errors
    /// [`Error::BadWeights`], [`Error::UnsupportedModel`], [`Error::OutOfMemory`], and [`Error::Unreadable`] if `file`
    /// cannot be read.
    pub fn from_gguf(file: impl Read, options: LoadOptions) -> Result<Siglip, Error> {
        Siglip::from_gguf_with_engine(file, options)
    }
}

impl<E: Engine> Siglip<E> {
    /// [`Siglip::from_files`] for any engine.
    ///
    /// # Errors
    /// As [`Siglip::from_files`].
    pub fn from_files_with_engine<R: Read>(
        open: impl FnMut(&str) -> io::Result<R>,
        options: LoadOptions,
    ) -> Result<Siglip<E>, Error> {
        let (checkpoint, engine) = loading::from_files(open, options)?;
        Ok(Siglip::new(checkpoint, engine))
    }

    /// [`Siglip::from_onnx`] for any engine.
    ///
    /// # Errors
    /// As [`Siglip::from_files`].
    pub fn from_onnx_with_engine<R: Read>(
        open: impl FnMut(&str) -> io::Result<R>,
        names: &[String],
        options: LoadOptions,
    ) -> Result<Siglip<E>, Error> {
        let (checkpoint, engine) = loading::from_onnx(open, names, options)?;
        Ok(Siglip::new(checkpoint, engine))
    }

    /// [`Siglip::from_gguf`] for any engine.
    ///
    /// # Errors
    /// As [`Siglip::from_gguf`].
    pub fn from_gguf_with_engine(file: impl Read, options: LoadOptions) -> Result<Siglip<E>, Error> {
        let (checkpoint, engine) = loading::from_gguf(file, options)?;
        Ok(Siglip::new(checkpoint, engine))
    }

    /// Joins a checkpoint's small files and the engine that was loaded with its weights.
    pub fn new(checkpoint: Checkpoint, engine: E) -> Siglip<E> {
        let Checkpoint { processor, tokenizer, labels, .. } = checkpoint;
        let (texts, expects_text) = (TextCache::default(), false);
        Siglip { engine, processor, tokenizer, texts, label_sets: labels, expects_text }
    }

    /// The most patches of an image, where images keep their aspect.
    pub fn max_patches(&self) -> Option<usize> {
        self.processor.max_patches()
    }

    /// The engine, for what this type does not offer.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The engine, to drive it directly.
    pub fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    /// Takes the engine out, and leaves all else.
    pub fn into_engine(self) -> E {
        self.engine
    }

    /// The same with another engine, made of this one.
    pub fn map_engine<F: Engine>(self, into: impl FnOnce(E) -> F) -> Siglip<F> {
        let Siglip { engine, processor, tokenizer, texts, label_sets, expects_text } = self;
        Siglip { engine: into(engine), processor, tokenizer, texts, label_sets, expects_text }
    }

    /// Exchanges the engine and the tokenizer with another's. The embedded texts and the label sets stay.
    pub fn exchange_engine(&mut self, other: &mut Siglip<E>) {
        std::mem::swap(&mut self.engine, &mut other.engine);
        std::mem::swap(&mut self.tokenizer, &mut other.tokenizer);
        std::mem::swap(&mut self.expects_text, &mut other.expects_text);
    }

    /// The image as the model sees it.
    ///
    /// # Errors
    /// [`Error::BadImage`] if the image cannot be resized.
    pub fn pixel_values(&self, image: &RgbImage) -> Result<PixelValues, Error> {
        let (_, height) = self.processor.sides(image);
        Ok(PixelValues::new(self.processor.pixel_values(image)?, height as usize))
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
        match (&self.tokenizer, self.texts.unknown_words(label)) {
            (None, Some(known)) => Ok(known.to_vec()),
            _ => self.tokenizer()?.unknown_words(label),
        }
    }

    fn tokenizer(&self) -> Result<&Tokenizer, Error> {
        self.tokenizer.as_ref().ok_or_else(|| self.no_text())
    }

    /// Those of `texts` that have no cached embedding, at most as many as one pass takes.
    pub fn uncached_texts(&self, texts: &[String]) -> Vec<String> {
        let mut uncached: Vec<String> = Vec::new();
        for text in texts {
            if uncached.len() < self.engine.texts_per_pass()
                && self.cached_text(text).is_none()
                && !uncached.contains(text)
            {
                uncached.push(text.clone());
            }
        }
        uncached
    }

    /// Caches the embeddings that a pass over `texts` returned.
    pub fn cache_texts(&mut self, texts: &[String], embeddings: &[f32]) {
        let embeddings = embeddings.chunks_exact(self.engine.config().embedding_size());
        for (text, embedding) in texts.iter().zip(embeddings) {
            self.texts.insert(text.clone(), embedding.to_vec());
        }
    }

    /// The cached embedding of a text.
    pub fn cached_text(&self, text: &str) -> Option<&[f32]> {
        self.texts.get(text)
    }

    /// The image's embedding, of L2 norm 1. Of a fine-tuned classifier: the mean over the patches, as its last layer takes it.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`].
    pub fn image_embeds(&mut self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        let pixel_values = self.pixel_values(image)?;
        self.engine.image_embeds(vec![pixel_values])
    }

    /// [`Siglip::image_embeds`] of each of several images, which an engine may embed at once.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`].
    pub fn images_embeds(&mut self, images: &[RgbImage]) -> Result<Vec<Vec<f32>>, Error> {
        let pixel_values = images.iter().map(|image| self.pixel_values(image)).collect::<Result<_, _>>()?;
        let embeddings = self.engine.image_embeds(pixel_values)?;
        Ok(embeddings.chunks(self.engine.config().embedding_size()).map(<[f32]>::to_vec).collect())
    }

    /// An image's vectors for other uses than scores: what `pooling` makes of the patches, one vector or several, one after the
    /// other. `normalize` gives each an L2 norm of 1.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`] and [`Engine::image_vectors`].
    pub fn image_vectors(
        &mut self,
        image: &RgbImage,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        let pixel_values = self.pixel_values(image)?;
        self.engine.image_vectors(pixel_values, pooling, normalize)
    }

    /// The texts' embeddings, each of L2 norm 1.
    ///
    /// # Errors
    /// As [`Siglip::input_ids`].
    pub fn text_embeds(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut embeddings = Vec::with_capacity(texts.len());
        // One pass at a time: the cache need not hold all texts at once.
        for portion in texts.chunks(self.engine.texts_per_pass()) {
            let uncached = self.uncached_texts(portion);
            if !uncached.is_empty() {
                let input_ids = self.input_ids(&uncached)?;
                let embeddings = self.engine.text_embeds(input_ids)?;
                self.cache_texts(&uncached, &embeddings);
            }
            embeddings.extend(portion.iter().filter_map(|text| self.cached_text(text)).map(<[f32]>::to_vec));
        }
        Ok(embeddings)
    }

    /// The logits of one image for every text, from their embeddings.
    pub fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        self.engine.logits_per_image(image_embeds, text_embeds)
    }

    /// Checks that the model has what scores are made with.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a model loaded from ONNX files of single towers, without a scale and bias, and for a
    /// fine-tuned classifier, which scores its own classes only.
    pub fn check_logits(&self) -> Result<(), Error> {
        if let Some(classifier) = self.classifier() {
            return Err(no_texts(classifier));
        }
        match self.engine.logit_scale().is_nan() || self.engine.logit_bias().is_nan() {
            false => Ok(()),
            true => Err(Error::BadInput(
                "the model's files have no logit_scale and no logit_bias, so there are embeddings but no scores; load the \
                 file with both towers, or one with model.safetensors beside"
                    .into(),
            )),
        }
    }

    /// The labels' scores for an image's embedding, best first.
    ///
    /// # Errors
    /// As [`prompts`].
    pub fn scores(
        &mut self,
        image_embeds: &[f32],
        labels: &[String],
        template: &Template,
        filter: ScoreFilter,
    ) -> Result<Vec<Score>, Error> {
        self.check_logits()?;
        let label_embeds = self.label_embeds(labels, template)?;
        let logits = self.logit_scale(filter.adjustment);
        let score = |(label, embedding): (&String, &Vec<f32>)| {
            let unknown = self.unknown_words(label)?;
            Ok(match unknown.is_empty() {
                true => Score::of_cosine(label, siglip_kernels::dot(image_embeds, embedding), logits),
                false => Score::unread(label, unknown, logits),
            })
        };
        Ok(rank(labels.iter().zip(&label_embeds).map(score).collect::<Result<_, Error>>()?, filter))
    }

    /// The labels' embeddings: of each, the mean over the template's sentences, of L2 norm 1 again.
    ///
    /// # Errors
    /// As [`prompts`] and [`Siglip::input_ids`].
    pub fn label_embeds(&mut self, labels: &[String], template: &Template) -> Result<Vec<Vec<f32>>, Error> {
        let mut embeddings = Vec::with_capacity(labels.len());
        // A few labels at a time: with many sentences the texts of all would fill the memory.
        for labels in labels.chunks(LABELS) {
            let texts = self.text_embeds(&prompts(labels, template)?)?;
            embeddings.extend(texts.chunks(template.len()).map(mean_embedding));
        }
        Ok(embeddings)
    }

    /// What turns a cosine into a logit, with a person's change of it.
    pub fn logit_scale(&self, adjustment: Adjustment) -> LogitScale {
        LogitScale { scale: self.engine.logit_scale(), bias: self.engine.logit_bias(), adjustment }
    }

    /// What an index of this model's embeddings is known by. `name` is for people.
    pub fn index_model(&self, name: &str) -> IndexModel {
        IndexModel {
            name: name.into(),
            embedding_size: self.engine.config().embedding_size(),
            logit_scale: self.engine.logit_scale(),
            logit_bias: self.engine.logit_bias(),
        }
    }

    /// The labels' scores for an image, best first.
    ///
    /// # Errors
    /// As [`Siglip::pixel_values`] and [`prompts`].
    pub fn classify(
        &mut self,
        image: &RgbImage,
        labels: &[String],
        template: &Template,
        filter: ScoreFilter,
    ) -> Result<Vec<Score>, Error> {
        let image_embeds = self.image_embeds(image)?;
        self.scores(&image_embeds, labels, template, filter)
    }
}
