//! The kernels' WGSL, with all sizes but the number of rows compiled in: templates, see [`template`](crate::template).
//!
//! Comments on the files in shaders/ stand here, since a page's module carries these files:
//!
//! - product.wgsl: a workgroup computes a tile of y; each invocation holds a few rows and columns of it in registers. Both tiles
//!   of operands have k outermost, with four rows or outputs in a vector: 4 x 4 values are transposed on their way into the
//!   workgroup's memory. SWIZZLE spreads what neighbours store over all banks of that memory.
//! - residual_norm.wgsl: one workgroup a row; the variance in a second pass over the row.
//! - attention.wgsl: a workgroup has one head and 16 queries, and 16 invocations share four of them. Keys and values pass by in
//!   tiles; the softmax is corrected after each (Milakov and Gimelshein, 1805.02867). Rows past the sequence's end are read as
//!   its last one: as keys they weigh nothing, as queries they are not stored. `scores` is cleared in each round:
//!   a variable declared in the loop kept its values with Tint and SwiftShader.
//! - checksum.wgsl: 64 sums, one a workgroup.
//! - functions.wgsl: `levels` copies each byte's sign bit down from the top of a word. GELU in its tanh approximation takes twice the
//!   argument of tanh: 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u)), where exp is kept from overflowing. erf is Abramowitz and
//!   Stegun's, 7.1.26: its error is below 1.5e-7.

mod heads;

pub use heads::{ROW_OUTPUTS, RowProduct, pool, row_product};

use alloc::string::String;
use alloc::vec::Vec;

use crate::place::Group;
use crate::template::{List, filled, numbers};

const FUNCTIONS: &str = include_str!("shaders/functions.wgsl");
const PRODUCT: &str = include_str!("shaders/product.wgsl");
const RESIDUAL_NORM: &str = include_str!("shaders/residual_norm.wgsl");
const ATTENTION: &str = include_str!("shaders/attention.wgsl");
const CHECKSUM: &str = include_str!("shaders/checksum.wgsl");

/// Queries of a workgroup of the attention kernel.
pub const QUERIES: usize = 16;
/// The widest head whose queries, keys and scores fit the workgroup's memory.
pub const MOST_HEAD_DIM: usize = 128;
/// Bytes of memory that every WebGPU device gives a workgroup.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Invocations of a slice are so many rows of so many.
const SIDE: usize = 8;

/// How a product divides its work.
///
/// An invocation holds `rows` x `outputs` sums in registers. 8 x 8 of them share a tile of operands in the workgroup's memory,
/// `inputs` deep. With several `slices` as many groups of invocations take turns at the tile's inputs, and their sums are added
/// at the end: more invocations for the same traffic, which a GPU with many idle cores wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    rows: usize,
    outputs: usize,
    inputs: usize,
    /// 1 or 2.
    slices: usize,
    /// Whether the next tile's operands are read while this one's are multiplied.
    prefetch: bool,
}

impl Tile {
    /// 64 rows x 64 outputs a workgroup.
    pub const SQUARE: Tile = Tile { prefetch: true, ..Tile::new(8, 8, 16, 1) };
    /// 32 rows x 64 outputs, in two slices: four times the invocations of [`Tile::SQUARE`] for the same rows.
    pub const SLICED: Tile = Tile::new(4, 8, 32, 2);
    /// 64 rows x 32 outputs, with half of the registers of [`Tile::SQUARE`].
    pub const TALL: Tile = Tile::new(8, 4, 16, 1);
    /// 32 rows x 32 outputs, with a quarter of the registers.
    pub const SMALL: Tile = Tile::new(4, 4, 16, 1);
    /// All of them.
    pub const ALL: [Tile; 4] = [Tile::SQUARE, Tile::SLICED, Tile::TALL, Tile::SMALL];

    const fn new(rows: usize, outputs: usize, inputs: usize, slices: usize) -> Tile {
        Tile { rows, outputs, inputs, slices, prefetch: false }
    }

