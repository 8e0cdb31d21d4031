//! How the rows of a quantized product are quantized.
//!
//! A byte has 255 steps from a row's least value to its largest. That suffices where a row's values are spread evenly. In a row
//! with an outlier, most values would share a few steps; such rows are quantized to 16 bits.

use super::BLOCK_ROWS;
use super::bytes::ByteQuantizer;
use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, byte_dots, dispatch, wide};
use crate::precision::Precision;
use crate::quantize::{Quantizer, ROUND, magnitude_bits, max_activation};
use crate::rows::Rows;
use crate::simd::{LANES, Simd, load_part};
use crate::thread_pool::parallel_for;

/// What decides how a row is quantized, or one worker's columns of it: the bits of its largest value, and of its largest negated
/// value, zero at least; and the sum of its magnitudes in steps of 2⁻¹².
///
/// A NaN counts as larger than infinity. The sum wraps, so it is the same in any order; rows whose sum could wrap take 16 bits.
pub type RowRange = [i32; 3];

/// Steps of a [`RowRange`]'s sum that make 1.
const SUM_STEPS: f32 = 4096.0;

/// A row of bytes has a mean magnitude of at least so many steps.
const LEAST_MEAN: f32 = 16.0;

/// The largest range of a row of bytes, times its inputs: no sum of its magnitudes wraps.
const MAX_SUM: f32 = i32::MAX as f32 / SUM_STEPS / 2.0;

/// A row is an outlier row, for 16 bits, if its range is more than so many times its mean magnitude.
const OUTLIER_RATIO: f32 = 20.0;

/// Products with fewer inputs take 16 bits: they are fast as they are, and in short sums rounding errors average out less.
const MIN_INPUTS: usize = 256;

/// Rows that a thread looks at at a time.
const ROWS_PER_PART: usize = 32;

/// The [`RowRange`] of each row of `x` [ranges.len(), width].
///
/// # Panics
/// If `x` is not as many rows of `width` as `ranges` is long.
pub fn row_ranges(x: &[f32], width: usize, ranges: &mut [RowRange]) {
    assert_eq!(x.len(), ranges.len() * width, "x is not rows of {width}, as many as ranges");
    let (x, all) = (Rows::of_matrix(x, width, 0, ranges.len()), DisjointMut::new(ranges));
    parallel_for(x.count.div_ceil(ROWS_PER_PART), &|part| {
        let rows = x.slice(part * ROWS_PER_PART, ROWS_PER_PART);
        // SAFETY: each part has rows of its own.
        let ranges = unsafe { all.slice_mut(part * ROWS_PER_PART, rows.count) };
        dispatch(FindRanges(rows, ranges));
    });
}

/// Combines the ranges of a worker's columns with those of another worker's columns of the same rows, in any order.
pub fn merge_row_ranges(ranges: &mut [RowRange], others: &[RowRange]) {
    for ([largest, least, sum], other) in ranges.iter_mut().zip(others) {
        *largest = (*largest).max(other[0]);
        *least = (*least).max(other[1]);
        *sum = sum.wrapping_add(other[2]);
    }
}

struct FindRanges<'a>(Rows<'a>, &'a mut [RowRange]);

impl Kernel for FindRanges<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, range) in self.1.iter_mut().enumerate() {
            *range = range_of(simd, self.0.row(row));
        }
    }
}

#[inline(always)]
fn range_of<S: Simd>(simd: S, row: &[f32]) -> RowRange {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let zero = simd.splat_i32(0);
    let mut range = extend(simd, [zero; 3], load_part(simd, rest));
    for values in chunks {
        range = extend(simd, range, simd.load(values));
    }
    let mut sums = [0; LANES];
    simd.store_i32(range[2], &mut sums);
    // Every sum has the bits of `ROUND` once for each vector.
    let offset = (ROUND.to_bits() as i32).wrapping_mul((LANES * (chunks.len() + 1)) as i32);
    let sum = sums.into_iter().fold(0, i32::wrapping_add).wrapping_sub(offset);
    [simd.max_lane(range[0]), simd.max_lane(range[1]), sum]
}

