//! What to load of a checkpoint, and how.

mod resolution;
mod shard;
mod towers;

pub use resolution::Resolution;
pub use shard::Shard;
pub use siglip_kernels::Precision;
pub use towers::Towers;

/// How a model is loaded. The default is the whole model in 8 bits.
///
/// ```
/// use siglip::{LoadOptions, Precision};
///
/// let exact = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
/// assert!(exact.shard.is_whole() && exact.towers.has_image() && exact.towers.has_text());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// How matrices are stored and multiplied.
    pub precision: Precision,
    /// Which towers are loaded.
    pub towers: Towers,
    /// This worker's share of the model.
    pub shard: Shard,
    /// At which resolution the image tower sees images.
    pub resolution: Resolution,
}
