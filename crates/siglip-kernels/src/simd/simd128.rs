//! WebAssembly with fixed-width SIMD: a vector is two registers.

use std::arch::wasm32::*;

use super::{Backend, LANES, Lanes, Simd, Vectors, sum_lanes};

#[cfg(not(target_feature = "relaxed-simd"))]
const BACKEND: Backend = Backend::Simd128;
#[cfg(target_feature = "relaxed-simd")]
const BACKEND: Backend = Backend::RelaxedSimd;

#[cfg(not(target_feature = "relaxed-simd"))]
#[inline(always)]
fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_add(f32x4_mul(a, b), c)
}
#[cfg(target_feature = "relaxed-simd")]
use super::relaxed_simd::mul_add;

/// The instruction set of a build with `simd128`. What relaxed SIMD does better comes from its own file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simd128;

/// Lanes 0..4 and 4..8.
#[derive(Clone, Copy)]
pub(crate) struct Two(pub(super) v128, pub(super) v128);

impl Two {
    #[inline(always)]
    fn load<T>(array: &[T; LANES]) -> Two {
        const { assert!(size_of::<T>() == 4) };
        // SAFETY: four lanes can be read from each pointer, and loads need no alignment.
        unsafe { Two(v128_load((&raw const array[0]).cast()), v128_load((&raw const array[4]).cast())) }
    }

    #[inline(always)]
    fn store<T>(self, array: &mut [T; LANES]) {
        const { assert!(size_of::<T>() == 4) };
        let to: *mut v128 = array.as_mut_ptr().cast();
        // SAFETY: the array is two vectors long, stores need no alignment, and T is made of numbers: any bits will do.
        unsafe {
            v128_store(to, self.0);
            v128_store(to.add(1), self.1);
        }
    }

    /// Transposes four rows of 32-bit lanes.
    #[inline(always)]
    fn transpose<T>(rows: [Two; 4], columns: &mut [[T; 4]; LANES]) {
        let [low, high] = columns.as_chunks_mut::<4>().0 else { unreachable!("two halves of eight") };
        transpose_half(rows.map(|row| row.0), low);
        transpose_half(rows.map(|row| row.1), high);
    }
}

#[inline(always)]
fn transpose_half<T>(rows: [v128; 4], columns: &mut [[T; 4]; 4]) {
    const { assert!(size_of::<T>() == 4) };
    let [a, b, c, d] = rows;
    let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
    let (ab_high, cd_high) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    let transposed = [
        i64x2_shuffle::<0, 2>(ab, cd),
        i64x2_shuffle::<1, 3>(ab, cd),
        i64x2_shuffle::<0, 2>(ab_high, cd_high),
        i64x2_shuffle::<1, 3>(ab_high, cd_high),
    ];
    for (to, column) in columns.iter_mut().zip(transposed) {
        // SAFETY: the array is one vector long, stores need no alignment, and T is made of numbers: any bits will do.
        unsafe { v128_store(to.as_mut_ptr().cast(), column) };
    }
}

impl Vectors for Simd128 {
    type F32 = Two;
    type I32 = Two;

    #[inline(always)]
    fn splat(self, value: f32) -> Two {
        Two(f32x4_splat(value), f32x4_splat(value))
    }

    #[inline(always)]
    fn add(self, a: Two, b: Two) -> Two {
        Two(f32x4_add(a.0, b.0), f32x4_add(a.1, b.1))
    }

    #[inline(always)]
    fn sub(self, a: Two, b: Two) -> Two {
        Two(f32x4_sub(a.0, b.0), f32x4_sub(a.1, b.1))
    }

    #[inline(always)]
    fn mul(self, a: Two, b: Two) -> Two {
        Two(f32x4_mul(a.0, b.0), f32x4_mul(a.1, b.1))
    }

    #[inline(always)]
    fn div(self, a: Two, b: Two) -> Two {
        Two(f32x4_div(a.0, b.0), f32x4_div(a.1, b.1))
    }

    #[inline(always)]
    fn mul_add(self, a: Two, b: Two, c: Two) -> Two {
        Two(mul_add(a.0, b.0, c.0), mul_add(a.1, b.1, c.1))
    }

    #[inline(always)]
    fn max(self, a: Two, b: Two) -> Two {
        Two(f32x4_pmax(a.0, b.0), f32x4_pmax(a.1, b.1))
    }

    #[inline(always)]
    fn to_bits(self, values: Two) -> Two {
        values
    }

    #[inline(always)]
    fn bits_to_f32(self, bits: Two) -> Two {
        bits
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> Two {
        Two(i32x4_splat(value), i32x4_splat(value))
    }

    #[inline(always)]
    fn add_i32(self, a: Two, b: Two) -> Two {
        Two(i32x4_add(a.0, b.0), i32x4_add(a.1, b.1))
    }

    #[inline(always)]
    fn sub_i32(self, a: Two, b: Two) -> Two {
        Two(i32x4_sub(a.0, b.0), i32x4_sub(a.1, b.1))
    }

    #[inline(always)]
    fn mul_i32(self, a: Two, b: Two) -> Two {
        Two(i32x4_mul(a.0, b.0), i32x4_mul(a.1, b.1))
    }

    #[inline(always)]
    fn and_i32(self, a: Two, b: Two) -> Two {
        Two(v128_and(a.0, b.0), v128_and(a.1, b.1))
    }

    #[inline(always)]
    fn max_i32(self, a: Two, b: Two) -> Two {
        Two(i32x4_max(a.0, b.0), i32x4_max(a.1, b.1))
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: Two) -> Two {
        Two(i32x4_shl(values.0, BITS), i32x4_shl(values.1, BITS))
    }

    #[inline(always)]
    fn convert(self, values: Two) -> Two {
        Two(f32x4_convert_i32x4(values.0), f32x4_convert_i32x4(values.1))
    }
}

impl Lanes<LANES> for Simd128 {
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Two {
        Two::load(values)
    }