/// Extends a range by the values of one vector.
#[inline(always)]
fn extend<S: Simd>(simd: S, [largest, least, sum]: [S::I32; 3], values: S::F32) -> [S::I32; 3] {
    // As integers, the bits of positive numbers are in the order of the numbers, and those of negative ones below zero.
    let (bits, sign) = (simd.to_bits(values), simd.splat_i32(i32::MIN));
    let magnitude = simd.bits_to_f32(magnitude_bits(simd, values));
    let steps = simd.mul_add(magnitude, simd.splat(SUM_STEPS), simd.splat(ROUND));
    [
        simd.max_i32(largest, bits),
        simd.max_i32(least, simd.sub_i32(bits, sign)),
        simd.add_i32(sum, simd.to_bits(steps)),
    ]
}

/// The largest magnitude of a row.
fn magnitude([largest, least, _]: RowRange) -> f32 {
    f32::from_bits(largest.max(least) as u32)
}

impl ByteQuantizer {
    /// The quantizer of a row of so many inputs; none for an outlier row, and for one that holds a NaN or infinity, or hardly
    /// more than zeros.
    fn of_range([largest, least, sum]: RowRange, inputs: usize) -> Option<Self> {
        let (largest, least) = (f32::from_bits(largest as u32), f32::from_bits(least as u32));
        let (range, inputs, sum) = (largest + least, inputs as f32, sum as f32);
        // With a NaN or infinity the first comparison is false.
        let regular = range * inputs <= MAX_SUM
            && sum >= LEAST_MEAN * inputs
            && range * inputs * SUM_STEPS <= OUTLIER_RATIO * sum;
        regular.then(|| ByteQuantizer::new(largest, least))
    }
}

/// How the rows of a block are quantized, sorted into those of bytes and those of 16 bits.
pub(super) struct RowPlan {
    /// The largest quantized value of a row of 16 bits.
    pub max: f32,
    /// The quantization scale of each row.
    pub scales: [f32; BLOCK_ROWS],
    pub bytes: RowsOfKind<ByteQuantizer>,
    /// Rows of 16 bits with their largest magnitudes.
    pub exact: RowsOfKind<f32>,
}

/// Numbers of rows, and how each is quantized.
pub(super) struct RowsOfKind<T> {
    rows: [u16; BLOCK_ROWS],
    quantizers: [T; BLOCK_ROWS],
    len: usize,
}

impl<T: Copy + Default> RowsOfKind<T> {
    fn new() -> Self {
        RowsOfKind { rows: [0; BLOCK_ROWS], quantizers: [T::default(); BLOCK_ROWS], len: 0 }
    }

    fn push(&mut self, row: usize, quantizer: T) {
        self.rows[self.len] = row as u16;
        self.quantizers[self.len] = quantizer;
        self.len += 1;
    }

    pub fn rows(&self) -> &[u16] {
        &self.rows[..self.len]
    }

    pub fn quantizers(&self) -> &[T] {
        &self.quantizers[..self.len]
    }
}

impl RowPlan {
    /// The plan for up to [`BLOCK_ROWS`] rows with these ranges, each of so many inputs.
    pub fn new(ranges: &[RowRange], inputs: usize, precision: Precision) -> Self {
        let multiplies_bytes = wide().is_some() || byte_dots().is_some();
        let in_bytes = precision == Precision::Q8 && inputs >= MIN_INPUTS && multiplies_bytes;
        Self::with_bytes(ranges, inputs, in_bytes)
    }

    /// As [`RowPlan::new`]; `in_bytes` says whether there may be rows of bytes.
    pub fn with_bytes(ranges: &[RowRange], inputs: usize, in_bytes: bool) -> Self {
        let max = max_activation(inputs);
        let (scales, bytes, exact) = ([0.0; BLOCK_ROWS], RowsOfKind::new(), RowsOfKind::new());
        let mut plan = RowPlan { max, scales, bytes, exact };
        for (row, range) in ranges.iter().enumerate() {
            match ByteQuantizer::of_range(*range, inputs).filter(|_| in_bytes) {
                Some(quantizer) => {
                    plan.scales[row] = quantizer.scale;
                    plan.bytes.push(row, quantizer);
                }
                None => {
                    plan.scales[row] = Quantizer::of_magnitude(magnitude(*range), max).scale;
                    plan.exact.push(row, magnitude(*range));
                }
            }
        }
        plan
    }
}
