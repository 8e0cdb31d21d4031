//! GELU by tanh (Hendrycks and Gimpel, 1606.08415), the reference's gelu_pytorch_tanh.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{exp, numbers, with_numbers};

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) of every number.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Gelu)
}

#[inline(always)]
fn inner_tanh(x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * (CUBE * x * x).mul_add(x, x);
    1.0 - 2.0 / (exp(2.0 * u) + 1.0)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = numbers(x, layout)?.iter().map(|&x| 0.5 * x * (1.0 + inner_tanh(x))).collect();
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let slope = |x: f32| {
            let tanh = inner_tanh(x);
            let inner_slope = SQRT_2_OVER_PI * (3.0 * CUBE * x).mul_add(x, 1.0);
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner_slope
        };
        let values: Vec<f32> = with_numbers(grad, |grad| {
            with_numbers(x, |x| x.iter().zip(grad).map(|(&x, g)| g * slope(x)).collect())
        })??;
        Ok(Some(Tensor::from_vec(values, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, same};
    use super::*;

    #[test]
    fn is_candles_gelu() {
        same(&[(noise(&[9, 11], 4) * 6.0).unwrap()], |x| gelu(&x[0]), |x| x[0].gelu());
    }
}
