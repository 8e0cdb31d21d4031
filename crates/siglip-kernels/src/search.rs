//! Search in embeddings of 8 bits: the vectors with the largest dot products with a query.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::dispatch::{Kernel, dispatch};
use crate::quantize::MAX_WEIGHT;
use crate::simd::{LANES, Simd, padded};

/// Values that one vector of pairs holds.
const STEP: usize = 2 * LANES;
/// Vectors that share each load of the query.
const TILE: usize = 4;

/// A vector that a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its place among the vectors.
    pub place: usize,
    /// Its dot product with the query.
    pub score: f32,
}

/// Vectors that lie one after the other in memory: what [`quantize_rows`](crate::quantize_rows) makes of them. Each is nearly its
/// scale times its quantized values.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// [vectors, values]
    pub vectors: &'a [i8],
    /// One per vector.
    pub scales: &'a [f32],
}

/// The `count` vectors with the largest dot products with `query`, best first; of equal ones, the first. Places count on from one
/// group of rows to the next.
///
/// The query is quantized to 16 bits, or to as many as the sums in i32 leave room for, and sums are exact: every
/// instruction set gives the same scores. The calling thread works alone.
///
/// # Panics
/// If the query is empty or longer than 65536, or unless there is one scale per vector.
pub fn top_k(query: &[f32], rows: &[Rows], count: usize) -> Vec<Hit> {
    assert!((1..=1 << 16).contains(&query.len()), "a query of {} values", query.len());
    for Rows { vectors, scales } in rows {
        assert_eq!(vectors.len(), scales.len() * query.len(), "not one scale per vector");
    }
    let count = count.min(rows.iter().map(|rows| rows.scales.len()).sum());
    if count == 0 {
        return Vec::new();
    }
    let (values, query_scale) = quantized(query);
    dispatch(Search { query: &values, query_scale, len: query.len(), rows, best: Best::new(count) })
}

/// The query as integers, padded with zeros to whole steps, and the value of one.
fn quantized(query: &[f32]) -> (Vec<[[i16; 2]; LANES]>, f32) {
    let most = (i32::MAX as usize / (MAX_WEIGHT as usize * query.len())).min(i16::MAX as usize) as f32;
    let largest = query.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    // Of the smallest numbers the inverse is infinite.
    let inverse = if largest < f32::MIN_POSITIVE { 0.0 } else { most / largest };
    let step = |values: &[f32]| {
        let values: [f32; STEP] = padded(values);
        let value = |at: usize| (values[at] * inverse).round_ties_even() as i16;
        std::array::from_fn(|pair| [value(2 * pair), value(2 * pair + 1)])
    };
    (query.chunks(STEP).map(step).collect(), largest / most)
}

struct Search<'a> {
    query: &'a [[[i16; 2]; LANES]],
    query_scale: f32,
    /// Values of a vector.
    len: usize,
    rows: &'a [Rows<'a>],
    best: Best,
}

impl Kernel for Search<'_> {
    type Output = Vec<Hit>;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Vec<Hit> {
        let (rows, len, mut first) = (self.rows, self.len, 0);
        for Rows { vectors, scales } in rows {
            let (tiles, rest) = scales.as_chunks::<TILE>();
            let (tile_values, rest_values) = vectors.split_at(tiles.len() * TILE * len);
            for (scales, values) in tiles.iter().zip(tile_values.chunks_exact(TILE * len)) {
                let rows = std::array::from_fn(|row| &values[row * len..(row + 1) * len]);
                self.offer(first, scales, dot_products::<S, TILE>(simd, self.query, rows));
                first += TILE;
            }
            for (scale, values) in rest.iter().zip(rest_values.chunks_exact(len)) {
                self.offer(first, &[*scale], dot_products(simd, self.query, [values]));
                first += 1;
            }
        }
        self.best.into_sorted()
    }
}

impl Search<'_> {
    #[inline(always)]
    fn offer<const ROWS: usize>(&mut self, first: usize, scales: &[f32; ROWS], sums: [i32; ROWS]) {
        for (row, (sum, scale)) in sums.into_iter().zip(scales).enumerate() {
            self.best.offer(Hit { place: first + row, score: sum as f32 * (self.query_scale * scale) });
        }
    }
}

/// The dot products of some rows with the query.
#[inline(always)]
fn dot_products<S: Simd, const ROWS: usize>(
    simd: S,
    query: &[[[i16; 2]; LANES]],
    rows: [&[i8]; ROWS],
) -> [i32; ROWS] {
    let mut sums = [simd.splat_i32(0); ROWS];
    let steps = rows.map(|row| row.as_chunks::<2>().0.as_chunks::<LANES>().0);
    let whole = rows.first().map_or(0, |row| row.len() / STEP).min(query.len());
    for (step, query) in query[..whole].iter().enumerate() {
        let query = simd.load_pairs(query);
        for (sum, steps) in sums.iter_mut().zip(&steps) {
            *sum = simd.dot_add(*sum, simd.widen_pairs(&steps[step]), query);
        }
    }
    if let Some(query) = query.get(whole) {
        let query = simd.load_pairs(query);
        for (sum, row) in sums.iter_mut().zip(rows) {
            let rest: [i8; STEP] = padded(&row[whole * STEP..]);
            let pairs = std::array::from_fn(|pair| [rest[2 * pair], rest[2 * pair + 1]]);
            *sum = simd.dot_add(*sum, simd.widen_pairs(&pairs), query);
        }
    }
    let mut totals = [0; ROWS];
    for (total, sum) in totals.iter_mut().zip(sums) {
        let mut lanes = [0; LANES];
        simd.store_i32(sum, &mut lanes);
        *total = lanes.iter().sum();
    }
    totals
}

/// The best hits so far; the worst of them is on top of the heap.
struct Best {
    count: usize,
    /// A score above this one is among the best.
    bar: f32,
    heap: BinaryHeap<Worst>,
}

impl Best {
    fn new(count: usize) -> Best {
        Best { count, bar: f32::NEG_INFINITY, heap: BinaryHeap::with_capacity(count + 1) }
    }

    /// Hits are offered in the order of their places. One that only equals the worst is therefore none of the best.
    #[inline(always)]
    fn offer(&mut self, hit: Hit) {
        if hit.score > self.bar || self.heap.len() < self.count {
            self.insert(hit);
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, hit: Hit) {
        self.heap.push(Worst(hit));
        if self.heap.len() > self.count {
            self.heap.pop();
        }
        if self.heap.len() == self.count {
            self.bar = self.heap.peek().map_or(f32::NEG_INFINITY, |worst| worst.0.score);
        }
    }

    fn into_sorted(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|worst| worst.0).collect()
    }
}

/// A hit that is the greater the worse it is.
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.score.total_cmp(&self.0.score).then(self.0.place.cmp(&other.0.place))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}
