use std::io;
use std::path::PathBuf;

/// Why a command failed, or one of its inputs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model, a picture or a text is not as it should be.
    #[error(transparent)]
    Siglip(#[from] siglip::Error),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A picture's file cannot be read; whoever reports it names the picture.
    #[error(transparent)]
    Picture(io::Error),
    /// A file of a checkpoint is wrong.
    #[error("{}: {source}", path.display())]
    Checkpoint { path: PathBuf, source: siglip::Error },
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The answer cannot be written out.
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

    /// Names the file an operation failed on.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// Names the checkpoint that is wrong.
    pub fn checkpoint(path: impl Into<PathBuf>) -> impl Fn(siglip::Error) -> Error {
        let path = path.into();
        move |source| Error::Checkpoint { path: path.clone(), source }
    }
}