    /// Rows of a workgroup.
    pub const fn rows(self) -> usize {
        SIDE * self.rows
    }

    /// Outputs of a workgroup.
    pub const fn outputs(self) -> usize {
        SIDE * self.outputs
    }

    /// Invocations of a workgroup.
    const fn threads(self) -> usize {
        self.slices * SIDE * SIDE
    }

    /// Inputs between two barriers. A product's inputs, divided by its parts, are a multiple.
    pub const fn inputs(self) -> usize {
        self.inputs
    }
}

/// What a product does with its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// Adds the bias.
    Bias,
    /// Adds the bias and a row of another buffer: in a product that of the place in its sequence, as the position embeddings are;
    /// in a row product the same one.
    Residual,
    /// Adds the bias, then GELU in its tanh approximation.
    GeluTanh,
    /// Adds the bias, then GELU by erf.
    GeluErf,
    /// Stores the sums of this many parts of the inputs, part by part, for residual_norm to add up.
    Partials(usize),
}

impl Epilogue {
    /// Whether the bias is bound.
    pub fn adds_bias(self) -> bool {
        !matches!(self, Epilogue::Partials(_))
    }

    /// 1 for GELU in its tanh approximation, 2 for GELU by erf, 0 for none.
    fn gelu(self) -> usize {
        match self {
            Epilogue::GeluTanh => 1,
            Epilogue::GeluErf => 2,
            Epilogue::Bias | Epilogue::Residual | Epilogue::Partials(_) => 0,
        }
    }

    /// The number of parts.
    pub fn parts(self) -> usize {
        if let Epilogue::Partials(parts) = self { parts } else { 1 }
    }
}

/// A product y = x · Wᵀ.
///
/// Bindings: 0 the pass, 1 x, 2 W, 3 with 8 bits the scales, 4 the bias unless partial sums are stored, 5 y, 6 the rows of
/// [`Epilogue::Residual`]. Workgroups: outputs / tile outputs, rows / tile rows, parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// A multiple of 64.
    pub inputs: usize,
    /// A multiple of 64.
    pub outputs: usize,
    /// Whether W is in 8 bits.
    pub quantized: bool,
    /// The results of a workgroup.
    pub tile: Tile,
    /// What becomes of the sums.
    pub epilogue: Epilogue,
}

/// The WGSL of a product.
pub fn product(product: &Product) -> String {
    let Product { inputs, outputs, quantized, tile, epilogue } = *product;
    debug_assert_eq!(inputs % (epilogue.parts() * tile.inputs), 0);
    let k_vectors = tile.inputs / 4;
    let numbers = numbers! {
        inputs: inputs / 4,
        split: inputs / 4 / epilogue.parts(),
        tile_inputs: tile.inputs,
        k_vectors: k_vectors,
        x_vectors: tile.rows() / 4,
        w_vectors: tile.outputs() / 4,
        slices: tile.slices,
        sliced: tile.slices - 1,
        swizzle: 8 / k_vectors.min(8),
        quantized: quantized.into(),
        bias: epilogue.adds_bias().into(),
        residual: (epilogue == Epilogue::Residual).into(),
        gelu: (epilogue.gelu() > 0).into(),
        parts: epilogue.parts() - 1,
        prefetch: tile.prefetch.into(),
        stride: outputs / 4,
    };
    let lists = [sums(tile), fours("x_four", tile.rows), fours("w_four", tile.outputs), reads(tile)];
    filled(PRODUCT, numbers, &lists) + &functions(quantized, epilogue)
}

/// The sums of an invocation: `row` and `column`, a vector of four outputs; its row is `one` of the vector `four`.
fn sums(tile: Tile) -> List {
    let mut numbers = Vec::new();
    for row in 0..tile.rows {
        for column in 0..tile.outputs / 4 {
            numbers.extend([row, column, row / 4, row % 4]);
        }
    }
    List { name: "sum", names: &["row", "column", "four", "one"], numbers }
}

