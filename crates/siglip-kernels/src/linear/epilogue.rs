//! What becomes of the sums of a product while they are still in registers.

use crate::activation::Gelu;
use crate::disjoint_slice::DisjointMut;
use crate::rows::tail;
use crate::simd::{LANES, Lanes, Simd, load_part_i32, store_part_i32};

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

/// Stores the sums of a product, row by row of a strip of `W` vectors of `N` columns. Each strip belongs to one thread.
pub(super) trait Store<V, Sum, const N: usize>: Copy + Sync {
    /// The strip that begins with panel `first`.
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<N, W>;

    /// Stores the sums of row `row`.
    fn row<const W: usize>(&self, vectors: V, strip: &ColumnStrip<N, W>, row: usize, sums: [Sum; W]);
}

/// [`Store`] for integer sums in any vectors.
///
/// A kernel does not know its instruction set before it runs, so it cannot name a bound `Store<V, V::I32, N>`. It names this
/// trait, whose methods are generic over the vectors, and every implementation is a [`Store`], too.
pub(super) trait StoreI32: Copy + Sync {
    /// See [`Store::strip`].
    fn strip<const N: usize, const W: usize>(&self, first: usize) -> ColumnStrip<N, W>;

    /// See [`Store::row`].
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        sums: [V::I32; W],
    );
}

impl<V: Lanes<N>, K: StoreI32, const N: usize> Store<V, V::I32, N> for K {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        StoreI32::strip(self, first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, vectors: V, strip: &ColumnStrip<N, W>, row: usize, sums: [V::I32; W]) {
        StoreI32::row(self, vectors, strip, row, sums);
    }
}

/// `W` vectors of `N` columns, of which the last ones may lie partly or wholly beyond the matrix: there, all is zero.
pub(super) struct ColumnStrip<const N: usize, const W: usize> {
    first_column: usize,
    /// Columns that lie within the matrix.
    columns: usize,
    bias: [[f32; N]; W],
    /// The quantization scale of each column's weights.
    scales: [[f32; N]; W],
    /// The sum of each column's quantized weights, where a product has zero points.
    weight_sums: [[i32; N]; W],
}

impl<const N: usize, const W: usize> ColumnStrip<N, W> {
    fn new(first_panel: usize, outputs: usize) -> Self {
        let first_column = first_panel * LANES;
        let columns = (W * N).min(outputs - first_column);
        let (bias, scales, weight_sums) = ([[0.0; N]; W], [[0.0; N]; W], [[0; N]; W]);
        ColumnStrip { first_column, columns, bias, scales, weight_sums }
    }

    /// This strip's columns of row `row` of `out` [rows, outputs].
    #[inline(always)]
    fn row_of<'o, T>(&self, out: DisjointMut<'o, T>, row: usize, outputs: usize) -> &'o mut [T] {
        // SAFETY: each strip belongs to one thread, and strips do not overlap.
        unsafe { out.slice_mut(row * outputs + self.first_column, self.columns) }
    }
}

/// Copies as many of `values` as there are to the start of `out`, at most as many as it has.
fn copy_to<T: Copy>(values: &[T], out: &mut [T]) {
    let count = values.len().min(out.len());
    out[..count].copy_from_slice(&values[..count]);
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

    fn strip<const N: usize, const W: usize>(&self, first_panel: usize) -> ColumnStrip<N, W> {
        let mut strip = ColumnStrip::new(first_panel, self.outputs);
        copy_to(tail(self.bias, strip.first_column), strip.bias.as_flattened_mut());
        strip
    }

    /// Applies the epilogue to one row of a strip and stores it.
    #[inline(always)]
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        values: [V::F32; W],
        out: DisjointMut<f32>,
    ) {
        let out = strip.row_of(out, row, self.outputs);
        let mut padded = None;
        let whole = match out.as_chunks_mut().0.try_into() {
            Ok(whole) => whole,
            Err(_) => {
                let padded = padded.insert([[0.0; N]; W]);
                padded.as_flattened_mut()[..out.len()].copy_from_slice(out);
                padded
            }
        };
        self.whole_row(vectors, &strip.bias, values, whole);
        if let Some(padded) = padded {
            out.copy_from_slice(&padded.as_flattened()[..out.len()]);
        }
    }

    #[inline(always)]
    fn whole_row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        bias: &[[f32; N]; W],
        mut values: [V::F32; W],
        out: &mut [[f32; N]; W],
    ) {
        for (value, bias) in values.iter_mut().zip(bias) {
            *value = vectors.add(*value, vectors.load(bias));
        }
        if let Some(gelu) = self.gelu {
            for value in &mut values {
                *value = gelu.apply(vectors, *value);
            }
        }
        if self.residual {
            for (value, out) in values.iter_mut().zip(&*out) {
                *value = vectors.add(*value, vectors.load(out));
            }
        }
        for (value, out) in values.iter().zip(out) {
            vectors.store(*value, out);
        }
    }
}

