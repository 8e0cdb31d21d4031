//! Where the sums of a product go.

use super::Epilogue;
use crate::activation::gelu;
use crate::shared::Shared;
use crate::simd::{LANES, Simd, load_part_i32, store_part_i32};

/// What takes a product's sums, row after row of a strip of `W` panels. Threads take strips of their own.
pub(super) trait Sink<S: Simd, Sum>: Copy + Sync {
    /// The strip that begins with panel `first`.
    fn strip<const W: usize>(&self, first: usize) -> Strip<W>;

    /// Takes the sums of row `row`.
    fn row<const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [Sum; W]);
}

/// What takes sums over levels, on any instruction set.
pub(super) trait LevelsSink: Copy + Sync {
    /// As [`Sink::strip`].
    fn strip<const W: usize>(&self, first: usize) -> Strip<W>;

    /// As [`Sink::row`].
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [S::I32; W]);
}

impl<S: Simd, K: LevelsSink> Sink<S, S::I32> for K {
    fn strip<const W: usize>(&self, first: usize) -> Strip<W> {
        LevelsSink::strip(self, first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [S::I32; W]) {
        LevelsSink::row(self, simd, strip, row, sums);
    }
}

/// `W` panels of columns, of which the last may be partly or wholly beyond the matrix.
pub(super) struct Strip<const W: usize> {
    first_column: usize,
    columns: usize,
    scales: [[f32; LANES]; W],
    bias: [[f32; LANES]; W],
}

impl<const W: usize> Strip<W> {
    fn new(first_panel: usize, outputs: usize) -> Self {
        let first_column = first_panel * LANES;
        let columns = (W * LANES).min(outputs - first_column);
        Strip { first_column, columns, scales: [[0.0; LANES]; W], bias: [[0.0; LANES]; W] }
    }

    /// What of row `row` of a matrix of `outputs` columns lies in the strip.
    #[inline(always)]
    fn of<'o, T>(&self, out: Shared<'o, T>, row: usize, outputs: usize) -> &'o mut [T] {
        // SAFETY: a strip is one thread's, and strips do not overlap.
        unsafe { out.piece(row * outputs + self.first_column, self.columns) }
    }
}

/// The epilogue; an empty bias is none.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    bias: &'a [f32],
    gelu: bool,
    accumulate: bool,
    outputs: usize,
}

impl<'a> Finish<'a> {
    /// # Panics
    /// If a bias is not of `outputs` values.
    pub fn new(epilogue: Epilogue<'a>, outputs: usize) -> Self {
        let (bias, gelu, accumulate): (&[f32], _, _) = match epilogue {
            Epilogue::None => (&[], false, false),
            Epilogue::Bias(bias) => (bias, false, false),
            Epilogue::BiasGelu(bias) => (bias, true, false),
            Epilogue::Residual(bias) => (bias, false, true),
        };
        let optional = matches!(epilogue, Epilogue::None | Epilogue::Residual([]));
        assert!(optional || bias.len() == outputs, "bias is not [{outputs}]");
        Finish { bias, gelu, accumulate, outputs }
    }

    fn strip<const W: usize>(&self, first_panel: usize) -> Strip<W> {
        let mut strip = Strip::new(first_panel, self.outputs);
        if let Some(bias) = self.bias.get(strip.first_column..) {
            let count = bias.len().min(strip.columns);
            strip.bias.as_flattened_mut()[..count].copy_from_slice(&bias[..count]);
        }
        strip
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(
        &self,
        simd: S,
        strip: &Strip<W>,
        row: usize,
        values: [S::F32; W],
        out: Shared<f32>,
    ) {
        let out = strip.of(out, row, self.outputs);
        let mut padded = None;
        let whole = match out.as_chunks_mut().0.try_into() {
            Ok(whole) => whole,
            Err(_) => {
                let padded = padded.insert([[0.0; LANES]; W]);
                padded.as_flattened_mut()[..out.len()].copy_from_slice(out);
                padded
            }
        };
        self.whole_row(simd, &strip.bias, values, whole);
        if let Some(padded) = padded {
            out.copy_from_slice(&padded.as_flattened()[..out.len()]);
        }
    }

    #[inline(always)]
    fn whole_row<S: Simd, const W: usize>(
        &self,
        simd: S,
        bias: &[[f32; LANES]; W],
        mut values: [S::F32; W],
        out: &mut [[f32; LANES]; W],
    ) {
        for (value, bias) in values.iter_mut().zip(bias) {
            *value = simd.add(*value, simd.load(bias));
        }
        if self.gelu {
            for value in &mut values {
                *value = gelu(simd, *value);
            }
        }
        if self.accumulate {
            for (value, out) in values.iter_mut().zip(&*out) {
                *value = simd.add(*value, simd.load(out));
            }
        }
        for (value, out) in values.iter().zip(out) {
            simd.store(*value, out);
        }
    }
}

/// Finishes sums of floats.
#[derive(Clone, Copy)]
pub(super) struct FinishedFloats<'a> {
    pub finish: Finish<'a>,
    pub out: Shared<'a, f32>,
}

