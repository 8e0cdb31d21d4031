//! What can go wrong in this crate.

use std::io;

use crate::image::ImageError;
use crate::index::IndexError;
use crate::taught::ClassesError;

/// What can go wrong in this crate. [`Error::code`] is the stable word that the JavaScript API and the command line
/// report. The message names the cause and, if there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that is malformed, contradicts itself or describes another kind of model.
    #[error("unsupported model: {field}: {reason}")]
    UnsupportedModel {
        /// The configuration's field, as a path: `vision_config.hidden_size`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight file that is damaged or does not fit its configuration.
    #[error("bad weights: {0}")]
    BadWeights(String),
    /// A model that does not fit into memory.
    #[error(
        "the model takes {} MB of memory, more than there is; choose a smaller one, or precision q8",
        needed.div_ceil(1_000_000)
    )]
    OutOfMemory {
        /// Bytes that it takes.
        needed: u64,
    },
    /// An image that cannot be decoded.
    #[error(transparent)]
    BadImage(#[from] ImageError),
    /// An argument that the call does not accept.
    #[error("{0}")]
    BadInput(String),
    /// An index of pictures, or a query, that cannot be used.
    #[error(transparent)]
    BadIndex(#[from] IndexError),
    /// Classes that cannot be taught, or a file of them that cannot be used.
    #[error(transparent)]
    BadClasses(#[from] ClassesError),
    /// A checkpoint's file that cannot be read.
    #[error("{name}: {source}")]
    Unreadable {
        /// The file's name.
        name: String,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A checkpoint's file with wrong content.
    #[error("{name}: {source}")]
    InFile {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
}

impl Error {
    /// The error's stable code: `unsupported-model`, `bad-weights`, `out-of-memory`, `bad-image`, `bad-input` or
    /// `not-found`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::UnsupportedModel { .. } => "unsupported-model",
            Error::BadWeights(_) => "bad-weights",
            Error::OutOfMemory { .. } => "out-of-memory",
            Error::BadImage(_) => "bad-image",
            Error::BadInput(_) | Error::BadIndex(_) | Error::BadClasses(_) => "bad-input",
            Error::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => "not-found",
            Error::Unreadable { .. } => "bad-input",
            Error::InFile { source, .. } => source.code(),
        }
    }

    /// For a call that needs a tower, `image` or `text`, that was not loaded.
    pub fn missing_tower(tower: &str) -> Error {
        let reason = format!("the model was loaded without its {tower} tower; load it with both");
        Error::BadInput(reason)
    }

    /// For a text tower that is to be added to an image tower, and does not belong to it.
    pub fn other_text_tower() -> Error {
        let reason = "the text tower is of another model than the image tower, which was loaded before it: the model has \
                      changed meanwhile; load it again";
        Error::BadWeights(reason.into())
    }

    pub(crate) fn unsupported(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::UnsupportedModel { field: field.into(), reason: reason.into() }
    }

    /// For a file that cannot be read.
    pub(crate) fn unreadable(name: &str) -> impl FnOnce(io::Error) -> Error {
        let name = name.into();
        move |source| Error::Unreadable { name, source }
    }

    /// For what is wrong with a file's content.
    pub(crate) fn in_file(name: &str) -> impl FnOnce(Error) -> Error {
        let name = name.into();
        move |error| match error {
            Error::Unreadable { .. } => error,
            error => Error::InFile { name, source: Box::new(error) },
        }
    }
}