    #[inline(always)]
    fn store(self, values: Two, out: &mut [f32; LANES]) {
        values.store(out);
    }

    #[inline(always)]
    fn load_i32(self, values: &[i32; LANES]) -> Two {
        Two::load(values)
    }

    #[inline(always)]
    fn store_i32(self, values: Two, out: &mut [i32; LANES]) {
        values.store(out);
    }
}

impl Simd for Simd128 {
    type I16 = Two;

    const BACKEND: Backend = BACKEND;
    const TILE_PANELS: usize = 1;

    #[inline(always)]
    fn sum(self, values: Two) -> f32 {
        let mut lanes = [0.0; LANES];
        values.store(&mut lanes);
        sum_lanes(lanes)
    }

    #[inline(always)]
    fn max_lane(self, values: Two) -> i32 {
        let mut lanes = [0; LANES];
        values.store(&mut lanes);
        lanes.into_iter().fold(i32::MIN, i32::max)
    }

    #[inline(always)]
    fn narrow(self, low: Two, high: Two) -> Two {
        Two(i16x8_narrow_i32x4(low.0, low.1), i16x8_narrow_i32x4(high.0, high.1))
    }

    #[inline(always)]
    fn pair(self, first: Two, second: Two) -> Two {
        let low = self.and_i32(first, self.splat_i32(0xffff));
        let high = self.shift_left::<16>(second);
        Two(v128_or(low.0, high.0), v128_or(low.1, high.1))
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> Two {
        Two::load(pairs)
    }

    #[inline(always)]
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> Two {
        // SAFETY: eight bytes can be read from each pointer, and loads need no alignment.
        unsafe {
            Two(
                i16x8_load_extend_i8x8((&raw const pairs[0]).cast()),
                i16x8_load_extend_i8x8((&raw const pairs[4]).cast()),
            )
        }
    }

    #[inline(always)]
    fn add_pairs(self, a: Two, b: Two) -> Two {
        Two(i16x8_add(a.0, b.0), i16x8_add(a.1, b.1))
    }

    #[inline(always)]
    fn sub_pairs(self, a: Two, b: Two) -> Two {
        Two(i16x8_sub(a.0, b.0), i16x8_sub(a.1, b.1))
    }

    #[inline(always)]
    fn swap_halves(self, pairs: Two) -> Two {
        Two(pairs.1, pairs.0)
    }

    #[inline(always)]
    fn splat_pair(self, pair: &[i16; 2]) -> Two {
        // SAFETY: a pair is four bytes long, and loads need no alignment.
        let both = unsafe { v128_load32_splat(pair.as_ptr().cast()) };
        Two(both, both)
    }

    #[inline(always)]
    fn dot_add(self, sum: Two, a: Two, b: Two) -> Two {
        self.add_i32(sum, Two(i32x4_dot_i16x8(a.0, b.0), i32x4_dot_i16x8(a.1, b.1)))
    }

    /// The difference upper half - lower half, which [`Simd::winograd_madd`] adds to the lower half's sum.
    #[inline(always)]
    fn winograd_columns(self, columns: Two) -> Two {
        Two(columns.0, i16x8_sub(columns.1, columns.0))
    }

    /// The lower half's sum is reused for the upper half. That saves one register in a tile, which then fits the fifteen that
    /// V8 allocates.
    #[inline(always)]
    fn winograd_madd(self, sum: Two, rows: [Two; 2], columns: [Two; 2]) -> Two {
        let a = i16x8_add(rows[0].0, columns[1].0);
        let low = i32x4_dot_i16x8(a, i16x8_add(rows[1].0, columns[0].0));
        let a = i16x8_add(a, columns[1].1);
        let high = i32x4_dot_i16x8(a, i16x8_add(rows[1].0, columns[0].1));
        Two(i32x4_add(sum.0, low), i32x4_add(sum.1, high))
    }

    #[inline(always)]
    fn transpose(self, rows: [Two; 4], columns: &mut [[f32; 4]; LANES]) {
        Two::transpose(rows, columns);
    }

    #[inline(always)]
    fn transpose_pairs(self, rows: [Two; 4], columns: &mut [[[i16; 2]; 4]; LANES]) {
        Two::transpose(rows, columns);
    }

    #[inline(always)]
    fn store_pairs(self, pairs: Two, out: &mut [[i16; 2]; LANES]) {
        pairs.store(out);
    }

    #[inline(always)]
    fn narrow_to_u8(self, low: Two, high: Two) -> Two {
        Two(u8x16_narrow_i16x8(low.0, low.1), u8x16_narrow_i16x8(high.0, high.1))
    }

    #[inline(always)]
    fn narrow_to_i8(self, low: Two, high: Two) -> Two {
        Two(i8x16_narrow_i16x8(low.0, low.1), i8x16_narrow_i16x8(high.0, high.1))
    }

    #[inline(always)]
    fn quads(self, first: &[[i8; 2]; LANES], second: &[[i8; 2]; LANES]) -> Two {
        const { assert!(size_of::<[[i8; 2]; LANES]>() == size_of::<v128>()) };
        // SAFETY: each array is one vector long, and loads need no alignment.
        let (first, second) =
            unsafe { (v128_load(first.as_ptr().cast()), v128_load(second.as_ptr().cast())) };
        Two(
            i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(first, second),
            i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(first, second),
        )
    }
}
