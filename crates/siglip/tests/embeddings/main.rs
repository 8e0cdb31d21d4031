//! What is done with embeddings, and with vectors like them.

#[path = "../support/mod.rs"]
mod support;

mod index;
mod taught;
mod vectors;
