use super::Head;
use crate::disjoint_slice::DisjointMut;
use crate::layout::ROWS;
use crate::simd::{LANES, Simd};

impl Head<'_> {
    /// Stores four columns of the result, from the head's column `first_column` on, for eight queries from `first_query` on.
    #[inline(always)]
    pub fn store<S: Simd>(
        &self,
        simd: S,
        columns: [S::F32; ROWS],
        first_column: usize,
        first_query: usize,
        out: DisjointMut<f32>,
    ) {
        let mut by_query = [[0.0; ROWS]; LANES];
        simd.transpose(columns, &mut by_query);
        let width = ROWS.min(self.q.width - first_column);
        for (query, values) in (first_query..self.q.count).zip(&by_query) {
            // SAFETY: each head's columns belong to one thread, and heads do not overlap.
            let out = unsafe { out.slice_mut(query * self.out_stride + self.column + first_column, width) };
            match out.first_chunk_mut::<ROWS>() {
                Some(out) => *out = *values,
                None => out.copy_from_slice(&values[..width]),
            }
        }
    }
}
