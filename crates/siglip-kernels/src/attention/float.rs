//! Attention in f32.

use super::layout::{Floats, Layout};
use super::{Head, Strip};
use crate::activation::exp2;
use crate::disjoint_slice::DisjointMut;
use crate::layout::ROWS;
use crate::microkernel::tile;
use crate::pack::{pack_f32, put_four};
use crate::rows::{Rows, tail};
use crate::scratch::{AttentionScratch, sized};
use crate::simd::{LANES, Lanes, Simd, Vectors, load_part, padded};

/// A head with its packed keys and values.
pub(super) struct PackedHead<'a, const N: usize, const R: usize> {
    head: &'a Head<'a>,
    /// Panels of keys, one step per column.
    keys: &'a [[f32; R]],
    /// Panels of columns of the values, one step per row.
    values: &'a [[f32; R]],
    /// Queries and scores of a strip.
    strip: &'a mut Vec<[f32; N]>,
}

impl<'a, const N: usize, const R: usize> PackedHead<'a, N, R> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, head: &'a Head, scratch: &'a mut AttentionScratch<N, R>) -> Self {
        let (width, kv_rows) = (head.k.width, head.k.count);
        let key_steps = kv_rows.div_ceil(R) * width;
        let value_steps = width.div_ceil(R) * kv_rows;
        let (keys, values) = sized(&mut scratch.head_f32, key_steps + value_steps).split_at_mut(key_steps);
        pack_f32(simd, head.k, keys);
        pack_values(head.v, values);
        PackedHead { head, keys, values, strip: &mut scratch.scores }
    }
}

impl<L: Layout<N, R>, const N: usize, const R: usize> Strip<L> for PackedHead<'_, N, R> {
    #[inline(always)]
    fn attend<const P: usize>(&mut self, layout: L, first: usize, out: DisjointMut<f32>) {
        let PackedHead { head, keys, values, ref mut strip } = *self;
        let (width, score_rows) = (head.k.width, head.k.count.next_multiple_of(R));
        let (queries, scores) = sized(strip, P * (width + score_rows)).split_at_mut(P * width);
        for (panel, queries) in queries.chunks_exact_mut(width).enumerate() {
            pack_queries(layout.simd(), head.q, first + panel * N, head.scale, queries);
        }
        let largest: [Floats<L, N, R>; P] = score(layout, head, keys, queries, scores);
        let inverse_sums = softmax(layout, head, largest, scores);
        weigh_values(layout, head, values, scores, inverse_sums, first, out);
    }
}

/// Writes the scores of `P` panels of queries, and returns the largest of each query.
#[inline(always)]
fn score<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    keys: &[[f32; R]],
    queries: &[[f32; N]],
    scores: &mut [[f32; N]],
) -> [Floats<L, N, R>; P] {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let score_rows = scores.len() / P;
    let vectors = layout.vectors();
    let mut largest = [vectors.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in keys.chunks_exact(width).enumerate() {
        let tile = tile::<L::Simd, L::F32, R, P>(layout.simd(), keys, queries, width);
        for (row, sums) in (panel * R..kv_rows).zip(&tile) {
            for (panel, sum) in sums.iter().enumerate() {
                largest[panel] = vectors.max(largest[panel], *sum);
                vectors.store(*sum, &mut scores[panel * score_rows + row]);
            }
        }
    }
    largest
}

/// Turns scores into 2^(score - largest), and returns 1 / Σ of those for each query.
#[inline(always)]
fn softmax<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    largest: [Floats<L, N, R>; P],
    scores: &mut [[f32; N]],
) -> [Floats<L, N, R>; P] {
    let vectors = layout.vectors();
    let mut inverse_sums = [vectors.splat(0.0); P];
    let score_rows = scores.len() / P;
    for (panel, scores) in scores.chunks_exact_mut(score_rows).enumerate() {
        let mut sum = vectors.splat(0.0);
        for score in &mut scores[..head.k.count] {
            let weight = exp2(vectors, vectors.sub(vectors.load(score), largest[panel]));
            sum = vectors.add(sum, weight);
            vectors.store(weight, score);
        }
        inverse_sums[panel] = vectors.div(vectors.splat(1.0), sum);
    }
    inverse_sums
}

/// Stores the sums of the values weighted by softmax, for `P` panels of queries from `first` on.
#[inline(always)]
fn weigh_values<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    values: &[[f32; R]],
    weights: &[[f32; N]],
    inverse_sums: [Floats<L, N, R>; P],
    first: usize,
    out: DisjointMut<f32>,
) {
    for (panel, values) in values.chunks_exact(head.k.count).enumerate() {
        let tile = tile::<L::Simd, L::F32, R, P>(layout.simd(), values, weights, weights.len() / P);
        for (queries, inverse) in inverse_sums.into_iter().enumerate() {
            let mut columns = [inverse; R];
            for (column, sums) in columns.iter_mut().zip(&tile) {
                *column = layout.vectors().mul(*column, sums[queries]);
            }
            head.store(layout, columns, panel * R, first + queries * N, out);
        }
    }
}

/// Packs `N` queries from `first` on, multiplied by `scale`, one step per column.
#[inline(always)]
fn pack_queries<S: Simd, const N: usize>(simd: S, q: Rows, first: usize, scale: f32, steps: &mut [[f32; N]]) {
    let scale = simd.splat(scale);
    for four in 0..N / ROWS {
        let rows = q.panel(first + four * ROWS);
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut vectors = [scale; ROWS];
            for (vector, row) in vectors.iter_mut().zip(rows) {
                *vector = simd.mul(*vector, load_part(simd, tail(row, group * LANES)));
            }
            let mut columns = [[0.0; ROWS]; LANES];
            simd.transpose(vectors, &mut columns);
            put_four(steps, four, &columns);
        }
    }
}

/// Packs the columns of `v` in panels of `R`, one step per row.
#[inline(always)]
fn pack_values<const R: usize>(v: Rows, panels: &mut [[f32; R]]) {
    for (panel, steps) in panels.chunks_exact_mut(v.count).enumerate() {
        for (row, step) in steps.iter_mut().enumerate() {
            let values = tail(v.row(row), panel * R);
            *step = values.first_chunk().copied().unwrap_or_else(|| padded(values));
        }
    }
}
