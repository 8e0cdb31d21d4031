//! Products of matrices from bfloat16 factors with f32 sums, which processors with AVX512-BF16 do twice as fast as those
//! from f32 factors; elsewhere, and for measures that are no multiple of a tile's, candle's f32 product.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{numbers, with_numbers};

/// What the factors of a product are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Nothing: as the engine computes.
    F32,
    /// bfloat16, where that is faster: to train.
    Bf16,
}

/// `x`, `[rows, inputs]`, times the transpose of `weight`, `[outputs, inputs]`.
pub fn product(x: &Tensor, weight: &Tensor, rounding: Rounding) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let rows = x.dim(0)?;
    if rounding == Rounding::Bf16 && is_fast(rows, inputs, outputs) {
        x.apply_op2(weight, Product { rows, inputs, outputs })
    } else {
        x.matmul(&weight.t()?)
    }
}

#[cfg(target_arch = "x86_64")]
fn is_fast(rows: usize, inputs: usize, outputs: usize) -> bool {
    rows.is_multiple_of(2)
        && inputs.is_multiple_of(tiles::COLUMNS)
        && outputs.is_multiple_of(tiles::COLUMNS)
        && std::is_x86_feature_detected!("avx512bf16")
        && std::is_x86_feature_detected!("avx512bw")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_fast(_: usize, _: usize, _: usize) -> bool {
    false
}

#[derive(Clone, Copy)]
struct Product {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(numbers(x, xl)?, numbers(weight, wl)?);
        Ok((CpuStorage::F32(y), Shape::from((self.rows, self.outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (grad_x, grad_weight) = with_numbers(x, |x| {
            with_numbers(weight, |weight| with_numbers(grad, |grad| self.backward(x, weight, grad)))
        })???;
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(grad_weight, weight.shape(), x.device())?),
        ))
    }
}

#[cfg(target_arch = "x86_64")]
impl Product {
    fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        // SAFETY: `product` found the processor's features before it made this operation.
        unsafe {
            let weight = tiles::pairs_of_rows(weight);
            let columns = tiles::transposed(&weight, self.outputs);
            let rows = tiles::Rows::one_by_one(tiles::pairs_of_rows(x), self.inputs / 2);
            tiles::multiply(&rows, self.rows, &columns, self.outputs)
        }
    }

    fn backward(&self, x: &[f32], weight: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
        // SAFETY: as in `forward`.
        unsafe {
            let columns = tiles::pairs_of_columns(weight, self.inputs);
            let rows = tiles::Rows::one_by_one(tiles::pairs_of_rows(grad), self.outputs / 2);
            let grad_x = tiles::multiply(&rows, self.rows, &columns, self.inputs);
            let columns = tiles::pairs_of_columns(x, self.inputs);
            let rows = tiles::Rows::of_panels(tiles::pairs_of_columns(grad, self.outputs));
            let grad_weight = tiles::multiply(&rows, self.outputs, &columns, self.inputs);
            (grad_x, grad_weight)
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Product {
    fn forward(&self, _: &[f32], _: &[f32]) -> Vec<f32> {
        unreachable!("`is_fast` is never true here")
    }

    fn backward(&self, _: &[f32], _: &[f32], _: &[f32]) -> (Vec<f32>, Vec<f32>) {
        unreachable!("`is_fast` is never true here")
    }
}

/// The product of packed factors. A pair is two bfloat16 numbers that follow each other along the inner dimension, the
/// first in the lower half of a u32: the instruction multiplies and adds two at once.
#[cfg(target_arch = "x86_64")]
mod tiles {
    use std::arch::x86_64::*;

    /// Columns of a tile, in four registers, and of a panel.
    pub const COLUMNS: usize = 64;
    /// Rows of a tile: 16 sums hide the latency of their additions.
    const ROWS: usize = 4;
    /// Pairs between two rounds through the result: so many of a panel's fit the first-level cache beside the rows.
    const BLOCK: usize = 64;

    /// The right factor, panel after panel of [`COLUMNS`] columns: within one, pair after pair, within one, the columns.
    pub struct Panels {
        pairs: Vec<u32>,
        inner: usize,
    }

    /// The left factor, whose pair `p` of row `r` is found by [`Rows::place`].
    pub struct Rows {
        pairs: Vec<u32>,
        inner: usize,
        in_panels: bool,
    }

    impl Rows {
        /// Rows of `inner` pairs, one after the other.
        pub fn one_by_one(pairs: Vec<u32>, inner: usize) -> Rows {
            Rows { pairs, inner, in_panels: false }
        }

        /// The transpose of panels: their columns are the rows.
        pub fn of_panels(panels: Panels) -> Rows {
            Rows { pairs: panels.pairs, inner: panels.inner, in_panels: true }
        }

        /// Where a row begins, the distance to the next row of its tile, and from one pair to the next.
        fn place(&self, row: usize) -> (usize, usize, usize) {
            if self.in_panels {
                (row / COLUMNS * self.inner * COLUMNS + row % COLUMNS, 1, COLUMNS)
            } else {
                (row * self.inner, self.inner, 1)
            }
        }
    }

    /// Rounds to bfloat16, which leaves two numbers that follow each other in a pair.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn pairs_of_rows(matrix: &[f32]) -> Vec<u32> {
        let mut pairs = vec![0u32; matrix.len() / 2];
        for (from, to) in matrix.chunks_exact(32).zip(pairs.chunks_exact_mut(16)) {
            // SAFETY: 32 numbers are read and 16 pairs written, which the chunks hold.
            unsafe {
                let (low, high) = (_mm512_loadu_ps(from.as_ptr()), _mm512_loadu_ps(from.as_ptr().add(16)));
                let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), rounded);
            }
        }
        pairs
    }

    /// Panels of a matrix `[2·inner, columns]`: each pair is a number and the one below it.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn pairs_of_columns(matrix: &[f32], columns: usize) -> Panels {
        let inner = matrix.len() / columns / 2;
        let mut pairs = vec![0u32; inner * columns];
        // From the lower and the upper half by turns.
        let turns: [u16; 32] = std::array::from_fn(|i| (i / 2 + i % 2 * 16) as u16);
        // SAFETY: the array is 64 bytes; every read and write below is of 16 columns within one row or panel, as
        // `columns` is a multiple of `COLUMNS`.
        unsafe {
            let turns = _mm512_loadu_si512(turns.as_ptr().cast());
            for p in 0..inner {
                for column in (0..columns).step_by(16) {
                    let above = _mm512_loadu_ps(matrix.as_ptr().add(2 * p * columns + column));
                    let below = _mm512_loadu_ps(matrix.as_ptr().add((2 * p + 1) * columns + column));
                    let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(below, above));
                    let panel = column / COLUMNS * inner + p;
                    let to = pairs.as_mut_ptr().add(panel * COLUMNS + column % COLUMNS);
                    _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi16(turns, rounded));
                }
            }
        }
        Panels { pairs, inner }
    }

    /// Panels of the transpose of `columns` rows of pairs.
    pub fn transposed(rows: &[u32], columns: usize) -> Panels {
        let inner = rows.len() / columns;
        let mut pairs = vec![0u32; rows.len()];
        for (panel, rows) in pairs.chunks_exact_mut(inner * COLUMNS).zip(rows.chunks_exact(inner * COLUMNS)) {
            for (p, line) in panel.chunks_exact_mut(COLUMNS).enumerate() {
                line.iter_mut().zip(rows[p..].iter().step_by(inner)).for_each(|(to, from)| *to = *from);
            }
        }
        Panels { pairs, inner }
    }

    /// The product `[rows, columns]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn multiply(left: &Rows, rows: usize, right: &Panels, columns: usize) -> Vec<f32> {
        let inner = right.inner;
        assert!(
            left.inner == inner && left.pairs.len() == rows * inner && right.pairs.len() == inner * columns
        );
        assert!(columns.is_multiple_of(COLUMNS) && (!left.in_panels || rows.is_multiple_of(COLUMNS)));
        let mut out: Vec<f32> = Vec::with_capacity(rows * columns);
        for first in (0..inner).step_by(BLOCK) {
            let pairs = BLOCK.min(inner - first);
            for column in (0..columns).step_by(COLUMNS) {
                let panel = (column / COLUMNS * inner + first) * COLUMNS;
                for row in (0..rows).step_by(ROWS) {
                    let (start, to_row, to_pair) = left.place(row);
                    let height = ROWS.min(rows - row);
                    // SAFETY: by the assertions above all places are inside the three vectors: `height` rows of `pairs`
                    // pairs from `start`, as many pairs of one panel, and `height` rows of a tile in the result's room.
                    unsafe {
                        let a = left.pairs.as_ptr().add(start + first * to_pair);
                        let b = right.pairs.as_ptr().add(panel);
                        let c = out.as_mut_ptr().add(row * columns + column);
                        let more = first > 0;
                        match height {
                            4 => tile::<4>(a, to_row, to_pair, b, pairs, c, columns, more),
                            3 => tile::<3>(a, to_row, to_pair, b, pairs, c, columns, more),
                            2 => tile::<2>(a, to_row, to_pair, b, pairs, c, columns, more),
                            _ => tile::<1>(a, to_row, to_pair, b, pairs, c, columns, more),
                        }
                    }
                }
            }
        }
        // SAFETY: the first round of pairs has written every tile, and the tiles are all of the result.
        unsafe { out.set_len(if inner > 0 { rows * columns } else { 0 }) };
        out
    }

    /// Writes the product of some pairs to `HEIGHT` rows of [`COLUMNS`] columns of `c`, or adds it where there is `more`
    /// than what this writes.
    ///
    /// # Safety
    /// `a` has `pairs` pairs at distances `to_pair` in `HEIGHT` rows at distances `to_row`, `b` has `pairs` lines of
    /// [`COLUMNS`], and `c` has `HEIGHT` rows at distances `to_row_of_c`, with numbers in them where there is `more`.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "three places, each with its distances")]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tile<const HEIGHT: usize>(
        a: *const u32,
        to_row: usize,
        to_pair: usize,
        b: *const u32,
        pairs: usize,
        c: *mut f32,
        to_row_of_c: usize,
        more: bool,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); COLUMNS / 16]; HEIGHT];
            for p in 0..pairs {
                let line: [__m512bh; COLUMNS / 16] = std::array::from_fn(|i| {
                    std::mem::transmute(_mm512_loadu_si512(b.add(p * COLUMNS + 16 * i).cast()))
                });
                for (row, sums) in sums.iter_mut().enumerate() {
                    let pair = *a.add(row * to_row + p * to_pair);
                    let pair: __m512bh = std::mem::transmute(_mm512_set1_epi32(pair.cast_signed()));
                    for (sum, line) in sums.iter_mut().zip(line) {
                        *sum = _mm512_dpbf16_ps(*sum, pair, line);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (i, sum) in sums.iter().enumerate() {
                    let to = c.add(row * to_row_of_c + 16 * i);
                    _mm512_storeu_ps(to, if more { _mm512_add_ps(_mm512_loadu_ps(to), *sum) } else { *sum });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;
    use candle_core::Var;

    #[test]
    fn bf16_products_and_their_gradients_are_near_those_of_f32() {
        for (rows, inputs, outputs) in [(6, 64, 128), (130, 192, 64), (320, 128, 512)] {
            let x = Var::from_tensor(&noise(&[rows, inputs], 1)).unwrap();
            let weight = Var::from_tensor(&noise(&[outputs, inputs], 2)).unwrap();
            let pull = noise(&[rows, outputs], 3);
            let run = |rounding| {
                let y = product(&x, &weight, rounding).unwrap();
                let gradients = (&y * &pull).unwrap().sum_all().unwrap().backward().unwrap();
                [y, gradients.get(&x).unwrap().clone(), gradients.get(&weight).unwrap().clone()]
            };
            let inner = [inputs, outputs, rows];
            for ((fast, exact), inner) in run(Rounding::Bf16).iter().zip(run(Rounding::F32)).zip(inner) {
                assert_eq!(fast.dims(), exact.dims());
                let worst =
                    (fast - exact).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                // Each factor is off by up to 2^-9 of itself; the sum's error grows as the root of its terms.
                let bound = (inner as f32).sqrt() * 2f32.powi(-7);
                assert!(worst < bound, "{rows} {inputs} {outputs}: {worst}");
            }
        }
    }
}
