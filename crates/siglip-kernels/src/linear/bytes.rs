//! Activations in bytes, for processors that multiply bytes.
//!
//! A byte has 255 steps from a row's least value to its largest. That suffices where a row's values are spread evenly. In a row
//! with an outlier, most values would share a few steps; such rows are quantized to 16 bits.

use crate::layout::{ROWS, RowStepI16, WIDE_ROWS, WideRowStepU8};
use crate::quantize::{ROUND, round};
use crate::rows::{Rows, tail};
use crate::simd::{LANES, RowBytes, Simd, WIDE_LANES, Wide, load_part, padded};

/// A row is an outlier row, for 16 bits, if its largest magnitude is more than so many times its mean magnitude.
const OUTLIER_RATIO: f32 = 10.0;

/// Products with fewer inputs take 16 bits: they are fast as they are, and in short sums rounding errors average out less.
pub(super) const MIN_INPUTS: usize = 256;

/// How one row becomes bytes: x ≈ scale · (q - zero point).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteQuantizer {
    pub scale: f32,
    inverse: f32,
    zero_point: f32,
}

impl ByteQuantizer {
    /// The quantizer of a row; none for an outlier row, and for one that holds no finite number but zero.
    #[inline(always)]
    pub fn of_row<S: Simd>(simd: S, row: &[f32]) -> Option<Self> {
        let (chunks, rest) = row.as_chunks::<LANES>();
        let zero = simd.splat(0.0);
        // Padding with zeros is harmless: zero lies in the range of every row, so that it is represented exactly.
        let rest = load_part(simd, rest);
        let (mut largest, mut least) = (simd.max(rest, zero), simd.max(simd.sub(zero, rest), zero));
        let mut sum = simd.max(rest, simd.sub(zero, rest));
        for values in chunks {
            let values = simd.load(values);
            let negated = simd.sub(zero, values);
            largest = simd.max(largest, values);
            least = simd.max(least, negated);
            sum = simd.add(sum, simd.max(values, negated));
        }
        let (mut lanes, mut negated_lanes) = ([0.0; LANES], [0.0; LANES]);
        simd.store(largest, &mut lanes);
        simd.store(least, &mut negated_lanes);
        let (largest, least) =
            (lanes.into_iter().fold(0.0, f32::max), negated_lanes.into_iter().fold(0.0, f32::max));
        let mean = simd.sum(sum) / row.len() as f32;
        // A NaN among the values makes the mean NaN, and every comparison below false.
        let regular = mean.is_finite()
            && mean >= f32::MIN_POSITIVE * 1024.0
            && largest.max(least) <= OUTLIER_RATIO * mean;
        regular.then(|| {
            let range = largest + least;
            let inverse = 255.0 / range;
            ByteQuantizer { scale: range / 255.0, inverse, zero_point: (least * inverse).round_ties_even() }
        })
    }

    /// What stands for zero in bytes of this type.
    pub fn zero_point(&self, bytes: RowBytes) -> i32 {
        self.zero_point as i32 - bytes.offset()
    }

    /// Quantizes the first 32 of `values`, eight quads; zeros where there are fewer.
    #[inline(always)]
    fn quads<S: Simd>(self, simd: S, values: &[f32], bytes: RowBytes) -> S::I16 {
        let values = match values.first_chunk::<{ 4 * LANES }>() {
            Some(values) => values,
            None => &padded(values),
        };
        let ([a, b, c, d], _) = values.as_chunks::<LANES>() else { unreachable!("four times eight") };
        let low = simd.narrow(self.round(simd, a, bytes), self.round(simd, b, bytes));
        let high = simd.narrow(self.round(simd, c, bytes), self.round(simd, d, bytes));
        match bytes {
            RowBytes::Unsigned => simd.narrow_to_u8(low, high),
            RowBytes::Signed => simd.narrow_to_i8(low, high),
        }
    }

    #[inline(always)]
    fn round<S: Simd>(self, simd: S, values: &[f32; LANES], bytes: RowBytes) -> S::I32 {
        let scaled = simd.mul(simd.load(values), simd.splat(self.inverse));
        let rounded = round(simd, simd.add(scaled, simd.splat(self.zero_point)));
        simd.sub_i32(rounded, simd.splat_i32(ROUND.to_bits() as i32 + bytes.offset()))
    }
}

/// Packs rows as bytes in one panel of four, four columns per step.
#[inline(always)]
pub(super) fn pack_quads<S: Simd>(
    simd: S,
    x: Rows,
    first: usize,
    quantizers: &[ByteQuantizer],
    bytes: RowBytes,
    steps: &mut [RowStepI16],
) {
    for (group, steps) in steps.chunks_mut(LANES).enumerate() {
        let mut vectors = [simd.splat_pair(&[0; 2]); ROWS];
        for (vector, row) in vectors.iter_mut().zip(first..) {
            if let Some(quantizer) = quantizers.get(row) {
                *vector = quantizer.quads(simd, tail(x.row(row), group * 4 * LANES), bytes);
            }
        }
        let mut eight = [[[0; 2]; ROWS]; LANES];
        simd.transpose_pairs(vectors, &mut eight);
        steps.copy_from_slice(&eight[..steps.len()]);
    }
}

/// Packs rows as bytes in one panel of eight, four columns per step.
#[inline(always)]
pub(super) fn pack_panel<S: Wide>(
    simd: S,
    x: Rows,
    first: usize,
    quantizers: &[ByteQuantizer],
    steps: &mut [WideRowStepU8],
) {
    const STEPS: usize = WIDE_LANES / 4;
    for row in 0..WIDE_ROWS {
        let (values, quantizer) =
            (x.row(first + row), quantizers.get(first + row).copied().unwrap_or_default());
        for (group, steps) in steps.chunks_mut(STEPS).enumerate() {
            let values = values.get(group * WIDE_LANES..).unwrap_or(&[]);
            let sixteen = match values.first_chunk() {
                Some(sixteen) => sixteen,
                None => &padded(values),
            };
            let bytes = simd.wide_quantize_u8(sixteen, quantizer.inverse, quantizer.zero_point);
            for (step, quad) in steps.iter_mut().zip(bytes.as_chunks().0) {
                step[row] = *quad;
            }
        }
    }
}
