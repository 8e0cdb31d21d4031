//! An image's patches: other vectors than the one that is scored, and maps of what speaks for a label.

use siglip::explain::{Occlusion, WINDOW_SIDES, mean_map};
use siglip::model::Pooling;
use siglip::{Config, PixelValues};
use wasm_bindgen::prelude::*;

use crate::Engine;
use crate::error::Error;

#[wasm_bindgen]
impl Engine {
    /// Rows and columns of the patches of an image: pixel values [3, height, width].
    pub fn patch_grid(&self, pixel_values: Vec<f32>, height: usize) -> Result<Vec<usize>, JsValue> {
        let image = PixelValues::new(pixel_values, height);
        let (rows, columns) = self.model()?.patch_grid(&image).map_err(Error::from)?;
        Ok(vec![rows, columns])
    }

    /// The map of an image of so many patches, of the logits of its windows.
    pub fn window_map(&self, logits: &[f32], patches: usize) -> Vec<f32> {
        mean_map(logits, patches)
    }

    /// How many squares of an image are hidden, one after the other.
    pub fn occluded_squares(&self, rows: usize, columns: usize) -> usize {
        Occlusion::new(rows, columns).squares().len()
    }

    /// The image without one of the squares.
    pub fn occlude(
        &self,
        pixel_values: Vec<f32>,
        height: usize,
        rows: usize,
        columns: usize,
        square: usize,
    ) -> Vec<f32> {
        Occlusion::new(rows, columns).hide(&PixelValues::new(pixel_values, height), square).values
    }

    /// The map of an image: `whole` is its logit, `hidden` those without each of the squares.
    pub fn occlusion_map(&self, rows: usize, columns: usize, whole: f32, hidden: &[f32]) -> Vec<f32> {
        Occlusion::new(rows, columns).values(whole, hidden)
    }
}

/// The pooling of this name; without one, that of the vector which is scored.
pub fn pooling_of(name: Option<&str>, config: &Config) -> Result<Pooling, Error> {
    match name {
        None => Ok(Pooling::scored(config)),
        Some("head") => Ok(Pooling::Head),
        Some("mean") => Ok(Pooling::Mean),
        Some("patches") => Ok(Pooling::Patches),
        Some("windows") => Ok(Pooling::Windows { sides: WINDOW_SIDES }),
        Some(name) => Err(Error::BadInput(format!("pooling is \"head\" or \"mean\", not {name:?}"))),
    }
}
