//! Google's SigLIP (Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2303.15343), in Rust, for native
//! and wasm32 from one source. No I/O: bytes come in, numbers go out.
//!
//! One picture's way through the crate:
//!
//! 1. [`image::decode`] reads an encoded file as Pillow does, [`image::Processor`] makes `pixel_values` of it;
//! 2. [`text::Template`] and [`text::Tokenizer`] make `input_ids` of a label;
//! 3. [`model::Model`] runs either tower, built by a [`model::ModelLoader`] from the bytes that a
//!    [`weights::WeightReader`] is given;
//! 4. [`scores`] makes ranked probabilities of the logits.
//!
//! [`Siglip`] joins the four:
//!
//! ```
//! use siglip::{Checkpoint, Keep, Siglip, image, model::{Precision, Shard}, text::Template, weights::WeightReader};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/models/tiny/");
//! let read = |name: &str| std::fs::read(format!("{folder}{name}"));
//! let text = |name: &str| std::fs::read_to_string(format!("{folder}{name}"));
//!
//! let checkpoint =
//!     Checkpoint::parse(&text("config.json")?, &text("preprocessor_config.json")?, &read("tokenizer.json")?)?;
//! let mut loader = checkpoint.loader(Precision::Q8, Shard::WHOLE)?;
//! let mut reader = WeightReader::new();
//! for chunk in read("model.safetensors")?.chunks(1 << 16) {
//!     reader.push(chunk, &mut loader)?;
//! }
//! reader.finish()?;
//! let mut siglip = Siglip::new(checkpoint, loader.finish()?);
//!
//! let picture = image::RgbImage::from_rgb(2, 1, vec![250, 10, 10, 250, 10, 10])?;
//! let labels = ["a red wall".to_string(), "a dog".to_string()];
//! let scores = siglip.classify(&picture, &labels, &Template::default(), Keep::default())?;
//! assert!(scores[0].logit >= scores[1].logit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod checkpoint;
mod config;
mod error;
pub mod evaluation;
pub mod image;
mod json;
pub mod model;
mod random;
pub mod scores;
pub mod text;
pub mod weights;

pub use checkpoint::{Checkpoint, CheckpointFiles, GgufLoader, Siglip, prompts};
pub use config::{Config, PRESETS, TextConfig, VisionConfig, preset};
pub use error::Error;
pub use random::{character_tokenizer, random_weights};
pub use scores::{Keep, Score, sigmoid};
