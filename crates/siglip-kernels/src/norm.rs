//! Layer normalisation and L2 normalisation.

use crate::disjoint_slice::DisjointMut;
use crate::dispatch::{Kernel, dispatch};
use crate::simd::{LANES, Simd, load_part};
use crate::thread_pool::parallel_for;

/// Rows that a thread takes at a time.
const ROWS_PER_PART: usize = 32;

/// Layer normalisation of each row of `x`: (x - mean) / √(variance + eps) · gamma + beta. Rows are as long as `gamma`.
///
/// # Panics
/// If `beta` is not as long as `gamma`, or `out` as `x`, or `x` is not whole rows.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(gamma.len(), beta.len(), "gamma and beta differ in length");
    assert_eq!(x.len(), out.len(), "input and output differ in length");
    if x.is_empty() {
        return;
    }
    assert!(
        !gamma.is_empty() && x.len().is_multiple_of(gamma.len()),
        "input is not whole rows of {}",
        gamma.len()
    );
    let values = ROWS_PER_PART * gamma.len();
    let (len, out) = (x.len(), DisjointMut::new(out));
    parallel_for(len.div_ceil(values), &|part| {
        let x = &x[part * values..len.min((part + 1) * values)];
        // SAFETY: each part has rows of its own.
        let out = unsafe { out.slice_mut(part * values, x.len()) };
        dispatch(LayerNorm { x, gamma, beta, eps, out });
    });
}

struct LayerNorm<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.gamma.len();
        let (gamma, gamma_rest) = self.gamma.as_chunks::<LANES>();
        let (beta, beta_rest) = self.beta.as_chunks::<LANES>();
        for (row, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let (row, row_rest) = row.as_chunks::<LANES>();
            let (out, out_rest) = out.as_chunks_mut::<LANES>();
            let mean = sum(simd, row, row_rest) / width as f32;
            let means = simd.splat(mean);
            let rest: f32 = row_rest.iter().map(|value| (value - mean).powi(2)).sum();
            let variance = (sum_of_squares(simd, row, means) + rest) / width as f32;
            let inverse = 1.0 / (variance + self.eps).sqrt();
            let inverses = simd.splat(inverse);
            for ((values, out), (gamma, beta)) in row.iter().zip(out).zip(gamma.iter().zip(beta)) {
                let normed = simd.mul(simd.sub(simd.load(values), means), inverses);
                simd.store(simd.mul_add(normed, simd.load(gamma), simd.load(beta)), out);
            }
            for ((value, out), (gamma, beta)) in
                row_rest.iter().zip(out_rest).zip(gamma_rest.iter().zip(beta_rest))
            {
                *out = (value - mean) * inverse * gamma + beta;
            }
        }
    }
}

/// The sum of a row, in four accumulators: with one, each addition would wait for the one before.
#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[[f32; LANES]], rest: &[f32]) -> f32 {
    let (fours, others) = row.as_chunks::<4>();
    let [mut a, mut b, mut c, mut d] =
        [load_part(simd, rest), simd.splat(0.0), simd.splat(0.0), simd.splat(0.0)];
    for values in fours {
        a = simd.add(a, simd.load(&values[0]));
        b = simd.add(b, simd.load(&values[1]));
        c = simd.add(c, simd.load(&values[2]));
        d = simd.add(d, simd.load(&values[3]));
    }
    for values in others {
        a = simd.add(a, simd.load(values));
    }
    simd.sum(simd.add(simd.add(a, b), simd.add(c, d)))
}

/// The sum of the squared differences from the mean.
#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, row: &[[f32; LANES]], means: S::F32) -> f32 {
    let (pairs, others) = row.as_chunks::<2>();
    let [mut a, mut b] = [simd.splat(0.0); 2];
    for values in pairs {
        let centred = simd.sub(simd.load(&values[0]), means);
        a = simd.mul_add(centred, centred, a);
        let centred = simd.sub(simd.load(&values[1]), means);
        b = simd.mul_add(centred, centred, b);
    }
    for values in others {
        let centred = simd.sub(simd.load(values), means);
        a = simd.mul_add(centred, centred, a);
    }
    simd.sum(simd.add(a, b))
}

/// Divides a vector by its L2 norm. A vector of zeros stays as it is.
pub fn l2_normalize(values: &mut [f32]) {
    let norm = crate::dot(values, values).sqrt();
    if norm > 0.0 {
        values.iter_mut().for_each(|value| *value /= norm);
    }
}
