//! GGUF, versions 2 and 3: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
//!
//! A file has a magic number, a version, two counts, pairs of key and value, the tensors' names with dimensions and offsets,
//! then the tensors' aligned bytes. `siglip convert` stores a checkpoint's small files among the values, so that one file
//! is a whole model.

mod metadata;
mod reader;
mod writer;

pub use metadata::Metadata;
pub(super) use reader::HeaderReader;
pub use writer::{GgufWriter, MatrixType};

/// A file's first bytes.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";

/// Tensors start at multiples of this, unless [`ALIGNMENT_KEY`] says otherwise.
const DEFAULT_ALIGNMENT: u32 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";

/// The `gguf_metadata_value_type`s that are read here.
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
