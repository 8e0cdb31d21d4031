//! How the elements of both sides of a product lie in memory.
//!
//! Every product is y = x Wᵀ. Rows of x, the activations, are packed in panels of a few rows; rows of W, the weights of one
//! output each and so the columns of Wᵀ, in panels of [`LANES`] columns. A panel is a sequence of steps. A step holds one
//! element of each row or column of the panel, or one pair of neighbouring elements where elements are integers, so the
//! inner loop reads both sides from one end to the other.

use crate::simd::{LANES, WIDE_LANES};

/// Rows of a panel of integers, and of the f32 panels of attention.
pub(crate) const ROWS: usize = 4;

/// Rows of a panel of f32 in a linear layer.
///
/// An FMA takes four cycles, and two can start each cycle. Eight sums in flight, four rows of two registers, only just fill
/// that time; twelve leave no gaps. With two registers of weights and one of activations they take all but one of sixteen.
pub(crate) const F32_ROWS: usize = 6;

/// One step of a panel of [`ROWS`] rows: a pair of i16 of each row.
pub(crate) type RowStepI16 = [[i16; 2]; ROWS];

/// Rows of a panel of bytes.
///
/// A dot product of bytes takes five cycles on Zen 5, and two can start each cycle. Eight sums in flight, four rows of two
/// registers, leave a fifth of that time empty; twelve fill it, and take as many registers as those of [`F32_ROWS`].
pub(crate) const BYTE_ROWS: usize = 6;

/// One step of a panel of [`BYTE_ROWS`] rows: four bytes of each row, in as many bits as a pair of i16.
pub(crate) type RowStepBytes = [[i16; 2]; BYTE_ROWS];

/// One step of a panel of [`LANES`] columns: a pair of i16 of each column.
pub(crate) type ColumnStepI16 = [[i16; 2]; LANES];

/// One step of a panel of [`LANES`] columns: a pair of i8 of each column. Weights are stored so.
pub(crate) type ColumnStepI8 = [[i8; 2]; LANES];

/// Products of sums of quarters that Strassen's algorithm makes in place of eight products of quarters.
pub(crate) const STRASSEN_PRODUCTS: usize = 7;

/// For each of the seven products, the initial value of the sums of each row of a panel.
pub(crate) type InitialRowSums = [[i32; ROWS]; STRASSEN_PRODUCTS];

/// Rows of a panel for products of octets, which are eight bytes.
pub(crate) const OCTET_ROWS: usize = 8;

/// One step of a panel of [`OCTET_ROWS`] rows: pairs of rows, of each row an octet.
pub(crate) type RowStepOctets = [[[i8; 8]; 2]; OCTET_ROWS / 2];

/// One step of a panel of [`LANES`] columns: an octet of each column.
pub(crate) type ColumnStepOctets = [[i8; 8]; LANES];

/// Rows of a panel for products on wide vectors.
pub(crate) const WIDE_ROWS: usize = 8;

/// One step of a panel of [`WIDE_ROWS`] rows: one element of each row.
pub(crate) type WideRowStepF32 = [f32; WIDE_ROWS];

/// One step of a panel of [`WIDE_ROWS`] rows: a pair of i16 of each row, or in as many bits four bytes.
pub(crate) type WideRowStepI16 = [[i16; 2]; WIDE_ROWS];

/// One step of a panel of [`WIDE_LANES`] columns: one element of each column.
pub(crate) type WideColumnStepF32 = [f32; WIDE_LANES];

/// One step of a panel of [`WIDE_LANES`] columns: a pair of i16 of each column.
pub(crate) type WideColumnStepI16 = [[i16; 2]; WIDE_LANES];

/// One step of a panel of [`WIDE_LANES`] columns: four i8 of each column.
pub(crate) type WideColumnStepI8 = [[i8; 4]; WIDE_LANES];
