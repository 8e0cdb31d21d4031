//! Layer norm (Ba et al., 1607.06450).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{numbers, sum, with_numbers};

/// The reference's layer_norm_eps.
const EPSILON: f32 = 1e-6;

/// Every row of `x`, `[rows, width]`, to mean 0 and variance 1, times `weight`, plus `bias`, both `[width]`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.apply_op3(weight, bias, LayerNorm)
}

/// The mean of a row and what brings its variance to 1.
fn moments(row: &[f32]) -> (f32, f32) {
    let width = row.len() as f32;
    let mean = sum(row) / width;
    let mut squares = [0.0f32; 16];
    let chunks = row.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| (x - mean) * (x - mean)).sum();
    for chunk in chunks {
        squares.iter_mut().zip(chunk).for_each(|(sum, x)| *sum = (x - mean).mul_add(x - mean, *sum));
    }
    let variance = (sum(&squares) + rest) / width;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

struct LayerNorm;

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mut y, weight, bias) = (numbers(x, xl)?.to_vec(), numbers(weight, wl)?, numbers(bias, bl)?);
        for row in y.chunks_exact_mut(weight.len()) {
            let (mean, scale) = moments(row);
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = ((*x - mean) * scale).mul_add(*w, *b);
            }
        }
        Ok((CpuStorage::F32(y), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradients = with_numbers(x, |x| {
            with_numbers(weight, |weight| with_numbers(grad, |grad| backward(x, weight, grad)))
        })???;
        let [grad_x, grad_weight, grad_bias] = gradients;
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(grad_weight, weight.shape(), x.device())?),
            Some(Tensor::from_vec(grad_bias, weight.shape(), x.device())?),
        ))
    }
}

/// The gradients of x, weight and bias.
fn backward(x: &[f32], weight: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
    let width = weight.len();
    let (mut grad_x, mut grad_weight, mut grad_bias) =
        (vec![0.0; x.len()], vec![0.0; width], vec![0.0; width]);
    let mut normal = vec![0.0; width];
    let (mut scaled, mut products) = (vec![0.0; width], vec![0.0; width]);
    for ((x, grad), grad_x) in
        x.chunks_exact(width).zip(grad.chunks_exact(width)).zip(grad_x.chunks_exact_mut(width))
    {
        let (mean, scale) = moments(x);
        for i in 0..width {
            normal[i] = (x[i] - mean) * scale;
            scaled[i] = grad[i] * weight[i];
            products[i] = scaled[i] * normal[i];
            grad_weight[i] += grad[i] * normal[i];
            grad_bias[i] += grad[i];
        }
        let mean_scaled = sum(&scaled) / width as f32;
        let mean_product = sum(&products) / width as f32;
        for i in 0..width {
            grad_x[i] = scale * (scaled[i] - mean_scaled - normal[i] * mean_product);
        }
    }
    [grad_x, grad_weight, grad_bias]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, same};
    use super::*;
    use candle_core::D;

    #[test]
    fn is_the_formula() {
        same(
            &[noise(&[6, 21], 5), noise(&[21], 6), noise(&[21], 7)],
            |x| layer_norm(&x[0], &x[1], &x[2]),
            |x| {
                let centred = x[0].broadcast_sub(&x[0].mean_keepdim(D::Minus1)?)?;
                let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON as f64)?.sqrt()?;
                centred.broadcast_div(&deviation)?.broadcast_mul(&x[1])?.broadcast_add(&x[2])
            },
        );
    }
}
