//! Attention on 16-bit levels.

use super::Head;
use crate::activation::exp2;
use crate::panels::{self, FourRows, Rows, rest};
use crate::quantise::{Quantiser, ROUND, magnitude, magnitudes, round};
use crate::scratch::{Scratch, sized};
use crate::shared::Shared;
use crate::simd::{LANES, Simd, load_part};
use crate::tile::{LeftStep, Levels, ROWS, WideStep, tile};

/// The level of the largest of a query's softmax weights, as a power of two.
const WEIGHT_BITS: i32 = 14;

/// The greatest level of a value.
const VALUE_LEVELS: f32 = 2047.0;

/// Pairs of rows of which the weighted values are summed before they go to f32.
const BLOCK: usize = 32;

const _: () = assert!((1i64 << WEIGHT_BITS) * VALUE_LEVELS as i64 * 2 * BLOCK as i64 <= i32::MAX as i64);

/// The greatest level of a query or a key of `width` elements: no score leaves i32.
fn score_levels(width: usize) -> f32 {
    ((i32::MAX as usize / width).isqrt()).min(i16::MAX as usize) as f32
}

/// Keys and values of a head.
struct Packed<'a> {
    keys: &'a [LeftStep],
    values: &'a [LeftStep],
    /// A key's scale each.
    key_scales: &'a [f32],
    /// A scale for each column of the values.
    value_scales: &'a [f32],
}

#[inline(always)]
pub(super) fn attend<S: Simd>(simd: S, head: &Head, out: Shared<f32>, scratch: &mut Scratch) {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let key_steps = kv_rows.div_ceil(ROWS) * width.div_ceil(2);
    let value_steps = width.div_ceil(LANES) * LANES / ROWS * kv_rows.div_ceil(2);
    let (keys, values) = sized(&mut scratch.levels, key_steps + value_steps).split_at_mut(key_steps);
    let (key_rows, columns) = (kv_rows.next_multiple_of(ROWS), width.next_multiple_of(LANES));
    let (key_scales, value_scales) = sized(&mut scratch.scales, key_rows + columns).split_at_mut(key_rows);
    magnitudes(simd, head.k, key_scales);
    panels::pack_levels(simd, head.k, score_levels(width), width.div_ceil(2), keys, key_scales);
    pack_values(simd, head.v, values, value_scales);
    let packed = Packed { keys, values, key_scales, value_scales };
    let mut first = 0;
    while first < head.q.count {
        if S::PANELS == 2 && first + LANES < head.q.count {
            strip::<S, 2>(simd, head, &packed, first, out, &mut scratch.strip, &mut scratch.wide);
            first += 2 * LANES;
        } else {
            strip::<S, 1>(simd, head, &packed, first, out, &mut scratch.strip, &mut scratch.wide);
            first += LANES;
        }
    }
}

/// Up to `P` times eight queries from `first` on.
#[inline(always)]
fn strip<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    packed: &Packed,
    first: usize,
    out: Shared<f32>,
    scores: &mut Vec<[f32; LANES]>,
    levels: &mut Vec<WideStep>,
) {
    let (width, kv_rows) = (head.k.width, head.k.count);
    let (query_steps, weight_steps) = (width.div_ceil(2), kv_rows.div_ceil(2));
    let scores = sized(scores, P * kv_rows);
    let (queries, weights) = sized(levels, P * (query_steps + weight_steps)).split_at_mut(P * query_steps);
    let mut query_scales = [simd.splat(0.0); P];
    for ((panel, queries), scales) in queries.chunks_exact_mut(query_steps).enumerate().zip(&mut query_scales)
    {
        let own = pack_queries(simd, head.q, first + panel * LANES, queries);
        *scales = simd.mul(simd.load(&own), simd.splat(head.scale));
    }

    let mut largest = [simd.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in packed.keys.chunks_exact(query_steps).enumerate() {
        let tile: [[S::I32; P]; ROWS] = tile::<S, Levels, ROWS, P>(simd, keys, queries, query_steps);
        for (row, sums) in (panel * ROWS..kv_rows).zip(tile) {
            let key_scale = simd.splat(packed.key_scales[row]);
            for (panel, sum) in sums.into_iter().enumerate() {
                let score = simd.mul(simd.convert(sum), simd.mul(query_scales[panel], key_scale));
                largest[panel] = simd.max(largest[panel], score);
                simd.store(score, &mut scores[panel * kv_rows + row]);
            }
        }
    }

    let mut inverses = [simd.splat(0.0); P];
    for (panel, weights) in weights.chunks_exact_mut(weight_steps).enumerate() {
        let shift = simd.sub(largest[panel], simd.splat(WEIGHT_BITS as f32));
        let sum = weigh(simd, &scores[panel * kv_rows..][..kv_rows], shift, weights);
        inverses[panel] = simd.div(simd.splat(1.0), sum);
    }

    for (panel, values) in packed.values.chunks_exact(weight_steps).take(width.div_ceil(ROWS)).enumerate() {
        let mut totals = [[simd.splat(0.0); P]; ROWS];
        for (block, values) in values.chunks(BLOCK).enumerate() {
            let weights = &weights[block * BLOCK..];
            let tile: [[S::I32; P]; ROWS] = tile::<S, Levels, ROWS, P>(simd, values, weights, weight_steps);
            for (total, sum) in totals.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
                *total = simd.add(*total, simd.convert(*sum));
            }
        }
        for (queries, inverse) in inverses.into_iter().enumerate() {
            let mut columns = [inverse; ROWS];
            for ((column, totals), scale) in
                columns.iter_mut().zip(&totals).zip(&packed.value_scales[panel * ROWS..])
            {
                *column = simd.mul(simd.mul(*column, simd.splat(*scale)), totals[queries]);
            }
            head.store(simd, columns, panel * ROWS, first + queries * LANES, out);
        }
    }
}

