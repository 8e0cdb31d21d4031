//! Attention on 16-bit integers.

use super::layout::{Floats, Integers, Layout};
use super::{Head, Strip};
use crate::activation::exp2;
use crate::disjoint_slice::DisjointMut;
use crate::layout::ROWS;
use crate::microkernel::tile;
use crate::pack::{FourRows, pack_i16};
use crate::quantize::{Quantizer, ROUND, magnitude_bits, round, row_magnitude};
use crate::rows::{Rows, tail};
use crate::scratch::{AttentionScratch, sized};
use crate::simd::{LANES, Lanes, Simd, Vectors, load_part};

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
pub(super) struct PackedHead<'a, const N: usize, const R: usize> {
    head: &'a Head<'a>,
    kv: PackedKeysValues<'a, R>,
    /// Scores of a strip.
    scores: &'a mut Vec<[f32; N]>,
    /// Queries and softmax weights of a strip.
    columns: &'a mut Vec<[[i16; 2]; N]>,
}

/// The quantized keys and values of one head.
struct PackedKeysValues<'a, const R: usize> {
    /// Panels of keys, one step per pair of columns.
    keys: &'a [[[i16; 2]; R]],
    /// Panels of columns of the values, one step per pair of rows.
    values: &'a [[[i16; 2]; R]],
    /// One scale per key row.
    key_scales: &'a [f32],
    /// One scale per column of the values.
    value_scales: &'a [f32],
}

impl<'a, const N: usize, const R: usize> PackedHead<'a, N, R> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, head: &'a Head, scratch: &'a mut AttentionScratch<N, R>) -> Self {
        let (width, kv_rows) = (head.k.width, head.k.count);
        let key_steps = kv_rows.div_ceil(R) * width.div_ceil(2);
        let value_steps = width.div_ceil(LANES) * LANES / R * kv_rows.div_ceil(2);
        let (keys, values) = sized(&mut scratch.head_i16, key_steps + value_steps).split_at_mut(key_steps);
        let (key_rows, columns) = (kv_rows.next_multiple_of(R), width.next_multiple_of(LANES));
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

impl<L: Layout<N, R>, const N: usize, const R: usize> Strip<L> for PackedHead<'_, N, R> {
    #[inline(always)]
    fn attend<const P: usize>(&mut self, layout: L, first: usize, out: DisjointMut<f32>) {
        let PackedHead { head, ref kv, ref mut scores, ref mut columns } = *self;
        let (query_steps, weight_steps) = (head.k.width.div_ceil(2), head.k.count.div_ceil(2));
        let scores = sized(scores, P * head.k.count);
        let columns = sized(columns, P * (query_steps + weight_steps));
        let (queries, weights) = columns.split_at_mut(P * query_steps);
        let vectors = layout.vectors();
        let mut query_scales = [vectors.splat(0.0); P];
        let panels = queries.chunks_exact_mut(query_steps).enumerate();
        for ((panel, queries), scales) in panels.zip(&mut query_scales) {
            let own = pack_queries(layout.simd(), head.q, first + panel * N, queries);
            *scales = vectors.mul(vectors.load(&own), vectors.splat(head.scale));
        }
        let largest = score(layout, head, kv, queries, query_scales, scores);
        let inverse_sums = softmax(layout, head, largest, scores, weights);
        weigh_values(layout, head, kv, weights, inverse_sums, first, out);
    }
}

/// Writes the scores of `P` panels of queries, and returns the largest of each query.
#[inline(always)]
fn score<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    kv: &PackedKeysValues<R>,
    queries: &[[[i16; 2]; N]],
    query_scales: [Floats<L, N, R>; P],
    scores: &mut [[f32; N]],
) -> [Floats<L, N, R>; P] {
    let (query_steps, kv_rows) = (queries.len() / P, head.k.count);
    let vectors = layout.vectors();
    let mut largest = [vectors.splat(f32::NEG_INFINITY); P];
    for (panel, keys) in kv.keys.chunks_exact(query_steps).enumerate() {
        let tile = tile::<L::Simd, L::I16, R, P>(layout.simd(), keys, queries, query_steps);
        for (row, sums) in (panel * R..kv_rows).zip(&tile) {
            let key_scale = vectors.splat(kv.key_scales[row]);
            for (panel, sum) in sums.iter().enumerate() {
                let score = vectors.mul(vectors.convert(*sum), vectors.mul(query_scales[panel], key_scale));
                largest[panel] = vectors.max(largest[panel], score);
                vectors.store(score, &mut scores[panel * kv_rows + row]);
            }
        }
    }
    largest
}

/// Writes 2^(score - largest) as integers, one step per pair of rows, and returns 1 / Σ of those for each query.
#[inline(always)]
fn softmax<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    largest: [Floats<L, N, R>; P],
    scores: &[[f32; N]],
    weights: &mut [[[i16; 2]; N]],
) -> [Floats<L, N, R>; P] {
    let (weight_steps, kv_rows) = (weights.len() / P, head.k.count);
    let vectors = layout.vectors();
    let mut inverse_sums = [vectors.splat(0.0); P];
    for (panel, weights) in weights.chunks_exact_mut(weight_steps).enumerate() {
        let shift = vectors.sub(largest[panel], vectors.splat(WEIGHT_BITS as f32));
        let sum = quantize_weights(layout, &scores[panel * kv_rows..][..kv_rows], shift, weights);
        inverse_sums[panel] = vectors.div(vectors.splat(1.0), sum);
    }
    inverse_sums
}

