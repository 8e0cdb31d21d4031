//! What becomes of the sums of a product while they are still in registers.

use crate::activation::Gelu;
use crate::disjoint_slice::DisjointMut;
use crate::simd::{LANES, Simd, load_part_i32, store_part_i32};

/// What becomes of x Wᵀ. A bias is as long as the matrix has outputs.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
    /// out = x Wᵀ.
    None,
    /// out = x Wᵀ + bias.
    Bias(&'a [f32]),
    /// out = GELU(x Wᵀ + bias).
    BiasGelu(&'a [f32], Gelu),
    /// out += x Wᵀ + bias. An empty bias is none.
    Residual(&'a [f32]),
}

/// Stores the sums of a product, row by row of a strip of `W` panels of columns. Each strip belongs to one thread.
pub(super) trait Store<S: Simd, Sum>: Copy + Sync {
    /// The strip that begins with panel `first`.
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W>;

    /// Stores the sums of row `row`.
    fn row<const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [Sum; W]);
}

/// [`Store`] for integer sums on any instruction set.
///
/// A kernel does not know its instruction set before it runs, so it cannot name a bound `Store<S, S::I32>`. It names this
/// trait, whose method is generic over the instruction set, and every implementation is a [`Store`], too.
pub(super) trait StoreI32: Copy + Sync {
    /// See [`Store::strip`].
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W>;

    /// See [`Store::row`].
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::I32; W]);
}

impl<S: Simd, K: StoreI32> Store<S, S::I32> for K {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        StoreI32::strip(self, first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::I32; W]) {
        StoreI32::row(self, simd, strip, row, sums);
    }
}

/// `W` panels of columns, of which the last ones may lie partly or wholly beyond the matrix.
pub(super) struct ColumnStrip<const W: usize> {
    first_column: usize,
    /// Columns that lie within the matrix.
    columns: usize,
    scales: [[f32; LANES]; W],
    bias: [[f32; LANES]; W],
}

impl<const W: usize> ColumnStrip<W> {
    fn new(first_panel: usize, outputs: usize) -> Self {
        let first_column = first_panel * LANES;
        let columns = (W * LANES).min(outputs - first_column);
        ColumnStrip { first_column, columns, scales: [[0.0; LANES]; W], bias: [[0.0; LANES]; W] }
    }

    /// This strip's columns of row `row` of `out` [rows, outputs].
    #[inline(always)]
    fn row_of<'o, T>(&self, out: DisjointMut<'o, T>, row: usize, outputs: usize) -> &'o mut [T] {
        // SAFETY: each strip belongs to one thread, and strips do not overlap.
        unsafe { out.slice_mut(row * outputs + self.first_column, self.columns) }
    }
}

/// An [`Epilogue`] whose bias has been checked. An empty bias is none.
#[derive(Clone, Copy)]
pub(super) struct CheckedEpilogue<'a> {
    bias: &'a [f32],
    gelu: Option<Gelu>,
    residual: bool,
    outputs: usize,
}

impl<'a> CheckedEpilogue<'a> {
    /// # Panics
    /// If a bias is not of `outputs` values.
    pub fn new(epilogue: Epilogue<'a>, outputs: usize) -> Self {
        let (bias, gelu, residual): (&[f32], _, _) = match epilogue {
            Epilogue::None => (&[], None, false),
            Epilogue::Bias(bias) => (bias, None, false),
            Epilogue::BiasGelu(bias, gelu) => (bias, Some(gelu), false),
            Epilogue::Residual(bias) => (bias, None, true),
        };
        let optional = matches!(epilogue, Epilogue::None | Epilogue::Residual([]));
        assert!(optional || bias.len() == outputs, "bias is not [{outputs}]");
        CheckedEpilogue { bias, gelu, residual, outputs }
    }

    fn strip<const W: usize>(&self, first_panel: usize) -> ColumnStrip<W> {
        let mut strip = ColumnStrip::new(first_panel, self.outputs);
        if let Some(bias) = self.bias.get(strip.first_column..) {
            let count = bias.len().min(strip.columns);
            strip.bias.as_flattened_mut()[..count].copy_from_slice(&bias[..count]);
        }
        strip
    }

    /// Applies the epilogue to one row of a strip and stores it.
    #[inline(always)]
    fn row<S: Simd, const W: usize>(
        &self,
        simd: S,
        strip: &ColumnStrip<W>,
        row: usize,
        values: [S::F32; W],
        out: DisjointMut<f32>,
    ) {
        let out = strip.row_of(out, row, self.outputs);
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
        if let Some(gelu) = self.gelu {
            for value in &mut values {
                *value = gelu.apply(simd, *value);
            }
        }
        if self.residual {
            for (value, out) in values.iter_mut().zip(&*out) {
                *value = simd.add(*value, simd.load(out));
            }
        }
        for (value, out) in values.iter().zip(out) {
            simd.store(*value, out);
        }
    }
}

/// Applies the epilogue to f32 sums.
#[derive(Clone, Copy)]
pub(super) struct StoreF32<'a> {
    pub epilogue: CheckedEpilogue<'a>,
    pub out: DisjointMut<'a, f32>,
}

