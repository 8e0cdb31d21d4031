//! x86-64 with AVX2 and FMA: a vector is one register.

use std::arch::x86_64::*;

use super::{Backend, LANES, Lanes, Simd, Vectors, sum_lanes};
use crate::dispatch::Kernel;

/// Proof that the processor has AVX2 and FMA: only [`Avx2::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs a kernel compiled for these features.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn enabled<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` is the proof that the processor has the features.
        unsafe { enabled(self, kernel) }
    }
}

macro_rules! avx2 {
    ($code:expr) => {{
        // SAFETY: a value of `Avx2` proves that the processor has AVX2 and FMA. Each pointer that is read or written comes
        // from a reference to an array as long as what is loaded or stored.
        unsafe { $code }
    }};
}

impl Vectors for Avx2 {
    type F32 = __m256;
    type I32 = __m256i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        avx2!(_mm256_set1_ps(value))
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_max_ps(b, a))
    }

    #[inline(always)]
    fn to_bits(self, values: __m256) -> __m256i {
        avx2!(_mm256_castps_si256(values))
    }

    #[inline(always)]
    fn bits_to_f32(self, bits: __m256i) -> __m256 {
        avx2!(_mm256_castsi256_ps(bits))
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> __m256i {
        avx2!(_mm256_set1_epi32(value))
    }

    #[inline(always)]
    fn add_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_sub_epi32(a, b))
    }

    #[inline(always)]
    fn mul_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn and_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn max_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_max_epi32(a, b))
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: __m256i) -> __m256i {
        avx2!(_mm256_sll_epi32(values, _mm_cvtsi32_si128(BITS as i32)))
    }

    #[inline(always)]
    fn convert(self, values: __m256i) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(values))
    }
}

impl Lanes<LANES> for Avx2 {
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> __m256 {
        avx2!(_mm256_loadu_ps(values.as_ptr()))
    }

    #[inline(always)]
    fn store(self, values: __m256, out: &mut [f32; LANES]) {
        avx2!(_mm256_storeu_ps(out.as_mut_ptr(), values))
    }

    #[inline(always)]
    fn load_i32(self, values: &[i32; LANES]) -> __m256i {
        avx2!(_mm256_loadu_si256(values.as_ptr().cast()))
    }

    #[inline(always)]
    fn store_i32(self, values: __m256i, out: &mut [i32; LANES]) {
        avx2!(_mm256_storeu_si256(out.as_mut_ptr().cast(), values))
    }
}

impl Simd for Avx2 {
    type I16 = __m256i;

    const BACKEND: Backend = Backend::Avx2;
    const TILE_PANELS: usize = 2;

    #[inline(always)]
    fn sum(self, values: __m256) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(values, &mut lanes);
        sum_lanes(lanes)
    }

    #[inline(always)]
    fn max_lane(self, values: __m256i) -> i32 {
        let mut lanes = [0; LANES];
        avx2!(_mm256_storeu_si256(lanes.as_mut_ptr().cast(), values));
        lanes.into_iter().fold(i32::MIN, i32::max)
    }

    #[inline(always)]
    fn narrow(self, low: __m256i, high: __m256i) -> __m256i {
        // packs works on halves of 128 bits, so the quarters come out in the order 0, 2, 1, 3.
        avx2!(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high)))
    }

    #[inline(always)]
    fn pair(self, first: __m256i, second: __m256i) -> __m256i {
        avx2!(_mm256_blend_epi16::<0b1010_1010>(first, _mm256_slli_epi32::<16>(second)))
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> __m256i {
        avx2!(_mm256_loadu_si256(pairs.as_ptr().cast()))
    }

    #[inline(always)]
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> __m256i {
        avx2!(_mm256_cvtepi8_epi16(_mm_loadu_si128(pairs.as_ptr().cast())))
    }

    #[inline(always)]
    fn add_pairs(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_add_epi16(a, b))
    }

    #[inline(always)]
    fn sub_pairs(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_sub_epi16(a, b))
    }

    #[inline(always)]
    fn swap_halves(self, pairs: __m256i) -> __m256i {
        avx2!(_mm256_permute2x128_si256::<1>(pairs, pairs))
    }

    #[inline(always)]
    fn splat_pair(self, pair: &[i16; 2]) -> __m256i {
        self.splat_i32(i32::from(pair[0] as u16) | i32::from(pair[1]) << 16)
    }

    #[inline(always)]
    fn dot_add(self, sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_add_epi32(sum, _mm256_madd_epi16(a, b)))
    }

    #[inline(always)]
    fn transpose(self, rows: [__m256; 4], columns: &mut [[f32; 4]; LANES]) {
        let out: *mut f32 = columns.as_mut_ptr().cast();
        avx2!(for (pair, columns) in transposed(rows).into_iter().enumerate() {
            _mm256_storeu_ps(out.add(pair * LANES), columns);
        });
    }

    #[inline(always)]
    fn transpose_pairs(self, rows: [__m256i; 4], columns: &mut [[[i16; 2]; 4]; LANES]) {
        let out: *mut f32 = columns.as_mut_ptr().cast();
        let rows = rows.map(|row| self.bits_to_f32(row));
        avx2!(for (pair, columns) in transposed(rows).into_iter().enumerate() {
            _mm256_storeu_ps(out.add(pair * LANES), columns);
        });
    }

    #[inline(always)]
    fn store_pairs(self, pairs: __m256i, out: &mut [[i16; 2]; LANES]) {
        avx2!(_mm256_storeu_si256(out.as_mut_ptr().cast(), pairs))
    }

    #[inline(always)]
    fn narrow_to_u8(self, low: __m256i, high: __m256i) -> __m256i {
        // As in `narrow`.
        avx2!(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low, high)))
    }

    #[inline(always)]
    fn narrow_to_i8(self, low: __m256i, high: __m256i) -> __m256i {
        avx2!(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high)))
    }

    #[inline(always)]
    fn quads(self, first: &[[i8; 2]; LANES], second: &[[i8; 2]; LANES]) -> __m256i {
        avx2!({
            let first = _mm_loadu_si128(first.as_ptr().cast());
            let second = _mm_loadu_si128(second.as_ptr().cast());
            _mm256_set_m128i(_mm_unpackhi_epi16(first, second), _mm_unpacklo_epi16(first, second))
        })
    }
}

/// The columns of four rows, two per vector.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed(rows: [__m256; 4]) -> [__m256; 4] {
    let low = [_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpacklo_ps(rows[2], rows[3])];
    let high = [_mm256_unpackhi_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[2], rows[3])];
    // Columns n and n + 4 for n in 0..4, one per half.
    let columns = [
        _mm256_shuffle_ps::<0b01_00_01_00>(low[0], low[1]),
        _mm256_shuffle_ps::<0b11_10_11_10>(low[0], low[1]),
        _mm256_shuffle_ps::<0b01_00_01_00>(high[0], high[1]),
        _mm256_shuffle_ps::<0b11_10_11_10>(high[0], high[1]),
    ];
    [
        _mm256_permute2f128_ps::<0x20>(columns[0], columns[1]),
        _mm256_permute2f128_ps::<0x20>(columns[2], columns[3]),
        _mm256_permute2f128_ps::<0x31>(columns[0], columns[1]),
        _mm256_permute2f128_ps::<0x31>(columns[2], columns[3]),
    ]
}
