//! What the kernels need from an instruction set: operations on vectors of eight lanes, in however many registers.

#[cfg(any(feature = "portable", not(target_feature = "simd128")))]
mod portable;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod avx512;
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod avx_vnni;
mod byte_dot;
#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
mod neon;
#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
mod neon_i8mm;
mod octet_dot;
#[cfg(all(target_feature = "relaxed-simd", not(feature = "portable")))]
mod relaxed_simd;
#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
mod simd128;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use avx_vnni::AvxVnni;
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use avx2::Avx2;
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use avx512::{Avx512, Avx512Bf16};
#[cfg(test)]
pub(crate) use byte_dot::models;
pub(crate) use byte_dot::{ByteDot, ByteDots, RowBytes};
#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
pub(crate) use neon::{Neon, NeonDots};
#[cfg(all(target_arch = "aarch64", not(feature = "portable")))]
pub(crate) use neon_i8mm::NeonI8mm;
#[cfg(test)]
pub(crate) use octet_dot::model as octet_model;
pub(crate) use octet_dot::{OctetDot, OctetDots};
#[cfg(any(feature = "portable", not(target_feature = "simd128")))]
pub(crate) use portable::Portable;
#[cfg(all(target_feature = "relaxed-simd", not(feature = "portable")))]
pub(crate) use relaxed_simd::RelaxedDots;
#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
pub(crate) use simd128::Simd128;

/// An instruction set that the kernels have a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Plain loops, vectorised by the compiler.
    Portable,
    /// x86-64 with AVX2 and FMA, detected at run time.
    Avx2,
    /// [`Backend::Avx2`] with AVX-VNNI, which multiplies bytes, detected at run time.
    AvxVnni,
    /// x86-64 with AVX-512 F, BW, VL and VNNI, detected at run time.
    Avx512,
    /// 64-bit Arm.
    Neon,
    /// [`Backend::Neon`] with dot products of bytes, detected at run time.
    NeonDot,
    /// [`Backend::NeonDot`] with products of matrices of bytes, detected at run time.
    NeonI8mm,
    /// WebAssembly with fixed-width SIMD.
    Simd128,
    /// WebAssembly with relaxed SIMD, which can multiply and add in one instruction.
    RelaxedSimd,
    /// [`Backend::RelaxedSimd`] where a test at run time has found that its dot product is exact for u8 by i8.
    RelaxedSimdU8,
    /// [`Backend::RelaxedSimd`] where a test at run time has found that its dot product is exact for i8 by i8.
    RelaxedSimdI8,
}

