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
    /// A panel's part of a step on the left.
    type Left;
    /// A panel's part of a step on the right.
    type Right;
    type LeftVector: Copy;
    type RightVector: Copy;
    type Sum: Copy;

    /// Rows of a panel on the left.
    const ROWS: usize;

    fn zero(simd: S) -> Self::Sum;
    /// A row's part of a step, spread over all lanes.
    fn spread(simd: S, left: &Self::Left, row: usize) -> Self::LeftVector;
    fn load(simd: S, right: &Self::Right) -> Self::RightVector;
    fn multiply_add(simd: S, left: Self::LeftVector, right: Self::RightVector, sum: Self::Sum) -> Self::Sum;
}

/// f32 by f32, in panels of `L` rows.
pub(crate) struct Floats<const L: usize>;

impl<S: Simd, const L: usize> Format<S> for Floats<L> {
    type Left = [f32; L];
    type Right = [f32; LANES];
    type LeftVector = S::F32;
    type RightVector = S::F32;
    type Sum = S::F32;

    const ROWS: usize = L;

    #[inline(always)]
    fn zero(simd: S) -> S::F32 {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &[f32; L], row: usize) -> S::F32 {
        simd.splat(left[row])
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
    type Left = LeftStep;
    type Right = WideStep;
    type LeftVector = S::I16;
    type RightVector = S::I16;
    type Sum = S::I32;

    const ROWS: usize = ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &LeftStep, row: usize) -> S::I16 {
        simd.splat_pair(&left[row])
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
    type Left = LeftStep;
    type Right = PairStep;
    type LeftVector = S::I16;
    type RightVector = S::I16;
    type Sum = S::I32;

    const ROWS: usize = ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn spread(simd: S, left: &LeftStep, row: usize) -> S::I16 {
        simd.splat_pair(&left[row])
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

/// Pairs of i16 levels by pairs of i16 levels, two steps x₁y₁ + x₂y₂ at a time with half the multiplications (Winograd, A
/// New Algorithm for Inner Product, 1968): they are (x₁ + y₂)(x₂ + y₁), less x₁x₂, which belongs to a row alone, and
/// y₁y₂, which belongs to a column. What is less is where sums start, see [`row_starts`] and [`cross_columns`].
pub(crate) struct CrossedLevels;

impl<S: Simd> Format<S> for CrossedLevels {
    type Left = [LeftStep; 2];
    type Right = [WideStep; 2];
    type LeftVector = [S::I16; 2];
    type RightVector = [S::I16; 2];
    type Sum = S::I32;

    const ROWS: usize = ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn spread(simd: S, [first, second]: &[LeftStep; 2], row: usize) -> [S::I16; 2] {
        [simd.splat_pair(&first[row]), simd.splat_pair(&second[row])]
    }

    #[inline(always)]
    fn load(simd: S, [first, second]: &[WideStep; 2]) -> [S::I16; 2] {
        [simd.load_pairs(first), simd.load_pairs(second)]
    }

    #[inline(always)]
    fn multiply_add(simd: S, left: [S::I16; 2], right: [S::I16; 2], sum: S::I32) -> S::I32 {
        simd.add_crossed(sum, left, right)
    }
}

/// Where the sums of every row of `panel` start: two steps lie side by side.
#[inline(always)]
pub(crate) fn row_starts<S: Simd>(simd: S, panel: &[WideStep]) -> [i32; ROWS] {
    let mut sum = simd.splat_i32(0);
    for steps in panel {
        let steps = simd.load_pairs(steps);
        sum = simd.dot_add(sum, steps, simd.swap_halves(steps));
    }
    let mut sums = [0; LANES];
    simd.store_i32(simd.sub_i32(simd.splat_i32(0), sum), &mut sums);
    let [starts, _] = sums.as_chunks().0 else { unreachable!("two halves of eight") };
    *starts
}

/// Turns a panel of columns into what [`CrossedLevels`] multiplies, and gives where the sums of every column start.
#[inline(always)]
pub(crate) fn cross_columns<S: Simd>(simd: S, panel: &mut [[WideStep; 2]]) -> S::I32 {
    let mut sum = simd.splat_i32(0);
    for [first, second] in panel {
        let columns = simd.load_pairs(second);
        sum = simd.dot_add(sum, simd.load_pairs(first), columns);
        simd.store_pairs(simd.crossed_columns(columns), second);
    }
    simd.sub_i32(simd.splat_i32(0), sum)
}

/// Sums the products of the first `R` rows of `left` with `P` panels of `right`, `left.len()` steps of each. The panels
/// begin `panel_steps` after one another.
#[inline(always)]
pub(crate) fn tile<S: Simd, F: Format<S>, const R: usize, const P: usize>(
    simd: S,
    left: &[F::Left],
    right: &[F::Right],
    panel_steps: usize,
) -> [[F::Sum; P]; R] {
    add_tile::<S, F, R, P>(simd, left, right, panel_steps, [[F::zero(simd); P]; R])
}

/// As [`tile`], on top of `sums`.
#[inline(always)]
pub(crate) fn add_tile<S: Simd, F: Format<S>, const R: usize, const P: usize>(
    simd: S,
    left: &[F::Left],
    right: &[F::Right],
    panel_steps: usize,
    mut sums: [[F::Sum; P]; R],
) -> [[F::Sum; P]; R] {
    assert!(right.len() >= (P - 1) * panel_steps + left.len(), "the panels hold too few steps");
    let mut from_left = left.as_ptr();
    let mut from_right = [right.as_ptr(); P];
    for (panel, from) in from_right.iter_mut().enumerate() {
        *from = from.wrapping_add(panel * panel_steps);
    }
    let end = left.as_ptr_range().end;
    while from_left != end {
        // SAFETY: this is step n of the `left.len()` of every panel, that many being there as asserted above: each
        // pointer has moved n steps.
        let (left, right) = unsafe { (&*from_left, from_right.each_ref().map(|from| &**from)) };
        add_step::<S, F, R, P>(simd, left, right, &mut sums);
        from_left = from_left.wrapping_add(1);
        for from in &mut from_right {
            *from = from.wrapping_add(1);
        }
    }
    sums
}

#[inline(always)]
fn add_step<S: Simd, F: Format<S>, const R: usize, const P: usize>(
    simd: S,
    left: &F::Left,
    right: [&F::Right; P],
    sums: &mut [[F::Sum; P]; R],
) {
    const { assert!(R <= F::ROWS) };
    let mut columns = [F::load(simd, right[0]); P];
    for (columns, right) in columns.iter_mut().zip(right) {
        *columns = F::load(simd, right);
    }
    for (row, sums) in sums.iter_mut().enumerate() {
        let left = F::spread(simd, left, row);
        for (sum, columns) in sums.iter_mut().zip(&columns) {
            *sum = F::multiply_add(simd, left, *columns, *sum);
        }
    }
}
