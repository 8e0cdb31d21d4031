//! 64-bit Arm: a vector is two registers, of which there are 32.

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::{Backend, ByteDot, ByteDots, LANES, Lanes, RowBytes, Simd, Vectors, sum_lanes};
use crate::dispatch::ByteKernel;

/// NEON, which every 64-bit Arm processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon;

/// Lanes 0..4 and 4..8.
#[derive(Clone, Copy)]
pub(crate) struct Two<V>(pub(super) V, pub(super) V);

macro_rules! neon {
    ($code:expr) => {{
        // SAFETY: every 64-bit Arm processor has NEON. Each pointer that is read or written comes from a reference to an array
        // as long as what is loaded or stored, and its elements are numbers: any bits will do.
        unsafe { $code }
    }};
}

/// Methods that do the same to both registers.
macro_rules! both {
    ($(fn $name:ident($($argument:ident),*: $kind:ty) -> $result:ty = $intrinsic:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: Two<$kind>),*) -> Two<$result> {
                neon!(Two($intrinsic($($argument.0),*), $intrinsic($($argument.1),*)))
            }
        )*
    };
}

impl Vectors for Neon {
    type F32 = Two<float32x4_t>;
    type I32 = Two<int32x4_t>;

    both! {
        fn add(a, b: float32x4_t) -> float32x4_t = vaddq_f32;
        fn sub(a, b: float32x4_t) -> float32x4_t = vsubq_f32;
        fn mul(a, b: float32x4_t) -> float32x4_t = vmulq_f32;
        fn div(a, b: float32x4_t) -> float32x4_t = vdivq_f32;
        fn to_bits(values: float32x4_t) -> int32x4_t = vreinterpretq_s32_f32;
        fn bits_to_f32(bits: int32x4_t) -> float32x4_t = vreinterpretq_f32_s32;
        fn add_i32(a, b: int32x4_t) -> int32x4_t = vaddq_s32;
        fn sub_i32(a, b: int32x4_t) -> int32x4_t = vsubq_s32;
        fn mul_i32(a, b: int32x4_t) -> int32x4_t = vmulq_s32;
        fn and_i32(a, b: int32x4_t) -> int32x4_t = vandq_s32;
        fn max_i32(a, b: int32x4_t) -> int32x4_t = vmaxq_s32;
        fn convert(values: int32x4_t) -> float32x4_t = vcvtq_f32_s32;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F32 {
        neon!(Two(vdupq_n_f32(value), vdupq_n_f32(value)))
    }

    #[inline(always)]
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        neon!(Two(vfmaq_f32(c.0, a.0, b.0), vfmaq_f32(c.1, a.1, b.1)))
    }

    #[inline(always)]
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        neon!(Two(vbslq_f32(vcltq_f32(a.0, b.0), b.0, a.0), vbslq_f32(vcltq_f32(a.1, b.1), b.1, a.1)))
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> Self::I32 {
        neon!(Two(vdupq_n_s32(value), vdupq_n_s32(value)))
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, values: Self::I32) -> Self::I32 {
        neon!({
            let bits = vdupq_n_s32(BITS as i32);
            Two(vshlq_s32(values.0, bits), vshlq_s32(values.1, bits))
        })
    }
}

impl Lanes<LANES> for Neon {
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F32 {
        neon!(Two(vld1q_f32(&raw const values[0]), vld1q_f32(&raw const values[4])))
    }

    #[inline(always)]
    fn store(self, values: Self::F32, out: &mut [f32; LANES]) {
        let out = out.as_mut_ptr();
        neon!({
            vst1q_f32(out, values.0);
            vst1q_f32(out.add(4), values.1);
        });
    }

    #[inline(always)]
    fn load_i32(self, values: &[i32; LANES]) -> Self::I32 {
        neon!(Two(vld1q_s32(&raw const values[0]), vld1q_s32(&raw const values[4])))
    }

    #[inline(always)]
    fn store_i32(self, values: Self::I32, out: &mut [i32; LANES]) {
        let out = out.as_mut_ptr();
        neon!({
            vst1q_s32(out, values.0);
            vst1q_s32(out.add(4), values.1);
        });
    }
}

impl Simd for Neon {
    /// The first of each pair, and the second: products of either add to sums in one instruction.
    type I16 = Two<int16x8_t>;

