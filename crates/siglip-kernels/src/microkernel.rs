//! The inner loop of every product: a tile of a few rows by a few panels of columns, summed in registers.
//!
//! Both sides lie in memory in the order the loop reads them, see [`layout`](crate::layout). In each step it loads a vector
//! of every panel of columns, broadcasts one element of each row to all lanes, and adds their products to the sums.

use std::marker::PhantomData;

use crate::layout::{
    BYTE_ROWS, ColumnStepI8, ColumnStepI16, ROWS, RowStepBytes, RowStepI16, WIDE_ROWS, WideColumnStepF32,
    WideColumnStepI8,
};
use crate::layout::{WideColumnStepI16, WideRowStepF32, WideRowStepI16};
use crate::simd::{ByteDot, LANES, Lanes, Simd, Vectors, Wide};

/// What is multiplied: how a step of either side is stored, and how its products are summed.
pub(crate) trait Operand<S: Simd> {
    /// One step of a panel of rows.
    type RowStep;
    /// One step of a panel of columns.
    type ColumnStep;
    /// One row's elements of a step, in all lanes.
    type Row: Copy;
    /// The columns' elements of a step.
    type Columns: Copy;
    /// Sums of one row by [`LANES`] columns.
    type Sum: Copy;

    /// Rows of a panel.
    const ROWS: usize;

    fn zero(simd: S) -> Self::Sum;
    fn broadcast(simd: S, step: &Self::RowStep, row: usize) -> Self::Row;
    fn load(simd: S, step: &Self::ColumnStep) -> Self::Columns;
    /// `sum` + the products of `row` with `columns`.
    fn accumulate(simd: S, row: Self::Row, columns: Self::Columns, sum: Self::Sum) -> Self::Sum;
}

/// f32 by f32, in panels of `R` rows.
pub(crate) struct F32<const R: usize>;

impl<S: Simd, const R: usize> Operand<S> for F32<R> {
    type RowStep = [f32; R];
    type ColumnStep = [f32; LANES];
    type Row = S::F32;
    type Columns = S::F32;
    type Sum = S::F32;

    const ROWS: usize = R;

    #[inline(always)]
    fn zero(simd: S) -> S::F32 {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &[f32; R], row: usize) -> S::F32 {
        simd.splat(step[row])
    }

    #[inline(always)]
    fn load(simd: S, step: &[f32; LANES]) -> S::F32 {
        simd.load(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::F32, columns: S::F32, sum: S::F32) -> S::F32 {
        simd.mul_add(row, columns, sum)
    }
}

/// Columns of integers that can be loaded as pairs of i16.
pub(crate) trait PairStep {
    fn load<S: Simd>(&self, simd: S) -> S::I16;
}

impl PairStep for ColumnStepI16 {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S) -> S::I16 {
        simd.load_pairs(self)
    }
}

impl PairStep for ColumnStepI8 {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S) -> S::I16 {
        simd.widen_pairs(self)
    }
}

/// Pairs of i16 by pairs of integers as `C` stores them.
pub(crate) struct I16<C>(PhantomData<C>);

impl<S: Simd, C: PairStep> Operand<S> for I16<C> {
    type RowStep = RowStepI16;
    type ColumnStep = C;
    type Row = S::I16;
    type Columns = S::I16;
    type Sum = S::I32;

    const ROWS: usize = ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &RowStepI16, row: usize) -> S::I16 {
        simd.splat_pair(&step[row])
    }

    #[inline(always)]
    fn load(simd: S, step: &C) -> S::I16 {
        step.load(simd)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::I16, columns: S::I16, sum: S::I32) -> S::I32 {
        simd.dot_add(sum, row, columns)
    }
}

/// Pairs of i16 by pairs of i16, two steps at a time with half the multiplications (Winograd, A New Algorithm for Inner
/// Product, 1968).
///
/// x₁y₁ + x₂y₂ = (x₁ + y₂)(x₂ + y₁) - x₁x₂ - y₁y₂. The subtracted sums, -Σx₁x₂ of a row and -Σy₁y₂ of a column, are the
/// initial values of the accumulators: [`initial_row_sums`] and [`prepare_winograd_columns`] give them.
pub(crate) struct WinogradI16;

impl<S: Simd> Operand<S> for WinogradI16 {
    type RowStep = [RowStepI16; 2];
    type ColumnStep = [ColumnStepI16; 2];
    type Row = [S::I16; 2];
    type Columns = [S::I16; 2];
    type Sum = S::I32;

    const ROWS: usize = ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn broadcast(simd: S, [first, second]: &[RowStepI16; 2], row: usize) -> [S::I16; 2] {
        [simd.splat_pair(&first[row]), simd.splat_pair(&second[row])]
    }

    #[inline(always)]
    fn load(simd: S, [first, second]: &[ColumnStepI16; 2]) -> [S::I16; 2] {
        [simd.load_pairs(first), simd.load_pairs(second)]
    }

