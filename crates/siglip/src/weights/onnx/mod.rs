//! ONNX as a push parser: the files that transformers.js loads.
//!
//! An ONNX holds a computation: nodes, and the initializers that they use. Its weights are found by what the nodes do with
//! them, and are given the names and shapes of transformers. Both generations of exports on the hub are read: those of
//! 2023 as PyTorch wrote them, and those since 2025, whose constants were folded.
//!
//! In a file the nodes come first, then the initializers, so each of these can be decoded as it arrives. A matrix is
//! stored by columns; it is held until its last byte and passed on by rows. Weights in 8 bits are passed on as they are.
//!
//! Nothing is guessed. A graph that uses weights which this reader does not know is refused, and the error names the
//! node.

mod decode;
mod external;
mod files;
mod four_bits;
mod graph;
mod initializers;
mod names;
mod nodes;
mod reader;
mod sequence;
mod tensor;
mod weight;
mod wire;

pub use files::{OnnxDtype, OnnxDtypes, onnx_candidates, onnx_files};

pub(super) use external::ExternalReader;
pub(super) use reader::Reader;

/// The first byte of an ONNX: the tag of `ir_version`, a number.
pub(super) const FIRST_BYTE: u8 = 8;