/// The vectors of an invocation with so many values.
fn fours(name: &'static str, count: usize) -> List {
    List { name, names: &["four"], numbers: (0..count / 4).collect() }
}

/// How the operands of a tile get into the workgroup's memory: an invocation reads 4 x 4 values at once, those of x first, and
/// transposes them. Invocations from `from`, and those before `to` unless it is 0, take part; they read what is `offset` fours of rows
/// or outputs past the ones at local / K_VECTORS, or before them where x takes the first invocations.
fn reads(tile: Tile) -> List {
    let (threads, k_vectors) = (tile.threads(), tile.inputs / 4);
    let x_end = tile.rows() / 4 * k_vectors;
    let end = x_end + tile.outputs() / 4 * k_vectors;
    let mut numbers = Vec::new();
    for round in 0..end.div_ceil(threads) {
        let first = round * threads;
        for (of_x, start, stop) in [(1, 0, x_end), (0, x_end, end)] {
            if first + threads <= start || stop <= first {
                continue;
            }
            let (from, to) = (start.saturating_sub(first), stop.min(first + threads) - first);
            let offset = first.abs_diff(start) / k_vectors;
            let to = if to < threads { to } else { 0 };
            numbers.extend([round, of_x, from, to, (first < start).into(), offset]);
        }
    }
    let names = &["round", "of_x", "from", "to", "minus", "offset"];
    List { name: "read", names, numbers }
}

/// What kernels call.
fn functions(quantized: bool, epilogue: Epilogue) -> String {
    let gelu = epilogue.gelu();
    let numbers = numbers! {
        quantized: quantized.into(),
        gelu_tanh: (gelu == 1).into(),
        gelu_erf: (gelu == 2).into(),
    };
    filled(FUNCTIONS, numbers, &[])
}

/// The layer norm after an addition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub eps: f32,
}

/// The WGSL of x += bias + `parts` partial sums, then of normed = LayerNorm(x) if there is a `norm`.
///
/// Bindings: 0 the pass, 1 x, 2 partial sums, 3 bias (both unless `parts` is 0), 4 the norm's weight, 5 its bias, 6 normed.
/// Workgroups: one a row. `stride` is the padded width.
pub fn residual_norm(width: usize, stride: usize, parts: usize, norm: Option<Norm>) -> String {
    let numbers = numbers! {
        width: width,
        stride: stride,
        parts: parts,
        norm: norm.is_some().into(),
        eps: eps(norm),
    };
    filled(RESIDUAL_NORM, numbers, &[])
}

/// The bits of a norm's `eps`: its decimal digits would take 8 KB of code.
fn eps(norm: Option<Norm>) -> usize {
    norm.map_or(0, |Norm { eps }| eps.to_bits() as usize)
}

/// The WGSL of attention with these heads in a context of this padded width.
///
/// Bindings: 0 the pass, 1 queries, keys and values, 2 the context. Workgroups: rows of a sequence / 16, heads, sequences.
pub fn attention(heads: Group, width: usize) -> String {
    let mut keys = 32;
    while keys > 8 && attention_bytes(heads.stride, keys) > WORKGROUP_BYTES {
        keys /= 2;
    }
    let numbers = numbers! {
        dim: heads.stride / 4,
        width: width / 4,
        keys: keys,
        values: heads.size,
    };
    filled(ATTENTION, numbers, &[])
}

/// Bytes of a workgroup's memory in the attention kernel: queries, keys or values, their weights, and a value an invocation.
fn attention_bytes(head_dim: usize, keys: usize) -> usize {
    size_of::<[f32; 4]>() * (QUERIES * head_dim / 4 + keys * (head_dim / 8 * 2 + 1) + keys * QUERIES / 4 + 64)
}

/// The WGSL of a buffer's checksum: each word times twice its index plus one, summed modulo 2^32.
///
/// Bindings: 0 the words, 1 the result, 64 u32, which are to be added. Workgroups: 64.
pub fn checksum() -> String {
    CHECKSUM.into()
}
