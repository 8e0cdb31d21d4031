//! Packs rows in panels, in the order the microkernel reads them.

use crate::layout::{ROWS, RowStepI16};
use crate::quantize::Quantizer;
use crate::rows::{Rows, tail};
use crate::simd::{LANES, Simd, load_part};

/// Packs rows as f32 in panels of `R`, one step per column.
#[inline(always)]
pub(crate) fn pack_f32<S: Simd, const R: usize>(simd: S, x: Rows, panels: &mut [[f32; R]]) {
    for (panel, steps) in panels.chunks_exact_mut(x.width.max(1)).enumerate() {
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            for part in 0..R.div_ceil(ROWS) {
                let rows = x.panel(panel * R + part * ROWS);
                let mut vectors = [simd.splat(0.0); ROWS];
                for (vector, row) in vectors.iter_mut().zip(rows) {
                    *vector = load_part(simd, tail(row, group * LANES));
                }
                let mut columns = [[0.0; ROWS]; LANES];
                simd.transpose(vectors, &mut columns);
                put_four(steps, part, &columns);
            }
        }
    }
}

/// Quantizes rows to i16 of at most `max` and packs them in panels of `R`, two columns per step.
///
/// Each panel has `steps` steps and is padded with zeros. The scale of a row follows from its element of `magnitudes`, the
/// largest magnitude of the row or of a longer one that it is part of.
#[inline(always)]
pub(crate) fn pack_i16<S: Simd, const R: usize>(
    simd: S,
    x: Rows,
    magnitudes: &[f32],
    max: f32,
    steps: usize,
    panels: &mut [[[i16; 2]; R]],
) {
    for (panel, steps) in panels.chunks_exact_mut(steps.max(1)).enumerate() {
        for part in 0..R / ROWS {
            let first = panel * R + part * ROWS;
            let four = FourRows::with_magnitudes(x.panel(first), &magnitudes[first.min(x.count)..], max);
            four.pack(simd, steps, part);
        }
    }
}

/// Puts steps of four rows in part `part` of at most eight steps of `N` rows, which may end before that part does.
#[inline(always)]
pub(crate) fn put_four<T: Copy, const N: usize>(
    steps: &mut [[T; N]],
    part: usize,
    fours: &[[T; ROWS]; LANES],
) {
    for (step, four) in steps.iter_mut().zip(fours) {
        let (whole, rest) = step.as_chunks_mut();
        if N.is_multiple_of(ROWS) || part < N / ROWS {
            whole[part] = *four;
        } else {
            rest.copy_from_slice(&four[..N % ROWS]);
        }
    }
}

/// Eight steps, if they are of four rows each: in WebAssembly, copying them from elsewhere would be a call.
#[inline(always)]
fn eight_of_four<T, const N: usize>(steps: &mut [[T; N]]) -> Option<&mut [[T; ROWS]; LANES]> {
    if N == ROWS { steps.as_flattened_mut().as_chunks_mut().0.try_into().ok() } else { None }
}

/// Four rows with their quantizers.
pub(crate) struct FourRows<'a> {
    rows: [&'a [f32]; ROWS],
    quantizers: [Quantizer; ROWS],
}

impl<'a> FourRows<'a> {
    /// Each row is scaled by its own largest magnitude.
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, rows: [&'a [f32]; ROWS], max: f32) -> Self {
        let mut quantizers = [Quantizer::ZERO; ROWS];
        for (quantizer, row) in quantizers.iter_mut().zip(rows) {
            *quantizer = Quantizer::of_row(simd, row, max);
        }
        FourRows::with_quantizers(rows, quantizers)
    }

    /// Each row is scaled by its element of `magnitudes`; rows beyond those are empty.
    #[inline(always)]
    pub fn with_magnitudes(rows: [&'a [f32]; ROWS], magnitudes: &[f32], max: f32) -> Self {
        let mut quantizers = [Quantizer::ZERO; ROWS];
        for (quantizer, magnitude) in quantizers.iter_mut().zip(magnitudes) {
            *quantizer = Quantizer::of_magnitude(*magnitude, max);
        }
        FourRows::with_quantizers(rows, quantizers)
    }

    /// A row with an infinity or a NaN becomes zeros: any other values might overflow sums that other rows share.
    #[inline(always)]
    fn with_quantizers(mut rows: [&'a [f32]; ROWS], quantizers: [Quantizer; ROWS]) -> Self {
        for (row, quantizer) in rows.iter_mut().zip(&quantizers) {
            if quantizer.scale.is_nan() {
                *row = &[];
            }
        }
        FourRows { rows, quantizers }
    }

    pub fn scales(&self) -> [f32; ROWS] {
        self.quantizers.map(|quantizer| quantizer.scale)
    }

    /// Packs all columns, as pairs, in part `part` of `steps`.
    #[inline(always)]
    pub fn pack<S: Simd, const N: usize>(&self, simd: S, steps: &mut [[[i16; 2]; N]], part: usize) {
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            if let Some(eight) = eight_of_four(steps) {
                self.pairs(simd, group, eight);
            } else {
                let mut pairs = [[[0; 2]; ROWS]; LANES];
                self.pairs(simd, group, &mut pairs);
                put_four(steps, part, &pairs);
            }
        }
    }

    /// Quantizes columns 16 · `group` to 16 · `group` + 15, as eight pairs per row.
    #[inline(always)]
    fn pairs<S: Simd>(&self, simd: S, group: usize, pairs: &mut [RowStepI16; LANES]) {
        let mut vectors = [self.quantizers[0].quantize(simd, tail(self.rows[0], group * 2 * LANES)); ROWS];
        for ((vector, row), quantizer) in vectors.iter_mut().zip(&self.rows).zip(&self.quantizers) {
            *vector = quantizer.quantize(simd, tail(row, group * 2 * LANES));
        }
        simd.transpose_pairs(vectors, pairs);
    }
}
