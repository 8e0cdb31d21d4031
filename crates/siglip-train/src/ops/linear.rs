//! x Wᵀ + b.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{numbers, with_numbers};

/// `x` [rows, inputs] times the transpose of `weight` [outputs, inputs], plus `bias` [outputs] in every row.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.apply_op2(bias, AddRow)
}

/// A row added to every row.
struct AddRow;

impl CustomOp2 for AddRow {
    fn name(&self) -> &'static str {
        "add-row"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, row: &CpuStorage, rl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (row, mut sum) = (numbers(row, rl)?, numbers(x, xl)?.to_vec());
        for x in sum.chunks_exact_mut(row.len()) {
            x.iter_mut().zip(row).for_each(|(x, b)| *x += b);
        }
        Ok((CpuStorage::F32(sum), xl.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, row: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad_row = with_numbers(grad, |grad| {
            let mut sum = vec![0.0; row.elem_count()];
            for grad in grad.chunks_exact(sum.len()) {
                sum.iter_mut().zip(grad).for_each(|(sum, g)| *sum += g);
            }
            sum
        })?;
        Ok((Some(grad.clone()), Some(Tensor::from_vec(grad_row, row.shape(), row.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, same};
    use super::*;

    #[test]
    fn is_a_product_and_a_sum() {
        same(
            &[noise(&[7, 5], 1), noise(&[3, 5], 2), noise(&[3], 3)],
            |x| linear(&x[0], &x[1], &x[2]),
            |x| x[0].matmul(&x[1].t()?)?.broadcast_add(&x[2]),
        );
    }
}
