//! A plan of SigLIP's transformer blocks for a GPU, as data.
//!
//! A [`Plan`] holds all that an executor needs: buffers, the WGSL of every pipeline, the dispatches in their order, and where
//! the rows of packed weights go. The executor needs to know nothing of transformers; this crate knows no GPU library but with
//! the feature `native`, whose module executes plans in programs. The token table stays with [`siglip::model`], which gives patches
//! and the embeddings of tokens, and takes a picture's or a text's embedding or the residual stream back
//! ([`siglip::Shard::BLOCKS_ELSEWHERE`]).
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
//! Four more make a picture's embedding of the last block's output, and one a text's:
//!
//! | pipeline | |
//! |---|---|
//! | pool | each head's weighted sum of the normed patches, times the head's values |
//! | row_product | attended = pooled · Wᵀ + bias |
//! | row_product | hidden = GELU(LayerNorm(attended) · Wᵀ + bias) |
//! | row_product | embedding = attended + hidden · Wᵀ + bias |
//! | row_product | of a text: embedding = LayerNorm(last row of x) · Wᵀ + bias |
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
//! // A buffer a block, one for the patch embedding and one for the head.
//! assert_eq!((image.weights.len(), image.programs[0].dispatches.len()), (14, 90));
//! # Ok::<(), siglip_gpu::Unsupported>(())
//! ```
#![cfg_attr(not(feature = "native"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod block;
mod json;
#[cfg(feature = "native")]
pub mod native;
mod place;
mod plan;
mod shader;
mod sizes;
mod template;
mod tower;
mod words;

pub use json::error_json;
#[cfg(feature = "config")]
pub use place::pooling_queries;
pub use place::{Group, Place};
pub use plan::{
    Activation, Binding, Buffer, Count, Dispatch, Pipeline, Plan, Program, Rows, TowerPlan, Unsupported,
};
pub use shader::{
    Epilogue, Norm, Product, RowProduct, Tile, attention, checksum, pool, product, residual_norm, row_product,
};
pub use sizes::{Sizes, TowerSizes};
