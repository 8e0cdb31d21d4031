//! The two towers, and what goes in and comes out.

use candle_core::{D, Device, Module, Tensor};
use candle_transformers::models::siglip::{TextModel, VisionModel};
use siglip::model::Pooling;
use siglip::{Config, Engine, Error, LoadOptions, PixelValues, Towers};

use crate::config::OTHER_ENGINE;
use crate::loader::{CandleLoader, memory_needed};

/// Texts of one pass, as many as `siglip`'s own engine takes.
const TEXTS_PER_PASS: usize = 4;

/// candle-transformers' SigLIP.
#[derive(Debug)]
pub struct Candle {
    pub(crate) config: Config,
    pub(crate) vision: Option<VisionModel>,
    pub(crate) text: Option<TextModel>,
    /// As stored: the natural logarithm of the scale.
    pub(crate) logit_scale: f32,
    pub(crate) logit_bias: f32,
}

impl Candle {
    /// The configuration it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The factor of every cosine: exp of the stored `logit_scale`.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale.exp()
    }

    /// Added to every scaled cosine.
    pub fn logit_bias(&self) -> f32 {
        self.logit_bias
    }

    /// The towers that are loaded.
    pub fn towers(&self) -> Towers {
        match (&self.vision, &self.text) {
            (Some(_), None) => Towers::Image,
            (None, Some(_)) => Towers::Text,
            _ => Towers::Both,
        }
    }

    /// Adds the text tower of `text`, a load of the same model's text tower alone.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if it is another model's.
    pub fn add_text_tower(&mut self, text: Candle) -> Result<(), Error> {
        let own = (&self.config, self.logit_scale.to_bits(), self.logit_bias.to_bits());
        let other = (&text.config, text.logit_scale.to_bits(), text.logit_bias.to_bits());
        if own != other || text.text.is_none() {
            return Err(Error::other_text_tower());
        }
        self.text = text.text;
        Ok(())
    }

    /// Bytes that its weights take in memory.
    pub fn bytes(&self) -> usize {
        memory_needed(&self.config, self.towers()) as usize
    }

    /// Checks that an image is one that the image tower takes.
    pub(crate) fn check_image(&self, image: &PixelValues) -> Result<(), Error> {
        self.vision()?;
        let (vision, found) = (&self.config.vision_config, image.values.len());
        let expected = vision.num_channels * vision.image_size.pow(2);
        if (found, image.height) == (expected, vision.image_size) {
            return Ok(());
        }
        let height = image.height;
        Err(Error::BadInput(format!(
            "{found} pixel values of height {height}, where this model takes {expected}"
        )))
    }

    /// Checks that ids are texts that the text tower takes.
    fn check_texts(&self, input_ids: &[u32]) -> Result<(), Error> {
        self.text()?;
        let text = &self.config.text_config;
        let (found, length, vocabulary) = (input_ids.len(), text.max_position_embeddings, text.vocab_size);
        if found == 0 || !found.is_multiple_of(length) {
            return Err(Error::BadInput(format!("{found} ids are not texts of {length}")));
        }
        match input_ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(id) => Err(Error::BadInput(format!("id {id} is outside the vocabulary of {vocabulary}"))),
            None => Ok(()),
        }
    }

    pub(crate) fn image(&self, image: PixelValues) -> Result<Vec<f32>, Error> {
        self.check_image(&image)?;
        let vision = &self.config.vision_config;
        let shape = (1, vision.num_channels, vision.image_size, vision.image_size);
        embeds(self.vision()?, Tensor::from_vec(image.values, shape, &Device::Cpu))
    }

    pub(crate) fn vectors(
        &self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        self.check_normalize(normalize && pooling == Pooling::Head)?;
        self.image(image)
    }

    pub(crate) fn check_normalize(&self, normalize: bool) -> Result<(), Error> {
        let reason = || format!("candle's engine has normalized embeddings alone; {OTHER_ENGINE}");
        if normalize { Ok(()) } else { Err(Error::BadInput(reason())) }
    }

    pub(crate) fn texts(&self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        self.check_texts(&input_ids)?;
        let length = self.config.text_config.max_position_embeddings;
        let shape = (input_ids.len() / length, length);
        embeds(self.text()?, Tensor::from_vec(input_ids, shape, &Device::Cpu))
    }

    fn vision(&self) -> Result<&VisionModel, Error> {
        self.vision.as_ref().ok_or_else(|| Error::missing_tower("image"))
    }

    fn text(&self) -> Result<&TextModel, Error> {
        self.text.as_ref().ok_or_else(|| Error::missing_tower("text"))
    }
}

impl Engine for Candle {
    type Loader = CandleLoader;

    fn memory_needed(config: &Config, options: LoadOptions) -> u64 {
        memory_needed(config, options.towers)
    }

    fn loader(config: Config, options: LoadOptions) -> Result<CandleLoader, Error> {
        CandleLoader::new(config, options)
    }

    fn config(&self) -> &Config {
        Candle::config(self)
    }

    fn logit_scale(&self) -> f32 {
        Candle::logit_scale(self)
    }

    fn logit_bias(&self) -> f32 {
        Candle::logit_bias(self)
    }

    fn image_embeds(&mut self, images: Vec<PixelValues>) -> Result<Vec<f32>, Error> {
        let mut embeddings = Vec::with_capacity(images.len() * self.config.embedding_size());
        for image in images {
            embeddings.extend(self.image(image)?);
        }
        Ok(embeddings)
    }

    fn image_vectors(
        &mut self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        self.vectors(image, pooling, normalize)
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        self.texts(input_ids)
    }

    fn texts_per_pass(&self) -> usize {
        TEXTS_PER_PASS
    }

    fn add_text_tower(&mut self, text: Candle) -> Result<(), Error> {
        Candle::add_text_tower(self, text)
    }
}

/// A tower's output, each row of L2 norm 1.
fn embeds(tower: &impl Module, input: candle_core::Result<Tensor>) -> Result<Vec<f32>, Error> {
    let run = || {
        let output = tower.forward(&input?)?;
        let norm = output.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        output.broadcast_div(&norm)?.flatten_all()?.to_vec1()
    };
    run().map_err(|error: candle_core::Error| Error::BadInput(format!("candle: {error}; {OTHER_ENGINE}")))
}
