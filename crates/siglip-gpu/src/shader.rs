//! The kernels' WGSL, with all sizes but the number of rows compiled in.
//!
//! Comments on the files in shaders/ stand here, since a page's engine carries these files:
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

mod heads;

pub use heads::{ROW_OUTPUTS, RowProduct, pool, row_product};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::place::Group;

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
    let Product { inputs, quantized, tile, epilogue, .. } = *product;
    debug_assert_eq!(inputs % (epilogue.parts() * tile.inputs), 0);
    let mut bindings = String::new();
    if quantized {
        bindings += "@group(0) @binding(3) var<storage, read> scales: array<vec4<f32>>;\n";
    }
    if epilogue.adds_bias() {
        bindings += "@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;\n";
    }
    if epilogue == Epilogue::Residual {
        bindings += "@group(0) @binding(6) var<storage, read> added: array<vec4<f32>>;\n";
    }
    let slice_sums = match tile.slices {
        1 => String::new(),
        slices => filled(
            "var<workgroup> slice_sums: array<vec4<f32>, $length>;\n",
            &["$length"],
            &[(slices - 1) * SIDE * SIDE],
        ),
    };
    let (x_vectors, w_vectors, k_vectors) = (tile.rows() / 4, tile.outputs() / 4, tile.inputs / 4);
    let constants = "const K = $inputsu;
const SPLIT = $splitu;
const TILE_K = $tile_inputsu;
const K_VECTORS = $k_vectorsu;
const X_VECTORS = $x_vectorsu;
const W_VECTORS = $w_vectorsu;
const SLICES = $slicesu;
const SLICE_THREADS = $slice_threadsu;
const THREADS = $threadsu;
const COLUMNS = $columnsu;
const SWIZZLE = $swizzleu;
";
    let names = [
        "$inputs",
        "$split",
        "$tile_inputs",
        "$k_vectors",
        "$x_vectors",
        "$w_vectors",
        "$slices",
        "$slice_threads",
        "$threads",
        "$columns",
        "$swizzle",
    ];
    let sizes = [
        inputs / 4,
        inputs / 4 / epilogue.parts(),
        tile.inputs,
        k_vectors,
        x_vectors,
        w_vectors,
        tile.slices,
        SIDE * SIDE,
        tile.slices * SIDE * SIDE,
        SIDE,
        8 / k_vectors.min(8),
    ];
    let (declarations, tiles) = tile_reads(tile);
    let declarations = declarations + &each_sum(tile, "  var s$row_$column = vec4<f32>(0);\n");
    let words = [
        "WORD",
        "BINDINGS\n",
        "SLICE_SUMS\n",
        "FUNCTIONS\n",
        "DECLARATIONS\n",
        "TILES\n",
        "MULTIPLICATIONS\n",
        "STORES\n",
    ];
    let by = [
        if quantized { "u32" } else { "vec4<f32>" },
        &bindings,
        &slice_sums,
        &functions(quantized, epilogue),
        &declarations,
        &tiles,
        &multiplications(tile),
        &(slices_added(tile) + &stores(product)),
    ];
    filled(constants, &names, &sizes) + &replaced(PRODUCT, &words, &by)
}

/// The sign bit of each byte is moved to the top, then copied down again.
const LEVELS: &str = "fn levels(word: u32) -> vec4<f32> { \
    return vec4<f32>(vec4<i32>(vec4<u32>(word << 24, word << 16, word << 8, word)) >> vec4<u32>(24)); }\n";

fn functions(quantized: bool, epilogue: Epilogue) -> String {
    let levels = if quantized { LEVELS } else { "" };
    let w = match quantized {
        true => {
            "alias Raw = vec4<u32>;\n\
             fn w_read(at: u32) -> Raw { return Raw(weights[at], weights[at + K], weights[at + 2 * K], weights[at + 3 * K]); }\n\
             fn w_values(raw: Raw) -> mat4x4<f32> { \
             return transpose(mat4x4(levels(raw[0]), levels(raw[1]), levels(raw[2]), levels(raw[3]))); }\n"
        }
        false => {
            "alias Raw = mat4x4<f32>;\n\
             fn w_read(at: u32) -> Raw { return Raw(weights[at], weights[at + K], weights[at + 2 * K], weights[at + 3 * K]); }\n\
             fn w_values(raw: Raw) -> Raw { return transpose(raw); }\n"
        }
    };
    let gelu = gelu(epilogue);
    let x = "fn x_read(at: u32) -> mat4x4<f32> { return mat4x4(x[at], x[at + K], x[at + 2 * K], x[at + 3 * K]); }\n";
    [x, levels, w, gelu].concat()
}

/// The function of an epilogue.
fn gelu(epilogue: Epilogue) -> &'static str {
    // Twice the argument of tanh: 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u)), where exp is kept from overflowing.
    match epilogue {
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
        Epilogue::Bias | Epilogue::Residual | Epilogue::Partials(_) => "",
    }
}

