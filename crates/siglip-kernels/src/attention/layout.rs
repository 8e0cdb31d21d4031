//! How attention lies in vectors: one query per lane.

use super::Head;
use crate::disjoint_slice::DisjointMut;
use crate::layout::{ROWS, WIDE_ROWS};
use crate::microkernel::{F32, I16, Operand, WideF32, WideI16};
use crate::pack::put_four;
use crate::scratch::{AttentionScratch, Scratch};
use crate::simd::{LANES, Lanes, Simd, Vectors, WIDE_LANES, Wide};

/// f32 of a layout's queries.
pub(super) type Floats<L, const N: usize, const R: usize> = <<L as Layout<N, R>>::Vectors as Vectors>::F32;

/// i32 of a layout's queries.
pub(super) type Integers<L, const N: usize, const R: usize> = <<L as Layout<N, R>>::Vectors as Vectors>::I32;

/// Vectors of `N` queries, and panels of `R` keys or columns of the values.
pub(super) trait Layout<const N: usize, const R: usize>: Copy {
    type Simd: Simd;
    type Vectors: Lanes<N>;
    /// Keys or values by queries or weights, in f32.
    type F32: Operand<Self::Simd, RowStep = [f32; R], ColumnStep = [f32; N], Sum = Floats<Self, N, R>>;
    /// The same in pairs of i16.
    type I16: Operand<Self::Simd, RowStep = [[i16; 2]; R], ColumnStep = [[i16; 2]; N], Sum = Integers<Self, N, R>>;

    /// Vectors that a tile spans while queries are left: 1 or 2.
    const TILE_PANELS: usize;

    fn simd(self) -> Self::Simd;
    fn vectors(self) -> Self::Vectors;
    fn scratch(scratch: &mut Scratch) -> &mut AttentionScratch<N, R>;
    /// Stores pairs of the low 16 bits of `first` and of `second`.
    fn store_pairs(self, first: Integers<Self, N, R>, second: Integers<Self, N, R>, out: &mut [[i16; 2]; N]);
    fn transpose(self, columns: [Floats<Self, N, R>; R], rows: &mut [[f32; R]; N]);
}

/// Vectors of eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Eight<S>(pub S);

impl<S: Simd> Layout<LANES, ROWS> for Eight<S> {
    type Simd = S;
    type Vectors = S;
    type F32 = F32<ROWS>;
    type I16 = I16<[[i16; 2]; LANES]>;

    const TILE_PANELS: usize = S::TILE_PANELS;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn vectors(self) -> S {
        self.0
    }

    fn scratch(scratch: &mut Scratch) -> &mut AttentionScratch<LANES, ROWS> {
        &mut scratch.attention
    }

    #[inline(always)]
    fn store_pairs(self, first: S::I32, second: S::I32, out: &mut [[i16; 2]; LANES]) {
        self.0.store_pairs(self.0.pair(first, second), out);
    }

    #[inline(always)]
    fn transpose(self, columns: [S::F32; ROWS], rows: &mut [[f32; ROWS]; LANES]) {
        self.0.transpose(columns, rows);
    }
}

/// Wide vectors, of sixteen lanes.
#[derive(Clone, Copy)]
pub(super) struct Sixteen<S>(pub S);

impl<S: Wide> Layout<WIDE_LANES, WIDE_ROWS> for Sixteen<S> {
    type Simd = S;
    type Vectors = S::Wide;
    type F32 = WideF32;
    type I16 = WideI16;

    const TILE_PANELS: usize = 2;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn vectors(self) -> S::Wide {
        self.0.wide()
    }

    fn scratch(scratch: &mut Scratch) -> &mut AttentionScratch<WIDE_LANES, WIDE_ROWS> {
        &mut scratch.wide_attention
    }

    #[inline(always)]
    fn store_pairs(self, first: S::WideI32, second: S::WideI32, out: &mut [[i16; 2]; WIDE_LANES]) {
        self.0.wide_store_pairs(self.0.wide_pair(first, second), out);
    }

    #[inline(always)]
    fn transpose(self, columns: [S::WideF32; WIDE_ROWS], rows: &mut [[f32; WIDE_ROWS]; WIDE_LANES]) {
        let mut halves = [self.0.wide_halves(columns[0]); WIDE_ROWS];
        for (halves, column) in halves.iter_mut().zip(columns) {
            *halves = self.0.wide_halves(column);
        }
        for (half, rows) in rows.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            for (four, halves) in halves.as_chunks::<ROWS>().0.iter().enumerate() {
                let [a, b, c, d] = halves;
                let mut part = [[0.0; ROWS]; LANES];
                self.0.transpose([a[half], b[half], c[half], d[half]], &mut part);
                put_four(rows, four, &part);
            }
        }
    }
}

impl Head<'_> {
    /// Stores `R` columns of the result, from the head's column `first_column` on, for `N` queries from `first_query` on.
    #[inline(always)]
    pub fn store<L: Layout<N, R>, const N: usize, const R: usize>(
        &self,
        layout: L,
        columns: [Floats<L, N, R>; R],
        first_column: usize,
        first_query: usize,
        out: DisjointMut<f32>,
    ) {
        let mut by_query = [[0.0; R]; N];
        layout.transpose(columns, &mut by_query);
        let width = R.min(self.q.width - first_column);
        for (query, values) in (first_query..self.q.count).zip(&by_query) {
            // SAFETY: each head's columns belong to one thread, and heads do not overlap.
            let out = unsafe { out.slice_mut(query * self.out_stride + self.column + first_column, width) };
            match out.first_chunk_mut::<R>() {
                Some(out) => *out = *values,
                None => out.copy_from_slice(&values[..width]),
            }
        }
    }
}