impl<S: Simd> Sink<S, S::F32> for FinishedFloats<'_> {
    fn strip<const W: usize>(&self, first: usize) -> Strip<W> {
        self.finish.strip(first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [S::F32; W]) {
        self.finish.row(simd, strip, row, sums, self.out);
    }
}

/// Finishes sums of products of levels.
#[derive(Clone, Copy)]
pub(super) struct FinishedLevels<'a> {
    pub finish: Finish<'a>,
    /// What a level of each row is worth.
    pub rows: &'a [f32],
    /// What a level of each column's weights is worth.
    pub columns: &'a [[f32; LANES]],
    pub out: Shared<'a, f32>,
}

impl LevelsSink for FinishedLevels<'_> {
    fn strip<const W: usize>(&self, first: usize) -> Strip<W> {
        let mut strip = self.finish.strip(first);
        for (scales, columns) in strip.scales.iter_mut().zip(&self.columns[first..]) {
            *scales = *columns;
        }
        strip
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [S::I32; W]) {
        let row_scale = simd.splat(self.rows[row]);
        let mut values = [row_scale; W];
        for ((value, scales), sum) in values.iter_mut().zip(&strip.scales).zip(sums) {
            *value = of_levels(simd, sum, *value, scales);
        }
        self.finish.row(simd, strip, row, values, self.out);
    }
}

/// What a sum over levels is worth.
#[inline(always)]
fn of_levels<S: Simd>(simd: S, sum: S::I32, row_scale: S::F32, column_scales: &[f32; LANES]) -> S::F32 {
    simd.mul(simd.convert(sum), simd.mul(row_scale, simd.load(column_scales)))
}

/// Finishes the sums of a whole row.
#[inline(always)]
pub(super) fn finish_row<S: Simd>(
    simd: S,
    finish: Finish,
    row_scale: f32,
    columns: &[[f32; LANES]],
    sums: &[i32],
    out: &mut [f32],
) {
    let bias = finish.bias.as_chunks().0;
    let (panels, rest) = out.as_chunks_mut();
    let whole = panels.len();
    for (panel, ((sums, out), columns)) in sums.as_chunks().0.iter().zip(panels).zip(columns).enumerate() {
        let value = of_levels(simd, simd.load_i32(sums), simd.splat(row_scale), columns);
        let bias = bias.get(panel).unwrap_or(&[0.0; LANES]);
        finish.whole_row(simd, std::array::from_ref(bias), [value], std::array::from_mut(out));
    }
    if !rest.is_empty() {
        let sink = FinishedLevels { finish, rows: &[row_scale], columns, out: Shared::new(out) };
        let strip = LevelsSink::strip::<1>(&sink, whole);
        LevelsSink::row(&sink, simd, &strip, 0, [load_part_i32(simd, &sums[whole * LANES..])]);
    }
}

/// Keeps the sums as they are.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a> {
    pub outputs: usize,
    pub out: Shared<'a, i32>,
}

impl LevelsSink for Sums<'_> {
    fn strip<const W: usize>(&self, first: usize) -> Strip<W> {
        Strip::new(first, self.outputs)
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &Strip<W>, row: usize, sums: [S::I32; W]) {
        let out = strip.of(self.out, row, self.outputs);
        for (sum, out) in sums.into_iter().zip(out.chunks_mut(LANES)) {
            store_part_i32(simd, sum, out);
        }
    }
}