/// How the operands of a tile get into the workgroup's memory: what is declared and done before the loop over tiles, and in it.
///
/// An invocation reads 4 x 4 values at once, those of x first, and transposes them.
fn tile_reads(tile: Tile) -> (String, String) {
    let threads = tile.slices * SIDE * SIDE;
    let k_vectors = tile.inputs / 4;
    let (x_vectors, w_vectors) = (tile.rows() / 4, tile.outputs() / 4);
    let (x_end, end) = (x_vectors * k_vectors, (x_vectors + w_vectors) * k_vectors);
    let (mut declarations, mut reads, mut writes) = (String::new(), String::new(), String::new());
    for (round, first) in (0..end).step_by(threads).enumerate() {
        for (is_x, start, stop) in [(true, 0, x_end), (false, x_end, end)] {
            if first + threads <= start || stop <= first {
                continue;
            }
            let (from, to) = (start.saturating_sub(first), stop.min(first + threads) - first);
            let condition = match (from > 0, to < threads) {
                (true, true) => "if (local >= $from && local < $to) ",
                (true, false) => "if (local >= $from) ",
                (false, true) => "if (local < $to) ",
                (false, false) => "",
            };
            // Rows or outputs past the ones at local / K_VECTORS, in fours; below zero where x takes the first invocations.
            let sign = if first < start { "-" } else { "+" };
            let offset = first.abs_diff(start) / k_vectors;
            let names = ["$round", "$from", "$to", "$rows", "$offset"];
            let numbers = [round, from, to, 4 * offset, offset];
            let words = ["NAME", "VECTORS", "SIGN", "IF", "RAW", "OF"];
            let by = match is_x {
                true => ["x", "X_VECTORS", sign, condition, "mat4x4<f32>", "transpose"],
                false => ["w", "W_VECTORS", sign, condition, "Raw", "w_values"],
            };
            let text = |template: &str| filled(&replaced(template, &words, &by), &names, &numbers);
            declarations += &text("  var NAME$round: RAW;\n");
            reads += &text("      IF{ NAME$round = NAME_read(NAME_at SIGN $rowsu * K + k); }\n");
            writes += &text("    IF{\n      let t = OF(NAME$round);\n");
            for i in ["0", "1", "2", "3"] {
                let write = "      NAME_tile[NAME_to SIGN $offsetu + INDEX * VECTORS] = t[INDEX];\n";
                writes += &text(&replaced(write, &["INDEX"], &[i]));
            }
            writes += "    }\n";
        }
    }
    if tile.prefetch {
        declarations = declarations + "  {\n    let k = tile.z * SPLIT;\n" + &reads + "  }\n";
        let next = replaced(&reads, &["+ k)"], &["+ k + K_VECTORS)"]);
        writes = writes + "    if (k + K_VECTORS < (tile.z + 1) * SPLIT) {\n" + &next + "    }\n";
        (declarations, writes)
    } else {
        (declarations, String::from("    {\n") + &reads + "    }\n" + &writes)
    }
}

/// A template with other words in the places of some. The first word that fits counts; what takes its place is not searched.
///
/// Text is made and read by hand in this crate: `format!` and the searches of `str` would be a fifth of a page's module.
#[inline(never)]
fn replaced(template: &str, words: &[&str], by: &[&str]) -> String {
    let (mut text, mut rest, mut at) = (String::new(), template, 0);
    while at < rest.len() {
        let fits = |word: &&str| rest.as_bytes()[at..].starts_with(word.as_bytes());
        match words.iter().position(fits) {
            Some(found) => {
                text += &rest[..at];
                text += by[found];
                (rest, at) = (&rest[at + words[found].len()..], 0);
            }
            None => at += 1,
        }
    }
    text + rest
}

/// A template with numbers in the places of names.
#[inline(never)]
fn filled(template: &str, names: &[&str], numbers: &[usize]) -> String {
    let digits: Vec<String> = numbers.iter().map(usize::to_string).collect();
    let digits: Vec<&str> = digits.iter().map(String::as_str).collect();
    replaced(template, names, &digits)
}

/// A number in WGSL, to the last bit. Its decimal digits would take 8 KB of code.
fn float(value: f32) -> String {
    filled("bitcast<f32>($bitsu)", &["$bits"], &[value.to_bits() as usize])
}

/// A template for every sum of an invocation: `$row` and `$column`, a vector of four outputs; its row is `$one` of the vector
/// `$four`, which begins `$rows` past the first.
fn each_sum(tile: Tile, template: &str) -> String {
    let mut text = String::new();
    for row in 0..tile.rows {
        for column in 0..tile.outputs / 4 {
            let four = row / 4;
            let numbers = [four * SIDE, four, row % 4, row, column];
            text += &filled(template, &["$rows", "$four", "$one", "$row", "$column"], &numbers);
        }
    }
    text
}

/// A template for the first `count` vectors of an invocation: number `$four` begins `$at` past the first.
fn each_four(count: usize, template: &str) -> String {
    (0..count / 4).map(|four| filled(template, &["$four", "$at"], &[four, four * SIDE])).collect()
}

