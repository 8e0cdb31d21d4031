//! What becomes the left side of a product: rows in panels of four, in the order a tile reads them.

use crate::quantise::Quantiser;
use crate::simd::{LANES, Simd, load_part};
use crate::tile::ROWS;

/// Rows of equal width, at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub count: usize,
    pub width: usize,
    /// From the start of a row to that of the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Row `index`; beyond the last, rows are empty.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        if index < self.count { &self.values[index * self.stride..][..self.width] } else { &[] }
    }

    /// Four rows from `first` on.
    #[inline(always)]
    pub fn four(&self, first: usize) -> [&'a [f32]; ROWS] {
        std::array::from_fn(|row| self.row(first + row))
    }
}

/// What of `row` lies behind its first `at` values.
#[inline(always)]
pub(crate) fn rest(row: &[f32], at: usize) -> &[f32] {
    row.get(at..).unwrap_or(&[])
}

/// Rows as f32: a step a column.
#[inline(always)]
pub(crate) fn pack<S: Simd>(simd: S, x: Rows, panels: &mut [[f32; ROWS]]) {
    for (panel, steps) in panels.chunks_exact_mut(x.width.max(1)).enumerate() {
        let rows = x.four(panel * ROWS);
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut vectors = [simd.splat(0.0); ROWS];
            for (vector, row) in vectors.iter_mut().zip(rows) {
                *vector = load_part(simd, rest(row, group * LANES));
            }
            let mut columns = [[0.0; ROWS]; LANES];
            simd.transpose(vectors, &mut columns);
            steps.copy_from_slice(&columns[..steps.len()]);
        }
    }
}

/// Rows as levels: a step a pair of columns. `scales` takes a scale for each of the rows.
#[inline(always)]
pub(crate) fn pack_levels<S: Simd>(
    simd: S,
    x: Rows,
    levels: f32,
    panels: &mut [[[i16; 2]; ROWS]],
    scales: &mut [f32],
) {
    let pairs = x.width.div_ceil(2).max(1);
    let panels = panels.chunks_exact_mut(pairs).zip(scales.as_chunks_mut::<ROWS>().0);
    for (panel, (steps, scales)) in panels.enumerate() {
        let four = FourRows::new(simd, x.four(panel * ROWS), levels);
        *scales = four.scales();
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            steps.copy_from_slice(&four.pairs(simd, group)[..steps.len()]);
        }
    }
}

/// Four rows on their way to levels.
pub(crate) struct FourRows<'a> {
    rows: [&'a [f32]; ROWS],
    quantisers: [Quantiser; ROWS],
}

impl<'a> FourRows<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, rows: [&'a [f32]; ROWS], levels: f32) -> Self {
        let mut quantisers = [Quantiser::ZERO; ROWS];
        for (quantiser, row) in quantisers.iter_mut().zip(rows) {
            *quantiser = Quantiser::of_row(simd, row, levels);
        }
        FourRows { rows, quantisers }
    }

    pub fn scales(&self) -> [f32; ROWS] {
        self.quantisers.map(|quantiser| quantiser.scale)
    }

    /// Columns 16 · `group` and on, in eight pairs.
    #[inline(always)]
    pub fn pairs<S: Simd>(&self, simd: S, group: usize) -> [[[i16; 2]; ROWS]; LANES] {
        let mut vectors = [self.quantisers[0].quantise(simd, rest(self.rows[0], group * 2 * LANES)); ROWS];
        for ((vector, row), quantiser) in vectors.iter_mut().zip(&self.rows).zip(&self.quantisers) {
            *vector = quantiser.quantise(simd, rest(row, group * 2 * LANES));
        }
        let mut pairs = [[[0; 2]; ROWS]; LANES];
        simd.transpose_pairs(vectors, &mut pairs);
        pairs
    }
}
