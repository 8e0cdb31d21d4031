//! Attention in f32.

use super::Head;
use crate::activation::exp2;
use crate::panels::{self, Rows, rest};
use crate::scratch::{Scratch, sized};
use crate::shared::Shared;
use crate::simd::{LANES, Simd, load_part, padded};
use crate::tile::{Floats, ROWS, tile};

#[inline(always)]
pub(super) fn attend<S: Simd>(simd: S, head: &Head, out: Shared<f32>, scratch: &mut Scratch) {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let key_steps = kv_rows.div_ceil(ROWS) * width;
    let value_steps = width.div_ceil(ROWS) * kv_rows;
    let (keys, values) = sized(&mut scratch.panels, key_steps + value_steps).split_at_mut(key_steps);
    panels::pack(simd, head.k, keys);
    pack_values(head.v, values);
    let mut first = 0;
    while first < head.q.count {
        if S::PANELS == 2 && first + LANES < head.q.count {
            strip::<S, 2>(simd, head, keys, values, first, out, &mut scratch.strip);
            first += 2 * LANES;
        } else {
            strip::<S, 1>(simd, head, keys, values, first, out, &mut scratch.strip);
            first += LANES;
        }
    }
}

/// Up to `P` times eight queries from `first` on.
#[inline(always)]
fn strip<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    keys: &[[f32; ROWS]],
    values: &[[f32; ROWS]],
    first: usize,
    out: Shared<f32>,
    buffer: &mut Vec<[f32; LANES]>,
) {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let score_rows = kv_rows.next_multiple_of(ROWS);
    let (queries, scores) = sized(buffer, P * (width + score_rows)).split_at_mut(P * width);
    for (panel, queries) in queries.chunks_exact_mut(width).enumerate() {
        pack_queries(simd, head.q, first + panel * LANES, head.scale, queries);
    }

    let mut largest = [simd.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in keys.chunks_exact(width).enumerate() {
        let tile: [[S::F32; P]; ROWS] = tile::<S, Floats<ROWS>, ROWS, P>(simd, keys, queries, width);
        for (row, sums) in (panel * ROWS..kv_rows).zip(tile) {
            for (panel, sum) in sums.into_iter().enumerate() {
                largest[panel] = simd.max(largest[panel], sum);
                simd.store(sum, &mut scores[panel * score_rows + row]);
            }
        }
    }

    let mut inverses = [simd.splat(0.0); P];
    for (panel, scores) in scores.chunks_exact_mut(score_rows).enumerate() {
        let mut sum = simd.splat(0.0);
        for score in &mut scores[..kv_rows] {
            let weight = exp2(simd, simd.sub(simd.load(score), largest[panel]));
            sum = simd.add(sum, weight);
            simd.store(weight, score);
        }
        inverses[panel] = simd.div(simd.splat(1.0), sum);
    }

    for (panel, values) in values.chunks_exact(kv_rows).enumerate() {
        let tile: [[S::F32; P]; ROWS] = tile::<S, Floats<ROWS>, ROWS, P>(simd, values, scores, score_rows);
        for (queries, inverse) in inverses.into_iter().enumerate() {
            let mut columns = [inverse; ROWS];
            for (column, sums) in columns.iter_mut().zip(&tile) {
                *column = simd.mul(*column, sums[queries]);
            }
            head.store(simd, columns, panel * ROWS, first + queries * LANES, out);
        }
    }
}

/// Eight queries from `first` on, times `scale`: a step a column.
#[inline(always)]
fn pack_queries<S: Simd>(simd: S, q: Rows, first: usize, scale: f32, steps: &mut [[f32; LANES]]) {
    let scale = simd.splat(scale);
    for half in 0..LANES / ROWS {
        let rows = q.four(first + half * ROWS);
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut vectors = [scale; ROWS];
            for (vector, row) in vectors.iter_mut().zip(rows) {
                *vector = simd.mul(*vector, load_part(simd, rest(row, group * LANES)));
            }
            let mut columns = [[0.0; ROWS]; LANES];
            simd.transpose(vectors, &mut columns);
            for (step, column) in steps.iter_mut().zip(&columns) {
                step.as_chunks_mut().0[half] = *column;
            }
        }
    }
}

/// The columns of `v` in panels of four: a step a row.
#[inline(always)]
fn pack_values(v: Rows, panels: &mut [[f32; ROWS]]) {
    for (panel, steps) in panels.chunks_exact_mut(v.count).enumerate() {
        for (row, step) in steps.iter_mut().enumerate() {
            let values = rest(v.row(row), panel * ROWS);
            *step = values.first_chunk().copied().unwrap_or_else(|| padded(values));
        }
    }
}
