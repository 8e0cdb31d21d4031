//! x Wᵀ + b, and the same onto a residual branch.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::product::{Rounding, product};
use super::{numbers, with_numbers};

/// `x`, `[rows, inputs]`, times the transpose of `weight`, `[outputs, inputs]`, plus `bias`, `[outputs]`, in every row.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, rounding: Rounding) -> Result<Tensor> {
    product(x, weight, rounding)?.apply_op2(bias, AddRow)
}

/// The same plus `residual` [rows, outputs].
pub fn linear_onto(
    residual: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rounding: Rounding,
) -> Result<Tensor> {
    product(x, weight, rounding)?.apply_op3(bias, residual, AddRowAndResidual)
}

/// A row added to every row.
struct AddRow;

impl CustomOp2 for AddRow {
    fn name(&self) -> &'static str {
        "add-row"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        row: &CpuStorage,
        rl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, row) = (numbers(x, xl)?, numbers(row, rl)?);
        let mut sum = Vec::with_capacity(x.len());
        for x in x.chunks_exact(row.len()) {
            sum.extend(x.iter().zip(row).map(|(x, b)| x + b));
        }
        Ok((CpuStorage::F32(sum), xl.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        row: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(sum_of_rows(grad, row)?)))
    }
}

/// A row and a matrix added.
struct AddRowAndResidual;

impl CustomOp3 for AddRowAndResidual {
    fn name(&self) -> &'static str {
        "add-row-and-residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        row: &CpuStorage,
        rl: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, row, residual) = (numbers(x, xl)?, numbers(row, rl)?, numbers(residual, residual_layout)?);
        let mut sum = Vec::with_capacity(x.len());
        for (x, residual) in x.chunks_exact(row.len()).zip(residual.chunks_exact(row.len())) {
            sum.extend(x.iter().zip(row).zip(residual).map(|((x, b), r)| x + b + r));
        }
        Ok((CpuStorage::F32(sum), xl.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        row: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(sum_of_rows(grad, row)?), Some(grad.clone())))
    }
}

/// The gradient of a row that was added to every row.
fn sum_of_rows(grad: &Tensor, row: &Tensor) -> Result<Tensor> {
    let sums = with_numbers(grad, |grad| {
        let mut sums = vec![0.0; row.elem_count()];
        for grad in grad.chunks_exact(sums.len()) {
            sums.iter_mut().zip(grad).for_each(|(sum, g)| *sum += g);
        }
        sums
    })?;
    Tensor::from_vec(sums, row.shape(), row.device())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, same};
    use super::*;

    #[test]
    fn is_a_product_and_a_sum() {
        same(
            &[noise(&[7, 5], 1), noise(&[3, 5], 2), noise(&[3], 3)],
            |x| linear(&x[0], &x[1], &x[2], Rounding::F32),
            |x| x[0].matmul(&x[1].t()?)?.broadcast_add(&x[2]),
        );
    }

    #[test]
    fn onto_adds_the_residual() {
        same(
            &[noise(&[7, 3], 4), noise(&[7, 5], 1), noise(&[3, 5], 2), noise(&[3], 3)],
            |x| linear_onto(&x[0], &x[1], &x[2], &x[3], Rounding::F32),
            |x| &x[0] + x[1].matmul(&x[2].t()?)?.broadcast_add(&x[3])?,
        );
    }
}
