//! candle-transformers' SigLIP as an [`Engine`](siglip::Engine): an independent implementation of the same model, to compare
//! answers and speed with.
//!
//! Weights of every format that `siglip` reads arrive through the same push reader. The two towers are candle's, in single
//! precision on the CPU. Everything else, from the decoded picture to the sigmoid, is `siglip`'s: candle's own example resizes
//! pictures differently and takes a softmax.
//!
//! ```
//! use siglip::{ScoreFilter, Siglip, image, text::Template};
//! use siglip_candle::{Candle, OPTIONS};
//!
//! # let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/models/tiny"));
//! # let file = std::fs::read(folder.join("../../samples/cat.jpg"))?;
//! # let labels = ["a cat".to_string(), "a dog".to_string()];
//! let open = |name: &str| std::fs::File::open(folder.join(name));
//! let mut siglip = Siglip::<Candle>::from_files_with_engine(open, OPTIONS)?;
//! let scores = siglip.classify(&image::decode(&file)?, &labels, &Template::default(), ScoreFilter::default())?;
//! assert_eq!(scores[0].label, "a cat");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod config;
mod engine;
mod loader;
mod pass;

pub use engine::Candle;
pub use loader::CandleLoader;
pub use pass::Pass;

use siglip::{LoadOptions, Precision, Resolution, Shard, Towers};

/// The only options that this engine has, but for the choice of towers: single precision, no shards, and the model's own resolution.
pub const OPTIONS: LoadOptions = LoadOptions {
    precision: Precision::F32,
    towers: Towers::Both,
    shard: Shard::WHOLE,
    resolution: Resolution { image_size: None, max_patches: None },
};
