//! Why a command failed.

use std::io;
use std::path::PathBuf;

/// Why a command failed, or one of its inputs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model, an image or a text is not usable.
    #[error(transparent)]
    Siglip(#[from] siglip::Error),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// An image file cannot be read. The caller names the file.
    #[error(transparent)]
    Picture(io::Error),
    /// A file of a checkpoint is wrong.
    #[error("{}: {source}", path.display())]
    Checkpoint { path: PathBuf, source: siglip::Error },
    /// Arguments that contradict each other, or name nothing usable.
    #[error("{0}")]
    Usage(String),
    /// The answer cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Error {
    /// The stable code that `--json` reports.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Siglip(error) | Error::Checkpoint { source: error, .. } => error.code(),
            Error::File { source, .. } | Error::Picture(source)
                if source.kind() == io::ErrorKind::NotFound =>
            {
                "not-found"
            }
            Error::File { .. } | Error::Picture(_) | Error::Usage(_) | Error::Output(_) => "bad-input",
        }
    }

    /// Adds the path of the file to an I/O error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// Adds the path of the checkpoint to an error.
    pub fn checkpoint(path: impl Into<PathBuf>) -> impl Fn(siglip::Error) -> Error {
        let path = path.into();
        move |source| Error::Checkpoint { path: path.clone(), source }
    }
}
