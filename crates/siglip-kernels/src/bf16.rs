//! Numbers of bfloat16: the upper half of an f32.

use crate::layout::{ROWS, WIDE_ROWS, WideRowStepI16};
use crate::pack::put_four;
use crate::rows::{Rows, tail};
use crate::simd::{LANES, Simd, padded};

/// The bits of the nearest bfloat16; of two, the even one.
#[inline(always)]
pub(crate) fn round(value: f32) -> i16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // The carry of a NaN could run into its sign.
    let bits = if value.is_nan() { bits | 0x40_0000 } else { rounded };
    (bits >> 16) as i16
}

/// Packs rows from `first` on in one panel of eight, two columns per step; zeros beyond the last row or column.
#[inline(always)]
pub(crate) fn pack_panel<S: Simd>(simd: S, x: Rows, first: usize, steps: &mut [WideRowStepI16]) {
    for half in 0..WIDE_ROWS / ROWS {
        let rows = x.panel(first + half * ROWS);
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut vectors = [simd.splat_pair(&[0; 2]); ROWS];
            for (vector, row) in vectors.iter_mut().zip(rows) {
                let values = tail(row, group * 2 * LANES);
                let sixteen = match values.first_chunk::<{ 2 * LANES }>() {
                    Some(sixteen) => sixteen,
                    None => &padded(values),
                };
                let mut pairs = [[0; 2]; LANES];
                for (to, value) in pairs.as_flattened_mut().iter_mut().zip(sixteen) {
                    *to = round(*value);
                }
                *vector = simd.load_pairs(&pairs);
            }
            let mut eight = [[[0; 2]; ROWS]; LANES];
            simd.transpose_pairs(vectors, &mut eight);
            put_four(steps, half, &eight);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::round;

    #[test]
    fn what_is_not_finite_stays_so() {
        let widened = |bits: u32| f32::from_bits(u32::from(round(f32::from_bits(bits)) as u16) << 16);
        for bits in [0x7f80_0001, 0x7fc0_0000, 0x7fff_ffff, 0xff80_0001, 0xffff_ffff] {
            assert!(widened(bits).is_nan(), "{bits:x}");
        }
        assert_eq!(widened(f32::INFINITY.to_bits()), f32::INFINITY);
        assert_eq!(widened(f32::NEG_INFINITY.to_bits()), f32::NEG_INFINITY);
    }
}