/// Applies the epilogue to f32 sums.
#[derive(Clone, Copy)]
pub(super) struct StoreF32<'a> {
    pub epilogue: CheckedEpilogue<'a>,
    pub out: DisjointMut<'a, f32>,
}

impl<V: Lanes<N>, const N: usize> Store<V, V::F32, N> for StoreF32<'_> {
    fn strip<const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        self.epilogue.strip(first)
    }

    #[inline(always)]
    fn row<const W: usize>(&self, vectors: V, strip: &ColumnStrip<N, W>, row: usize, sums: [V::F32; W]) {
        self.epilogue.row(vectors, strip, row, sums, self.out);
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
    fn strip<const N: usize, const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        let mut strip = self.epilogue.strip(first);
        copy_to(self.column_scales[first..].as_flattened(), strip.scales.as_flattened_mut());
        strip
    }

    #[inline(always)]
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        sums: [V::I32; W],
    ) {
        let row_scale = vectors.splat(self.row_scales[row]);
        let mut values = [row_scale; W];
        for ((value, scales), sum) in values.iter_mut().zip(&strip.scales).zip(sums) {
            *value = dequantize(vectors, sum, *value, scales);
        }
        self.epilogue.row(vectors, strip, row, values, self.out);
    }
}

/// The real value of integer sums.
#[inline(always)]
fn dequantize<V: Lanes<N>, const N: usize>(
    vectors: V,
    sums: V::I32,
    row_scale: V::F32,
    column_scales: &[f32; N],
) -> V::F32 {
    vectors.mul(vectors.convert(sums), vectors.mul(row_scale, vectors.load(column_scales)))
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
        let strip = StoreI32::strip::<LANES, 1>(&store, whole);
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
    /// Σ q_w of the strip's columns, and of any number of later ones.
    pub weight_sums: &'a [[i32; LANES]],
}

impl<K: StoreI32> StoreI32 for ZeroPointStore<'_, K> {
    fn strip<const N: usize, const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        let mut strip = StoreI32::strip(&self.store, first);
        copy_to(self.weight_sums.as_flattened(), strip.weight_sums.as_flattened_mut());
        strip
    }

    #[inline(always)]
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        mut sums: [V::I32; W],
    ) {
        let zero_point = vectors.splat_i32(self.zero_points[row]);
        for (sum, columns) in sums.iter_mut().zip(&strip.weight_sums) {
            *sum = vectors.sub_i32(*sum, vectors.mul_i32(zero_point, vectors.load_i32(columns)));
        }
        StoreI32::row(&self.store, vectors, strip, row, sums);
    }
}

/// Another [`StoreI32`], for all of its rows or for some: row n of a product is row `rows[n]` there.
#[derive(Clone, Copy)]
pub(super) struct SomeRows<'a, K> {
    pub store: K,
    pub rows: Option<&'a [u16]>,
}

impl<K: StoreI32> StoreI32 for SomeRows<'_, K> {
    fn strip<const N: usize, const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        StoreI32::strip(&self.store, first)
    }

    #[inline(always)]
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        sums: [V::I32; W],
    ) {
        let row = self.rows.map_or(row, |rows| rows[row].into());
        StoreI32::row(&self.store, vectors, strip, row, sums);
    }
}

/// Stores integer sums as they are.
#[derive(Clone, Copy)]
pub(super) struct RawSums<'a> {
    pub outputs: usize,
    pub out: DisjointMut<'a, i32>,
}

impl StoreI32 for RawSums<'_> {
    fn strip<const N: usize, const W: usize>(&self, first: usize) -> ColumnStrip<N, W> {
        ColumnStrip::new(first, self.outputs)
    }

    #[inline(always)]
    fn row<V: Lanes<N>, const N: usize, const W: usize>(
        &self,
        vectors: V,
        strip: &ColumnStrip<N, W>,
        row: usize,
        sums: [V::I32; W],
    ) {
        let out = strip.row_of(self.out, row, self.outputs);
        for (sum, out) in sums.into_iter().zip(out.chunks_mut(N)) {
            store_part_i32(vectors, sum, out);
        }
    }
}
