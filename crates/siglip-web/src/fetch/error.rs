//! Why a request has failed, and how long to wait for it.

use crate::error::Error;

/// How long to wait, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The longest wait for a byte.
    pub stall: u32,
    /// The wait before the first retry. It doubles with each retry that follows.
    pub retry: u32,
}

/// Why a request has failed.
pub enum FetchError {
    /// A retry may succeed.
    Transient {
        /// What happened, for the user.
        reason: String,
        /// The wait that the server asks for, in milliseconds.
        retry_after: Option<u32>,
    },
    /// No retry can succeed.
    Permanent(Error),
}

impl FetchError {
    /// A failure after which the server asks for no particular wait.
    pub fn transient(reason: impl Into<String>) -> FetchError {
        FetchError::Transient { reason: reason.into(), retry_after: None }
    }
}

impl From<Error> for FetchError {
    fn from(error: Error) -> FetchError {
        FetchError::Permanent(error)
    }
}
