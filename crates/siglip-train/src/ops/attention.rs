//! Attention of many short sequences (Vaswani et al., 1706.03762); the backward pass computes the probabilities anew
//! instead of keeping them.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{exp, numbers, reduce, sum, with_numbers};

/// softmax(Q Kᵀ / √d) V in every head, without a mask; heads are 16, 32 or 64 wide.
/// `q` [batch·queries, width] holds the queries of one sequence after the other, `kv` [batch·keys, 2·width] its keys and, right of them, its values.
pub fn attention(q: &Tensor, kv: &Tensor, batch: usize, heads: usize) -> Result<Tensor> {
    let (rows, width) = q.dims2()?;
    let queries = rows / batch;
    let keys = kv.dim(0)? / batch;
    q.apply_op2(kv, Attention { batch, queries, keys, width, head: width / heads })
}

#[derive(Clone, Copy)]
struct Attention {
    batch: usize,
    queries: usize,
    keys: usize,
    width: usize,
    head: usize,
}

/// The rows of one head of one sequence, side by side.
struct Head<const SIZE: usize> {
    queries: Vec<[f32; SIZE]>,
    keys: Vec<[f32; SIZE]>,
    values: Vec<[f32; SIZE]>,
    /// [queries, keys]
    probabilities: Vec<f32>,
    /// [SIZE, keys]
    transposed: Vec<f32>,
}

impl<const SIZE: usize> Head<SIZE> {
    /// softmax(Q Kᵀ / √d).
    fn attend(&mut self) {
        let scale = 1.0 / (SIZE as f32).sqrt();
        transpose(&self.keys, &mut self.transposed);
        for (query, row) in self.queries.iter().zip(self.probabilities.chunks_exact_mut(self.keys.len())) {
            dots(query, &self.transposed, row);
            let largest = reduce(row, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
            row.iter_mut().for_each(|p| *p = exp(scale * (*p - largest)));
            let share = 1.0 / sum(row);
            row.iter_mut().for_each(|p| *p *= share);
        }
    }
}

impl Attention {
    fn head<const SIZE: usize>(&self) -> Head<SIZE> {
        Head {
            queries: vec![[0.0; SIZE]; self.queries],
            keys: vec![[0.0; SIZE]; self.keys],
            values: vec![[0.0; SIZE]; self.keys],
            probabilities: vec![0.0; self.queries * self.keys],
            transposed: vec![0.0; SIZE * self.keys],
        }
    }

    fn load<const SIZE: usize>(
        &self,
        head: &mut Head<SIZE>,
        q: &[f32],
        kv: &[f32],
        (sequence, at): (usize, usize),
    ) {
        gather(&mut head.queries, q, sequence * self.queries, self.width, at);
        gather(&mut head.keys, kv, sequence * self.keys, 2 * self.width, at);
        gather(&mut head.values, kv, sequence * self.keys, 2 * self.width, self.width + at);
        head.attend();
    }

    fn forward<const SIZE: usize>(&self, q: &[f32], kv: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; q.len()];
        let mut mixed = vec![[0.0; SIZE]; self.queries];
        let mut head = self.head::<SIZE>();
        for (sequence, at) in self.each_head() {
            self.load(&mut head, q, kv, (sequence, at));
            for (mixed, row) in mixed.iter_mut().zip(head.probabilities.chunks_exact(self.keys)) {
                *mixed = weighted_sum(row, &head.values);
            }
            scatter(&mut out, &mixed, sequence * self.queries, self.width, at);
        }
        out
    }

    fn backward<const SIZE: usize>(&self, q: &[f32], kv: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut grad_q, mut grad_kv) = (vec![0.0; q.len()], vec![0.0; kv.len()]);
        let mut head = self.head::<SIZE>();
        let mut grads = vec![[0.0; SIZE]; self.queries];
        let (mut queries, mut keys, mut values) = (grads.clone(), head.keys.clone(), head.keys.clone());
        let mut slopes = vec![0.0; self.queries * self.keys];
        let (mut column, mut products) = (vec![0.0; self.queries], vec![0.0; self.keys]);
        let scale = 1.0 / (SIZE as f32).sqrt();
        for (sequence, at) in self.each_head() {
            self.load(&mut head, q, kv, (sequence, at));
            gather(&mut grads, grad, sequence * self.queries, self.width, at);
            transpose(&head.values, &mut head.transposed);
            let rows = head.probabilities.chunks_exact(self.keys).zip(slopes.chunks_exact_mut(self.keys));
            for ((grad, query), (p, slope)) in grads.iter().zip(&mut queries).zip(rows) {
                dots(grad, &head.transposed, slope);
                products
                    .iter_mut()
                    .zip(slope.iter().zip(p))
                    .for_each(|(product, (slope, p))| *product = slope * p);
                let mean = sum(&products);
                slope.iter_mut().zip(p).for_each(|(slope, p)| *slope = (*slope - mean) * p * scale);
                *query = weighted_sum(slope, &head.keys);
            }
            let mut take_column = |matrix: &[f32], key: usize, rows: &[[f32; SIZE]]| {
                column.iter_mut().zip(matrix[key..].iter().step_by(self.keys)).for_each(|(c, m)| *c = *m);
                weighted_sum(&column, rows)
            };
            for key in 0..self.keys {
                keys[key] = take_column(&slopes, key, &head.queries);
                values[key] = take_column(&head.probabilities, key, &grads);
            }
            scatter(&mut grad_q, &queries, sequence * self.queries, self.width, at);
            scatter(&mut grad_kv, &keys, sequence * self.keys, 2 * self.width, at);
            scatter(&mut grad_kv, &values, sequence * self.keys, 2 * self.width, self.width + at);
        }
        (grad_q, grad_kv)
    }

    /// Each sequence with the column where each of its heads begins.
    fn each_head(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (width, size) = (self.width, self.head);
        (0..self.batch).flat_map(move |sequence| (0..width).step_by(size).map(move |at| (sequence, at)))
    }
}

