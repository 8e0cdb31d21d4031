//! The inner loop of every product: a tile of a few rows by a few panels of eight columns, summed in registers.
//!
//! Both sides lie in memory in the order the loop reads them. A step takes a value of every row on the left, each
//! spread over all lanes by the load itself, and eight of a panel on the right.

use crate::matrix::PairStep;
use crate::simd::{LANES, Simd};

/// Rows of a panel on the left side.
pub(crate) const ROWS: usize = 4;

/// Rows of a panel of floats in a matrix product. Every sum waits four cycles for the one before it, at two sums a cycle
/// and two registers a row: so four rows are just enough, and six leave no gaps. That takes all of 16 registers.
pub(crate) const FLOAT_ROWS: usize = 6;

/// Pairs of i16 of four rows: a step of a panel of 16-bit levels on the left side.
pub(crate) type LeftStep = [[i16; 2]; ROWS];

/// Eight pairs of i16: a step of a panel of 16-bit levels.
pub(crate) type WideStep = [[i16; 2]; LANES];

/// What is multiplied: how either side of a step is stored, and what sums the products.
pub(crate) trait Format<S: Simd> {
    /// One row's part of a step on the left.
    type Left;
    /// A panel's part of a step on the right.
    type Right;
    type LeftVector: Copy;
    type RightVector: Copy;
    type Sum: Copy;

    fn zero(simd: S) -> Self::Sum;
    fn spread(simd: S, left: &Self::Left) -> Self::LeftVector;
    fn load(simd: S, right: &Self::Right) -> Self::RightVector;
    fn multiply_add(simd: S, left: Self::LeftVector, right: Self::RightVector, sum: Self::Sum) -> Self::Sum;
}

/// f32 by f32.
pub(crate) struct Floats;

impl<S: Simd> Format<S> for Floats {
    type Left = f32;
    type Right = [f32; LANES];
    type LeftVector = S::F32;
    type RightVector = S::F32;
    type Sum = S::F32;

    #[inline(always)]
    fn zero(simd: S) -> S::F32 {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &f32) -> S::F32 {
        simd.splat(*left)
    }

    #[inline(always)]
    fn load(simd: S, right: &[f32; LANES]) -> S::F32 {
        simd.load(right)
    }

    #[inline(always)]
    fn multiply_add(simd: S, left: S::F32, right: S::F32, sum: S::F32) -> S::F32 {
        simd.mul_add(left, right, sum)
    }
}

/// Pairs of i16 levels by pairs of i16 levels.
pub(crate) struct Levels;

impl<S: Simd> Format<S> for Levels {
    type Left = [i16; 2];
    type Right = WideStep;
    type LeftVector = S::I16;
    type RightVector = S::I16;
    type Sum = S::I32;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &[i16; 2]) -> S::I16 {
        simd.splat_pair(left)
    }

    #[inline(always)]
    fn load(simd: S, right: &WideStep) -> S::I16 {
        simd.load_pairs(right)
    }

    #[inline(always)]
    fn multiply_add(simd: S, left: S::I16, right: S::I16, sum: S::I32) -> S::I32 {
        simd.dot_add(sum, left, right)
    }
}

/// Pairs of i16 levels by pairs of i8 levels, widened as they are loaded.
pub(crate) struct NarrowLevels;

impl<S: Simd> Format<S> for NarrowLevels {
    type Left = [i16; 2];
    type Right = PairStep;
    type LeftVector = S::I16;
    type RightVector = S::I16;
    type Sum = S::I32;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &[i16; 2]) -> S::I16 {
        simd.splat_pair(left)
    }

    #[inline(always)]
    fn load(simd: S, right: &PairStep) -> S::I16 {
        simd.widen_pairs(right)
    }

    #[inline(always)]
    fn multiply_add(simd: S, left: S::I16, right: S::I16, sum: S::I32) -> S::I32 {
        simd.dot_add(sum, left, right)
    }
}

/// Sums the products of the first `R` rows of `left`, which is a panel of `L`, with `P` panels of `right`, `left.len()`
/// steps of each. The panels begin `panel_steps` after one another.
#[inline(always)]
pub(crate) fn tile<S: Simd, F: Format<S>, const L: usize, const R: usize, const P: usize>(
    simd: S,
    left: &[[F::Left; L]],
    right: &[F::Right],
    panel_steps: usize,
) -> [[F::Sum; P]; R] {
    const { assert!(R <= L) };
    assert!(right.len() >= (P - 1) * panel_steps + left.len(), "the panels hold too few steps");
    // The stride is no constant to the compiler, so that it leaves the loop's addresses alone. Otherwise its strength
    // reduction turns the constant offsets within a step into additions that WebAssembly cannot fold into the loads
    // again: 4 % of speed in 16 bits, 10 % in f32.
    let zero = std::hint::black_box(0);
    let unit = const { common_divisor(size_of::<[F::Left; L]>(), size_of::<F::Right>()) };
    let mut stride = unit + zero;
    let mut from_left = left.as_ptr();
    let mut from_right = [right.as_ptr(); P];
    for (panel, from) in from_right.iter_mut().enumerate() {
        *from = from.wrapping_add(panel * panel_steps);
    }
    let mut sums = [[F::zero(simd); P]; R];
    for _ in 0..left.len() {
        // SAFETY: this is step n of the `left.len()` of every panel, that many being there as asserted above: each
        // pointer has moved n times by the size of what it points to, `stride` being `unit`.
        let (left, right) = unsafe { (&*from_left, from_right.each_ref().map(|from| &**from)) };
        add_step::<S, F, L, R, P>(simd, left, right, &mut sums);
        from_left = from_left.wrapping_byte_add(stride * (size_of::<[F::Left; L]>() / unit));
        for from in &mut from_right {
            *from = from.wrapping_byte_add(stride * (size_of::<F::Right>() / unit));
        }
        stride ^= zero;
    }
    sums
}

const fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[inline(always)]
fn add_step<S: Simd, F: Format<S>, const L: usize, const R: usize, const P: usize>(
    simd: S,
    left: &[F::Left; L],
    right: [&F::Right; P],
    sums: &mut [[F::Sum; P]; R],
) {
    let mut columns = [F::load(simd, right[0]); P];
    for (columns, right) in columns.iter_mut().zip(&right) {
        *columns = F::load(simd, right);
    }
    for (sums, left) in sums.iter_mut().zip(left) {
        let left = F::spread(simd, left);
        for (sum, columns) in sums.iter_mut().zip(&columns) {
            *sum = F::multiply_add(simd, left, *columns, *sum);
        }
    }
}
