//! x86-64 with AVX-512 and VNNI. A vector of eight lanes is one register of 256 bits, of which there are 32 here, and most of
//! its operations are those of AVX2. Wide vectors, of sixteen lanes, are registers of 512 bits.

use std::arch::x86_64::*;

use super::{Avx2, Backend, LANES, Lanes, Simd, Vectors, WIDE_LANES, Wide};
use crate::dispatch::{Kernel, WideKernel};

/// Proof that the processor has AVX-512 F, BW, VL and VNNI, and what AVX2 stands for: only [`Avx512::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(Avx2);

impl Avx512 {
    pub fn new() -> Option<Self> {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        Avx2::new().filter(|_| avx512).map(Avx512)
    }

    /// Runs a kernel compiled for these features.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")]
        fn enabled<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(self, kernel) }
    }

    /// [`Avx512::run`] for a kernel on wide vectors.
    pub fn run_wide<K: WideKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")]
        fn enabled<K: WideKernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(self, kernel) }
    }
}

/// Proof that the processor has AVX-512 BF16, too: only [`Avx512Bf16::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512Bf16(Avx512);

impl Avx512Bf16 {
    pub fn new(avx512: Avx512) -> Option<Self> {
        is_x86_feature_detected!("avx512bf16").then_some(Avx512Bf16(avx512))
    }

    /// [`Avx512::run_wide`] for a kernel that multiplies bfloat16.
    pub fn run_wide<K: WideKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni,avx512bf16")]
        fn enabled<K: WideKernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(self.0, kernel) }
    }
}

macro_rules! avx512 {
    ($code:expr) => {{
        // SAFETY: a value of `Avx512`, or of `WideVectors`, which it alone makes, proves that the processor has the features. Each
        // pointer that is read or written comes from a reference to an array as long as what is loaded or stored.
        unsafe { $code }
    }};
}

/// Methods that are those of AVX2.
macro_rules! as_on_avx2 {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $kind),*) $(-> $result)? {
                self.0.$name($($argument),*)
            }
        )*
    };
}

impl Vectors for Avx512 {
    type F32 = __m256;
    type I32 = __m256i;

    as_on_avx2! {
        fn splat(value: f32) -> __m256;
        fn add(a: __m256, b: __m256) -> __m256;
        fn sub(a: __m256, b: __m256) -> __m256;
        fn mul(a: __m256, b: __m256) -> __m256;
        fn div(a: __m256, b: __m256) -> __m256;
        fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256;
        fn max(a: __m256, b: __m256) -> __m256;
        fn to_bits(values: __m256) -> __m256i;
        fn bits_to_f32(bits: __m256i) -> __m256;
        fn splat_i32(value: i32) -> __m256i;
        fn add_i32(a: __m256i, b: __m256i) -> __m256i;
        fn sub_i32(a: __m256i, b: __m256i) -> __m256i;
        fn mul_i32(a: __m256i, b: __m256i) -> __m256i;
        fn and_i32(a: __m256i, b: __m256i) -> __m256i;
        fn max_i32(a: __m256i, b: __m256i) -> __m256i;
        fn convert(values: __m256i) -> __m256;
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: __m256i) -> __m256i {
        self.0.shift_left::<BITS>(values)
    }
}

impl Lanes<LANES> for Avx512 {
    as_on_avx2! {
        fn load(values: &[f32; LANES]) -> __m256;
        fn store(values: __m256, out: &mut [f32; LANES]);
        fn load_i32(values: &[i32; LANES]) -> __m256i;
        fn store_i32(values: __m256i, out: &mut [i32; LANES]);
    }
}

impl Simd for Avx512 {
    type I16 = __m256i;

    const BACKEND: Backend = Backend::Avx512;
    const TILE_PANELS: usize = 2;

    as_on_avx2! {
        fn sum(values: __m256) -> f32;
        fn max_lane(values: __m256i) -> i32;
        fn narrow(low: __m256i, high: __m256i) -> __m256i;
        fn pair(first: __m256i, second: __m256i) -> __m256i;
        fn load_pairs(pairs: &[[i16; 2]; LANES]) -> __m256i;
        fn widen_pairs(pairs: &[[i8; 2]; LANES]) -> __m256i;
        fn add_pairs(a: __m256i, b: __m256i) -> __m256i;
        fn sub_pairs(a: __m256i, b: __m256i) -> __m256i;
        fn swap_halves(pairs: __m256i) -> __m256i;
        fn splat_pair(pair: &[i16; 2]) -> __m256i;
        fn transpose(rows: [__m256; 4], columns: &mut [[f32; 4]; LANES]);
        fn transpose_pairs(rows: [__m256i; 4], columns: &mut [[[i16; 2]; 4]; LANES]);
        fn store_pairs(pairs: __m256i, out: &mut [[i16; 2]; LANES]);
        fn narrow_to_u8(low: __m256i, high: __m256i) -> __m256i;
        fn narrow_to_i8(low: __m256i, high: __m256i) -> __m256i;
        fn quads(first: &[[i8; 2]; LANES], second: &[[i8; 2]; LANES]) -> __m256i;
    }

