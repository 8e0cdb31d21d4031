//! What a script recorded of Pillow: pictures, and variants of them.

use std::path::PathBuf;

use serde::Deserialize;
use siglip::image::{ImageError, decode};

use crate::edits::Edit;

#[derive(Deserialize)]
pub struct Recording {
    /// Name, width, height and CRC-32 of the pixels.
    pub pictures: Vec<(String, u32, u32, u32)>,
    pub variants: Vec<Variant>,
}

/// A picture, what is changed in it, and width, height and CRC-32 of the pixels, if Pillow shows it.
#[derive(Deserialize)]
pub struct Variant(pub String, pub Vec<Edit>, pub Option<(u32, u32, u32)>);

impl Recording {
    /// A recording in `tests/parity/image/`.
    pub fn read(name: &str) -> Recording {
        serde_json::from_slice(&read(&format!("parity/image/{name}"))).unwrap()
    }
}

/// A file in `tests/`.
pub fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Width, height and CRC-32 of the pixels of a picture.
pub fn checksum(file: &[u8]) -> Result<(u32, u32, u32), ImageError> {
    decode(file).map(|image| (image.width(), image.height(), crc32fast::hash(image.data())))
}
