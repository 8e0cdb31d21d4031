//! Rows that a product quantizes to 16 bits as it packs them.

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
#[derive(Clone, Copy)]
pub(super) struct QuantizedRows<'a> {
    pub x: Rows<'a>,
    /// The largest magnitude of each row, or of the longer row that it is part of.
    pub magnitudes: &'a [f32],
    /// The largest quantized value.
    pub max: f32,
}

impl<'a> QuantizedRows<'a> {
    /// The rows from `first` on, `count` at most.
    pub fn slice(self, first: usize, count: usize) -> QuantizedRows<'a> {
        let x = self.x.slice(first, count);
        QuantizedRows { x, magnitudes: &self.magnitudes[first..][..x.count], max: self.max }
    }

    #[inline(always)]
    pub fn pack<S: Simd>(self, simd: S, panels: &mut [RowStepI16]) {
        pack_i16(simd, self.x, self.magnitudes, self.max, padded_steps(self.x.width), panels);
    }
}
