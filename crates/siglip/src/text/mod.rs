//! From a label to `input_ids`.
//!
//! ```
//! use siglip::text::{Template, Tokenizer};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tokenizer-siglip-v1/");
//! let tokenizer = Tokenizer::from_bytes(&std::fs::read(format!("{folder}tokenizer.json"))?, 64, 1)?;
//!
//! let prompt = Template::new("a photo of 2 {}")?.apply("cats");
//! let input_ids = tokenizer.encode(&prompt)?;
//! assert_eq!(input_ids[..8], [262, 266, 1304, 267, 454, 6473, 1, 1]);
//! assert_eq!(input_ids.len(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod added_tokens;
mod canonicalize;
mod charsmap;
mod fields;
mod model;
mod normalizer;
mod pattern;
mod pipeline;
mod pre_tokenizer;
mod special_tokens;
mod template;
mod tokenizer;
mod unread;
mod word_characters;

pub use canonicalize::canonicalize;
pub use template::{DEFAULT_TEMPLATE, TEMPLATE_SETS, Template};
pub use tokenizer::Tokenizer;
