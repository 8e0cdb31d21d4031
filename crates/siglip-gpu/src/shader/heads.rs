//! The kernels of the heads. Comments on the files in shaders/ stand here:
//!
//! - pool.wgsl: a workgroup has one head of one image's pooling head, and 256 invocations. Patches pass by, 64 at a time, with an
//!   online softmax; what they weigh together is then multiplied with the head's values.
//! - row_product.wgsl: a workgroup computes 8 outputs of one row, each by 32 invocations. The norm of the row is computed in
//!   every workgroup again: rows are few.

use alloc::string::String;

use super::{Epilogue, LEVELS, Norm, filled, float, gelu, replaced};

const POOL: &str = include_str!("../shaders/pool.wgsl");
const ROW_PRODUCT: &str = include_str!("../shaders/row_product.wgsl");

/// Outputs of a workgroup of a row product.
pub const ROW_OUTPUTS: usize = 8;

/// A product of one row of each sequence, y = x · Wᵀ, for layers that have no more rows.
///
/// Bindings: 0 the pass, 1 x, 2 W, 3 with 8 bits the scales, 4 the bias, 5 y, 6 the rows of [`Epilogue::Residual`], 7 the norm's
/// weight, 8 its bias. Workgroups: outputs / 8, sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowProduct {
    /// A multiple of 64.
    pub inputs: usize,
    /// A multiple of 8.
    pub outputs: usize,
    /// Whether W is in 8 bits.
    pub quantized: bool,
    /// The layer norm of x before, over so many of its inputs.
    pub norm: Option<(Norm, usize)>,
    /// Whether x has all rows of the sequences, of which the last one is taken, or one of each.
    pub takes_last: bool,
    /// What becomes of the sums. There are no partial sums.
    pub epilogue: Epilogue,
}

/// The WGSL of a product of single rows.
pub fn row_product(product: &RowProduct) -> String {
    let RowProduct { inputs, outputs, quantized, norm, takes_last, epilogue } = *product;
    debug_assert_eq!(epilogue.parts(), 1);
    let mut bindings = String::from("@group(0) @binding(4) var<storage, read> bias: array<f32>;\n");
    let mut result = String::from("sum + bias[output]");
    if quantized {
        bindings += "@group(0) @binding(3) var<storage, read> scales: array<f32>;\n";
        result = String::from("sum * scales[output] + bias[output]");
    }
    if epilogue == Epilogue::Residual {
        bindings += "@group(0) @binding(6) var<storage, read> added: array<f32>;\n";
        result += " + added[at]";
    }
    if matches!(epilogue, Epilogue::GeluTanh | Epilogue::GeluErf) {
        result = String::from("gelu(vec4<f32>(") + &result + ")).x";
    }
    let (mut value, mut statistics) = ("x[row + i]", String::new());
    if let Some((Norm { eps }, width)) = norm {
        bindings += "@group(0) @binding(7) var<storage, read> norm_weight: array<vec4<f32>>;\n\
                     @group(0) @binding(8) var<storage, read> norm_bias: array<vec4<f32>>;\n";
        value = "((x[row + i] - mean) * factor * norm_weight[i] + norm_bias[i])";
        // Past the width x is zero, and not the mean.
        let template = "var values = vec4<f32>(0);
  for (var i = local; i < K; i += THREADS) { values += x[row + i]; }
  let mean = sum_of(dot(values, vec4<f32>(1)), local, THREADS) / $width;
  values = vec4<f32>(0);
  for (var i = local; i < K; i += THREADS) {
    let d = select(vec4<f32>(0), x[row + i] - mean, vec4<u32>(4 * i) + vec4<u32>(0, 1, 2, 3) < vec4<u32>($width));
    values += d * d;
  }
  let factor = inverseSqrt(sum_of(dot(values, vec4<f32>(1)), local, THREADS) / $width + EPS);";
        statistics = replaced(&filled(template, &["$width"], &[width]), &["EPS"], &[&float(eps)]);
    }
    let functions = String::from(if quantized { LEVELS } else { "" }) + gelu(epilogue);
    let words = ["WORD", "BINDINGS\n", "FUNCTIONS\n", "ROW", "NORM", "VALUE", "LEVELS", "RESULT"];
    let by = [
        if quantized { "u32" } else { "vec4<f32>" },
        &bindings,
        &functions,
        if takes_last { "((group.y + 1) * pass_info.length - 1)" } else { "group.y" },
        &statistics,
        value,
        if quantized { "levels" } else { "" },
        &result,
    ];
    let constants = "const K = $inputsu;\nconst OUTPUTS = $outputsu;\n";
    filled(constants, &["$inputs", "$outputs"], &[inputs / 4, outputs]) + &replaced(ROW_PRODUCT, &words, &by)
}

/// The WGSL of an attention pooling head up to its output projection: for each of its heads, patches are weighted by their
/// products with a query, and their sum multiplied with the head's values.
///
/// Bindings: 0 the pass, 1 patches, 2 the queries, one a head, 3 the values' weight, 4 their bias, 5 the context, a row for each
/// sequence. Workgroups: heads, sequences. `stride` is the padded width of patches, queries, values and context.
pub fn pool(head_dim: usize, stride: usize) -> String {
    filled("const DIM = $dimu;\nconst WIDTH = $widthu;\n", &["$dim", "$width"], &[head_dim, stride / 4])
        + POOL
}
