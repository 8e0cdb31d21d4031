//! Attention on 16-bit integers.

use super::{Head, Strip};
use crate::activation::exp2;
use crate::disjoint_slice::DisjointMut;
use crate::layout::{ColumnStepI16, ROWS, RowStepI16};
use crate::microkernel::{I16, tile};
use crate::pack::{FourRows, pack_i16};
use crate::quantize::{Quantizer, ROUND, magnitude_bits, round, row_magnitude};
use crate::rows::{Rows, tail};
use crate::scratch::{Scratch, sized};
use crate::simd::{LANES, Simd, load_part};

/// The largest softmax weight of a query is quantized to 2 to this power.
const WEIGHT_BITS: i32 = 14;

/// The largest quantized value.
const MAX_VALUE: f32 = 2047.0;

/// Pairs of rows whose weighted values are summed in i32 before the sum goes to f32.
const BLOCK: usize = 32;

const _: () = assert!((1i64 << WEIGHT_BITS) * MAX_VALUE as i64 * 2 * BLOCK as i64 <= i32::MAX as i64);

/// The largest quantized element of a query or key of `width` elements: no score overflows i32.
fn max_score_factor(width: usize) -> f32 {
    ((i32::MAX as usize / width).isqrt()).min(i16::MAX as usize) as f32
}

/// A head with its packed keys and values.
pub(super) struct PackedHead<'a> {
    head: &'a Head<'a>,
    kv: PackedKeysValues<'a>,
    /// Scores of a strip.
    scores: &'a mut Vec<[f32; LANES]>,
    /// Queries and softmax weights of a strip.
    columns: &'a mut Vec<ColumnStepI16>,
}

/// The quantized keys and values of one head.
struct PackedKeysValues<'a> {
    /// Panels of four keys, one step per pair of columns.
    keys: &'a [RowStepI16],
    /// Panels of four columns of the values, one step per pair of rows.
    values: &'a [RowStepI16],
    /// One scale per key row.
    key_scales: &'a [f32],
    /// One scale per column of the values.
    value_scales: &'a [f32],
}

impl<'a> PackedHead<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, head: &'a Head, scratch: &'a mut Scratch) -> Self {
        let (width, kv_rows) = (head.k.width, head.k.count);
        let key_steps = kv_rows.div_ceil(ROWS) * width.div_ceil(2);
        let value_steps = width.div_ceil(LANES) * LANES / ROWS * kv_rows.div_ceil(2);
        let (keys, values) = sized(&mut scratch.rows_i16, key_steps + value_steps).split_at_mut(key_steps);
        let (key_rows, columns) = (kv_rows.next_multiple_of(ROWS), width.next_multiple_of(LANES));
        let scales = sized(&mut scratch.head_scales, key_rows + columns);
        let (key_scales, value_scales) = scales.split_at_mut(key_rows);
        let max = max_score_factor(width);
        for (row, magnitude) in key_scales.iter_mut().enumerate() {
            *magnitude = row_magnitude(simd, head.k.row(row));
        }
        pack_i16(simd, head.k, key_scales, max, width.div_ceil(2), keys);
        for scale in &mut *key_scales {
            *scale = Quantizer::of_magnitude(*scale, max).scale;
        }
        pack_values(simd, head.v, values, value_scales);
        let kv = PackedKeysValues { keys, values, key_scales, value_scales };
        PackedHead { head, kv, scores: &mut scratch.scores, columns: &mut scratch.columns_i16 }
    }
}

impl<S: Simd> Strip<S> for PackedHead<'_> {
    fn queries(&self) -> usize {
        self.head.q.count
    }

    #[inline(always)]
    fn attend<const P: usize>(&mut self, simd: S, first: usize, out: DisjointMut<f32>) {
        let PackedHead { head, ref kv, ref mut scores, ref mut columns } = *self;
        let (query_steps, weight_steps) = (head.k.width.div_ceil(2), head.k.count.div_ceil(2));
        let scores = sized(scores, P * head.k.count);
        let columns = sized(columns, P * (query_steps + weight_steps));
        let (queries, weights) = columns.split_at_mut(P * query_steps);
        let mut query_scales = [simd.splat(0.0); P];
        let panels = queries.chunks_exact_mut(query_steps).enumerate();
        for ((panel, queries), scales) in panels.zip(&mut query_scales) {
            let own = pack_queries(simd, head.q, first + panel * LANES, queries);
            *scales = simd.mul(simd.load(&own), simd.splat(head.scale));
        }
        let largest = score(simd, head, kv, queries, query_scales, scores);
        let inverse_sums = softmax(simd, head, largest, scores, weights);
        weigh_values(simd, head, kv, weights, inverse_sums, first, out);
    }
}

