//! The kernels' WGSL, with all sizes but the number of rows compiled in.
//!
//! Comments on the files in shaders/ stand here, since a page's engine carries these files:
//!
//! - product.wgsl: a workgroup of 8 x 8 invocations computes a tile of y; each invocation holds a few rows and columns of it in
//!   registers. Both tiles of operands have k outermost, with four rows or outputs in a vector: 4 x 4 values are transposed on
//!   their way into the workgroup's memory.
//! - residual_norm.wgsl: one workgroup a row; the variance in a second pass over the row.
//! - attention.wgsl: a workgroup has one head and 16 queries, and four invocations share a query. Keys and values pass by in
//!   tiles; the softmax is corrected after each (Milakov and Gimelshein, 1805.02867). Rows past the sequence's end are read as
//!   its last one: as keys they weigh nothing, as queries they are not stored.
//! - checksum.wgsl: 64 sums, one a workgroup.

use std::fmt::Write as _;

use crate::place::Group;

const PRODUCT: &str = include_str!("shaders/product.wgsl");
const RESIDUAL_NORM: &str = include_str!("shaders/residual_norm.wgsl");
const ATTENTION: &str = include_str!("shaders/attention.wgsl");
const CHECKSUM: &str = include_str!("shaders/checksum.wgsl");

/// Queries of a workgroup of the attention kernel.
pub const QUERIES: usize = 16;
/// The widest head whose queries, keys and scores fit the workgroup's memory.
pub const MOST_HEAD_DIM: usize = 160;
/// Bytes of memory that every WebGPU device gives a workgroup.
const WORKGROUP_BYTES: usize = 16 << 10;
/// Inputs that the product kernel multiplies between two barriers.
const TILE_INPUTS: usize = 16;

/// A product's results per invocation; 8 x 8 invocations are a workgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    rows: usize,
    outputs: usize,
}

impl Tile {
    /// 64 rows x 64 outputs a workgroup.
    pub const SQUARE: Tile = Tile { rows: 8, outputs: 8 };
    /// 64 rows x 32 outputs: twice the workgroups, for layers with few outputs.
    pub const TALL: Tile = Tile { rows: 8, outputs: 4 };
    /// 32 rows x 32 outputs.
    pub const SMALL: Tile = Tile { rows: 4, outputs: 4 };
    /// All that there are.
    pub const ALL: &[Tile] = &[Tile::SQUARE, Tile::TALL, Tile::SMALL];

    /// Rows of a workgroup.
    pub const fn rows(self) -> usize {
        8 * self.rows
    }

    /// Outputs of a workgroup.
    pub const fn outputs(self) -> usize {
        8 * self.outputs
    }
}

/// What a product does with its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// Adds the bias.
    Bias,
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

    /// The number of parts.
    pub fn splits(self) -> usize {
        if let Epilogue::Partials(splits) = self { splits } else { 1 }
    }
}

/// A product y = x · Wᵀ.
///
/// Bindings: 0 the pass, 1 x, 2 W, 3 with 8 bits the scales, 4 the bias unless partial sums are stored, 5 y. Workgroups:
/// outputs / tile outputs, rows / tile rows, splits.
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
    let (rows, columns) = (tile.rows, tile.outputs / 4);
    let mut bindings = String::new();
    if quantized {
        bindings += "@group(0) @binding(3) var<storage, read> scales: array<vec4<f32>>;\n";
    }
    if epilogue.adds_bias() {
        bindings += "@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;\n";
    }
    let levels = match quantized {
        // The sign bit of each byte is moved to the top, then copied down again.
        true => {
            "fn levels(word: u32) -> vec4<f32> { \
             return vec4<f32>(vec4<i32>(vec4<u32>(word << 24, word << 16, word << 8, word)) >> vec4<u32>(24)); }\n"
        }
        false => "fn levels(word: vec4<f32>) -> vec4<f32> { return word; }\n",
    };
    // Twice the argument of tanh: 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u)), where exp is kept from overflowing.
    let gelu = match epilogue {
        Epilogue::GeluTanh => {
            "fn gelu(v: vec4<f32>) -> vec4<f32> { \
             let u = 1.5957691216 * (v + 0.044715 * v * v * v); \
             return v / (1 + exp(-clamp(u, vec4<f32>(-80), vec4<f32>(80)))); }\n"
        }
        // Abramowitz and Stegun, 7.1.26: its error is below 1.5e-7.
        Epilogue::GeluErf => {
            "fn gelu(v: vec4<f32>) -> vec4<f32> { \
             let z = min(abs(v) * 0.70710678, vec4<f32>(9)); let t = 1 / (1 + 0.3275911 * z); \
             let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t; \
             return 0.5 * v * (1 + sign(v) * (1 - p * exp(-z * z))); }\n"
        }
        Epilogue::Bias | Epilogue::Partials(_) => "",
    };
    let (mut declarations, mut multiplications, mut stores) = (String::new(), String::new(), String::new());
    for row in 0..rows {
        for column in 0..columns {
            let _ = writeln!(declarations, "  var s{row}_{column} = vec4<f32>(0);");
        }
    }
    for four in 0..rows / 4 {
        let _ = writeln!(
            multiplications,
            "      let a{four} = x_tile[i * X_VECTORS + row * {} + {four}];",
            rows / 4
        );
    }
    for column in 0..columns {
        let _ = writeln!(
            multiplications,
            "      let b{column} = w_tile[i * W_VECTORS + column * {columns} + {column}];"
        );
    }
    for row in 0..rows {
        for column in 0..columns {
            let _ = writeln!(
                multiplications,
                "      s{row}_{column} = fma(vec4<f32>(a{}[{}]), b{column}, s{row}_{column});",
                row / 4,
                row % 4
            );
        }
    }
    for column in 0..columns {
        let _ =
            writeln!(stores, "  let output{column} = tile.x * W_VECTORS + column * {columns} + {column};");
        for row in 0..rows {
            let mut value = format!("s{row}_{column}");
            if quantized {
                value += &format!(" * scales[output{column}]");
            }
            if epilogue.adds_bias() {
                value += &format!(" + bias[output{column}]");
            }
            if !gelu.is_empty() {
                value = format!("gelu({value})");
            }
            let part = if epilogue.splits() > 1 { "tile.z * pass_info.padded_rows + " } else { "" };
            let _ = writeln!(
                stores,
                "  y[({part}first_row + row * {rows} + {row}) * {} + output{column}] = {value};",
                outputs / 4
            );
        }
    }
    debug_assert_eq!(inputs % (epilogue.splits() * TILE_INPUTS), 0);
    format!(
        "const K = {}u;\nconst SPLIT = {}u;\nconst X_VECTORS = {}u;\nconst W_VECTORS = {}u;\n{}",
        inputs / 4,
        inputs / 4 / epilogue.splits(),
        tile.rows() / 4,
        tile.outputs() / 4,
        PRODUCT
            .replace("WORD", if quantized { "u32" } else { "vec4<f32>" })
            .replace("BINDINGS\n", &bindings)
            .replace("FUNCTIONS\n", &format!("{levels}{gelu}"))
            .replace("DECLARATIONS\n", &declarations)
            .replace("MULTIPLICATIONS\n", &multiplications)
            .replace("STORES\n", &stores)
    )
}

