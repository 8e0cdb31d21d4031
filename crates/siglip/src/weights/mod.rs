//! Weight files: a push parser without I/O for safetensors, GGUF and ONNX, a writer of GGUF, and the list of tensors
//! of a configuration.
//!
//! A [`WeightReader`] is given a file's bytes in chunks of any size and passes rows of f32 to a [`TensorSink`]. What
//! a header says is not trusted: every number is checked before a byte of weights is taken, and memory grows with what has
//! arrived, not with what the header announces.

mod affine;
mod dtype;
mod encoding;
mod ggml_quants;
mod gguf;
mod index;
mod inventory;
mod k_quants;
mod logits;
mod onnx;
mod open_clip;
mod other_names;
mod reader;
mod row_parser;
mod safetensors;
mod tensor_list;

pub use crate::impostor::{PICKLED_WEIGHTS, find_pickled_weights, pickled_weights};
pub use dtype::Dtype;
pub use gguf::{GgufWriter, MatrixType, Metadata};
pub use index::WeightIndex;
pub use inventory::Inventory;
pub use logits::{LOGITS, Logits};
pub use onnx::{OnnxDtype, OnnxDtypes, onnx_candidates, onnx_files};
pub use open_clip::OPEN_CLIP_WEIGHTS;
pub use reader::WeightReader;
pub use row_parser::StoredTensor;
pub use safetensors::header_bytes;
pub use tensor_list::{TensorShape, tensors};

use std::collections::BTreeSet;

use crate::Error;

/// Longest header in bytes: the bound of the safetensors reference implementation, which leaves room for the largest
/// tokenizer in a GGUF.
const MAX_HEADER: u64 = 100_000_000;

/// Takes a file's tensors as they arrive, some rows at a time.
pub trait TensorSink {
    /// Called first, if the file is a GGUF, with what it says about itself.
    ///
    /// # Errors
    /// If the sink depends on the metadata and they are wrong.
    fn metadata(&mut self, _metadata: Metadata) -> Result<(), Error> {
        Ok(())
    }

    /// Called once per file, before its first row, with every tensor of the file.
    ///
    /// # Errors
    /// If the tensors are not those of the model.
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error>;

    /// Called in place of [`begin`](TensorSink::begin) for an ONNX, which says at its beginning only the tensors' names. Each
    /// tensor's shape comes with its rows.
    ///
    /// # Errors
    /// If the tensors are not those of the model. A sink that does not have this method refuses every ONNX.
    fn begin_named(&mut self, _names: &BTreeSet<&str>) -> Result<(), Error> {
        Err(bad("an ONNX cannot be read here; use safetensors or a GGUF"))
    }

    /// Called with whole rows of `tensor`. `values` holds rows `first_row..`; a row's length is the product of all
    /// dimensions but the first. Rows come in order, but for tensors that an ONNX stores in parts.
    ///
    /// # Errors
    /// If a value cannot be a weight, since it is not finite.
    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error>;

    /// As [`rows`](TensorSink::rows), with rows that the file has in 8 bits: weight = scale · quantized, with one of
    /// `scales` per row, and quantized from -127 to 127.
    ///
    /// # Errors
    /// If a scale is not finite.
    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        self.rows(tensor, first_row, &dequantized(tensor, scales, quantized))
    }
}

/// The values of quantized rows of `tensor`.
pub(crate) fn dequantized(tensor: &TensorShape, scales: &[f32], quantized: &[i8]) -> Vec<f32> {
    let rows = quantized.chunks_exact(tensor.row_len().max(1)).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |&quantized| f32::from(quantized) * scale)).collect()
}

fn bad(reason: impl Into<String>) -> Error {
    Error::BadWeights(reason.into())
}
