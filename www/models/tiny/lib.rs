//! The files of a small SigLIP checkpoint, in the hub's layout. The page fetches the same files from this folder.
//!
//! ```
//! use std::io::Read;
//!
//! let mut config = String::new();
//! siglip_tiny::open("config.json")?.read_to_string(&mut config)?;
//! assert_eq!(config, siglip_tiny::CONFIG);
//! assert!(siglip_tiny::open("another.json").is_err());
//! # Ok::<(), std::io::Error>(())
//! ```
#![deny(missing_docs)]

use std::io;

/// `config.json`.
pub const CONFIG: &str = include_str!("config.json");
/// `preprocessor_config.json`.
pub const PREPROCESSOR: &str = include_str!("preprocessor_config.json");
/// `tokenizer.json`.
pub const TOKENIZER: &str = include_str!("tokenizer.json");
/// `model.safetensors`.
pub const WEIGHTS: &[u8] = include_bytes!("model.safetensors");

/// Opens a file by its name, as `siglip::Siglip::from_files` asks for it.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] for any other name.
pub fn open(name: &str) -> io::Result<&'static [u8]> {
    match name {
        "config.json" => Ok(CONFIG.as_bytes()),
        "preprocessor_config.json" => Ok(PREPROCESSOR.as_bytes()),
        "tokenizer.json" => Ok(TOKENIZER.as_bytes()),
        "model.safetensors" => Ok(WEIGHTS),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
