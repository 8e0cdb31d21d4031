//! A plan of SigLIP's transformer blocks for a GPU, as data.
//!
//! A [`Plan`] holds all that an executor needs: buffers, the WGSL of every pipeline, the dispatches in their order, and where
//! the rows of packed weights go. The executor needs to know nothing of transformers; this crate knows no GPU library but with
//! the feature `native`, whose module executes plans in programs. The token table and the heads stay with [`siglip::model`],
//! which gives the residual stream to the blocks and takes it back ([`siglip::Shard::BLOCKS_ELSEWHERE`]).
//!
//! A block takes seven dispatches:
//!
//! | pipeline | |
//! |---|---|
//! | product | queries, keys and values = normed · Wᵀ + bias |
//! | attention | context = softmax(q kᵀ) v, keys streamed, online softmax |
//! | product | partial sums of context · Wᵀ |
//! | residual_norm | x += partial sums + bias; normed = LayerNorm(x) |
//! | product | hidden = GELU(normed · Wᵀ + bias) |
//! | product | partial sums of hidden · Wᵀ |
//! | residual_norm | x += partial sums + bias; normed = LayerNorm(x) of the next block |
//!
//! All sums are in f32 and in a fixed order, so that one adapter gives the same bits again. Weights are in f32, or in 8 bits
//! with one f32 scale an output. Every width is padded with zeros to a multiple of 64, so no kernel tests bounds in its inner
//! loop: GELU(0) = 0, and zero columns add nothing.
//!
//! ```
//! use siglip::{Precision, Towers};
//!
//! let config = siglip::preset("base-patch16-256").unwrap();
//! let plan = siglip_gpu::Plan::new(&config, Towers::Both, Precision::Q8)?;
//! let image = plan.image.unwrap();
//! // A buffer a block, and one for the patch embedding.
//! assert_eq!((image.weights.len(), image.programs[0].dispatches.len()), (13, 86));
//! # Ok::<(), siglip_gpu::Unsupported>(())
//! ```
#![deny(missing_docs)]

mod block;
mod json;
#[cfg(feature = "native")]
pub mod native;
mod place;
mod plan;
mod shader;
mod tower;

pub use place::{Group, Place};
pub use plan::{
    Activation, Binding, Buffer, Count, Dispatch, Patches, Pipeline, Plan, Program, TowerPlan, Unsupported,
};
pub use shader::{Epilogue, Norm, Product, Tile, attention, checksum, product, residual_norm};
