//! What a GPU needs to run the blocks of this worker's model.

use siglip::model::Pass;
use siglip::{Config, PixelValues, Precision, Resolution, Towers};
use siglip_gpu::{Sizes, pooling_queries};
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{Engine, misused};

const NO_PASS: &str = "no pass was started";

#[wasm_bindgen]
impl Engine {
    /// The [`Sizes`] that a plan of a model's blocks is made of, as text for the module that makes it. `config` and `towers` are those
    /// of the callback `onConfig`.
    pub fn gpu_sizes(
        config: &str,
        towers: &str,
        precision: &str,
        image_size: Option<usize>,
    ) -> Result<String, JsValue> {
        let resolution = Resolution { image_size, ..Resolution::default() };
        let config =
            Config::from_json(config).and_then(|config| config.at(resolution)).map_err(Error::from)?;
        let towers = towers_named(towers)?;
        let precision =
            Precision::from_name(precision).ok_or_else(|| misused("there is no such precision"))?;
        let sizes = Sizes::new(&config, towers, precision);
        let sizes = sizes.map_err(|unsupported| Error::BadInput(unsupported.reason()))?;
        Ok(sizes.to_text())
    }

    /// Starts one pass of several images of the same size: pixel values [images, 3, height, width].
    pub fn begin_images(
        &mut self,
        pixel_values: &[f32],
        images: usize,
        height: usize,
    ) -> Result<(), JsValue> {
        let of_each = pixel_values.chunks((pixel_values.len() / images.max(1)).max(1));
        let images = of_each.map(|values| PixelValues::new(values.to_vec(), height)).collect();
        self.pass = Some(self.model()?.begin_images(images).map_err(Error::from)?);
        Ok(())
    }

    /// The images or texts of the pass.
    pub fn sequences(&self) -> usize {
        self.pass.as_ref().map_or(0, Pass::sequences)
    }

    /// What the pass begins with: the images' patches, [rows, values of a patch], or the texts' residual stream, [rows, hidden
    /// size].
    pub fn gpu_rows(&self) -> Result<Vec<f32>, JsValue> {
        let (model, pass) = (self.model()?, self.pass()?);
        Ok(if pass.patch_grid().is_some() { model.patches(pass) } else { model.hidden_states() }.to_vec())
    }

    /// Names the position embeddings of the pass; empty for texts, which need none.
    pub fn grid(&self) -> Result<String, JsValue> {
        Ok(self
            .pass()?
            .patch_grid()
            .map_or_else(String::new, |(rows, columns)| rows.to_string() + "x" + &columns.to_string()))
    }

    /// The position embeddings that each image's patch embeddings are added to, [patches, hidden size].
    pub fn positions(&self) -> Result<Vec<f32>, JsValue> {
        Ok(self.model()?.positions(self.pass()?))
    }

    /// Whether the pass ends with the tower's head.
    pub fn ends_with_head(&self) -> Result<bool, JsValue> {
        Ok(self.pass()?.ends_with_head())
    }

    /// A batch of weights for the GPU, once the model is loaded: see [`pooling_queries`].
    pub fn gpu_batch(&self) -> Result<Vec<u8>, JsValue> {
        Ok(pooling_queries(self.model()?))
    }

    /// Ends the pass with embeddings that are not yet normalized.
    pub fn set_embeddings(&mut self, embeddings: Vec<f32>) -> Result<(), JsValue> {
        let mut pass = self.pass.take().ok_or_else(|| misused(NO_PASS))?;
        let set = self.model()?.set_embeddings(&mut pass, embeddings);
        self.pass = Some(pass);
        Ok(set.map_err(Error::from)?)
    }

    fn pass(&self) -> Result<&Pass, JsValue> {
        self.pass.as_ref().ok_or_else(|| misused(NO_PASS))
    }

    /// Puts the last block's output in the place of the residual stream.
    pub fn set_hidden_states(&mut self, hidden_states: &[f32]) -> Result<(), JsValue> {
        let pass = self.pass.take().ok_or_else(|| misused(NO_PASS))?;
        let set = self.model_mut()?.set_hidden_states(&pass, hidden_states);
        self.pass = Some(pass);
        Ok(set.map_err(Error::from)?)
    }

    /// The first block of a tower, on the CPU, after the patch embedding if there are patches: what the GPU's is compared with.
    pub fn first_block(
        &mut self,
        tower: &str,
        hidden_states: &[f32],
        patches: &[f32],
        sequences: usize,
    ) -> Result<Vec<f32>, JsValue> {
        let tower = towers_named(tower)?;
        Ok(self.model_mut()?.first_block(tower, hidden_states, patches, sequences).map_err(Error::from)?)
    }

    /// What a tower's head makes of the last block's output, on the CPU, not yet normalized.
    pub fn head(
        &mut self,
        tower: &str,
        hidden_states: &[f32],
        sequences: usize,
    ) -> Result<Vec<f32>, JsValue> {
        let tower = towers_named(tower)?;
        Ok(self.model_mut()?.head(tower, hidden_states, sequences).map_err(Error::from)?)
    }

    /// Exchanges its model for that of another engine, and keeps texts and label sets. The pass that has begun is lost.
    pub fn take_model(&mut self, other: &mut Engine) -> Result<(), JsValue> {
        self.siglip_mut()?.exchange_engine(other.siglip_mut()?);
        std::mem::swap(&mut self.sources, &mut other.sources);
        std::mem::swap(&mut self.text, &mut other.text);
        self.pass = None;
        Ok(())
    }
}

fn towers_named(name: &str) -> Result<Towers, JsValue> {
    Towers::from_name(name).ok_or_else(|| misused("there are no such towers"))
}
