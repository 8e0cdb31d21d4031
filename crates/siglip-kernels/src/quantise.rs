//! Rows of f32 to integers with one scale: x ≈ scale · level, |level| <= the greatest level.

use crate::backend::{Kernel, dispatch};
use crate::panels::Rows;
use crate::simd::{LANES, Simd, load_part, padded};

/// 1.5 · 2^23. This and a value v below 2^22 add up to a float whose low bits are v, rounded to nearest even.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The greatest level of a weight.
pub(crate) const WEIGHT_LEVELS: f32 = 127.0;

/// The greatest level of an activation that meets `inputs` weights: no sum of products leaves i32, and the sum of two
/// levels and two weights fits i16.
pub(crate) fn activation_levels(inputs: usize) -> f32 {
    let weight = WEIGHT_LEVELS as usize;
    let most = i32::MAX as usize / (weight * inputs.max(1));
    most.min(i16::MAX as usize / 2 - weight) as f32
}

/// Rows of `row_len` weights at 8 bits, the only loss [`Precision::Q8`](crate::Precision::Q8) brings: a scale a row, and
/// levels such that a weight is about scale · level. [`PackedMatrix::pack_levels`](crate::PackedMatrix::pack_levels)
/// takes them; [`PackedMatrix::pack`](crate::PackedMatrix::pack) makes the same.
///
/// A row with an infinity or a NaN has the scale NaN.
///
/// # Panics
/// Unless `levels` is as long as `rows`, and `scales` as there are rows.
pub fn quantise_rows(rows: &[f32], row_len: usize, scales: &mut [f32], levels: &mut [i8]) {
    assert_eq!(rows.len(), levels.len(), "a level a weight");
    assert_eq!(rows.len(), scales.len() * row_len, "a scale a row");
    if row_len > 0 {
        dispatch(QuantiseRows { rows, row_len, scales, levels });
    }
}

struct QuantiseRows<'a> {
    rows: &'a [f32],
    row_len: usize,
    scales: &'a mut [f32],
    levels: &'a mut [i8],
}

impl Kernel for QuantiseRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let rows = self.rows.chunks_exact(self.row_len).zip(self.levels.chunks_exact_mut(self.row_len));
        for ((row, levels), scale) in rows.zip(self.scales) {
            let quantiser = Quantiser::of_row(simd, row, WEIGHT_LEVELS);
            *scale = quantiser.scale;
            let mut pairs = [[0; 2]; LANES];
            for (values, levels) in row.chunks(2 * LANES).zip(levels.chunks_mut(2 * LANES)) {
                simd.store_pairs(quantiser.quantise(simd, values), &mut pairs);
                for (level, value) in levels.iter_mut().zip(pairs.as_flattened()) {
                    *level = *value as i8;
                }
            }
        }
    }
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
        Self::of_magnitude(row_magnitude(simd, row), levels)
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

/// The largest magnitude of each of `rows`; `largest` may be longer, and is 0 beyond them.
#[inline(always)]
pub(crate) fn magnitudes<S: Simd>(simd: S, rows: Rows, largest: &mut [f32]) {
    for (row, largest) in largest.iter_mut().enumerate() {
        *largest = row_magnitude(simd, rows.row(row));
    }
}

/// The largest magnitude of a row: NaN if one of it is.
#[inline(always)]
fn row_magnitude<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut largest = magnitude(simd, load_part(simd, rest));
    for values in chunks {
        largest = simd.max_i32(largest, magnitude(simd, simd.load(values)));
    }
    f32::from_bits(simd.max_lane(largest) as u32)
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
