//! Weights and configurations of every source: the same values, or an error that says what is wrong.

#[path = "../support/mod.rs"]
mod support;

mod architectures;
mod bundles;
mod classifiers;
mod config;
mod gguf;
mod memory;
mod mlx;
mod onnx;
mod open_clip;
mod several_files;
mod weights;
