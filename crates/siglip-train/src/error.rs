//! What can go wrong, with the way out.

use std::path::PathBuf;

/// Why evaluation or calibration stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// A file isn't what the recipe writes there.
    #[error("{path} is not what the recipe writes: {reason}; run the recipe anew")]
    Data { path: PathBuf, reason: String },
    /// The trained model can't be read by the engine.
    #[error(transparent)]
    Engine(#[from] siglip::Error),
}

impl Error {
    /// A file error with its path.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// A data error with its path and whatever says why.
    pub fn data<E: std::fmt::Display>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error {
        let path = path.into();
        move |reason| Error::Data { path, reason: reason.to_string() }
    }
}