/// Writes the scores of `P` panels of queries, and returns the largest of each query.
#[inline(always)]
fn score<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    kv: &PackedKeysValues,
    queries: &[ColumnStepI16],
    query_scales: [S::F32; P],
    scores: &mut [[f32; LANES]],
) -> [S::F32; P] {
    let (query_steps, kv_rows) = (queries.len() / P, head.k.count);
    let mut largest = [simd.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in kv.keys.chunks_exact(query_steps).enumerate() {
        let tile: [[S::I32; P]; ROWS] =
            tile::<S, I16<ColumnStepI16>, ROWS, P>(simd, keys, queries, query_steps);
        for (row, sums) in (panel * ROWS..kv_rows).zip(tile) {
            let key_scale = simd.splat(kv.key_scales[row]);
            for (panel, sum) in sums.into_iter().enumerate() {
                let score = simd.mul(simd.convert(sum), simd.mul(query_scales[panel], key_scale));
                largest[panel] = simd.max(largest[panel], score);
                simd.store(score, &mut scores[panel * kv_rows + row]);
            }
        }
    }
    largest
}

/// Writes 2^(score - largest) as integers, one step per pair of rows, and returns 1 / Σ of those for each query.
#[inline(always)]
fn softmax<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    largest: [S::F32; P],
    scores: &[[f32; LANES]],
    weights: &mut [ColumnStepI16],
) -> [S::F32; P] {
    let (weight_steps, kv_rows) = (weights.len() / P, head.k.count);
    let mut inverse_sums = [simd.splat(0.0); P];
    for (panel, weights) in weights.chunks_exact_mut(weight_steps).enumerate() {
        let shift = simd.sub(largest[panel], simd.splat(WEIGHT_BITS as f32));
        let sum = quantize_weights(simd, &scores[panel * kv_rows..][..kv_rows], shift, weights);
        inverse_sums[panel] = simd.div(simd.splat(1.0), sum);
    }
    inverse_sums
}

/// Writes 2^(score - shift), rounded to integers, and returns their sum for each query.
#[inline(always)]
fn quantize_weights<S: Simd>(
    simd: S,
    scores: &[[f32; LANES]],
    shift: S::F32,
    weights: &mut [ColumnStepI16],
) -> S::F32 {
    let mut sum = simd.splat_i32(0);
    let (pairs, last) = scores.as_chunks::<2>();
    // Two at a time, since an array of one or two would lie in memory.
    for ([first, second], step) in pairs.iter().zip(&mut *weights) {
        let both = [rounded_weight(simd, first, shift), rounded_weight(simd, second, shift)];
        sum = simd.add_i32(sum, store_weights(simd, both, step));
    }
    if let ([score], Some(step)) = (last, weights.last_mut()) {
        let both = [rounded_weight(simd, score, shift), simd.splat_i32(ROUND.to_bits() as i32)];
        sum = simd.add_i32(sum, store_weights(simd, both, step));
    }
    simd.convert(sum)
}

/// 2^(score - shift) as [`round`] leaves it.
#[inline(always)]
fn rounded_weight<S: Simd>(simd: S, score: &[f32; LANES], shift: S::F32) -> S::I32 {
    round(simd, exp2(simd, simd.sub(simd.load(score), shift)))
}

