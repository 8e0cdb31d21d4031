//! What relaxed SIMD adds to simd128. A module with one of its opcodes does not load in an engine without them.

use std::arch::wasm32::{f32x4_relaxed_madd, v128};

/// a b + c, in one step where the processor has it.
#[inline(always)]
pub(super) fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_relaxed_madd(a, b, c)
}
