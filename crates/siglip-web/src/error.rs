use wasm_bindgen::{JsCast, JsValue};

/// What can go wrong in the browser, with the code that the JavaScript API reports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model, a picture or a text is not as it should be.
    #[error(transparent)]
    Siglip(#[from] siglip::Error),
    /// A file of a checkpoint is wrong.
    #[error("{url}: {source}")]
    File {
        /// Which.
        url: String,
        /// What is wrong with it.
        source: siglip::Error,
    },
    /// The server does not have the file.
    #[error("{url} does not exist (HTTP {status}); check the model's name")]
    NotFound {
        /// Which.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// No answer, a broken one, or one of refusal.
    #[error("{url} could not be fetched: {reason}")]
    Network {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// A file is not the one it has to be.
    #[error(
        "{url} has the sha256 {found}, not {expected}: it was damaged on its way or is another file; it is not kept. \
         Load it again, or correct `sha256`"
    )]
    Integrity {
        /// Which.
        url: String,
        /// The sha256 it has.
        found: String,
        /// The sha256 it has to have.
        expected: String,
    },
    /// A worker that holds a part of the model has failed, with this exception.
    #[error("{}", message(.0))]
    Worker(JsValue),
    /// The caller's AbortSignal fired.
    #[error("aborted")]
    Aborted,
    /// Options that are not as documented.
    #[error("{0}")]
    BadInput(String),
}

impl Error {
    /// One of the codes of the JavaScript API.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Siglip(error) | Error::File { source: error, .. } => error.code(),
            Error::NotFound { .. } => "not-found",
            Error::Network { .. } => "network",
            Error::Integrity { .. } => "integrity",
            Error::Worker(_) => "wasm",
            Error::Aborted => "aborted",
            Error::BadInput(_) => "bad-input",
        }
    }
}

impl Error {
    /// Whether what has arrived so far is good and may be continued.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Network { .. } | Error::NotFound { .. } | Error::Worker(_) | Error::Aborted)
    }
}

impl From<Error> for JsValue {
    /// A JavaScript Error with a property `code`; `unsupportedFormat` says that the browser's decoder may help.
    fn from(error: Error) -> JsValue {
        if let Error::Worker(exception) = error {
            return exception;
        }
        let object = js_sys::Error::new(&error.to_string());
        let unsupported =
            matches!(&error, Error::Siglip(siglip::Error::BadImage(image)) if image.is_unsupported_format());
        // Setting a property of an object that was just made cannot fail.
        let _ = js_sys::Reflect::set(&object, &"code".into(), &error.code().into());
        let _ = js_sys::Reflect::set(&object, &"unsupportedFormat".into(), &unsupported.into());
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

/// A JavaScript exception's name, such as `AbortError`; DOMException is no Error to `dyn_ref` everywhere.
pub fn name(exception: &JsValue) -> String {
    js_sys::Reflect::get(exception, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
}
