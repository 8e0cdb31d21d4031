//! Attention in f32.

use super::{Head, Strip};
use crate::activation::exp2;
use crate::disjoint_slice::DisjointMut;
use crate::layout::ROWS;
use crate::microkernel::{F32, tile};
use crate::pack::pack_f32;
use crate::rows::{Rows, tail};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd, load_part, padded};

/// A head with its packed keys and values.
pub(super) struct PackedHead<'a> {
    head: &'a Head<'a>,
    /// Panels of four keys, one step per column.
    keys: &'a [[f32; ROWS]],
    /// Panels of four columns of the values, one step per row.
    values: &'a [[f32; ROWS]],
    /// Queries and scores of a strip.
    strip: &'a mut Vec<[f32; LANES]>,
}

impl<'a> PackedHead<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, head: &'a Head, scratch: &'a mut Scratch) -> Self {
        let (width, kv_rows) = (head.k.width, head.k.count);
        let key_steps = kv_rows.div_ceil(ROWS) * width;
        let value_steps = width.div_ceil(ROWS) * kv_rows;
        let (keys, values) = sized(&mut scratch.head_f32, key_steps + value_steps).split_at_mut(key_steps);
        pack_f32(simd, head.k, keys);
        pack_values(head.v, values);
        PackedHead { head, keys, values, strip: &mut scratch.scores }
    }
}

impl<S: Simd> Strip<S> for PackedHead<'_> {
    fn queries(&self) -> usize {
        self.head.q.count
    }

    #[inline(always)]
    fn attend<const P: usize>(&mut self, simd: S, first: usize, out: DisjointMut<f32>) {
        let PackedHead { head, keys, values, ref mut strip } = *self;
        let (width, score_rows) = (head.k.width, head.k.count.next_multiple_of(ROWS));
        let (queries, scores) = sized(strip, P * (width + score_rows)).split_at_mut(P * width);
        for (panel, queries) in queries.chunks_exact_mut(width).enumerate() {
            pack_queries(simd, head.q, first + panel * LANES, head.scale, queries);
        }
        let largest: [S::F32; P] = score(simd, head, keys, queries, scores);
        let inverse_sums = softmax(simd, head, largest, scores);
        weigh_values(simd, head, values, scores, inverse_sums, first, out);
    }
}

/// Writes the scores of `P` panels of queries, and returns the largest of each query.
#[inline(always)]
fn score<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    keys: &[[f32; ROWS]],
    queries: &[[f32; LANES]],
    scores: &mut [[f32; LANES]],
) -> [S::F32; P] {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let score_rows = scores.len() / P;
    let mut largest = [simd.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in keys.chunks_exact(width).enumerate() {
        let tile: [[S::F32; P]; ROWS] = tile::<S, F32<ROWS>, ROWS, P>(simd, keys, queries, width);
        for (row, sums) in (panel * ROWS..kv_rows).zip(tile) {
            for (panel, sum) in sums.into_iter().enumerate() {
                largest[panel] = simd.max(largest[panel], sum);
                simd.store(sum, &mut scores[panel * score_rows + row]);
            }
        }
    }
    largest
}

/// Turns scores into 2^(score - largest), and returns 1 / Σ of those for each query.
#[inline(always)]
fn softmax<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    largest: [S::F32; P],
    scores: &mut [[f32; LANES]],
) -> [S::F32; P] {
    let mut inverse_sums = [simd.splat(0.0); P];
    let score_rows = scores.len() / P;
    for (panel, scores) in scores.chunks_exact_mut(score_rows).enumerate() {
        let mut sum = simd.splat(0.0);
        for score in &mut scores[..head.k.count] {
            let weight = exp2(simd, simd.sub(simd.load(score), largest[panel]));
            sum = simd.add(sum, weight);
            simd.store(weight, score);
        }
        inverse_sums[panel] = simd.div(simd.splat(1.0), sum);
    }
    inverse_sums
}

/// Stores the sums of the values weighted by softmax, for `P` panels of queries from `first` on.
#[inline(always)]
fn weigh_values<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    values: &[[f32; ROWS]],
    weights: &[[f32; LANES]],
    inverse_sums: [S::F32; P],
    first: usize,
    out: DisjointMut<f32>,
) {
    for (panel, values) in values.chunks_exact(head.k.count).enumerate() {
        let tile: [[S::F32; P]; ROWS] =
            tile::<S, F32<ROWS>, ROWS, P>(simd, values, weights, weights.len() / P);
        for (queries, inverse) in inverse_sums.into_iter().enumerate() {
            let mut columns = [inverse; ROWS];
            for (column, sums) in columns.iter_mut().zip(&tile) {
                *column = simd.mul(*column, sums[queries]);
            }
            head.store(simd, columns, panel * ROWS, first + queries * LANES, out);
        }
    }
}

/// Packs eight queries from `first` on, multiplied by `scale`, one step per column.
#[inline(always)]
fn pack_queries<S: Simd>(simd: S, q: Rows, first: usize, scale: f32, steps: &mut [[f32; LANES]]) {
    let scale = simd.splat(scale);
    for half in 0..LANES / ROWS {
        let rows = q.panel(first + half * ROWS);
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut vectors = [scale; ROWS];
            for (vector, row) in vectors.iter_mut().zip(rows) {
                *vector = simd.mul(*vector, load_part(simd, tail(row, group * LANES)));
            }
            let mut columns = [[0.0; ROWS]; LANES];
            simd.transpose(vectors, &mut columns);
            for (step, column) in steps.iter_mut().zip(&columns) {
                step.as_chunks_mut().0[half] = *column;
            }
        }
    }
}

/// Packs the columns of `v` in panels of four, one step per row.
#[inline(always)]
fn pack_values(v: Rows, panels: &mut [[f32; ROWS]]) {
    for (panel, steps) in panels.chunks_exact_mut(v.count).enumerate() {
        for (row, step) in steps.iter_mut().enumerate() {
            let values = tail(v.row(row), panel * ROWS);
            *step = values.first_chunk().copied().unwrap_or_else(|| padded(values));
        }
    }
}