/// Writes 2^(score - shift) as levels, a pair of rows a step; gives their sum for each query.
#[inline(always)]
fn weigh<S: Simd>(simd: S, scores: &[[f32; LANES]], shift: S::F32, weights: &mut [WideStep]) -> S::F32 {
    let zero = simd.splat_i32(ROUND.to_bits() as i32);
    let mut sum = simd.splat_i32(0);
    for (pair, step) in scores.chunks(2).zip(weights) {
        let mut levels = [zero; 2];
        for (level, score) in levels.iter_mut().zip(pair) {
            *level = round(simd, exp2(simd, simd.sub(simd.load(score), shift)));
            sum = simd.add_i32(sum, simd.sub_i32(*level, zero));
        }
        simd.store_pairs(simd.pair(levels[0], levels[1]), step);
    }
    simd.convert(sum)
}

/// Levels of eight queries from `first` on, a step a pair of columns; gives the queries' scales.
#[inline(always)]
fn pack_queries<S: Simd>(simd: S, q: Rows, first: usize, steps: &mut [WideStep]) -> [f32; LANES] {
    let mut scales = [0.0; LANES];
    for (half, scales) in scales.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let four = FourRows::new(simd, q.four(first + half * ROWS), score_levels(q.width));
        *scales = four.scales();
        for (group, steps) in steps.chunks_mut(LANES).enumerate() {
            let mut columns = [[[0; 2]; ROWS]; LANES];
            four.pairs(simd, group, &mut columns);
            for (step, column) in steps.iter_mut().zip(&columns) {
                step.as_chunks_mut().0[half] = *column;
            }
        }
    }
    scales
}

/// Levels of the columns of `v` in panels of four, a step a pair of rows; `scales` takes a scale for each column.
#[inline(always)]
fn pack_values<S: Simd>(simd: S, v: Rows, panels: &mut [LeftStep], scales: &mut [f32]) {
    let steps = v.count.div_ceil(2);
    let groups = panels.chunks_exact_mut(LANES / ROWS * steps).zip(scales.as_chunks_mut::<LANES>().0);
    for (group, (panels, scales)) in groups.enumerate() {
        let mut largest = simd.splat_i32(0);
        for row in 0..v.count {
            let values = load_part(simd, rest(v.row(row), group * LANES));
            largest = simd.max_i32(largest, magnitude(simd, values));
        }
        simd.store(simd.of_bits(largest), scales);
        let quantisers = scales.map(|largest| Quantiser::of_magnitude(largest, VALUE_LEVELS));
        *scales = quantisers.map(|quantiser| quantiser.scale);
        let inverses = simd.load(&quantisers.map(|quantiser| quantiser.inverse));
        let (low, high) = panels.split_at_mut(steps);
        for (step, (low, high)) in low.iter_mut().zip(high).enumerate() {
            let mut levels = [simd.splat_i32(0); 2];
            for (level, row) in levels.iter_mut().zip(2 * step..) {
                let values = load_part(simd, rest(v.row(row), group * LANES));
                *level = round(simd, simd.mul(values, inverses));
            }
            let mut pairs = [[0; 2]; LANES];
            simd.store_pairs(simd.pair(levels[0], levels[1]), &mut pairs);
            let [first, second] = pairs.as_chunks().0 else { unreachable!("two halves of eight") };
            (*low, *high) = (*first, *second);
        }
    }
}
