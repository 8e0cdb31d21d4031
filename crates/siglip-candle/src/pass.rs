//! A pass, driven as one of [`siglip::model::Model`], for callers that drive either.

use siglip::model::{Pooling, Step};
use siglip::{Error, PixelValues};

use crate::Candle;

/// A pass through one tower. candle takes it from its beginning to its end at once, so nothing is left to do in its steps.
#[derive(Debug)]
pub struct Pass(Vec<f32>);

impl Pass {
    /// The embeddings, [images or texts, embedding size], each of L2 norm 1.
    pub fn into_embeddings(self) -> Vec<f32> {
        self.0
    }
}

impl Candle {
    /// An image's pass to its embedding.
    ///
    /// # Errors
    /// As [`Engine::image_embeds`](siglip::Engine::image_embeds).
    pub fn begin_image(&self, image: PixelValues) -> Result<Pass, Error> {
        self.image(image).map(Pass)
    }

    /// An image's pass to another vector.
    ///
    /// # Errors
    /// As [`Engine::image_vectors`](siglip::Engine::image_vectors).
    pub fn begin_image_for(
        &self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Pass, Error> {
        self.vectors(image, pooling, normalize).map(Pass)
    }

    /// A pass over texts.
    ///
    /// # Errors
    /// As [`Engine::text_embeds`](siglip::Engine::text_embeds), and without `normalize`.
    pub fn begin_texts(&self, input_ids: Vec<u32>, normalize: bool) -> Result<Pass, Error> {
        self.check_normalize(normalize)?;
        self.texts(input_ids).map(Pass)
    }

    /// Says that the pass is done.
    pub fn step(&mut self, _pass: &mut Pass) -> Step {
        Step::Done
    }

    /// The rows and columns of the patches that an image is cut into.
    ///
    /// # Errors
    /// As [`Engine::image_embeds`](siglip::Engine::image_embeds).
    pub fn patch_grid(&self, image: &PixelValues) -> Result<(usize, usize), Error> {
        self.check_image(image)?;
        let side = self.config.vision_config.patches_per_side();
        Ok((side, side))
    }
}