/// The products of one input.
fn multiplications(tile: Tile) -> String {
    each_four(tile.rows, "        let a$four = x_tile[a + j * X_VECTORS + $at];\n")
        + &each_four(tile.outputs, "        let b$four = w_tile[b + j * W_VECTORS + $at];\n")
        + &each_sum(tile, "        s$row_$column = fma(vec4<f32>(a$four[$one]), b$column, s$row_$column);\n")
}

/// Adds the slices' sums to those of the first.
fn slices_added(tile: Tile) -> String {
    if tile.slices == 1 {
        return String::new();
    }
    let other = |slice| filled("slice_sums[local + $slice * SLICE_THREADS]", &["$slice"], &[slice]);
    let others: Vec<String> = (0..tile.slices - 1).map(other).collect();
    let added = "  if (slice > 0) { slice_sums[local - SLICE_THREADS] = s$row_$column; }\n  workgroupBarrier();\n  \
                 if (slice == 0) { s$row_$column += OTHERS; }\n  workgroupBarrier();\n";
    each_sum(tile, &replaced(added, &["OTHERS"], &[&others.join(" + ")])) + "  if (slice > 0) { return; }\n"
}

/// The epilogue.
fn stores(product: &Product) -> String {
    let Product { outputs, quantized, tile, epilogue, .. } = *product;
    let mut value = String::from("s$row_$column");
    if quantized {
        value += " * scales[output$column]";
    }
    if epilogue.adds_bias() {
        value += " + bias[output$column]";
    }
    if matches!(epilogue, Epilogue::GeluTanh | Epilogue::GeluErf) {
        value = String::from("gelu(") + &value + ")";
    }
    if epilogue == Epilogue::Residual {
        value += " + added[((tile.y * X_VECTORS + row + $rows) * 4 + $one) % pass_info.length * $stride + output$column]";
    }
    let part = if epilogue.parts() > 1 { "tile.z * pass_info.padded_rows + " } else { "" };
    let store = replaced(
        "  y[(PART(tile.y * X_VECTORS + row + $rows) * 4 + $one) * $stride + output$column] = VALUE;\n",
        &["PART", "VALUE"],
        &[part, &value],
    );
    each_four(tile.outputs, "  let output$four = tile.x * W_VECTORS + column + $at;\n")
        + &each_sum(tile, &filled(&store, &["$stride"], &[outputs / 4]))
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
    let (mut bindings, mut additions) = (String::new(), String::new());
    if parts > 0 {
        bindings += "@group(0) @binding(2) var<storage, read> partials: array<f32>;\n\
                     @group(0) @binding(3) var<storage, read> bias: array<f32>;\n";
        additions = filled(
            "value += bias[i];\n    \
             for (var part = 0u; part < $parts; part++) { value += partials[part * pass_info.padded_rows * STRIDE + row + i]; }\n    \
             x[row + i] = value;",
            &["$parts"],
            &[parts],
        );
    } else {
        additions += "_ = pass_info.rows;";
    }
    let normalization = norm.map_or_else(String::new, |Norm { eps }| {
        bindings += "@group(0) @binding(4) var<storage, read> norm_weight: array<f32>;\n\
                     @group(0) @binding(5) var<storage, read> norm_bias: array<f32>;\n\
                     @group(0) @binding(6) var<storage, read_write> normed: array<f32>;\n";
        let template = "let mean = sum_of_all(sum, local) / f32(WIDTH);
  sum = 0.0;
  for (var i = local; i < WIDTH; i += THREADS) { let d = x[row + i] - mean; sum += d * d; }
  let factor = inverseSqrt(sum_of_all(sum, local) / f32(WIDTH) + EPS);
  for (var i = local; i < WIDTH; i += THREADS) { normed[row + i] = (x[row + i] - mean) * factor * norm_weight[i] + norm_bias[i]; }";
        replaced(template, &["EPS"], &[&float(eps)])
    });
    let (words, by) =
        (["BINDINGS\n", "ADDITIONS", "NORMALIZATION"], [&bindings[..], &additions, &normalization]);
    let constants = "const WIDTH = $widthu;\nconst STRIDE = $strideu;\n";
    filled(constants, &["$width", "$stride"], &[width, stride]) + &replaced(RESIDUAL_NORM, &words, &by)
}

/// The WGSL of attention with these heads in a context of this padded width.
///
/// Bindings: 0 the pass, 1 queries, keys and values, 2 the context. Workgroups: rows of a sequence / 16, heads, sequences.
pub fn attention(heads: Group, width: usize) -> String {
    let keys = [32, 16, 8].into_iter().find(|keys| attention_bytes(heads.stride, *keys) <= WORKGROUP_BYTES);
    let names = ["$dim", "$width", "$keys", "$values"];
    let sizes = [heads.stride / 4, width / 4, keys.unwrap_or(8), heads.size];
    let constants = "const DIM = $dimu;\nconst WIDTH = $widthu;\nconst KEYS = $keysu;\nconst SCALE = 1 / sqrt(f32($values));\n";
    filled(constants, &names, &sizes) + ATTENTION
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
