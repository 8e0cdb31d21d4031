//! The partial sums of a model that several workers share.

use js_sys::Uint32Array;
use wasm_bindgen::prelude::*;

use crate::{Engine, misused};

#[wasm_bindgen]
impl Engine {
    /// The length of this worker's partial sums.
    pub fn partial_sums_length(&self) -> Result<usize, JsValue> {
        Ok(self.model()?.contribution().len())
    }

    /// Copies this worker's partial sums, as bits of numbers, into an array of that length.
    pub fn copy_partial_sums(&self, into: &Uint32Array) -> Result<(), JsValue> {
        let sums = self.model()?.contribution();
        if into.length() as usize != sums.len() {
            return Err(misused("the array and the partial sums differ in length"));
        }
        into.copy_from(sums);
        Ok(())
    }

    /// Adds this worker's own partial sums. All are added in the order of the workers, so that results do not differ.
    pub fn add_own_partial_sums(&mut self) -> Result<(), JsValue> {
        self.model_mut()?.add_own_contribution();
        Ok(())
    }

    /// Adds another worker's partial sums.
    pub fn add_partial_sums(&mut self, sums: &[u32]) -> Result<(), JsValue> {
        self.model_mut()?.add_contribution(sums);
        Ok(())
    }
}