impl Backend {
    /// Its name in lower case: `portable`, `avx2`, `avx-vnni`, `avx512`, `neon`, `neon-dot`, `neon-i8mm`, `simd`,
    /// `relaxed-simd`, `relaxed-simd-u8` or `relaxed-simd-i8`.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
            Backend::Avx2 => "avx2",
            Backend::AvxVnni => "avx-vnni",
            Backend::Avx512 => "avx512",
            Backend::Neon => "neon",
            Backend::NeonDot => "neon-dot",
            Backend::NeonI8mm => "neon-i8mm",
            Backend::Simd128 => "simd",
            Backend::RelaxedSimd => "relaxed-simd",
            Backend::RelaxedSimdU8 => "relaxed-simd-u8",
            Backend::RelaxedSimdI8 => "relaxed-simd-i8",
        }
    }

    /// Whether it has dot products of bytes, which [`Precision::Q8`](crate::Precision::Q8) uses.
    pub const fn multiplies_bytes(self) -> bool {
        match self {
            Backend::AvxVnni | Backend::Avx512 | Backend::NeonDot | Backend::NeonI8mm => true,
            Backend::RelaxedSimdU8 | Backend::RelaxedSimdI8 => true,
            Backend::Portable | Backend::Avx2 | Backend::Neon | Backend::Simd128 | Backend::RelaxedSimd => {
                false
            }
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Lanes of a vector, and columns of a panel of packed weights.
pub(crate) const LANES: usize = 8;

/// Vectors, and what is computed with them lane by lane.
///
/// Every method, and every function that calls one, is `#[inline(always)]`: on x86 it must end up in a function that enables
/// the target features. Closures cannot be marked so; where vectors are passed, the kernels use none.
pub(crate) trait Vectors: Copy {
    /// f32.
    type F32: Copy;
    /// As many i32.
    type I32: Copy;

    fn splat(self, value: f32) -> Self::F32;
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// a b + c, rounded once or twice.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The larger of each lane; `a` where one is a NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// The bits of each lane.
    fn to_bits(self, values: Self::F32) -> Self::I32;
    /// The inverse of [`Vectors::to_bits`].
    fn bits_to_f32(self, bits: Self::I32) -> Self::F32;
    fn splat_i32(self, value: i32) -> Self::I32;
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Wraps.
    fn mul_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn max_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn shift_left<const BITS: u32>(self, values: Self::I32) -> Self::I32;
    /// i32 to f32, rounded to nearest.
    fn convert(self, values: Self::I32) -> Self::F32;
}

/// Vectors of `N` lanes in memory.
pub(crate) trait Lanes<const N: usize>: Vectors {
    fn load(self, values: &[f32; N]) -> Self::F32;
    fn store(self, values: Self::F32, out: &mut [f32; N]);
    fn load_i32(self, values: &[i32; N]) -> Self::I32;
    fn store_i32(self, values: Self::I32, out: &mut [i32; N]);
}

/// An instruction set, with vectors of eight lanes. A value of it proves that the processor has it.
pub(crate) trait Simd: Lanes<LANES> {
    /// Eight pairs of i16.
    type I16: Copy;

    const BACKEND: Backend;
    /// Panels of weights that a tile of four rows spans: as many as leave its sums in registers. 1 or 2.
    const TILE_PANELS: usize;

    /// The sum of all lanes.
    fn sum(self, values: Self::F32) -> f32;
    /// The largest lane.
    fn max_lane(self, values: Self::I32) -> i32;

    /// Sixteen i32 to sixteen i16, saturated, in order.
    fn narrow(self, low: Self::I32, high: Self::I32) -> Self::I16;
    /// Pairs of the low 16 bits of `first` and of `second`.
    fn pair(self, first: Self::I32, second: Self::I32) -> Self::I16;
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> Self::I16;
    /// Sixteen i8 widened to i16.
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> Self::I16;
    /// Wraps.
    fn add_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16;
    /// Wraps.
    fn sub_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16;
    /// The last four pairs, then the first four.
    fn swap_halves(self, pairs: Self::I16) -> Self::I16;
    fn splat_pair(self, pair: &[i16; 2]) -> Self::I16;
    /// sum + a₀ b₀ + a₁ b₁ for each pair; wraps.
    fn dot_add(self, sum: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32;

    /// Prepares the second of two steps' columns for [`Simd::winograd_madd`].
    #[inline(always)]
    fn winograd_columns(self, columns: Self::I16) -> Self::I16 {
        columns
    }

    /// sum + (rows₀ + columns₁) · (rows₁ + columns₀) for each pair; wraps. `rows` come from [`Simd::splat_pair`], columns₁
    /// from [`Simd::winograd_columns`].
    #[inline(always)]
    fn winograd_madd(self, sum: Self::I32, rows: [Self::I16; 2], columns: [Self::I16; 2]) -> Self::I32 {
        self.dot_add(sum, self.add_pairs(rows[0], columns[1]), self.add_pairs(rows[1], columns[0]))
    }

    /// Transposes four rows of eight.
    fn transpose(self, rows: [Self::F32; 4], columns: &mut [[f32; 4]; LANES]);
    /// Transposes four rows of eight pairs.
    fn transpose_pairs(self, rows: [Self::I16; 4], columns: &mut [[[i16; 2]; 4]; LANES]);
    fn store_pairs(self, pairs: Self::I16, out: &mut [[i16; 2]; LANES]);

    /// 32 i16 to as many u8, saturated, in order: eight quads in place of eight pairs.
    #[inline(always)]
    fn narrow_to_u8(self, low: Self::I16, high: Self::I16) -> Self::I16 {
        narrow_lanes(self, low, high, |value| value.clamp(0, 255) as u8)
    }

    /// [`Simd::narrow_to_u8`] for i8.
    #[inline(always)]
    fn narrow_to_i8(self, low: Self::I16, high: Self::I16) -> Self::I16 {
        narrow_lanes(self, low, high, |value| value.clamp(-128, 127) as u8)
    }

    /// Puts each pair of `second` behind the pair of `first`: eight quads.
    #[inline(always)]
    fn quads(self, first: &[[i8; 2]; LANES], second: &[[i8; 2]; LANES]) -> Self::I16 {
        let mut quads = [[0; 2]; LANES];
        for (quad, pairs) in quads.iter_mut().zip(first.iter().zip(second)) {
            *quad = [pairs.0, pairs.1].map(|pair| i16::from_le_bytes(pair.map(|byte| byte as u8)));
        }
        self.load_pairs(&quads)
    }
}

#[inline(always)]
fn narrow_lanes<S: Simd>(simd: S, low: S::I16, high: S::I16, narrow: impl Fn(i16) -> u8) -> S::I16 {
    let (mut wide, mut quads) = ([[[0; 2]; LANES]; 2], [[0; 2]; LANES]);
    simd.store_pairs(low, &mut wide[0]);
    simd.store_pairs(high, &mut wide[1]);
    for (quad, pairs) in quads.iter_mut().zip(wide.as_flattened().as_chunks::<2>().0) {
        *quad = pairs.map(|[first, second]| i16::from_le_bytes([narrow(first), narrow(second)]));
    }
    simd.load_pairs(&quads)
}

/// Lanes of a wide vector.
pub(crate) const WIDE_LANES: usize = 16;

/// An instruction set that also has vectors of sixteen lanes, with registers for a tile of eight rows by three of them, and
/// dot products of bytes.
pub(crate) trait Wide: Simd {
    /// What is computed with wide vectors lane by lane.
    type Wide: Lanes<WIDE_LANES, F32 = Self::WideF32, I32 = Self::WideI32>;
    /// Sixteen f32.
    type WideF32: Copy;
    /// Sixteen i32, or as many pairs of i16, or quads of bytes.
    type WideI32: Copy;

    fn wide(self) -> Self::Wide;

    /// Brings what begins at `data` into the second-level cache: one line of it.
    fn prefetch<T>(self, data: &T);

    fn wide_halves(self, values: Self::WideF32) -> [Self::F32; 2];
    /// Pairs of the low 16 bits of `first` and of `second`.
    fn wide_pair(self, first: Self::WideI32, second: Self::WideI32) -> Self::WideI32;
    fn wide_load_pairs(self, pairs: &[[i16; 2]; WIDE_LANES]) -> Self::WideI32;
    fn wide_load_quads(self, quads: &[[i8; 4]; WIDE_LANES]) -> Self::WideI32;
    /// sum + a₀ b₀ + a₁ b₁ for each pair of i16; wraps.
    fn wide_dot_i16(self, sum: Self::WideI32, a: Self::WideI32, b: Self::WideI32) -> Self::WideI32;
    /// sum + a₀ b₀ + a₁ b₁ + a₂ b₂ + a₃ b₃ for each quad of u8 in `a` and of i8 in `b`; wraps.
    fn wide_dot_u8_i8(self, sum: Self::WideI32, a: Self::WideI32, b: Self::WideI32) -> Self::WideI32;
    /// sum + a₀ b₀ + a₁ b₁ for each pair of bfloat16. Only what `bf16` in `dispatch.rs` runs may call it.
    fn wide_dot_bf16(self, sum: Self::WideF32, a: Self::WideI32, b: Self::WideI32) -> Self::WideF32;

    /// The first pair of each quad, and the second, widened to i16.
    fn wide_pairs(self, quads: Self::WideI32) -> [Self::WideI32; 2];
    fn wide_store_pairs(self, pairs: Self::WideI32, out: &mut [[i16; 2]; WIDE_LANES]);
}

/// Loads the first eight of `values`, with zeros where there are fewer.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(simd: S, values: &[f32]) -> S::F32 {
    match values.first_chunk() {
        Some(eight) => simd.load(eight),
        None => simd.load(&padded(values)),
    }
}

/// Stores the first lanes, as many as `out` is long, eight at most.
#[inline(always)]
pub(crate) fn store_part<S: Simd>(simd: S, values: S::F32, out: &mut [f32]) {
    match out.first_chunk_mut() {
        Some(eight) => simd.store(values, eight),
        None => {
            let mut lanes = [0.0; LANES];
            simd.store(values, &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// [`load_part`] for i32.
#[inline(always)]
pub(crate) fn load_part_i32<S: Simd>(simd: S, values: &[i32]) -> S::I32 {
    match values.first_chunk() {
        Some(eight) => simd.load_i32(eight),
        None => simd.load_i32(&padded(values)),
    }
}

/// [`store_part`] for i32, in vectors of any number of lanes.
#[inline(always)]
pub(crate) fn store_part_i32<V: Lanes<N>, const N: usize>(vectors: V, values: V::I32, out: &mut [i32]) {
    match out.first_chunk_mut() {
        Some(whole) => vectors.store_i32(values, whole),
        None => {
            let mut lanes = [0; N];
            vectors.store_i32(values, &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// `values`, at most N, followed by zeros.
#[inline(always)]
pub(crate) fn padded<T: Copy + Default, const N: usize>(values: &[T]) -> [T; N] {
    let mut padded = [T::default(); N];
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// The sum of eight lanes. The halves are added first, on every instruction set in the same order.
#[inline(always)]
fn sum_lanes(v: [f32; LANES]) -> f32 {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}
