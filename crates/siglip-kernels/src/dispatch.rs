//! Runs kernels on the best instruction set the processor has.

use crate::simd::{Backend, ByteDot, ByteDots as _, OctetDot, OctetDots as _, Simd, Wide};

/// The instruction set in use: on WebAssembly that of the build, elsewhere the best that the processor has.
///
/// Where the processor decides, the environment variable `SIGLIP_KERNELS`, read once, can ask for a lesser one: `avx-vnni`,
/// `avx2` or `portable` on x86-64, `neon-dot`, `neon` or `portable` on 64-bit Arm.
pub fn backend() -> Backend {
    struct Name;
    impl Kernel for Name {
        type Output = Backend;
        fn run<S: Simd>(self, _: S) -> Backend {
            S::BACKEND
        }
    }
    match (octet_dots(), byte_dots()) {
        (Some(octets), _) => octets.backend(),
        (None, Some(dots)) => dots.backend(),
        (None, None) => dispatch(Name),
    }
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

/// Work that runs on any instruction set with dot products of bytes. See [`Kernel`].
pub(crate) trait ByteKernel {
    type Output;
    fn run<S: Simd, D: ByteDot<S>>(self, simd: S) -> Self::Output;
}

/// Work that runs on any instruction set with products of octets. See [`Kernel`].
#[cfg_attr(not(any(test, target_arch = "aarch64")), expect(dead_code, reason = "only Arm runs it"))]
pub(crate) trait OctetKernel {
    type Output;
    fn run<S: Simd, D: OctetDot<S>>(self, simd: S) -> Self::Output;
}

#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Simd128)
}

#[cfg(any(
    feature = "portable",
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128"))
))]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(crate::simd::Portable)
}

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use x86_64::{WideSimd, bf16, byte_dots, dispatch, wide};

#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
pub(crate) use aarch64::{byte_dots, dispatch, octet_dots};

#[cfg(any(feature = "portable", not(target_arch = "x86_64")))]
pub(crate) use no_wide::{WideSimd, bf16, wide};

#[cfg(any(feature = "portable", not(target_arch = "aarch64")))]
pub(crate) use no_octet_dots::octet_dots;

/// The relaxed dot product, where it is exact for bytes.
#[cfg(all(target_feature = "relaxed-simd", not(feature = "portable")))]
pub(crate) fn byte_dots() -> Option<crate::simd::RelaxedDots> {
    crate::simd::RelaxedDots::new()
}

#[cfg(any(
    feature = "portable",
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "relaxed-simd"))
))]
pub(crate) use no_byte_dots::byte_dots;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod x86_64 {
    use std::sync::LazyLock;

    use super::Kernel;
    use crate::simd::{Avx2, Avx512, Avx512Bf16, AvxVnni, Portable};

    #[derive(Clone, Copy)]
    enum Best {
        Avx512(Avx512),
        AvxVnni(AvxVnni),
        Avx2(Avx2),
        Portable,
    }

    static BEST: LazyLock<Best> = LazyLock::new(|| {
        let wanted = std::env::var("SIGLIP_KERNELS").unwrap_or_default();
        let avx2 = || Avx2::new().map_or(Best::Portable, Best::Avx2);
        let avx_vnni = || AvxVnni::new().map_or_else(avx2, Best::AvxVnni);
        match wanted.as_str() {
            "portable" => Best::Portable,
            "avx2" => avx2(),
            "avx-vnni" => avx_vnni(),
            _ => Avx512::new().map_or_else(avx_vnni, Best::Avx512),
        }
    });

    pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        match *BEST {
            Best::Avx512(avx512) => avx512.run(kernel),
            Best::AvxVnni(avx_vnni) => avx_vnni.run(kernel),
            Best::Avx2(avx2) => avx2.run(kernel),
            Best::Portable => kernel.run(Portable),
        }
    }

    /// The instruction set with wide vectors.
    pub(crate) type WideSimd = Avx512;

    /// The instruction set in use, if it has wide vectors.
    pub(crate) fn wide() -> Option<WideSimd> {
        match *BEST {
            Best::Avx512(avx512) => Some(avx512),
            Best::AvxVnni(_) | Best::Avx2(_) | Best::Portable => None,
        }
    }

    /// The instruction set in use, if it has wide vectors and dot products of bfloat16.
    pub(crate) fn bf16() -> Option<Avx512Bf16> {
        Avx512Bf16::new(wide()?)
    }

    /// The processor's dot products of bytes, if it has them, but no wide vectors.
    pub(crate) fn byte_dots() -> Option<AvxVnni> {
        match *BEST {
            Best::AvxVnni(avx_vnni) => Some(avx_vnni),
            Best::Avx512(_) | Best::Avx2(_) | Best::Portable => None,
        }
    }
}

