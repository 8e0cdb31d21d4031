//! 64-bit Arm with products of matrices of bytes: `smmla`, which takes twice as many products as `sdot`.

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::neon::Two;
use super::{Backend, LANES, Neon, NeonDots, OctetDot, OctetDots};
use crate::dispatch::OctetKernel;
use crate::layout::{ColumnStepI8, ColumnStepOctets, OCTET_ROWS, RowStepOctets};
use crate::microkernel::Operand;

/// Proof that the processor has `i8mm` and what [`NeonDots`] stands for: only [`NeonI8mm::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NeonI8mm(NeonDots);

impl NeonI8mm {
    pub fn new() -> Option<Self> {
        NeonDots::new().filter(|_| is_aarch64_feature_detected!("i8mm")).map(NeonI8mm)
    }

    /// The dot products, for few rows.
    pub fn dots(self) -> NeonDots {
        self.0
    }
}

impl OctetDots for NeonI8mm {
    fn backend(self) -> Backend {
        Backend::NeonI8mm
    }

    fn run_octets<K: OctetKernel>(self, kernel: K) -> K::Output {
        kernel.run::<Neon, Smmla>(Neon)
    }
}

/// Only [`NeonI8mm`] runs kernels with it.
struct Smmla;

impl Operand<Neon> for Smmla {
    type RowStep = RowStepOctets;
    type ColumnStep = ColumnStepOctets;
    type Row = int8x16_t;
    /// Columns 0 and 1, 2 and 3, 4 and 5, 6 and 7.
    type Columns = [int8x16_t; LANES / 2];
    /// For each two columns, the first row's sums and then the second's.
    type Sum = [int32x4_t; LANES / 2];

    const ROWS: usize = OCTET_ROWS / 2;

    #[inline(always)]
    fn zero(_: Neon) -> Self::Sum {
        // SAFETY: every 64-bit Arm processor has NEON.
        unsafe { [vdupq_n_s32(0); LANES / 2] }
    }

    #[inline(always)]
    fn broadcast(_: Neon, step: &RowStepOctets, pair: usize) -> int8x16_t {
        // SAFETY: every 64-bit Arm processor has NEON, and a pair of octets is as long as what is loaded.
        unsafe { vld1q_s8(step[pair].as_ptr().cast()) }
    }

    #[inline(always)]
    fn load(_: Neon, step: &ColumnStepOctets) -> Self::Columns {
        let from: *const i8 = step.as_ptr().cast();
        // SAFETY: every 64-bit Arm processor has NEON, and a step is as long as the four vectors.
        unsafe { [vld1q_s8(from), vld1q_s8(from.add(16)), vld1q_s8(from.add(32)), vld1q_s8(from.add(48))] }
    }

    #[inline(always)]
    fn accumulate(_: Neon, rows: int8x16_t, columns: Self::Columns, mut sums: Self::Sum) -> Self::Sum {
        for (sum, columns) in sums.iter_mut().zip(columns) {
            *sum = smmla(*sum, rows, columns);
        }
        sums
    }
}

impl OctetDot<Neon> for Smmla {
    #[inline(always)]
    fn gather(_: Neon, steps: &[ColumnStepI8; 4]) -> ColumnStepOctets {
        let mut octets = [[0; 8]; LANES];
        let (from, to): (*const i16, *mut i32) = (steps.as_ptr().cast(), octets.as_mut_ptr().cast());
        // SAFETY: every 64-bit Arm processor has NEON. Four steps are as long as four vectors, and so are eight octets.
        unsafe {
            let [a, b] = [vld1q_s16(from), vld1q_s16(from.add(8))];
            let [c, d] = [vld1q_s16(from.add(16)), vld1q_s16(from.add(24))];
            let first = [vzip1q_s16(a, b), vzip2q_s16(a, b)].map(|quads| vreinterpretq_s32_s16(quads));
            let second = [vzip1q_s16(c, d), vzip2q_s16(c, d)].map(|quads| vreinterpretq_s32_s16(quads));
            vst1q_s32(to, vzip1q_s32(first[0], second[0]));
            vst1q_s32(to.add(4), vzip2q_s32(first[0], second[0]));
            vst1q_s32(to.add(8), vzip1q_s32(first[1], second[1]));
            vst1q_s32(to.add(12), vzip2q_s32(first[1], second[1]));
        }
        octets
    }

    #[inline(always)]
    fn split(_: Neon, sums: Self::Sum) -> [Two<int32x4_t>; 2] {
        // SAFETY: every 64-bit Arm processor has NEON.
        unsafe {
            let [a, b, c, d] = sums.map(|sums| vreinterpretq_s64_s32(sums));
            let of_row = |left, right| Two(vreinterpretq_s32_s64(left), vreinterpretq_s32_s64(right));
            [of_row(vzip1q_s64(a, b), vzip1q_s64(c, d)), of_row(vzip2q_s64(a, b), vzip2q_s64(c, d))]
        }
    }
}

/// The intrinsic `vmmlaq_s32` is not stable yet.
#[inline(always)]
fn smmla(mut sum: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    // SAFETY: kernels get `Smmla` from `NeonI8mm` alone, so the processor has the instruction. It changes `sum`, nothing else.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sum:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sum = inout(vreg) sum,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}