/// Writes 2^(score - shift), rounded to integers, and returns their sum for each query.
#[inline(always)]
fn quantize_weights<L: Layout<N, R>, const N: usize, const R: usize>(
    layout: L,
    scores: &[[f32; N]],
    shift: Floats<L, N, R>,
    weights: &mut [[[i16; 2]; N]],
) -> Floats<L, N, R> {
    let vectors = layout.vectors();
    let mut sum = vectors.splat_i32(0);
    let (pairs, last) = scores.as_chunks::<2>();
    // Two at a time, since an array of one or two would lie in memory.
    for ([first, second], step) in pairs.iter().zip(&mut *weights) {
        let first = rounded_weight(vectors, vectors.load(first), shift);
        let second = rounded_weight(vectors, vectors.load(second), shift);
        sum = vectors.add_i32(sum, store_weights(layout, first, second, step));
    }
    if let ([score], Some(step)) = (last, weights.last_mut()) {
        let first = rounded_weight(vectors, vectors.load(score), shift);
        let second = vectors.splat_i32(ROUND.to_bits() as i32);
        sum = vectors.add_i32(sum, store_weights(layout, first, second, step));
    }
    vectors.convert(sum)
}

/// 2^(score - shift) as [`round`] leaves it.
#[inline(always)]
fn rounded_weight<V: Vectors>(vectors: V, score: V::F32, shift: V::F32) -> V::I32 {
    round(vectors, exp2(vectors, vectors.sub(score, shift)))
}

/// Stores the weights of a pair of rows, as [`round`] leaves them, and returns their sum.
#[inline(always)]
fn store_weights<L: Layout<N, R>, const N: usize, const R: usize>(
    layout: L,
    first: Integers<L, N, R>,
    second: Integers<L, N, R>,
    step: &mut [[i16; 2]; N],
) -> Integers<L, N, R> {
    let vectors = layout.vectors();
    let zero = vectors.splat_i32(ROUND.to_bits() as i32);
    layout.store_pairs(first, second, step);
    vectors.add_i32(vectors.sub_i32(first, zero), vectors.sub_i32(second, zero))
}

/// Stores the sums of the values weighted by softmax, for `P` panels of queries from `first` on.
#[inline(always)]
fn weigh_values<L: Layout<N, R>, const N: usize, const R: usize, const P: usize>(
    layout: L,
    head: &Head,
    kv: &PackedKeysValues<R>,
    weights: &[[[i16; 2]; N]],
    inverse_sums: [Floats<L, N, R>; P],
    first: usize,
    out: DisjointMut<f32>,
) {
    let weight_steps = weights.len() / P;
    let vectors = layout.vectors();
    // The values are packed in groups of eight columns; the last group's second panel may lie beyond the head.
    let panels = kv.values.chunks_exact(weight_steps).take(head.k.width.div_ceil(R));
    for (panel, values) in panels.enumerate() {
        let mut totals = [[vectors.splat(0.0); P]; R];
        for (block, values) in values.chunks(BLOCK).enumerate() {
            let weights = &weights[block * BLOCK..];
            let tile = tile::<L::Simd, L::I16, R, P>(layout.simd(), values, weights, weight_steps);
            for (total, sum) in totals.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
                *total = vectors.add(*total, vectors.convert(*sum));
            }
        }
        for (queries, inverse) in inverse_sums.into_iter().enumerate() {
            let mut columns = [inverse; R];
            let scales = &kv.value_scales[panel * R..];
            for ((column, totals), scale) in columns.iter_mut().zip(&totals).zip(scales) {
                *column = vectors.mul(vectors.mul(*column, vectors.splat(*scale)), totals[queries]);
            }
            head.store(layout, columns, panel * R, first + queries * N, out);
        }
    }
}

/// Quantizes `N` queries from `first` on, one step per pair of columns, and returns their scales.
#[inline(always)]
fn pack_queries<S: Simd, const N: usize>(
    simd: S,
    q: Rows,
    first: usize,
    steps: &mut [[[i16; 2]; N]],
) -> [f32; N] {
    let mut scales = [0.0; N];
    for (part, scales) in scales.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let four = FourRows::new(simd, q.panel(first + part * ROWS), max_score_factor(q.width));
        *scales = four.scales();
        four.pack(simd, steps, part);
    }
    scales
}

/// Quantizes the columns of `v` and packs them in panels of `R`, one step per pair of rows. `scales` takes the columns'
/// scales.
#[inline(always)]
fn pack_values<S: Simd, const R: usize>(simd: S, v: Rows, panels: &mut [[[i16; 2]; R]], scales: &mut [f32]) {
    let steps = v.count.div_ceil(2);
    let groups = panels.chunks_exact_mut(LANES / R * steps).zip(scales.as_chunks_mut::<LANES>().0);
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
        for step in 0..steps {
            let mut rounded = [simd.splat_i32(0); 2];
            for (rounded, row) in rounded.iter_mut().zip(2 * step..) {
                let values = load_part(simd, tail(v.row(row), group * LANES));
                *rounded = round(simd, simd.mul(values, inverses));
            }
            let mut pairs = [[0; 2]; LANES];
            simd.store_pairs(simd.pair(rounded[0], rounded[1]), &mut pairs);
            for (panel, pairs) in panels.chunks_exact_mut(steps).zip(pairs.as_chunks().0) {
                panel[step] = *pairs;
            }
        }
    }
}