    #[inline(always)]
    fn dot_add(self, sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        avx512!(_mm256_dpwssd_epi32(sum, a, b))
    }
}

impl Wide for Avx512 {
    type Wide = WideVectors;
    type WideF32 = __m512;
    type WideI32 = __m512i;

    #[inline(always)]
    fn wide(self) -> WideVectors {
        WideVectors(())
    }

    #[inline(always)]
    fn prefetch<T>(self, data: &T) {
        avx512!(_mm_prefetch::<_MM_HINT_T1>((&raw const *data).cast()))
    }

    #[inline(always)]
    fn wide_halves(self, values: __m512) -> [__m256; 2] {
        avx512!({
            let high = _mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(values));
            [_mm512_castps512_ps256(values), _mm256_castsi256_ps(high)]
        })
    }

    #[inline(always)]
    fn wide_pair(self, first: __m512i, second: __m512i) -> __m512i {
        const SECOND_OF_EACH_PAIR: u32 = 0xaaaa_aaaa;
        avx512!(_mm512_mask_blend_epi16(SECOND_OF_EACH_PAIR, first, _mm512_slli_epi32::<16>(second)))
    }

    #[inline(always)]
    fn wide_load_pairs(self, pairs: &[[i16; 2]; WIDE_LANES]) -> __m512i {
        avx512!(_mm512_loadu_si512(pairs.as_ptr().cast()))
    }

    #[inline(always)]
    fn wide_load_quads(self, quads: &[[i8; 4]; WIDE_LANES]) -> __m512i {
        avx512!(_mm512_loadu_si512(quads.as_ptr().cast()))
    }

    #[inline(always)]
    fn wide_dot_i16(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_dpwssd_epi32(sum, a, b))
    }

    #[inline(always)]
    fn wide_dot_u8_i8(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_dpbusd_epi32(sum, a, b))
    }

    #[inline(always)]
    fn wide_dot_bf16(self, sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: only kernels that `Avx512Bf16` runs call it, so the processor has AVX-512 BF16. `__m512bh` is as many bits as
        // `__m512i`, all of which are valid.
        unsafe {
            _mm512_dpbf16_ps(
                sum,
                std::mem::transmute::<__m512i, __m512bh>(a),
                std::mem::transmute::<__m512i, __m512bh>(b),
            )
        }
    }

    #[inline(always)]
    fn wide_pairs(self, quads: __m512i) -> [__m512i; 2] {
        avx512!({
            let (first, second) = (quads, _mm512_srli_epi32::<16>(quads));
            [
                _mm512_cvtepi8_epi16(_mm512_cvtepi32_epi16(first)),
                _mm512_cvtepi8_epi16(_mm512_cvtepi32_epi16(second)),
            ]
        })
    }

    #[inline(always)]
    fn wide_store_pairs(self, pairs: __m512i, out: &mut [[i16; 2]; WIDE_LANES]) {
        avx512!(_mm512_storeu_si512(out.as_mut_ptr().cast(), pairs))
    }
}

/// Registers of 512 bits: only [`Avx512::wide`] makes one, so the processor has the features.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WideVectors(());

/// Methods that are one instruction.
macro_rules! one_instruction {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty = $instruction:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $kind),*) -> $result {
                avx512!($instruction($($argument),*))
            }
        )*
    };
}

impl Vectors for WideVectors {
    type F32 = __m512;
    type I32 = __m512i;

    one_instruction! {
        fn splat(value: f32) -> __m512 = _mm512_set1_ps;
        fn add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps;
        fn sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps;
        fn mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps;
        fn div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps;
        fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps;
        fn to_bits(values: __m512) -> __m512i = _mm512_castps_si512;
        fn bits_to_f32(bits: __m512i) -> __m512 = _mm512_castsi512_ps;
        fn splat_i32(value: i32) -> __m512i = _mm512_set1_epi32;
        fn add_i32(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32;
        fn sub_i32(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi32;
        fn mul_i32(a: __m512i, b: __m512i) -> __m512i = _mm512_mullo_epi32;
        fn and_i32(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512;
        fn max_i32(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi32;
        fn convert(values: __m512i) -> __m512 = _mm512_cvtepi32_ps;
    }

    // The instruction returns its second operand where one is a NaN.
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(b, a))
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: __m512i) -> __m512i {
        avx512!(_mm512_slli_epi32::<BITS>(values))
    }
}

impl Lanes<WIDE_LANES> for WideVectors {
    #[inline(always)]
    fn load(self, values: &[f32; WIDE_LANES]) -> __m512 {
        avx512!(_mm512_loadu_ps(values.as_ptr()))
    }

    #[inline(always)]
    fn store(self, values: __m512, out: &mut [f32; WIDE_LANES]) {
        avx512!(_mm512_storeu_ps(out.as_mut_ptr(), values))
    }

    #[inline(always)]
    fn load_i32(self, values: &[i32; WIDE_LANES]) -> __m512i {
        avx512!(_mm512_loadu_si512(values.as_ptr().cast()))
    }

    #[inline(always)]
    fn store_i32(self, values: __m512i, out: &mut [i32; WIDE_LANES]) {
        avx512!(_mm512_storeu_si512(out.as_mut_ptr().cast(), values))
    }
}
