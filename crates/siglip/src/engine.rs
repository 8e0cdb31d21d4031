//! The one interface between a checkpoint and whatever runs its towers.
//!
//! [`Model`](crate::model::Model) is the engine of this crate. Others may run the same towers elsewhere: everything
//! above this trait ([`Checkpoint`](crate::Checkpoint), texts, images, scores, evaluation) works with any of them.

use crate::model::Pooling;
use crate::weights::{TensorSink, WeightIndex};
use crate::{Config, Error, LoadOptions, scores};

/// One image as the image tower reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelValues {
    /// [channels, height, width], row-major.
    pub values: Vec<f32>,
    /// Height in pixels. The width follows from the number of values.
    pub height: usize,
}

impl PixelValues {
    /// An image of `height` rows of pixels.
    pub fn new(values: Vec<f32>, height: usize) -> PixelValues {
        PixelValues { values, height }
    }
}

/// Runs the two towers of a SigLIP model.
pub trait Engine: Sized {
    /// Takes the weights and becomes the engine.
    type Loader: EngineLoader<Engine = Self>;

    /// Peak memory in bytes that loading takes.
    fn memory_needed(config: &Config, options: LoadOptions) -> u64;

    /// Begins an engine without weights.
    ///
    /// # Errors
    /// [`Error::BadInput`] for options that this engine does not have, [`Error::OutOfMemory`] if there is less memory
    /// than [`Engine::memory_needed`].
    fn loader(config: Config, options: LoadOptions) -> Result<Self::Loader, Error>;

    /// The configuration it was built from.
    fn config(&self) -> &Config;

    /// exp of the checkpoint's `logit_scale`: the factor of every cosine.
    fn logit_scale(&self) -> f32;

    /// The checkpoint's `logit_bias`, which is added to every scaled cosine.
    fn logit_bias(&self) -> f32;

    /// The embeddings of images, [images, embedding size], each of L2 norm 1. Those of a fine-tuned classifier are the means
    /// over the patches that its last layer takes, which have no such norm.
    ///
    /// # Errors
    /// [`Error::BadInput`] for an image of a size that this model does not take: it takes image_size squared, or with
    /// NaFlex any whole number of patches. Also without the image tower.
    fn image_embeds(&mut self, images: Vec<PixelValues>) -> Result<Vec<f32>, Error>;

    /// What `pooling` makes of an image's patches, each vector of L2 norm 1 if `normalize` is set: [vectors, embedding size].
    ///
    /// # Errors
    /// As [`Engine::image_embeds`]; [`Error::BadInput`] for the pooling head of a classifier, which has none, and in engines
    /// that have no such vectors.
    fn image_vectors(
        &mut self,
        _image: PixelValues,
        _pooling: Pooling,
        _normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        Err(Error::BadInput("this engine has no vectors but embeddings".into()))
    }

    /// The embeddings of texts, [texts, embedding size], each of L2 norm 1, from `input_ids` [texts, context length].
    ///
    /// # Errors
    /// [`Error::BadInput`] for ids that are not whole texts or lie outside the vocabulary, and without the text tower.
    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error>;

    /// Number of texts worth embedding at once.
    fn texts_per_pass(&self) -> usize;

    /// Number of images worth embedding at once.
    fn images_per_pass(&self) -> usize {
        1
    }

    /// Adds the text tower of `text`, a load of the same model's text tower alone.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if it is another model's; [`Error::BadInput`] in engines whose text tower cannot come later.
    fn add_text_tower(&mut self, _text: Self) -> Result<(), Error> {
        Err(Error::BadInput("this engine loads both towers at once".into()))
    }

    /// The logits of a fine-tuned classifier's classes, of an image's embedding. Of other models there are none.
    fn class_logits(&self, _image_embeds: &[f32]) -> Vec<f32> {
        Vec::new()
    }

    /// The logits of one image for every text: cosine x [`Engine::logit_scale`] + [`Engine::logit_bias`].
    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        scores::logits_per_image(image_embeds, text_embeds, self.logit_scale(), self.logit_bias())
    }
}

/// Builds an [`Engine`] from tensors as they arrive.
pub trait EngineLoader: TensorSink {
    /// What it builds.
    type Engine;

    /// Says that the weights are in several files. Each goes through a [`WeightReader`](crate::weights::WeightReader) of
    /// its own, in the order of [`WeightIndex::files`].
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that the index lacks, or that belongs to another model.
    fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error>;

    /// Whether `logit_scale` or `logit_bias` has not arrived. The ONNX files of a single tower have neither.
    fn lacks_logits(&self) -> bool;

    /// Says that they will not arrive. The model then embeds, but its logits are NaN.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if one of the two has arrived.
    fn without_logits(&mut self) -> Result<(), Error>;

    /// The engine, once the weights have been read to their end.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that has not arrived.
    fn finish(self) -> Result<Self::Engine, Error>;
}