    #[inline(always)]
    fn accumulate(simd: S, row: [S::I16; 2], columns: [S::I16; 2], sum: S::I32) -> S::I32 {
        simd.winograd_madd(sum, row, columns)
    }
}

/// Quads of bytes by quads of i8, with the instruction `D`.
pub(crate) struct Bytes<D>(PhantomData<D>);

impl<S: Simd, D: ByteDot<S>> Operand<S> for Bytes<D> {
    type RowStep = RowStepBytes;
    type ColumnStep = ColumnStepI16;
    type Row = S::I16;
    type Columns = S::I16;
    type Sum = S::I32;

    const ROWS: usize = BYTE_ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.splat_i32(0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &RowStepBytes, row: usize) -> S::I16 {
        simd.splat_pair(&step[row])
    }

    #[inline(always)]
    fn load(simd: S, step: &ColumnStepI16) -> S::I16 {
        simd.load_pairs(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::I16, columns: S::I16, sum: S::I32) -> S::I32 {
        D::dot_add(simd, sum, row, columns)
    }
}

/// f32 by f32, on wide vectors.
pub(crate) struct WideF32;

impl<S: Wide> Operand<S> for WideF32 {
    type RowStep = WideRowStepF32;
    type ColumnStep = WideColumnStepF32;
    type Row = S::WideF32;
    type Columns = S::WideF32;
    type Sum = S::WideF32;

