//! Runs kernels on the best instruction set the processor has.

use crate::simd::{Backend, Simd};

/// The instruction set in use: on WebAssembly that of the build, elsewhere the best that the processor has.
pub fn backend() -> Backend {
    struct Name;
    impl Kernel for Name {
        type Output = Backend;
        fn run<S: Simd>(self, _: S) -> Backend {
            S::BACKEND
        }
    }
    dispatch(Name)
}

/// Work that runs on any instruction set. Implementations mark `run` `#[inline(always)]`, so its code is compiled for that
/// instruction set.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Simd128)
}

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match crate::simd::Avx2::new() {
        Some(avx2) => avx2.run(kernel),
        None => kernel.run(crate::simd::Portable),
    }
}

#[cfg(any(feature = "portable", not(any(target_arch = "x86_64", target_feature = "simd128"))))]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Portable)
}
