//! The kernels of the heads. Comments on the files in shaders/ stand here:
//!
//! - pool.wgsl: a workgroup has one head of one image's pooling head, and 256 invocations. Patches pass by, 64 at a time, with an
//!   online softmax; what they weigh together is then multiplied with the head's values.
//! - row_product.wgsl: a workgroup computes 8 outputs of one row, each by 32 invocations. The norm of the row is computed in
//!   every workgroup again: rows are few.

use alloc::string::String;

use super::{Epilogue, Norm, eps, functions};
use crate::template::{filled, numbers};

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
    let numbers = numbers! {
        inputs: inputs / 4,
        outputs: outputs,
        quantized: quantized.into(),
        residual: (epilogue == Epilogue::Residual).into(),
        gelu: epilogue.gelu(),
        takes_last: takes_last.into(),
        norm: norm.is_some().into(),
        width: norm.map_or(0, |(_, width)| width),
        eps: eps(norm.map(|(norm, _)| norm)),
    };
    filled(ROW_PRODUCT, numbers, &[]) + &functions(quantized, epilogue)
}

/// The WGSL of an attention pooling head up to its output projection: for each of its heads, patches are weighted by their
/// products with a query, and their sum multiplied with the head's values.
///
/// Bindings: 0 the pass, 1 patches, 2 the queries, one a head, 3 the values' weight, 4 their bias, 5 the context, a row for each
/// sequence. Workgroups: heads, sequences. `stride` is the padded width of patches, queries, values and context.
pub fn pool(head_dim: usize, stride: usize) -> String {
    filled(POOL, numbers! { dim: head_dim, width: stride / 4 }, &[])
}