    const ROWS: usize = WIDE_ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::WideF32 {
        simd.wide().splat(0.0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &WideRowStepF32, row: usize) -> S::WideF32 {
        simd.wide().splat(step[row])
    }

    #[inline(always)]
    fn load(simd: S, step: &WideColumnStepF32) -> S::WideF32 {
        simd.wide().load(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::WideF32, columns: S::WideF32, sum: S::WideF32) -> S::WideF32 {
        simd.wide().mul_add(row, columns, sum)
    }
}

/// Pairs of i16 by pairs of i16, on wide vectors.
pub(crate) struct WideI16;

impl<S: Wide> Operand<S> for WideI16 {
    type RowStep = WideRowStepI16;
    type ColumnStep = WideColumnStepI16;
    type Row = S::WideI32;
    type Columns = S::WideI32;
    type Sum = S::WideI32;

    const ROWS: usize = WIDE_ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::WideI32 {
        simd.wide().splat_i32(0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &WideRowStepI16, row: usize) -> S::WideI32 {
        simd.wide().splat_i32(i32::from(step[row][0] as u16) | i32::from(step[row][1]) << 16)
    }

    #[inline(always)]
    fn load(simd: S, step: &WideColumnStepI16) -> S::WideI32 {
        simd.wide_load_pairs(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::WideI32, columns: S::WideI32, sum: S::WideI32) -> S::WideI32 {
        simd.wide_dot_i16(sum, row, columns)
    }
}

/// Pairs of bfloat16 by pairs of bfloat16, on wide vectors.
pub(crate) struct WideBf16;

impl<S: Wide> Operand<S> for WideBf16 {
    type RowStep = WideRowStepI16;
    type ColumnStep = WideColumnStepI16;
    type Row = S::WideI32;
    type Columns = S::WideI32;
    type Sum = S::WideF32;

    const ROWS: usize = WIDE_ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::WideF32 {
        simd.wide().splat(0.0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &WideRowStepI16, row: usize) -> S::WideI32 {
        <WideI16 as Operand<S>>::broadcast(simd, step, row)
    }

    #[inline(always)]
    fn load(simd: S, step: &WideColumnStepI16) -> S::WideI32 {
        simd.wide_load_pairs(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::WideI32, columns: S::WideI32, sum: S::WideF32) -> S::WideF32 {
        simd.wide_dot_bf16(sum, row, columns)
    }
}

/// Quads of u8 by quads of i8, on wide vectors.
pub(crate) struct WideU8;

impl<S: Wide> Operand<S> for WideU8 {
    type RowStep = WideRowStepI16;
    type ColumnStep = WideColumnStepI8;
    type Row = S::WideI32;
    type Columns = S::WideI32;
    type Sum = S::WideI32;

    const ROWS: usize = WIDE_ROWS;

    #[inline(always)]
    fn zero(simd: S) -> S::WideI32 {
        simd.wide().splat_i32(0)
    }

    #[inline(always)]
    fn broadcast(simd: S, step: &WideRowStepI16, row: usize) -> S::WideI32 {
        <WideI16 as Operand<S>>::broadcast(simd, step, row)
    }

    #[inline(always)]
    fn load(simd: S, step: &WideColumnStepI8) -> S::WideI32 {
        simd.wide_load_quads(step)
    }

    #[inline(always)]
    fn accumulate(simd: S, row: S::WideI32, columns: S::WideI32, sum: S::WideI32) -> S::WideI32 {
        simd.wide_dot_u8_i8(sum, row, columns)
    }
}

/// -Σx₁x₂ of each row of `panel`, of which each element is two steps of four rows.
#[inline(always)]
pub(crate) fn initial_row_sums<S: Simd>(simd: S, panel: &[ColumnStepI16]) -> [i32; ROWS] {
    let mut sum = simd.splat_i32(0);
    for steps in panel {
        let steps = simd.load_pairs(steps);
        sum = simd.dot_add(sum, steps, simd.swap_halves(steps));
    }
    let mut sums = [0; LANES];
    simd.store_i32(simd.sub_i32(simd.splat_i32(0), sum), &mut sums);
    let [of_rows, _] = sums.as_chunks().0 else { unreachable!("two halves of eight") };
    *of_rows
}

/// Turns a panel of columns into what [`WinogradI16`] multiplies, and returns -Σy₁y₂ of each column.
#[inline(always)]
pub(crate) fn prepare_winograd_columns<S: Simd>(simd: S, panel: &mut [[ColumnStepI16; 2]]) -> S::I32 {
    let mut sum = simd.splat_i32(0);
    for [first, second] in panel {
        let columns = simd.load_pairs(second);
        sum = simd.dot_add(sum, simd.load_pairs(first), columns);
        simd.store_pairs(simd.winograd_columns(columns), second);
    }
    simd.sub_i32(simd.splat_i32(0), sum)
}

/// The products of the first `R` rows of a panel with `P` panels of columns, summed over the steps of `rows`.
///
/// `columns` begins with the first panel; each of the others begins `panel_steps` after the one before.
///
/// In WebAssembly it is a function of its own. Within a larger one, V8 has too many variables for its registers: it stores the
/// sums before each fourth step and loads them again, which takes a third of the time of a product of bytes.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn tile<S: Simd, O: Operand<S>, const R: usize, const P: usize>(
    simd: S,
    rows: &[O::RowStep],
    columns: &[O::ColumnStep],
    panel_steps: usize,
) -> [[O::Sum; P]; R] {
    accumulate_tile::<S, O, R, P>(simd, rows, columns, panel_steps, [[O::zero(simd); P]; R])
}

/// The first `count` rows of [`tile`]; rows behind them are undefined. With `LAST` rows or fewer it multiplies no more than those.
///
/// Two loops make it so large that V8 does not inline it into functions that have no registers left for twelve sums.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn tile_of_rows<S: Simd, O: Operand<S>, const R: usize, const LAST: usize, const P: usize>(
    simd: S,
    count: usize,
    rows: &[O::RowStep],
    columns: &[O::ColumnStep],
    panel_steps: usize,
) -> [[O::Sum; P]; R] {
    let zero = [[O::zero(simd); P]; R];
    if count > LAST {
        return accumulate_tile::<S, O, R, P>(simd, rows, columns, panel_steps, zero);
    }
    let last = [[O::zero(simd); P]; LAST];
    let last = accumulate_tile::<S, O, LAST, P>(simd, rows, columns, panel_steps, last);
    let mut tile = zero;
    for (row, last) in tile.iter_mut().zip(&last) {
        *row = *last;
    }
    tile
}

/// Like [`tile`], with sums that start at `sums`.
#[inline(always)]
pub(crate) fn accumulate_tile<S: Simd, O: Operand<S>, const R: usize, const P: usize>(
    simd: S,
    rows: &[O::RowStep],
    columns: &[O::ColumnStep],
    panel_steps: usize,
    mut sums: [[O::Sum; P]; R],
) -> [[O::Sum; P]; R] {
    assert!(columns.len() >= (P - 1) * panel_steps + rows.len(), "the panels hold too few steps");
    let mut next_row_step = rows.as_ptr();
    let mut next_column_steps = [columns.as_ptr(); P];
    for (panel, next) in next_column_steps.iter_mut().enumerate() {
        *next = next.wrapping_add(panel * panel_steps);
    }
    let end = rows.as_ptr_range().end;
    while next_row_step != end {
        // SAFETY: each pointer has moved n steps, where n < rows.len(). The assertion above says that every panel has as
        // many steps as `rows`.
        let (row_step, column_steps) =
            unsafe { (&*next_row_step, next_column_steps.each_ref().map(|next| &**next)) };
        accumulate_step::<S, O, R, P>(simd, row_step, column_steps, &mut sums);
        next_row_step = next_row_step.wrapping_add(1);
        for next in &mut next_column_steps {
            *next = next.wrapping_add(1);
        }
    }
    sums
}

#[inline(always)]
fn accumulate_step<S: Simd, O: Operand<S>, const R: usize, const P: usize>(
    simd: S,
    row_step: &O::RowStep,
    column_steps: [&O::ColumnStep; P],
    sums: &mut [[O::Sum; P]; R],
) {
    const { assert!(R <= O::ROWS) };
    let mut columns = [O::load(simd, column_steps[0]); P];
    for (columns, step) in columns.iter_mut().zip(column_steps) {
        *columns = O::load(simd, step);
    }
    for (row, sums) in sums.iter_mut().enumerate() {
        let row = O::broadcast(simd, row_step, row);
        for (sum, columns) in sums.iter_mut().zip(&columns) {
            *sum = O::accumulate(simd, row, *columns, *sum);
        }
    }
}
