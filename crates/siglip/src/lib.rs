//! Google's SigLIP (Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2303.15343) in Rust, for native
//! targets and wasm32 from one source. The crate opens no files: bytes come in, numbers go out.
//!
//! An image's way through the crate:
//!
//! 1. [`image::decode`] reads an encoded file as Pillow does, and [`image::Processor`] turns it into [`PixelValues`].
//! 2. [`text::Template`] and [`text::Tokenizer`] turn a label into `input_ids`.
//! 3. An [`Engine`], by default [`model::Model`], runs either tower. It is built from the bytes that a
//!    [`weights::WeightReader`] is given.
//! 4. [`scores`] turns the logits into ranked probabilities, [`index`] searches thousands of embeddings, and [`taught`]
//!    makes classes of example pictures.
//!
//! [`Siglip`] joins the four:
//!
//! ```
//! use siglip::{LoadOptions, ScoreFilter, Siglip, image, text::Template};
//!
//! # let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/models/tiny"));
//! # let file = std::fs::read(folder.join("../../samples/cat.jpg"))?;
//! # let labels = ["a cat".to_string(), "a dog".to_string()];
//! let mut siglip = Siglip::from_files(|name| std::fs::File::open(folder.join(name)), LoadOptions::default())?;
//! let image = image::decode(&file)?;
//! let scores = siglip.classify(&image, &labels, &Template::default(), ScoreFilter::default())?;
//! println!("{}: {:.1} %", scores[0].label, 100.0 * scores[0].score);
//! # assert_eq!(scores[0].label, "a cat");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod calibration;
mod checkpoint;
mod checkpoint_files;
mod classes;
mod config;
mod engine;
mod error;
pub mod evaluation;
pub mod explain;
pub mod image;
mod impostor;
pub mod index;
mod json;
mod label_sets;
mod later_text;
mod loading;
pub mod model;
mod options;
mod own_labels;
mod prompts;
mod published_tokenizer;
mod random;
pub mod scores;
mod siglip;
pub mod taught;
pub mod text;
mod text_cache;
pub mod weights;

pub use calibration::{Fitted, Judged, Reliability};
pub use checkpoint::Checkpoint;
pub use checkpoint_files::{CheckpointFiles, NO_PREPROCESSOR};
pub use config::{ClassifierConfig, Config, PRESETS, ProblemType, TextConfig, VisionConfig, preset};
pub use engine::{Engine, EngineLoader, PixelValues};
pub use error::Error;
pub use label_sets::{LabelOwner, LabelSet, LabelSets};
pub use later_text::KnownLabel;
pub use options::{LoadOptions, Precision, Resolution, Shard, Towers};
pub use prompts::prompts;
pub use published_tokenizer::PublishedTokenizer;
pub use random::{character_tokenizer, random_weights};
pub use scores::{Adjustment, LogitScale, Score, ScoreFilter, sigmoid};
pub use siglip::Siglip;
