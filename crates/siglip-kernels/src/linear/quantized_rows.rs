//! Rows that a product quantizes as it packs them.

use crate::layout::RowStepI16;
use crate::pack::pack_i16;
use crate::rows::Rows;
use crate::simd::Simd;

/// Steps of a panel of quantized rows of `inputs` elements, with zeros at the end: a multiple of four, because Strassen's
/// algorithm halves the inputs, and Winograd's takes two steps at a time.
pub(super) fn padded_steps(inputs: usize) -> usize {
    inputs.div_ceil(2).next_multiple_of(4)
}

/// Rows to be quantized.
pub(super) struct QuantizedRows<'a> {
    pub x: Rows<'a>,
    /// The largest quantized value.
    pub max: f32,
    /// The largest magnitude of each row, where it is not that of `x` itself: `x` may be a part of longer rows.
    pub magnitudes: Option<&'a [f32]>,
    /// Takes the scale of each row; as long as whole panels of them.
    pub scales: &'a mut [f32],
}

impl QuantizedRows<'_> {
    #[inline(always)]
    pub fn pack<S: Simd>(self, simd: S, panels: &mut [RowStepI16]) {
        let QuantizedRows { x, max, magnitudes, scales } = self;
        pack_i16(simd, x, max, magnitudes, padded_steps(x.width), panels, scales);
    }
}