/// Stores the weights of a pair of rows, as [`round`] leaves them, and returns their sum.
#[inline(always)]
fn store_weights<S: Simd>(simd: S, [first, second]: [S::I32; 2], step: &mut ColumnStepI16) -> S::I32 {
    let zero = simd.splat_i32(ROUND.to_bits() as i32);
    simd.store_pairs(simd.pair(first, second), step);
    simd.add_i32(simd.sub_i32(first, zero), simd.sub_i32(second, zero))
}

/// Stores the sums of the values weighted by softmax, for `P` panels of queries from `first` on.
#[inline(always)]
fn weigh_values<S: Simd, const P: usize>(
    simd: S,
    head: &Head,
    kv: &PackedKeysValues,
    weights: &[ColumnStepI16],
    inverse_sums: [S::F32; P],
    first: usize,
    out: DisjointMut<f32>,
) {
    let weight_steps = weights.len() / P;
    // The values are packed in groups of eight columns; the last group's second panel may lie beyond the head.
    let panels = kv.values.chunks_exact(weight_steps).take(head.k.width.div_ceil(ROWS));
    for (panel, values) in panels.enumerate() {
        let mut totals = [[simd.splat(0.0); P]; ROWS];
        for (block, values) in values.chunks(BLOCK).enumerate() {
            let weights = &weights[block * BLOCK..];
            let tile: [[S::I32; P]; ROWS] =
                tile::<S, I16<ColumnStepI16>, ROWS, P>(simd, values, weights, weight_steps);
            for (total, sum) in totals.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
                *total = simd.add(*total, simd.convert(*sum));
            }
        }
        for (queries, inverse) in inverse_sums.into_iter().enumerate() {
            let mut columns = [inverse; ROWS];
            let scales = &kv.value_scales[panel * ROWS..];
            for ((column, totals), scale) in columns.iter_mut().zip(&totals).zip(scales) {
                *column = simd.mul(simd.mul(*column, simd.splat(*scale)), totals[queries]);
            }
            head.store(simd, columns, panel * ROWS, first + queries * LANES, out);
        }
    }
}

/// Quantizes eight queries from `first` on, one step per pair of columns, and returns their scales.
#[inline(always)]
fn pack_queries<S: Simd>(simd: S, q: Rows, first: usize, steps: &mut [ColumnStepI16]) -> [f32; LANES] {
    let mut scales = [0.0; LANES];
    for (half, scales) in scales.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let four = FourRows::new(simd, q.panel(first + half * ROWS), max_score_factor(q.width));
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

/// Quantizes the columns of `v` and packs them in panels of four, one step per pair of rows. `scales` takes the columns'
/// scales.
#[inline(always)]
fn pack_values<S: Simd>(simd: S, v: Rows, panels: &mut [RowStepI16], scales: &mut [f32]) {
    let steps = v.count.div_ceil(2);
    let groups = panels.chunks_exact_mut(LANES / ROWS * steps).zip(scales.as_chunks_mut::<LANES>().0);
    for (group, (panels, scales)) in groups.enumerate() {
        let mut largest = simd.splat_i32(0);
        for row in 0..v.count {
            let values = load_part(simd, tail(v.row(row), group * LANES));
            largest = simd.max_i32(largest, magnitude_bits(simd, values));
        }
        simd.store(simd.bits_to_f32(largest), scales);
        let quantizers = scales.map(|largest| Quantizer::of_magnitude(largest, MAX_VALUE));
        *scales = quantizers.map(|quantizer| quantizer.scale);
        let inverses = simd.load(&quantizers.map(|quantizer| quantizer.inverse));
        let (low, high) = panels.split_at_mut(steps);
        for (step, (low, high)) in low.iter_mut().zip(high).enumerate() {
            let mut rounded = [simd.splat_i32(0); 2];
            for (rounded, row) in rounded.iter_mut().zip(2 * step..) {
                let values = load_part(simd, tail(v.row(row), group * LANES));
                *rounded = round(simd, simd.mul(values, inverses));
            }
            let mut pairs = [[0; 2]; LANES];
            simd.store_pairs(simd.pair(rounded[0], rounded[1]), &mut pairs);
            let [first, second] = pairs.as_chunks().0 else { unreachable!("two halves of eight") };
            (*low, *high) = (*first, *second);
        }
    }
}
