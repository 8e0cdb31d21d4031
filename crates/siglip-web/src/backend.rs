//! What runs the towers in this build: our own engine, or with the feature `candle` that of candle-transformers.

#[cfg(not(feature = "candle"))]
pub use siglip::model::{Model, ModelLoader, Pass, backend};

#[cfg(feature = "candle")]
pub use siglip_candle::{Candle as Model, CandleLoader as ModelLoader, Pass};

/// What the towers run on. Labels that one backend has embedded are of no use to another.
#[cfg(feature = "candle")]
pub fn backend() -> &'static str {
    "candle"
}

/// A model whose towers this build runs.
pub type Siglip = siglip::Siglip<Model>;
