//! What relaxed SIMD adds to simd128. An engine that lacks its opcodes refuses a module with even one of them.

use std::arch::wasm32::{f32x4_relaxed_madd, i32x4_relaxed_dot_i8x16_i7x16_add, v128};
use std::sync::LazyLock;

use super::simd128::Two;
use super::{Backend, ByteDot, ByteDots, RowBytes, Simd128, byte_dot};
use crate::dispatch::ByteKernel;

/// a b + c, in one instruction where the processor has it.
#[inline(always)]
pub(super) fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_relaxed_madd(a, b, c)
}

/// `i32x4.relaxed_dot_i8x16_i7x16_add`, whose second operand may have 7 bits.
///
/// What it does with 8 is up to the engine. V8 makes one instruction of it where the processor has AVX-VNNI, for u8 by i8, or
/// Arm's dot product, for i8 by i8. Otherwise it takes several that add pairs in 16 bits, which saturate on x86.
struct RelaxedDot;

impl ByteDot<Simd128> for RelaxedDot {
    #[inline(always)]
    fn dot_add(_: Simd128, sum: Two, row: Two, columns: Two) -> Two {
        Two(
            i32x4_relaxed_dot_i8x16_i7x16_add(columns.0, row.0, sum.0),
            i32x4_relaxed_dot_i8x16_i7x16_add(columns.1, row.1, sum.1),
        )
    }
}

/// The relaxed dot product on a processor where it is exact for 8 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelaxedDots(RowBytes);

impl RelaxedDots {
    /// Finds out, once, what the instruction does here.
    pub fn new() -> Option<Self> {
        static ANSWER: LazyLock<Option<RowBytes>> =
            LazyLock::new(|| byte_dot::probe::<Simd128, RelaxedDot>(Simd128));
        ANSWER.map(RelaxedDots)
    }
}

impl ByteDots for RelaxedDots {
    fn backend(self) -> Backend {
        match self.0 {
            RowBytes::Unsigned => Backend::RelaxedSimdU8,
            RowBytes::Signed => Backend::RelaxedSimdI8,
        }
    }

    fn row_bytes(self) -> RowBytes {
        self.0
    }

    #[inline(always)]
    fn run_bytes<K: ByteKernel>(self, kernel: K) -> K::Output {
        kernel.run::<Simd128, RelaxedDot>(Simd128)
    }
}