#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
mod aarch64 {
    use std::sync::LazyLock;

    use super::Kernel;
    use crate::simd::{Neon, NeonDots, NeonI8mm, Portable};

    #[derive(Clone, Copy)]
    enum Best {
        NeonI8mm(NeonI8mm),
        NeonDot(NeonDots),
        Neon,
        Portable,
    }

    static BEST: LazyLock<Best> = LazyLock::new(|| {
        let wanted = std::env::var("SIGLIP_KERNELS").unwrap_or_default();
        let dots = || NeonDots::new().map_or(Best::Neon, Best::NeonDot);
        match wanted.as_str() {
            "portable" => Best::Portable,
            "neon" => Best::Neon,
            "neon-dot" => dots(),
            _ => NeonI8mm::new().map_or_else(dots, Best::NeonI8mm),
        }
    });

    pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        match *BEST {
            Best::NeonI8mm(_) | Best::NeonDot(_) | Best::Neon => kernel.run(Neon),
            Best::Portable => kernel.run(Portable),
        }
    }

    /// The processor's dot products of bytes, if it has them.
    pub(crate) fn byte_dots() -> Option<NeonDots> {
        match *BEST {
            Best::NeonI8mm(octets) => Some(octets.dots()),
            Best::NeonDot(dots) => Some(dots),
            Best::Neon | Best::Portable => None,
        }
    }

    /// The processor's products of matrices of bytes, if it has them.
    pub(crate) fn octet_dots() -> Option<NeonI8mm> {
        match *BEST {
            Best::NeonI8mm(octets) => Some(octets),
            Best::NeonDot(_) | Best::Neon | Best::Portable => None,
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

    pub(crate) type WideSimd = NoWide;

    pub(crate) fn wide() -> Option<WideSimd> {
        None
    }

    pub(crate) fn bf16() -> Option<WideSimd> {
        None
    }
}

#[cfg(any(
    feature = "portable",
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "relaxed-simd"))
))]
mod no_byte_dots {
    use super::ByteKernel;
    use crate::simd::{Backend, ByteDots, RowBytes};

    /// This build has no dot products of bytes.
    #[derive(Clone, Copy)]
    pub(crate) enum NoByteDots {}

    impl ByteDots for NoByteDots {
        fn backend(self) -> Backend {
            match self {}
        }

        fn row_bytes(self) -> RowBytes {
            match self {}
        }

        fn run_bytes<K: ByteKernel>(self, _: K) -> K::Output {
            match self {}
        }
    }

    pub(crate) fn byte_dots() -> Option<NoByteDots> {
        None
    }
}

#[cfg(any(feature = "portable", not(target_arch = "aarch64")))]
mod no_octet_dots {
    use super::OctetKernel;
    use crate::simd::{Backend, OctetDots};

    /// This build has no products of octets.
    #[derive(Clone, Copy)]
    pub(crate) enum NoOctetDots {}

    impl OctetDots for NoOctetDots {
        fn backend(self) -> Backend {
            match self {}
        }

        fn run_octets<K: OctetKernel>(self, _: K) -> K::Output {
            match self {}
        }
    }

    pub(crate) fn octet_dots() -> Option<NoOctetDots> {
        None
    }
}
