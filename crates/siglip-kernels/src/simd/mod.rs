//! What the kernels ask of an instruction set: vectors of eight lanes, in however many registers.

#[cfg(any(feature = "portable", not(target_feature = "simd128")))]
mod portable;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod avx2;
#[cfg(all(target_feature = "relaxed-simd", not(feature = "portable")))]
mod relaxed_simd;
#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
mod simd128;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(crate) use avx2::Avx2;
#[cfg(any(feature = "portable", not(target_feature = "simd128")))]
pub(crate) use portable::Portable;
#[cfg(all(target_feature = "simd128", not(feature = "portable")))]
pub(crate) use simd128::Simd128;

/// An instruction set the kernels have a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Whatever the compiler makes of plain loops.
    Portable,
    /// x86-64 with AVX2 and FMA, found when the program starts.
    Avx2,
    /// WebAssembly with fixed-width SIMD.
    Simd128,
    /// WebAssembly with relaxed SIMD: multiply and add in one step.
    RelaxedSimd,
}

impl Backend {
    /// Its name in lower case: `portable`, `avx2`, `simd` or `relaxed-simd`.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
            Backend::Avx2 => "avx2",
            Backend::Simd128 => "simd",
            Backend::RelaxedSimd => "relaxed-simd",
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

/// An instruction set. A value of it is the proof that the processor has it.
///
/// Every method, and every function that calls one, is `#[inline(always)]`: on x86 it has to end up in a function that
/// enables the features. Closures cannot be; so the kernels are written without, wherever vectors pass.
pub(crate) trait Simd: Copy {
    /// Eight f32.
    type F32: Copy;
    /// Eight i32.
    type I32: Copy;
    /// Eight pairs of i16.
    type I16: Copy;

    const BACKEND: Backend;
    /// Panels of weights that a tile of four rows spans: as many as keep its sums in registers.
    const TILE_PANELS: usize;

    fn splat(self, value: f32) -> Self::F32;
    fn load(self, values: &[f32; LANES]) -> Self::F32;
    fn store(self, values: Self::F32, out: &mut [f32; LANES]);

    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// a b + c, rounded once or twice.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The greater; `a` where one is a NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The sum of all lanes.
    fn sum(self, values: Self::F32) -> f32;

    fn to_bits(self, values: Self::F32) -> Self::I32;
    fn bits_to_f32(self, bits: Self::I32) -> Self::F32;
    fn load_i32(self, values: &[i32; LANES]) -> Self::I32;
    fn store_i32(self, values: Self::I32, out: &mut [i32; LANES]);
    fn splat_i32(self, value: i32) -> Self::I32;
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn max_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn shift_left<const BITS: u32>(self, values: Self::I32) -> Self::I32;
    /// i32 to f32, to nearest.
    fn convert(self, values: Self::I32) -> Self::F32;
    /// The greatest lane.
    fn max_lane(self, values: Self::I32) -> i32;

    /// Sixteen i32 to as many i16, saturated, in order.
    fn narrow(self, low: Self::I32, high: Self::I32) -> Self::I16;
    /// The low 16 bits of either, side by side.
    fn pair(self, first: Self::I32, second: Self::I32) -> Self::I16;
    fn load_pairs(self, pairs: &[[i16; 2]; LANES]) -> Self::I16;
    /// Sixteen i8 widened to i16.
    fn widen_pairs(self, pairs: &[[i8; 2]; LANES]) -> Self::I16;
    /// Wraps.
    fn add_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16;
    /// Wraps.
    fn sub_pairs(self, a: Self::I16, b: Self::I16) -> Self::I16;
    /// The last four pairs before the first four.
    fn swap_halves(self, pairs: Self::I16) -> Self::I16;
    fn splat_pair(self, pair: &[i16; 2]) -> Self::I16;
    /// sum + a₀ b₀ + a₁ b₁ of every pair; wraps.
    fn dot_add(self, sum: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32;

    /// What [`Simd::winograd_madd`] takes for the second of two steps' `columns`.
    #[inline(always)]
    fn winograd_columns(self, columns: Self::I16) -> Self::I16 {
        columns
    }

    /// sum + (the first of `rows` + the second of `columns`) · (the second + the first), for every pair; wraps. `rows`
    /// are as [`Simd::splat_pair`] gives them.
    #[inline(always)]
    fn winograd_madd(self, sum: Self::I32, rows: [Self::I16; 2], columns: [Self::I16; 2]) -> Self::I32 {
        self.dot_add(sum, self.add_pairs(rows[0], columns[1]), self.add_pairs(rows[1], columns[0]))
    }

    /// The columns of four rows.
    fn transpose(self, rows: [Self::F32; 4], columns: &mut [[f32; 4]; LANES]);
    /// The columns of four rows of pairs.
    fn transpose_pairs(self, rows: [Self::I16; 4], columns: &mut [[[i16; 2]; 4]; LANES]);
    fn store_pairs(self, pairs: Self::I16, out: &mut [[i16; 2]; LANES]);
}

/// The first eight of `values`; zeros where there are fewer.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(simd: S, values: &[f32]) -> S::F32 {
    match values.first_chunk() {
        Some(eight) => simd.load(eight),
        None => simd.load(&padded(values)),
    }
}

/// Stores as many lanes as `out` takes, eight at most.
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

/// As [`load_part`].
#[inline(always)]
pub(crate) fn load_part_i32<S: Simd>(simd: S, values: &[i32]) -> S::I32 {
    match values.first_chunk() {
        Some(eight) => simd.load_i32(eight),
        None => simd.load_i32(&padded(values)),
    }
}

/// As [`store_part`].
#[inline(always)]
pub(crate) fn store_part_i32<S: Simd>(simd: S, values: S::I32, out: &mut [i32]) {
    match out.first_chunk_mut() {
        Some(eight) => simd.store_i32(values, eight),
        None => {
            let mut lanes = [0; LANES];
            simd.store_i32(values, &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// `values`, at most N of them, with zeros behind.
#[inline(always)]
pub(crate) fn padded<T: Copy + Default, const N: usize>(values: &[T]) -> [T; N] {
    let mut padded = [T::default(); N];
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// The sum of eight lanes, halves first: in the same order on every instruction set.
#[inline(always)]
fn sum_lanes(v: [f32; LANES]) -> f32 {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}
