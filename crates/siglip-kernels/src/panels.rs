//! What becomes the left side of a product: rows in panels of four, in the order a tile reads them.

use crate::quantise::Quantiser;
use crate::simd::{LANES, Simd, load_part};
use crate::tile::{LeftStep, ROWS};

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
    /// `count` rows from `first` on of whole rows of `width`.
    pub fn block(x: &'a [f32], width: usize, first: usize, count: usize) -> Self {
        Rows { values: &x[first * width..][..count * width], count, width, stride: width }
    }

    /// Up to `count` of them from `first` on.
    pub fn part(self, first: usize, count: usize) -> Rows<'a> {
        Rows { values: &self.values[first * self.stride..], count: count.min(self.count - first), ..self }
    }

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

/// Rows as f32 in panels of `L`, at most eight: a step a column.
#[inline(always)]
pub(crate) fn pack<S: Simd, const L: usize>(simd: S, x: Rows, panels: &mut [[f32; L]]) {
    const { assert!(L <= LANES) };
    for (panel, steps) in panels.chunks_exact_mut(x.width.max(1)).enumerate() {
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut fours = [[[0.0; ROWS]; LANES]; LANES / ROWS];
            for (four, columns) in fours.iter_mut().enumerate().take(L.div_ceil(ROWS)) {
                let rows = x.four(panel * L + four * ROWS);
                let mut vectors = [simd.splat(0.0); ROWS];
                for (vector, row) in vectors.iter_mut().zip(rows) {
                    *vector = load_part(simd, rest(row, group * LANES));
                }
                simd.transpose(vectors, columns);
            }
            for (column, step) in steps.iter_mut().enumerate() {
                let (whole, part) = step.as_chunks_mut::<ROWS>();
                for (four, columns) in whole.iter_mut().zip(&fours) {
                    *four = columns[column];
                }
                part.copy_from_slice(&fours[L / ROWS % fours.len()][column][..L % ROWS]);
            }
        }
    }
}

/// Rows as levels: a step a pair of columns, `steps` a panel, of which those beyond the row are zeros. `scales` holds the
/// rows' magnitudes, and takes what a level of each is worth.
#[inline(always)]
pub(crate) fn pack_levels<S: Simd>(
    simd: S,
    x: Rows,
    levels: f32,
    steps: usize,
    panels: &mut [LeftStep],
    scales: &mut [f32],
) {
    let panels = panels.chunks_exact_mut(steps.max(1)).zip(scales.as_chunks_mut::<ROWS>().0);
    for (panel, (steps, scales)) in panels.enumerate() {
        let quantisers = scales.map(|largest| Quantiser::of_magnitude(largest, levels));
        let four = FourRows::scaled(x.four(panel * ROWS), quantisers);
        *scales = four.scales();
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            match steps.try_into() {
                Ok(eight) => four.pairs(simd, group, eight),
                Err(_) => {
                    let mut eight = [[[0; 2]; ROWS]; LANES];
                    four.pairs(simd, group, &mut eight);
                    steps.copy_from_slice(&eight[..steps.len()]);
                }
            }
        }
    }
}

/// Four rows on their way to levels.
pub(crate) struct FourRows<'a> {
    rows: [&'a [f32]; ROWS],
    quantisers: [Quantiser; ROWS],
}

impl<'a> FourRows<'a> {
    /// Each scaled by its own magnitude.
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, rows: [&'a [f32]; ROWS], levels: f32) -> Self {
        let mut quantisers = [Quantiser::ZERO; ROWS];
        for (quantiser, row) in quantisers.iter_mut().zip(rows) {
            *quantiser = Quantiser::of_row(simd, row, levels);
        }
        FourRows::scaled(rows, quantisers)
    }

    /// A row with an infinity or a NaN gets zeros for levels: any others might leave no room for sums with other rows.
    #[inline(always)]
    fn scaled(mut rows: [&'a [f32]; ROWS], quantisers: [Quantiser; ROWS]) -> Self {
        for (row, quantiser) in rows.iter_mut().zip(&quantisers) {
            if quantiser.scale.is_nan() {
                *row = &[];
            }
        }
        FourRows { rows, quantisers }
    }

    pub fn scales(&self) -> [f32; ROWS] {
        self.quantisers.map(|quantiser| quantiser.scale)
    }

    /// Columns 16 · `group` and on, in eight pairs.
    #[inline(always)]
    pub fn pairs<S: Simd>(&self, simd: S, group: usize, pairs: &mut [LeftStep; LANES]) {
        let mut vectors = [self.quantisers[0].quantise(simd, rest(self.rows[0], group * 2 * LANES)); ROWS];
        for ((vector, row), quantiser) in vectors.iter_mut().zip(&self.rows).zip(&self.quantisers) {
            *vector = quantiser.quantise(simd, rest(row, group * 2 * LANES));
        }
        simd.transpose_pairs(vectors, pairs);
    }
}
