//! Runs kernels on the best instruction set the processor has.

use crate::simd::{Backend, Simd, Wide};

/// The instruction set in use: on WebAssembly that of the build, elsewhere the best that the processor has.
///
/// Where the processor decides, the environment variable `SIGLIP_KERNELS`, read once, can ask for a lesser one: `avx2` or
/// `portable`.
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

/// Work that runs on any instruction set with wide vectors. See [`Kernel`].
pub(crate) trait WideKernel {
    type Output;
    fn run<S: Wide>(self, simd: S) -> Self::Output;
}

#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Simd128)
}

#[cfg(any(feature = "portable", not(any(target_arch = "x86_64", target_feature = "simd128"))))]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Portable)
}

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use x86_64::{dispatch, wide};

#[cfg(any(feature = "portable", not(target_arch = "x86_64")))]
pub(crate) use no_wide::wide;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod x86_64 {
    use std::sync::LazyLock;

    use super::Kernel;
    use crate::simd::{Avx2, Avx512, Portable};

    #[derive(Clone, Copy)]
    enum Best {
        Avx512(Avx512),
        Avx2(Avx2),
        Portable,
    }

    static BEST: LazyLock<Best> = LazyLock::new(|| {
        let wanted = std::env::var("SIGLIP_KERNELS").unwrap_or_default();
        let (avx512, avx2) = match wanted.as_str() {
            "portable" => (None, None),
            "avx2" => (None, Avx2::new()),
            _ => (Avx512::new(), Avx2::new()),
        };
        match (avx512, avx2) {
            (Some(avx512), _) => Best::Avx512(avx512),
            (None, Some(avx2)) => Best::Avx2(avx2),
            (None, None) => Best::Portable,
        }
    });

    pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        match *BEST {
            Best::Avx512(avx512) => avx512.run(kernel),
            Best::Avx2(avx2) => avx2.run(kernel),
            Best::Portable => kernel.run(Portable),
        }
    }

    /// The instruction set in use, if it has wide vectors.
    pub(crate) fn wide() -> Option<Avx512> {
        match *BEST {
            Best::Avx512(avx512) => Some(avx512),
            Best::Avx2(_) | Best::Portable => None,
        }
    }
}

#[cfg(any(feature = "portable", not(target_arch = "x86_64")))]
mod no_wide {
    use super::WideKernel;

    /// No instruction set of this build has wide vectors.
    #[derive(Clone, Copy)]
    pub(crate) enum NoWide {}

    impl NoWide {
        pub fn run_wide<K: WideKernel>(self, _: K) -> K::Output {
            match self {}
        }
    }

    pub(crate) fn wide() -> Option<NoWide> {
        None
    }
}
