//! x86-64 with AVX-VNNI: AVX2, and `vpdpbusd` on its registers. Processors without AVX-512 have it, too.

use std::arch::x86_64::*;

use super::{Avx2, Backend, ByteDot, ByteDots, RowBytes};
use crate::dispatch::{ByteKernel, Kernel};

/// Proof that the processor has AVX-VNNI and what [`Avx2`] stands for: only [`AvxVnni::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AvxVnni(Avx2);

impl AvxVnni {
    pub fn new() -> Option<Self> {
        Avx2::new().filter(|_| is_x86_feature_detected!("avxvnni")).map(AvxVnni)
    }

    /// Runs a kernel that multiplies no bytes.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        self.0.run(kernel)
    }
}

impl ByteDots for AvxVnni {
    fn backend(self) -> Backend {
        Backend::AvxVnni
    }

    fn row_bytes(self) -> RowBytes {
        RowBytes::Unsigned
    }

    fn run_bytes<K: ByteKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,avxvnni")]
        fn enabled<K: ByteKernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run::<Avx2, VnniDot>(simd)
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(self.0, kernel) }
    }
}

/// Only [`AvxVnni`] runs kernels with it.
struct VnniDot;

impl ByteDot<Avx2> for VnniDot {
    #[inline(always)]
    fn dot_add(_: Avx2, sum: __m256i, row: __m256i, columns: __m256i) -> __m256i {
        // SAFETY: kernels get `VnniDot` from `AvxVnni::run_bytes` alone, so the processor has AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(sum, row, columns) }
    }
}
