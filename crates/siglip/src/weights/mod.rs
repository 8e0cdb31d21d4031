//! Weight files: a push parser without I/O for safetensors and GGUF, a writer of GGUF, and the list of tensors a
//! configuration asks for.
//!
//! A [`WeightReader`] is given a file's bytes in chunks of any size and hands rows of f32 to a [`TensorSink`]. What
//! a header says is hostile until proven: every figure is checked before a byte of weights is taken, and memory
//! grows with what has arrived, never with what is announced.

mod blocks;
mod dtype;
mod gguf;
mod index;
mod inventory;
mod layout;
mod reader;
mod rows;
mod safetensors;
mod storage;

pub use dtype::Dtype;
pub use gguf::{GgufPlan, MatrixType, Metadata};
pub use index::WeightIndex;
pub use inventory::Inventory;
pub use layout::{TensorShape, tensors};
pub use reader::WeightReader;
pub use rows::StoredTensor;
pub use safetensors::header_bytes;

use crate::Error;

/// Takes a file's tensors as they arrive, some rows at a time.
pub trait TensorSink {
    /// Told first what the file says about itself, if it is a GGUF.
    ///
    /// # Errors
    /// Where the sink depends on it and it is not as it should be.
    fn metadata(&mut self, _metadata: Metadata) -> Result<(), Error> {
        Ok(())
    }

    /// Told once a file, before its first row, all that the file holds; an error here costs no byte of weights.
    ///
    /// # Errors
    /// Where the tensors are not those of the model.
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error>;

    /// Takes whole rows of `tensor`, in order: `values` holds rows `first_row..`, each as wide as the product of
    /// the shape's other dimensions.
    ///
    /// # Errors
    /// Where a value cannot be a weight (not finite).
    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error>;
}

fn bad(reason: impl Into<String>) -> Error {
    Error::BadWeights(reason.into())
}
