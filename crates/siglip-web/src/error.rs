//! The errors of the browser's engine, and JavaScript exceptions.

use siglip::image::ImageError;
use wasm_bindgen::{JsCast, JsValue};

/// What can go wrong in the browser. [`Error::code`] is the code that the JavaScript API reports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model, an image or a text is invalid.
    #[error(transparent)]
    Siglip(#[from] siglip::Error),
    /// A file of a checkpoint is invalid.
    #[error("{url}: {source}")]
    File {
        /// The file.
        url: String,
        /// What is wrong with it.
        source: siglip::Error,
    },
    /// The server does not have the file.
    #[error("{url} does not exist (HTTP {status}); check the model's name")]
    NotFound {
        /// The file.
        url: String,
        /// The response's status.
        status: u16,
    },
    /// No response, a broken one, or a refusal.
    #[error("{url} could not be fetched: {reason}")]
    Network {
        /// The file.
        url: String,
        /// Why.
        reason: String,
    },
    /// One tower alone cannot be had of this file, since the server sends no parts of it or nothing tells where the tower is.
    #[error("{url} has both towers and is sent only whole")]
    Whole {
        /// The file.
        url: String,
    },
    /// A file has another sha256 than expected.
    #[error(
        "{url} has the sha256 {found}, not {expected}: it was damaged on its way or is another file; it is not cached. \
         Load it again, or correct `sha256`"
    )]
    Integrity {
        /// The file.
        url: String,
        /// The sha256 it has.
        found: String,
        /// The sha256 that was expected.
        expected: String,
    },
    /// A worker with another shard of the model has failed, with this exception.
    #[error("{}", message(.0))]
    Worker(JsValue),
    /// The caller's AbortSignal fired.
    #[error("aborted")]
    Aborted,
    /// An argument or option that is not as documented.
    #[error("{0}")]
    BadInput(String),
}

impl Error {
    /// One of the codes of the JavaScript API.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Siglip(error) | Error::File { source: error, .. } => error.code(),
            Error::NotFound { .. } => "not-found",
            Error::Network { .. } | Error::Whole { .. } => "network",
            Error::Integrity { .. } => "integrity",
            Error::Worker(_) => "wasm",
            Error::Aborted => "aborted",
            Error::BadInput(_) => "bad-input",
        }
    }
}

impl Error {
    /// Whether what has arrived so far is good, so that a later load may resume there.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Network { .. } | Error::NotFound { .. } | Error::Worker(_) | Error::Aborted)
    }
}

impl From<Error> for JsValue {
    /// A JavaScript Error with the property `code`. `unsupportedFormat` says that the browser's decoder may read
    /// the image, `rareFormat` that `siglip-rare` does, `broken` that the browser may make something of a damaged one.
    fn from(error: Error) -> JsValue {
        if let Error::Worker(exception) = error {
            return exception;
        }
        let object = js_sys::Error::new(&error.to_string());
        let unsupported =
            matches!(&error, Error::Siglip(siglip::Error::BadImage(image)) if image.is_unsupported_format());
        // Setting a property of a new object cannot fail.
        let _ = js_sys::Reflect::set(&object, &"code".into(), &error.code().into());
        let _ = js_sys::Reflect::set(&object, &"unsupportedFormat".into(), &unsupported.into());
        let rare = matches!(&error, Error::Siglip(siglip::Error::BadImage(ImageError::RareFormat { .. })));
        let _ = js_sys::Reflect::set(&object, &"rareFormat".into(), &rare.into());
        let broken = matches!(&error, Error::Siglip(siglip::Error::BadImage(ImageError::Broken { .. })));
        let _ = js_sys::Reflect::set(&object, &"broken".into(), &broken.into());
        object.into()
    }
}

/// A JavaScript exception's message.
pub fn message(exception: &JsValue) -> String {
    match exception.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{exception:?}"),
    }
}

/// A JavaScript exception's name, such as `AbortError`. Read by name: in some browsers DOMException is no Error.
pub fn name(exception: &JsValue) -> String {
    js_sys::Reflect::get(exception, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
}
