//! GGUF, versions 2 and 3: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
//!
//! Magic, version, counts, pairs of key and value, names with dimensions and offsets, then the tensors' bytes, each
//! aligned. `siglip convert` puts a checkpoint's small files among the values, so that one file is a whole model.

mod header;
mod metadata;
mod plan;

pub(super) use header::HeaderReader;
pub use metadata::Metadata;
pub use plan::{GgufPlan, MatrixType};

/// A file's first bytes.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";

/// Tensors start at multiples of this, unless [`ALIGNMENT_KEY`] says otherwise.
const DEFAULT_ALIGNMENT: u32 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";

/// `gguf_metadata_value_type`s that have a meaning here.
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