impl<S: Simd> Store<S, S::F32> for StoreF32<'_> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        self.epilogue.strip(first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::F32; W]) {
        self.epilogue.row(simd, strip, row, sums, self.out);
    }
}

/// Turns integer sums into f32 and applies the epilogue.
#[derive(Clone, Copy)]
pub(super) struct DequantizeStore<'a> {
    pub epilogue: CheckedEpilogue<'a>,
    /// The quantization scale of each row of activations.
    pub row_scales: &'a [f32],
    /// The quantization scale of each output's weights, in panels.
    pub column_scales: &'a [[f32; LANES]],
    pub out: DisjointMut<'a, f32>,
}

impl StoreI32 for DequantizeStore<'_> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        let mut strip = self.epilogue.strip(first);
        for (scales, columns) in strip.scales.iter_mut().zip(&self.column_scales[first..]) {
            *scales = *columns;
        }
        strip
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::I32; W]) {
        let row_scale = simd.splat(self.row_scales[row]);
        let mut values = [row_scale; W];
        for ((value, scales), sum) in values.iter_mut().zip(&strip.scales).zip(sums) {
            *value = dequantize(simd, sum, *value, scales);
        }
        self.epilogue.row(simd, strip, row, values, self.out);
    }
}

/// The real value of integer sums.
#[inline(always)]
fn dequantize<S: Simd>(simd: S, sums: S::I32, row_scale: S::F32, column_scales: &[f32; LANES]) -> S::F32 {
    simd.mul(simd.convert(sums), simd.mul(row_scale, simd.load(column_scales)))
}

/// Does for a whole row of sums, in memory, what [`DequantizeStore`] does for the rows of a strip.
#[inline(always)]
pub(super) fn dequantize_row<S: Simd>(
    simd: S,
    epilogue: CheckedEpilogue,
    row_scale: f32,
    column_scales: &[[f32; LANES]],
    sums: &[i32],
    out: &mut [f32],
) {
    let bias = epilogue.bias.as_chunks().0;
    let (panels, rest) = out.as_chunks_mut();
    let whole = panels.len();
    for (panel, ((sums, out), scales)) in sums.as_chunks().0.iter().zip(panels).zip(column_scales).enumerate()
    {
        let value = dequantize(simd, simd.load_i32(sums), simd.splat(row_scale), scales);
        let bias = bias.get(panel).unwrap_or(&[0.0; LANES]);
        epilogue.whole_row(simd, std::array::from_ref(bias), [value], std::array::from_mut(out));
    }
    if !rest.is_empty() {
        let (row_scales, out) = (&[row_scale], DisjointMut::new(out));
        let store = DequantizeStore { epilogue, row_scales, column_scales, out };
        let strip = StoreI32::strip::<1>(&store, whole);
        StoreI32::row(&store, simd, &strip, 0, [load_part_i32(simd, &sums[whole * LANES..])]);
    }
}

/// Another [`StoreI32`] for one strip of a product whose rows have zero points: x ≈ scale · (q - zero point).
///
/// Σ (q_x - zero point) q_w = Σ q_x q_w - zero point · Σ q_w.
#[derive(Clone, Copy)]
pub(super) struct ZeroPointStore<'a, K> {
    pub store: K,
    pub zero_points: &'a [i32],
    /// Σ q_w of each of the strip's columns.
    pub column_sums: &'a [[i32; LANES]],
}

impl<K: StoreI32> StoreI32 for ZeroPointStore<'_, K> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        StoreI32::strip(&self.store, first)
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(
        &self,
        simd: S,
        strip: &ColumnStrip<W>,
        row: usize,
        mut sums: [S::I32; W],
    ) {
        let zero_point = simd.splat_i32(self.zero_points[row]);
        for (sum, columns) in sums.iter_mut().zip(self.column_sums) {
            *sum = simd.sub_i32(*sum, simd.mul_i32(zero_point, simd.load_i32(columns)));
        }
        StoreI32::row(&self.store, simd, strip, row, sums);
    }
}

/// Another [`StoreI32`], for all of its rows or for some: row n of a product is row `rows[n]` there.
#[derive(Clone, Copy)]
pub(super) struct SomeRows<'a, K> {
    pub store: K,
    pub rows: Option<&'a [u16]>,
}

impl<K: StoreI32> StoreI32 for SomeRows<'_, K> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        StoreI32::strip(&self.store, first)
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::I32; W]) {
        let row = self.rows.map_or(row, |rows| rows[row].into());
        StoreI32::row(&self.store, simd, strip, row, sums);
    }
}

/// Stores integer sums as they are.
#[derive(Clone, Copy)]
pub(super) struct RawSums<'a> {
    pub outputs: usize,
    pub out: DisjointMut<'a, i32>,
}

impl StoreI32 for RawSums<'_> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<W> {
        ColumnStrip::new(first, self.outputs)
    }

    #[inline(always)]
    fn row<S: Simd, const W: usize>(&self, simd: S, strip: &ColumnStrip<W>, row: usize, sums: [S::I32; W]) {
        let out = strip.row_of(self.out, row, self.outputs);
        for (sum, out) in sums.into_iter().zip(out.chunks_mut(LANES)) {
            store_part_i32(simd, sum, out);
        }
    }
}