fn gather<const SIZE: usize>(rows: &mut [[f32; SIZE]], from: &[f32], first: usize, width: usize, at: usize) {
    for (i, row) in rows.iter_mut().enumerate() {
        row.copy_from_slice(&from[(first + i) * width + at..][..SIZE]);
    }
}

fn scatter<const SIZE: usize>(to: &mut [f32], rows: &[[f32; SIZE]], first: usize, width: usize, at: usize) {
    for (i, row) in rows.iter().enumerate() {
        to[(first + i) * width + at..][..SIZE].copy_from_slice(row);
    }
}

fn weighted_sum<const SIZE: usize>(weights: &[f32], rows: &[[f32; SIZE]]) -> [f32; SIZE] {
    let mut sum = [0.0f32; SIZE];
    for (weight, row) in weights.iter().zip(rows) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum = weight.mul_add(*x, *sum));
    }
    sum
}

/// The transpose of the rows, [SIZE, rows], for [`dots`].
fn transpose<const SIZE: usize>(rows: &[[f32; SIZE]], out: &mut [f32]) {
    for (i, row) in rows.iter().enumerate() {
        for (d, &x) in row.iter().enumerate() {
            out[d * rows.len() + i] = x;
        }
    }
}

/// The dot product of a vector with every one of the rows whose transpose is given, 16 at a time.
fn dots<const SIZE: usize>(vector: &[f32; SIZE], transposed: &[f32], out: &mut [f32]) {
    let rows = out.len();
    let mut blocks = out.chunks_exact_mut(16);
    let mut first = 0;
    for block in &mut blocks {
        let mut sums = [0.0f32; 16];
        for (x, line) in vector.iter().zip(transposed.chunks_exact(rows)) {
            sums.iter_mut().zip(&line[first..first + 16]).for_each(|(sum, y)| *sum = x.mul_add(*y, *sum));
        }
        block.copy_from_slice(&sums);
        first += 16;
    }
    for (i, out) in blocks.into_remainder().iter_mut().enumerate() {
        *out = (0..SIZE).map(|d| vector[d] * transposed[d * rows + first + i]).sum();
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        kv: &CpuStorage,
        kvl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, kv) = (numbers(q, ql)?, numbers(kv, kvl)?);
        let out = match self.head {
            16 => self.forward::<16>(q, kv),
            32 => self.forward::<32>(q, kv),
            64 => self.forward::<64>(q, kv),
            other => candle_core::bail!("heads are 16, 32 or 64 wide, not {other}"),
        };
        Ok((CpuStorage::F32(out), ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        kv: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (grad_q, grad_kv) = with_numbers(q, |q| {
            with_numbers(kv, |kv| {
                with_numbers(grad, |grad| match self.head {
                    16 => self.backward::<16>(q, kv, grad),
                    32 => self.backward::<32>(q, kv, grad),
                    _ => self.backward::<64>(q, kv, grad),
                })
            })
        })???;
        Ok((
            Some(Tensor::from_vec(grad_q, q.shape(), q.device())?),
            Some(Tensor::from_vec(grad_kv, kv.shape(), kv.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, same};
    use super::*;
    use candle_core::D;

    fn plain(x: &[Tensor], batch: usize, heads: usize) -> Result<Tensor> {
        let (q, kv) = (&x[0], &x[1]);
        let width = q.dim(1)?;
        let split = |x: &Tensor| {
            let rows = x.dim(0)? / batch;
            x.reshape((batch, rows, heads, width / heads))?.transpose(1, 2)?.contiguous()
        };
        let (q, k) = (split(q)?, split(&kv.narrow(1, 0, width)?.contiguous()?)?);
        let v = split(&kv.narrow(1, width, width)?.contiguous()?)?;
        let scores = (q.matmul(&k.t()?)? / ((width / heads) as f64).sqrt())?;
        let exps = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let probabilities = exps.broadcast_div(&exps.sum_keepdim(D::Minus1)?)?;
        let out = probabilities.matmul(&v)?.transpose(1, 2)?.contiguous()?;
        out.reshape(((), width))
    }

    #[test]
    fn is_the_formula_for_one_query_and_for_many() {
        for (batch, heads, queries, keys, width) in [(2, 3, 5, 5, 96), (2, 4, 18, 37, 64), (3, 1, 1, 7, 64)] {
            same(
                &[noise(&[batch * queries, width], 8), noise(&[batch * keys, 2 * width], 9)],
                |x| attention(&x[0], &x[1], batch, heads),
                |x| plain(x, batch, heads),
            );
        }
    }
}
