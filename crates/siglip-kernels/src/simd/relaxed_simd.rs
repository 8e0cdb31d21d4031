//! What relaxed SIMD adds to simd128. An engine that lacks its opcodes refuses a module with even one of them.

use std::arch::wasm32::{f32x4_relaxed_madd, v128};

/// a b + c, in one instruction where the processor has it.
#[inline(always)]
pub(super) fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_relaxed_madd(a, b, c)
}
