//! What a GPU needs to run the blocks of this worker's model.

use siglip::{PixelValues, Towers};
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{Engine, misused, no_pass};

#[wasm_bindgen]
impl Engine {
    /// Adds an image of the same size to the pass that [`Engine::begin_image`] has started.
    pub fn add_image(&mut self, pixel_values: Vec<f32>, height: usize) -> Result<(), JsValue> {
        let mut pass = self.take_pass()?;
        self.model()?.add_image(&mut pass, PixelValues::new(pixel_values, height)).map_err(Error::from)?;
        self.pass = Some(pass);
        Ok(())
    }

    /// Of the pass: its images or texts, 1 if it ends with the tower's head, or 0, and rows and columns of an image's patches, which
    /// name the position embeddings; 0 for texts, which need none.
    pub fn gpu_pass(&self) -> Result<Vec<usize>, JsValue> {
        let pass = self.pass.as_ref().ok_or_else(no_pass)?;
        let (rows, columns) = pass.patch_grid().unwrap_or_default();
        Ok(vec![pass.sequences(), pass.ends_with_head().into(), rows, columns])
    }

    /// What a GPU is given beside packed weights. `rows` are what the pass begins with: the images' patches, [rows, values of a
    /// patch], or the texts' residual stream, [rows, hidden size]. `positions` are what each image's patch embeddings are added
    /// to, [patches, hidden size]. `queries` are those of the pooling head, [heads, hidden size], once the model is loaded; none
    /// without such a head.
    pub fn gpu_input(&self, kind: &str) -> Result<Vec<f32>, JsValue> {
        let model = self.model()?;
        let values = match (kind, &self.pass) {
            ("queries", _) => model.pooling_queries(),
            (_, None) => return Err(no_pass()),
            ("positions", Some(pass)) => return Ok(model.positions(pass)),
            (_, Some(pass)) if pass.patch_grid().is_some() => model.patches(pass),
            _ => model.hidden_states(),
        };
        Ok(values.to_vec())
    }

    /// Takes what the GPU has made: embeddings that are not yet normalized, or else the last block's output, which takes the place
    /// of the residual stream.
    pub fn set_results(&mut self, results: Vec<f32>, are_embeddings: bool) -> Result<(), JsValue> {
        let mut pass = self.take_pass()?;
        let model = self.model_mut()?;
        let set = match are_embeddings {
            true => model.set_embeddings(&mut pass, results),
            false => model.set_hidden_states(&pass, &results),
        };
        self.pass = Some(pass);
        Ok(set.map_err(Error::from)?)
    }

    /// What the GPU's results are compared with, on the CPU: with `is_head` what a tower's head makes of `hidden_states`, not yet
    /// normalized; otherwise what the first block does, after the patch embedding if there are `patches`.
    pub fn reference(
        &mut self,
        is_head: bool,
        tower: &str,
        hidden_states: &[f32],
        patches: &[f32],
        sequences: usize,
    ) -> Result<Vec<f32>, JsValue> {
        let tower = Towers::from_name(tower).ok_or_else(|| misused("there are no such towers"))?;
        let model = self.model_mut()?;
        let results = match is_head {
            true => model.head(tower, hidden_states, sequences),
            false => model.first_block(tower, hidden_states, patches, sequences),
        };
        Ok(results.map_err(Error::from)?)
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
