//! Layer normalisation and L2 normalisation.

use crate::backend::{Kernel, dispatch};
use crate::simd::{LANES, Simd, load_part};

/// Every row of `x`, as long as `gamma`: (x - mean) / √(variance + eps) · gamma + beta.
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
    dispatch(LayerNorm { x, gamma, beta, eps, out });
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
            let mut sum = load_part(simd, row_rest);
            for values in row {
                sum = simd.add(sum, simd.load(values));
            }
            let mean = simd.sum(sum) / width as f32;
            let means = simd.splat(mean);
            let mut squares = simd.splat(0.0);
            for values in row {
                let centred = simd.sub(simd.load(values), means);
                squares = simd.mul_add(centred, centred, squares);
            }
            let rest: f32 = row_rest.iter().map(|value| (value - mean).powi(2)).sum();
            let variance = (simd.sum(squares) + rest) / width as f32;
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

/// Divides a vector by its L2 norm; a vector of zeros stays.
pub fn l2_normalise(values: &mut [f32]) {
    let norm = crate::dot(values, values).sqrt();
    if norm > 0.0 {
        values.iter_mut().for_each(|value| *value /= norm);
    }
}