    const BACKEND: Backend = Backend::Neon;
    const TILE_PANELS: usize = 2;

    both! {
        fn add_pairs(a, b: int16x8_t) -> int16x8_t = vaddq_s16;
        fn sub_pairs(a, b: int16x8_t) -> int16x8_t = vsubq_s16;
    }

    #[inline(always)]
    fn sum(self, values: Self::F32) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(values, &mut lanes);
        sum_lanes(lanes)
    }

    #[inline(always)]
    fn max_lane(self, values: Self::I32) -> i32 {
        neon!(vmaxvq_s32(vmaxq_s32(values.0, values.1)))
    }

    #[inline(always)]
    fn narrow(self, low: Self::I32, high: Self::I32) -> Self::I16 {
        let narrow = |values: Self::I32| neon!(vqmovn_high_s32(vqmovn_s32(values.0), values.1));
        apart(Two(narrow(low), narrow(high)))
    }

    #[inline(always)]
    fn pair(self, first: Self::I32, second: Self::I32) -> Self::I16 {
        let low_bits = |values: Self::I32| {
            neon!(vuzp1q_s16(vreinterpretq_s16_s32(values.0), vreinterpretq_s16_s32(values.1)))
        };
        Two(low_bits(first), low_bits(second))
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> Self::I16 {
        let from: *const i16 = pairs.as_ptr().cast();
        apart(neon!(Two(vld1q_s16(from), vld1q_s16(from.add(8)))))
    }

    #[inline(always)]
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> Self::I16 {
        neon!({
            let bytes = vreinterpretq_s16_s8(vld1q_s8(pairs.as_ptr().cast()));
            Two(vshrq_n_s16::<8>(vshlq_n_s16::<8>(bytes)), vshrq_n_s16::<8>(bytes))
        })
    }

    #[inline(always)]
    fn swap_halves(self, pairs: Self::I16) -> Self::I16 {
        neon!(Two(vextq_s16::<4>(pairs.0, pairs.0), vextq_s16::<4>(pairs.1, pairs.1)))
    }

    #[inline(always)]
    fn splat_pair(self, pair: &[i16; 2]) -> Self::I16 {
        let both = i32::from(pair[0] as u16) | i32::from(pair[1]) << 16;
        neon!({
            let both = vreinterpretq_s16_s32(vdupq_n_s32(both));
            apart(Two(both, both))
        })
    }

    #[inline(always)]
    fn dot_add(self, sum: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32 {
        #[inline(always)]
        fn add_products(sum: Two<int32x4_t>, a: int16x8_t, b: int16x8_t) -> Two<int32x4_t> {
            neon!(Two(vmlal_s16(sum.0, vget_low_s16(a), vget_low_s16(b)), vmlal_high_s16(sum.1, a, b)))
        }
        add_products(add_products(sum, a.0, b.0), a.1, b.1)
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::F32; 4], columns: &mut [[f32; 4]; LANES]) {
        transpose(rows.map(|row| self.to_bits(row)), columns);
    }

    #[inline(always)]
    fn transpose_pairs(self, rows: [Self::I16; 4], columns: &mut [[[i16; 2]; 4]; LANES]) {
        let bits = |row: Self::I16| neon!(Two(vreinterpretq_s32_s16(row.0), vreinterpretq_s32_s16(row.1)));
        transpose(rows.map(together).map(bits), columns);
    }

    #[inline(always)]
    fn store_pairs(self, pairs: Self::I16, out: &mut [[i16; 2]; LANES]) {
        let (pairs, out): (_, *mut i16) = (together(pairs), out.as_mut_ptr().cast());
        neon!({
            vst1q_s16(out, pairs.0);
            vst1q_s16(out.add(8), pairs.1);
        });
    }

    #[inline(always)]
    fn narrow_to_u8(self, low: Self::I16, high: Self::I16) -> Self::I16 {
        #[inline(always)]
        fn narrow(values: Two<int16x8_t>) -> int16x8_t {
            neon!(vreinterpretq_s16_u8(vqmovun_high_s16(vqmovun_s16(values.0), values.1)))
        }
        apart(Two(narrow(together(low)), narrow(together(high))))
    }

    #[inline(always)]
    fn narrow_to_i8(self, low: Self::I16, high: Self::I16) -> Self::I16 {
        #[inline(always)]
        fn narrow(values: Two<int16x8_t>) -> int16x8_t {
            neon!(vreinterpretq_s16_s8(vqmovn_high_s16(vqmovn_s16(values.0), values.1)))
        }
        apart(Two(narrow(together(low)), narrow(together(high))))
    }

    #[inline(always)]
    fn quads(self, first: &[[i8; 2]; LANES], second: &[[i8; 2]; LANES]) -> Self::I16 {
        neon!({
            let first = vreinterpretq_s16_s8(vld1q_s8(first.as_ptr().cast()));
            let second = vreinterpretq_s16_s8(vld1q_s8(second.as_ptr().cast()));
            Two(first, second)
        })
    }
}