/// The layer norm after an addition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub eps: f32,
}

/// The WGSL of x += bias + `splits` partial sums, then of normed = LayerNorm(x) if there is a `norm`.
///
/// Bindings: 0 the pass, 1 x, 2 partial sums, 3 bias (both unless `splits` is 0), 4 the norm's weight, 5 its bias, 6 normed.
/// Workgroups: one a row. `stride` is the padded width.
pub fn residual_norm(width: usize, stride: usize, splits: usize, norm: Option<Norm>) -> String {
    let (mut bindings, mut additions) = (String::new(), String::new());
    if splits > 0 {
        bindings += "@group(0) @binding(2) var<storage, read> partials: array<f32>;\n\
                     @group(0) @binding(3) var<storage, read> bias: array<f32>;\n";
        additions = format!(
            "value += bias[i];\n    \
             for (var part = 0u; part < {splits}; part++) {{ value += partials[part * pass_info.padded_rows * STRIDE + row + i]; }}\n    \
             x[row + i] = value;"
        );
    } else {
        additions += "_ = pass_info.rows;";
    }
    let normalization = norm.map_or_else(String::new, |Norm { eps }| {
        bindings += "@group(0) @binding(4) var<storage, read> norm_weight: array<f32>;\n\
                     @group(0) @binding(5) var<storage, read> norm_bias: array<f32>;\n\
                     @group(0) @binding(6) var<storage, read_write> normed: array<f32>;\n";
        format!(
            "let mean = sum_of_all(sum, local) / f32(WIDTH);
  sum = 0.0;
  for (var i = local; i < WIDTH; i += THREADS) {{ let d = x[row + i] - mean; sum += d * d; }}
  let factor = inverseSqrt(sum_of_all(sum, local) / f32(WIDTH) + {eps:e});
  for (var i = local; i < WIDTH; i += THREADS) {{ normed[row + i] = (x[row + i] - mean) * factor * norm_weight[i] + norm_bias[i]; }}"
        )
    });
    let body = RESIDUAL_NORM
        .replace("BINDINGS\n", &bindings)
        .replace("ADDITIONS", &additions)
        .replace("NORMALIZATION", &normalization);
    format!("const WIDTH = {width}u;\nconst STRIDE = {stride}u;\n{body}")
}

/// The WGSL of attention with these heads in a context of this padded width.
///
/// Bindings: 0 the pass, 1 queries, keys and values, 2 the context. Workgroups: rows of a sequence / 16, heads, sequences.
pub fn attention(heads: Group, width: usize) -> String {
    let keys = [32, 16, 8].into_iter().find(|keys| attention_bytes(heads.stride, *keys) <= WORKGROUP_BYTES);
    format!(
        "const DIM = {}u;\nconst WIDTH = {}u;\nconst KEYS = {}u;\nconst SCALE = {:e};\n{ATTENTION}",
        heads.stride / 4,
        width / 4,
        keys.unwrap_or(8),
        1.0 / (heads.size as f32).sqrt(),
    )
}

/// Bytes of a workgroup's memory in the attention kernel.
fn attention_bytes(head_dim: usize, keys: usize) -> usize {
    size_of::<f32>() * (QUERIES * head_dim + keys * head_dim + QUERIES * keys)
}

/// The WGSL of a buffer's checksum: each word times twice its index plus one, summed modulo 2^32.
///
/// Bindings: 0 the words, 1 the result, 64 u32, which are to be added. Workgroups: 64.
pub fn checksum() -> String {
    CHECKSUM.into()
}
