//! The buffers of a forward pass.

use siglip_kernels::Scratch;

use super::residual::Residual;
use crate::Shard;

/// The buffers of a forward pass. They are reused by the next pass, so memory is allocated once.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub residual: Residual,
    /// The residual stream after a layer norm, or the patches of an image.
    pub normed: Vec<f32>,
    /// Queries, keys and values, or the MLP's hidden layer, or embedded patches, or what a pooling head needs.
    pub wide: Vec<f32>,
    /// The attention's context, or what a pooling head needs.
    pub context: Vec<f32>,
    pub scratch: Scratch,
}

impl Workspace {
    pub fn new(shard: Shard) -> Self {
        Workspace {
            residual: Residual::new(shard),
            normed: Vec::new(),
            wide: Vec::new(),
            context: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}
