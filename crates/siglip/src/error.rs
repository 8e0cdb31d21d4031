use crate::image::ImageError;

/// What can go wrong in this crate. [`Error::code`] gives the stable word that the JavaScript API and the
/// command line report; the message names the cause and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that is malformed, contradictory or of another kind of model.
    #[error("unsupported model: {field}: {reason}")]
    UnsupportedModel {
        /// The configuration's field, as a path: `vision_config.hidden_size`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight file that is broken or does not fit its configuration.
    #[error("bad weights: {0}")]
    BadWeights(String),
    /// A model that memory does not hold.
    #[error(
        "the model takes {} MB of memory, more than there is; choose a smaller one, or precision q8",
        needed.div_ceil(1_000_000)
    )]
    OutOfMemory {
        /// Bytes it takes.
        needed: u64,
    },
    /// A picture that cannot be read.
    #[error(transparent)]
    BadImage(#[from] ImageError),
    /// An argument outside what the call accepts.
    #[error("{0}")]
    BadInput(String),
}

impl Error {
    /// The error's stable code, one of `unsupported-model`, `bad-weights`, `out-of-memory`, `bad-image` and `bad-input`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::UnsupportedModel { .. } => "unsupported-model",
            Error::BadWeights(_) => "bad-weights",
            Error::OutOfMemory { .. } => "out-of-memory",
            Error::BadImage(_) => "bad-image",
            Error::BadInput(_) => "bad-input",
        }
    }

    pub(crate) fn unsupported(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::UnsupportedModel { field: field.into(), reason: reason.into() }
    }
}
