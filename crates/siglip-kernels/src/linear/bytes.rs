//! Activations in bytes, for processors that multiply bytes.

use super::BLOCK_ROWS;
use crate::layout::{OCTET_ROWS, ROWS, RowStepI16, RowStepOctets};
use crate::pack::put_four;
use crate::quantize::{ROUND, round};
use crate::rows::{Rows, tail};
use crate::simd::{LANES, RowBytes, Simd, padded};

/// How one row becomes bytes: x ≈ scale · (q - zero point).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteQuantizer {
    pub scale: f32,
    inverse: f32,
    zero_point: f32,
}

impl ByteQuantizer {
    /// The quantizer of a row with values from -`least` to `largest`, which are not negative and not both zero. Zero lies in
    /// that range, so that it is represented exactly.
    pub fn new(largest: f32, least: f32) -> Self {
        let range = largest + least;
        let inverse = 255.0 / range;
        ByteQuantizer { scale: range / 255.0, inverse, zero_point: (least * inverse).round_ties_even() }
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

/// The zero points of up to [`BLOCK_ROWS`] rows.
pub(super) fn zero_points(quantizers: &[ByteQuantizer], bytes: RowBytes) -> [i32; BLOCK_ROWS] {
    let mut zero_points = [0; BLOCK_ROWS];
    for (zero_point, quantizer) in zero_points.iter_mut().zip(quantizers) {
        *zero_point = quantizer.zero_point(bytes);
    }
    zero_points
}

/// Packs rows as bytes in one panel of `N`, four columns per step.
#[inline(always)]
pub(super) fn pack_panel<S: Simd, const N: usize>(
    simd: S,
    x: Rows,
    first: usize,
    quantizers: &[ByteQuantizer],
    bytes: RowBytes,
    steps: &mut [[[i16; 2]; N]],
) {
    for part in 0..N.div_ceil(ROWS) {
        let (first, count) = (first + part * ROWS, ROWS.min(N - part * ROWS));
        let quantizers = &quantizers[..quantizers.len().min(first + count)];
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut eight = [[[0; 2]; ROWS]; LANES];
            pack_eight_steps(simd, x, first, quantizers, bytes, group, &mut eight);
            put_four(steps, part, &eight);
        }
    }
}

/// Packs rows as i8 in one panel of eight, eight columns per step. Rows beyond the last are left as they are.
#[inline(always)]
pub(super) fn pack_octets<S: Simd>(
    simd: S,
    x: Rows,
    first: usize,
    quantizers: &[ByteQuantizer],
    steps: &mut [RowStepOctets],
) {
    for (row, quantizer) in quantizers[first..].iter().enumerate().take(OCTET_ROWS) {
        for (group, steps) in steps.chunks_mut(4).enumerate() {
            let values = tail(x.row(first + row), group * 4 * LANES);
            let mut quads = [[0; 2]; LANES];
            simd.store_pairs(quantizer.quads(simd, values, RowBytes::Signed), &mut quads);
            for (step, [a, b]) in steps.iter_mut().zip(quads.as_chunks().0) {
                step[row / 2][row % 2] = octet(*a, *b);
            }
        }
    }
}

/// The bytes of two quads.
#[inline(always)]
fn octet(first: [i16; 2], second: [i16; 2]) -> [i8; 8] {
    let mut octet = [0; 8];
    let bytes = first.into_iter().chain(second).flat_map(i16::to_le_bytes);
    for (to, byte) in octet.iter_mut().zip(bytes) {
        *to = byte as i8;
    }
    octet
}

/// Packs eight steps of four rows from `first` on, beginning with step 8 · `group`; zeros beyond the last row or column.
#[inline(always)]
fn pack_eight_steps<S: Simd>(
    simd: S,
    x: Rows,
    first: usize,
    quantizers: &[ByteQuantizer],
    bytes: RowBytes,
    group: usize,
    steps: &mut [RowStepI16; LANES],
) {
    let mut vectors = [simd.splat_pair(&[0; 2]); ROWS];
    for (vector, row) in vectors.iter_mut().zip(first..) {
        if let Some(quantizer) = quantizers.get(row) {
            *vector = quantizer.quads(simd, tail(x.row(row), group * 4 * LANES), bytes);
        }
    }
    simd.transpose_pairs(vectors, steps);
}
