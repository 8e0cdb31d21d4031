//! Views of rows of f32.

use crate::layout::ROWS;

/// Rows of equal width, at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub count: usize,
    pub width: usize,
    /// Elements from the start of one row to the start of the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows `first..first + count` of `x`, a matrix whose rows are `width` long and lie without gaps.
    pub fn of_matrix(x: &'a [f32], width: usize, first: usize, count: usize) -> Self {
        Rows { values: &x[first * width..][..count * width], count, width, stride: width }
    }

    /// The rows from `first` on, `count` at most.
    pub fn slice(self, first: usize, count: usize) -> Rows<'a> {
        Rows { values: &self.values[first * self.stride..], count: count.min(self.count - first), ..self }
    }

    /// Row `index`. Rows beyond the last are empty.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        if index < self.count { &self.values[index * self.stride..][..self.width] } else { &[] }
    }

    /// The rows of one panel of integers: four, from `first` on.
    #[inline(always)]
    pub fn panel(&self, first: usize) -> [&'a [f32]; ROWS] {
        std::array::from_fn(|row| self.row(first + row))
    }
}

/// The elements of `row` from `start` on; none if it ends before.
#[inline(always)]
pub(crate) fn tail<T>(row: &[T], start: usize) -> &[T] {
    row.get(start..).unwrap_or(&[])
}
