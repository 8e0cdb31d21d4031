//! Rows of f32 to integers with one scale: x ≈ scale · level, |level| <= the greatest level.

use crate::simd::{LANES, Simd, load_part, padded};

/// 1.5 · 2^23. This and a value v below 2^22 add up to a float whose low bits are v, rounded to nearest even.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The greatest level of a weight.
pub(crate) const WEIGHT_LEVELS: f32 = 127.0;

/// The greatest level of an activation that meets `inputs` weights: no sum of products leaves i32.
pub(crate) fn activation_levels(inputs: usize) -> f32 {
    let most = i32::MAX as usize / (WEIGHT_LEVELS as usize * inputs.max(1));
    most.min(i16::MAX as usize) as f32
}

/// How one row becomes integers.
#[derive(Clone, Copy)]
pub(crate) struct Quantiser {
    /// Levels a unit.
    pub inverse: f32,
    /// Units a level: 0 for a row of zeros, NaN for a row with an infinity or a NaN.
    pub scale: f32,
}

impl Quantiser {
    /// Of a row of zeros.
    pub const ZERO: Self = Quantiser { inverse: 0.0, scale: 0.0 };

    #[inline(always)]
    pub fn of_row<S: Simd>(simd: S, row: &[f32], levels: f32) -> Self {
        let (chunks, rest) = row.as_chunks::<LANES>();
        let mut largest = magnitude(simd, load_part(simd, rest));
        for values in chunks {
            largest = simd.max_i32(largest, magnitude(simd, simd.load(values)));
        }
        Self::of_magnitude(f32::from_bits(simd.max_lane(largest) as u32), levels)
    }

    #[inline(always)]
    pub fn of_magnitude(largest: f32, levels: f32) -> Self {
        if !largest.is_finite() {
            Quantiser { inverse: 0.0, scale: f32::NAN }
        } else if largest < f32::MIN_POSITIVE * levels {
            Self::ZERO
        } else {
            Quantiser { inverse: levels / largest, scale: largest / levels }
        }
    }

    /// The levels of the first sixteen of `values`, rounded to nearest; zeros where there are fewer.
    #[inline(always)]
    pub fn quantise<S: Simd>(self, simd: S, values: &[f32]) -> S::I16 {
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

/// Absolute values as their bits, which are in the same order, a NaN above infinity.
#[inline(always)]
pub(crate) fn magnitude<S: Simd>(simd: S, values: S::F32) -> S::I32 {
    simd.and_i32(simd.to_bits(values), simd.splat_i32(i32::MAX))
}

/// Values rounded to nearest even, as the low 16 bits of every lane, on top of the bits of [`ROUND`].
#[inline(always)]
pub(crate) fn round<S: Simd>(simd: S, values: S::F32) -> S::I32 {
    simd.to_bits(simd.add(values, simd.splat(ROUND)))
}
