//! Attention of many short sequences (Vaswani et al., 1706.03762); the backward pass computes the probabilities anew
//! instead of keeping them.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{exp, numbers, with_numbers};

/// softmax(Q Kᵀ / √d) V in every head, without a mask. `q` [batch·queries, width] holds the queries of one sequence
/// after the other, `kv` [batch·keys, 2·width] its keys and, right of them, its values.
pub fn attention(q: &Tensor, kv: &Tensor, batch: usize, heads: usize) -> Result<Tensor> {
    let (rows, width) = q.dims2()?;
    let queries = rows / batch;
    let keys = kv.dim(0)? / batch;
    q.apply_op2(kv, Attention { batch, heads, queries, keys, width, head: width / heads })
}

#[derive(Clone, Copy)]
struct Attention {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    head: usize,
}

/// What one head of one sequence needs at hand, transposed so that inner loops run over neighbours.
struct Scratch {
    keys_t: Vec<f32>,
    values_t: Vec<f32>,
    probabilities: Vec<f32>,
    gradients: Vec<f32>,
}

impl Attention {
    fn scratch(&self) -> Scratch {
        Scratch {
            keys_t: vec![0.0; self.head * self.keys],
            values_t: vec![0.0; self.head * self.keys],
            probabilities: vec![0.0; self.keys],
            gradients: vec![0.0; self.keys],
        }
    }

    /// Where a query's part for this head lies.
    fn query(&self, sequence: usize, head: usize, query: usize) -> std::ops::Range<usize> {
        let start = (sequence * self.queries + query) * self.width + head * self.head;
        start..start + self.head
    }

    /// Where a key's part for this head lies.
    fn key(&self, sequence: usize, head: usize, key: usize) -> std::ops::Range<usize> {
        let start = (sequence * self.keys + key) * 2 * self.width + head * self.head;
        start..start + self.head
    }

    /// Where a value's part for this head lies.
    fn value(&self, sequence: usize, head: usize, key: usize) -> std::ops::Range<usize> {
        let key = self.key(sequence, head, key);
        key.start + self.width..key.end + self.width
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head as f32).sqrt()
    }

    /// The probabilities of every key for one query.
    fn attend(&self, query: &[f32], keys_t: &[f32], probabilities: &mut [f32]) {
        products(query, keys_t, probabilities);
        let largest = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = self.scale();
        probabilities.iter_mut().for_each(|p| *p = exp((*p - largest) * scale));
        let total: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= total);
    }

    fn forward(&self, q: &[f32], kv: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; q.len()];
        let mut s = self.scratch();
        for (sequence, head) in self.each_head() {
            transpose(&mut s.keys_t, self.keys, |key| &kv[self.key(sequence, head, key)]);
            for query in 0..self.queries {
                let at = self.query(sequence, head, query);
                self.attend(&q[at.clone()], &s.keys_t, &mut s.probabilities);
                for (key, &p) in s.probabilities.iter().enumerate() {
                    add_scaled(&mut out[at.clone()], p, &kv[self.value(sequence, head, key)]);
                }
            }
        }
        out
    }

    fn backward(&self, q: &[f32], kv: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut grad_q, mut grad_kv) = (vec![0.0; q.len()], vec![0.0; kv.len()]);
        let mut s = self.scratch();
        for (sequence, head) in self.each_head() {
            transpose(&mut s.keys_t, self.keys, |key| &kv[self.key(sequence, head, key)]);
            transpose(&mut s.values_t, self.keys, |key| &kv[self.value(sequence, head, key)]);
            for query in 0..self.queries {
                let at = self.query(sequence, head, query);
                let grad = &grad[at.clone()];
                self.attend(&q[at.clone()], &s.keys_t, &mut s.probabilities);
                products(grad, &s.values_t, &mut s.gradients);
                let mean: f32 = s.gradients.iter().zip(&s.probabilities).map(|(g, p)| g * p).sum();
                for (g, p) in s.gradients.iter_mut().zip(&s.probabilities) {
                    *g = (*g - mean) * p * self.scale();
                }
                for key in 0..self.keys {
                    let (k, v) = (self.key(sequence, head, key), self.value(sequence, head, key));
                    add_scaled(&mut grad_q[at.clone()], s.gradients[key], &kv[k.clone()]);
                    add_scaled(&mut grad_kv[k], s.gradients[key], &q[at.clone()]);
                    add_scaled(&mut grad_kv[v], s.probabilities[key], grad);
                }
            }
        }
        (grad_q, grad_kv)
    }

    fn each_head(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let heads = self.heads;
        (0..self.batch).flat_map(move |sequence| (0..heads).map(move |head| (sequence, head)))
    }
}

/// `row` times a matrix of as many rows: [d] by [d, n] to [n].
fn products(row: &[f32], matrix: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    for (&x, line) in row.iter().zip(matrix.chunks_exact(out.len())) {
        add_scaled(out, x, line);
    }
}

fn add_scaled(out: &mut [f32], factor: f32, row: &[f32]) {
    out.iter_mut().zip(row).for_each(|(o, x)| *o = factor.mul_add(*x, *o));
}

fn transpose<'a>(out: &mut [f32], rows: usize, row: impl Fn(usize) -> &'a [f32]) {
    for i in 0..rows {
        for (d, &x) in row(i).iter().enumerate() {
            out[d * rows + i] = x;
        }
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, q: &CpuStorage, ql: &Layout, kv: &CpuStorage, kvl: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = self.forward(numbers(q, ql)?, numbers(kv, kvl)?);
        Ok((CpuStorage::F32(out), ql.shape().clone()))
    }

    fn bwd(&self, q: &Tensor, kv: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (grad_q, grad_kv) = with_numbers(q, |q| {
            with_numbers(kv, |kv| with_numbers(grad, |grad| self.backward(q, kv, grad)))
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
        for (batch, heads, queries, keys, width) in [(2, 3, 5, 5, 12), (3, 2, 1, 7, 8)] {
            same(
                &[noise(&[batch * queries, width], 8), noise(&[batch * keys, 2 * width], 9)],
                |x| attention(&x[0], &x[1], batch, heads),
                |x| plain(x, batch, heads),
            );
        }
    }
}
