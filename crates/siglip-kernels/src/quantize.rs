//! Symmetric quantization of rows of f32: x ≈ scale · q, with one scale per row and integers q, |q| <= max.

use crate::dispatch::{Kernel, dispatch};
use crate::simd::{LANES, Simd, Vectors, load_part, padded};

/// 1.5 · 2^23. The sum of this and a value v below 2^22 is a float whose low bits are v, rounded to nearest even.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The largest quantized weight.
pub(crate) const MAX_WEIGHT: f32 = 127.0;

/// The largest quantized activation in a product over `inputs` weights. Two bounds hold: no sum of products overflows i32, and
/// the sum of two activations and two weights, which Strassen's and Winograd's algorithms multiply, fits i16.
pub(crate) fn max_activation(inputs: usize) -> f32 {
    let weight = MAX_WEIGHT as usize;
    let most = i32::MAX as usize / (weight * inputs.max(1));
    most.min(i16::MAX as usize / 2 - weight) as f32
}

/// Quantizes `rows`, rows of `row_len` weights, to 8 bits: weight ≈ scale · quantized, with one of `scales` per row.
///
/// [`PackedMatrix::pack_quantized_row`](crate::PackedMatrix::pack_quantized_row) takes such rows;
/// [`PackedMatrix::pack`](crate::PackedMatrix::pack) quantizes the same way. A row with an infinity or a NaN has the scale
/// NaN.
///
/// # Panics
/// Unless `quantized` is as long as `rows`, and `scales` has one element per row.
pub fn quantize_rows(rows: &[f32], row_len: usize, scales: &mut [f32], quantized: &mut [i8]) {
    assert_eq!(rows.len(), quantized.len(), "not one quantized value per weight");
    assert_eq!(rows.len(), scales.len() * row_len, "not one scale per row");
    if row_len > 0 {
        dispatch(QuantizeRows { rows, row_len, scales, quantized });
    }
}

struct QuantizeRows<'a> {
    rows: &'a [f32],
    row_len: usize,
    scales: &'a mut [f32],
    quantized: &'a mut [i8],
}

impl Kernel for QuantizeRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let rows = self.rows.chunks_exact(self.row_len).zip(self.quantized.chunks_exact_mut(self.row_len));
        for ((row, quantized), scale) in rows.zip(self.scales) {
            let quantizer = Quantizer::of_row(simd, row, MAX_WEIGHT);
            *scale = quantizer.scale;
            let mut pairs = [[0; 2]; LANES];
            for (values, quantized) in row.chunks(2 * LANES).zip(quantized.chunks_mut(2 * LANES)) {
                simd.store_pairs(quantizer.quantize(simd, values), &mut pairs);
                for (quantized, value) in quantized.iter_mut().zip(pairs.as_flattened()) {
                    *quantized = *value as i8;
                }
            }
        }
    }
}

/// How one row becomes integers.
#[derive(Clone, Copy)]
pub(crate) struct Quantizer {
    /// 1 / scale.
    pub inverse: f32,
    /// Real value of one quantization step: 0 for a row of zeros, NaN for a row with an infinity or a NaN.
    pub scale: f32,
}

impl Quantizer {
    /// The quantizer of a row of zeros.
    pub const ZERO: Self = Quantizer { inverse: 0.0, scale: 0.0 };

    /// The largest magnitude of `row` becomes `max`.
    #[inline(always)]
    pub fn of_row<S: Simd>(simd: S, row: &[f32], max: f32) -> Self {
        Self::of_magnitude(row_magnitude(simd, row), max)
    }

    /// `largest` becomes `max`.
    #[inline(always)]
    pub fn of_magnitude(largest: f32, max: f32) -> Self {
        if !largest.is_finite() {
            Quantizer { inverse: 0.0, scale: f32::NAN }
        } else if largest < f32::MIN_POSITIVE * max {
            Self::ZERO
        } else {
            Quantizer { inverse: max / largest, scale: largest / max }
        }
    }

    /// Quantizes the first sixteen of `values`, rounded to nearest; zeros where there are fewer.
    #[inline(always)]
    pub fn quantize<S: Simd>(self, simd: S, values: &[f32]) -> S::I16 {
        let sixteen = match values.first_chunk::<{ 2 * LANES }>() {
            Some(sixteen) => sixteen,
            None => &padded(values),
        };
        let (halves, _) = sixteen.as_chunks::<LANES>();
        simd.narrow(self.round(simd, &halves[0]), self.round(simd, &halves[1]))
    }

    #[inline(always)]
    fn round<S: Simd>(self, simd: S, values: &[f32; LANES]) -> S::I32 {
        let scaled = simd.mul(simd.load(values), simd.splat(self.inverse));
        simd.sub_i32(round(simd, scaled), simd.splat_i32(ROUND.to_bits() as i32))
    }
}

/// The largest magnitude of a row; NaN if it holds a NaN.
#[inline(always)]
pub(crate) fn row_magnitude<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut largest = magnitude_bits(simd, load_part(simd, rest));
    for values in chunks {
        largest = simd.max_i32(largest, magnitude_bits(simd, simd.load(values)));
    }
    f32::from_bits(simd.max_lane(largest) as u32)
}

/// The bits of absolute values. As integers they are in the same order as the values, with a NaN above infinity.
#[inline(always)]
pub(crate) fn magnitude_bits<V: Vectors>(vectors: V, values: V::F32) -> V::I32 {
    vectors.and_i32(vectors.to_bits(values), vectors.splat_i32(i32::MAX))
}

/// `values` rounded to nearest even, in the low 16 bits of each lane; the bits above are those of [`ROUND`].
#[inline(always)]
pub(crate) fn round<V: Vectors>(vectors: V, values: V::F32) -> V::I32 {
    vectors.to_bits(vectors.add(values, vectors.splat(ROUND)))
}