/// Eight pairs as they lie in memory, taken apart into the first of each and the second.
#[inline(always)]
fn apart(pairs: Two<int16x8_t>) -> Two<int16x8_t> {
    neon!(Two(vuzp1q_s16(pairs.0, pairs.1), vuzp2q_s16(pairs.0, pairs.1)))
}

/// The inverse of [`apart`].
#[inline(always)]
fn together(pairs: Two<int16x8_t>) -> Two<int16x8_t> {
    neon!(Two(vzip1q_s16(pairs.0, pairs.1), vzip2q_s16(pairs.0, pairs.1)))
}

/// Transposes four rows of eight 32-bit lanes.
#[inline(always)]
fn transpose<T>(rows: [Two<int32x4_t>; 4], columns: &mut [[T; 4]; LANES]) {
    const { assert!(size_of::<T>() == 4) };
    let [low, high] = columns.as_chunks_mut::<4>().0 else { unreachable!("two halves of eight") };
    transpose_half(rows.map(|row| row.0), low);
    transpose_half(rows.map(|row| row.1), high);
}

#[inline(always)]
fn transpose_half<T>([a, b, c, d]: [int32x4_t; 4], columns: &mut [[T; 4]; 4]) {
    const { assert!(size_of::<T>() == 4) };
    neon!({
        let pairs = |a, b| (vreinterpretq_s64_s32(vzip1q_s32(a, b)), vreinterpretq_s64_s32(vzip2q_s32(a, b)));
        let ((ab, ab_high), (cd, cd_high)) = (pairs(a, b), pairs(c, d));
        let transposed = [
            vzip1q_s64(ab, cd),
            vzip2q_s64(ab, cd),
            vzip1q_s64(ab_high, cd_high),
            vzip2q_s64(ab_high, cd_high),
        ];
        for (to, column) in columns.iter_mut().zip(transposed) {
            vst1q_s32(to.as_mut_ptr().cast(), vreinterpretq_s32_s64(column));
        }
    });
}

/// Proof that the processor has dot products of bytes: only [`NeonDots::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NeonDots(());

impl NeonDots {
    pub fn new() -> Option<Self> {
        is_aarch64_feature_detected!("dotprod").then_some(NeonDots(()))
    }
}

impl ByteDots for NeonDots {
    fn backend(self) -> Backend {
        Backend::NeonDot
    }

    fn row_bytes(self) -> RowBytes {
        RowBytes::Signed
    }

    fn run_bytes<K: ByteKernel>(self, kernel: K) -> K::Output {
        kernel.run::<Neon, Sdot>(Neon)
    }
}

/// Only [`NeonDots`] runs kernels with it.
struct Sdot;

impl ByteDot<Neon> for Sdot {
    #[inline(always)]
    fn dot_add(_: Neon, sum: Two<int32x4_t>, row: Two<int16x8_t>, columns: Two<int16x8_t>) -> Two<int32x4_t> {
        // Both were taken apart when they were loaded; the compiler removes the one with the other.
        let (row, columns) = (together(row), together(columns));
        Two(sdot(sum.0, row.0, columns.0), sdot(sum.1, row.1, columns.1))
    }
}

/// The intrinsic `vdotq_s32` is not stable yet.
#[inline(always)]
fn sdot(mut sum: int32x4_t, a: int16x8_t, b: int16x8_t) -> int32x4_t {
    // SAFETY: kernels get `Sdot` from `NeonDots` alone, so the processor has the instruction. It changes `sum`, nothing else.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}
