//! Hostile files for every parser, as functions of a fuzzer's bytes: those of others, and those that are valid but odd.
//!
//! `fuzz_targets/` runs them with libFuzzer. The tests of `siglip` run them over the corpus, without one.

pub mod odd;
mod parsers;

pub use parsers::{checkpoint, image, index, onnx, tokenizer, weights};

/// A target: its name, which its corpus has too, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 9] = [
    ("checkpoint", checkpoint),
    ("image", image),
    ("tokenizer", tokenizer),
    ("weights", weights),
    ("onnx", onnx),
    ("index", index),
    ("odd_pictures", odd::pictures),
    ("odd_weights", odd::weights),
    ("odd_tokenizers", odd::tokenizers),
];
