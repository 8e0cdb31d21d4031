//! Files over HTTP: retries, resumed downloads, and what a server says about a file.

mod download;
mod error;
mod request;
mod response;

pub use download::{Download, Event};
pub use error::Timeouts;
pub use request::Client;
pub use response::Identity;
