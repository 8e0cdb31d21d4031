//! Decoders of rare picture formats for web pages.
//!
//! The engine for browsers goes without the feature `rare-formats` of `siglip`, so that it stays small. `worker.js`
//! fetches this module with the first picture that needs it.
#![deny(missing_docs)]

use siglip::image;
use wasm_bindgen::prelude::*;

/// A decoded picture.
#[wasm_bindgen(getter_with_clone)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixels: R G B of 8 bits, rows from the top.
    pub rgb: Vec<u8>,
    /// What is wrong with the file, if something is.
    pub damage: Option<String>,
}

/// Decodes a picture file, upright and without alpha, as [`siglip::image::read`] does.
#[wasm_bindgen]
pub fn decode(bytes: &[u8]) -> Result<Picture, JsError> {
    let decoded = image::read(bytes)?;
    let (width, height) = (decoded.image.width(), decoded.image.height());
    let rgb = decoded.image.into_data();
    Ok(Picture { width, height, rgb, damage: decoded.damage.map(str::to_owned) })
}
