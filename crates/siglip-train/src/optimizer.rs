//! Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) for the matrices of hidden layers, AdamW (Loshchilov
//! and Hutter, 1711.05101) for everything else.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};
use clap::Args;

use crate::model::{Parameters, SCALARS, TEACHER, WORDS};

/// How far a step goes at most.
#[derive(Args, Clone, Copy, Debug)]
pub struct Rates {
    /// Learning rate of Muon. After a warm start 0.008 is too much; from random numbers 0.006 is right.
    #[arg(long, default_value_t = 0.002)]
    pub muon_rate: f64,
    /// Learning rate of AdamW.
    #[arg(long, default_value_t = 0.0005)]
    pub adam_rate: f64,
    /// Weight decay of both, times their rates.
    #[arg(long, default_value_t = 0.05)]
    pub decay: f64,
}

/// By how much faster scales and bias learn than the rest of AdamW's: they have far to go from where a batch of 32,768
/// wants them (2303.15343).
const SCALARS_FASTER: f64 = 10.0;
const MOMENTUM: f64 = 0.95;
const BETAS: (f64, f64) = (0.9, 0.98);
const EPSILON: f64 = 1e-8;

/// The optimizer's memory: of Muon's parameters the momentum, of AdamW's the two moments.
pub struct Optimizer {
    rates: Rates,
    /// "momentum/name", "first/name" and "second/name".
    pub state: BTreeMap<String, Tensor>,
}

impl Optimizer {
    /// One that remembers nothing yet, or what an earlier run left.
    pub fn new(rates: Rates, state: BTreeMap<String, Tensor>) -> Optimizer {
        Optimizer { rates, state }
    }

    /// Moves every parameter against its gradient; `step` counts from 1, `pace` between 0 and 1 is the schedule's.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &BTreeMap<String, Tensor>,
        step: usize,
        pace: f64,
    ) -> Result<()> {
        // Half of the matrices to each core, by turns, as their sizes repeat in the same order in every layer.
        let (rates, state) = (self.rates, &self.state);
        let update = |turn: usize| -> Result<Vec<(String, Tensor)>> {
            let mut updated = Vec::new();
            for (i, (name, gradient)) in gradients.iter().enumerate() {
                if i % 2 == turn {
                    let move_one = if by_muon(name, gradient) { muon } else { adam };
                    let change = Change { rates, state, name, gradient, step, pace };
                    updated.extend(move_one(&change, &parameters.vars[name])?);
                }
            }
            Ok(updated)
        };
        let (even, odd) = std::thread::scope(|scope| {
            let odd = scope.spawn(|| update(1));
            (update(0), odd.join().expect("a thread that only does arithmetic ends"))
        });
        self.state.extend(even?);
        self.state.extend(odd?);
        Ok(())
    }
}

/// One parameter's change.
struct Change<'a> {
    rates: Rates,
    state: &'a BTreeMap<String, Tensor>,
    name: &'a str,
    gradient: &'a Tensor,
    step: usize,
    pace: f64,
}

impl Change<'_> {
    /// What is remembered under `kind`, or zeros at the start.
    fn remembered(&self, kind: &str) -> Result<Tensor> {
        match self.state.get(&format!("{kind}/{}", self.name)) {
            Some(tensor) => Ok(tensor.clone()),
            None => self.gradient.zeros_like(),
        }
    }
}

/// Muon is for matrices between hidden layers: not for embeddings, first layers, gains or what is thrown away.
fn by_muon(name: &str, gradient: &Tensor) -> bool {
    let outside =
        name.contains("embedding") || name.contains("probe") || name.starts_with(TEACHER) || name == WORDS;
    gradient.rank() == 2 && !outside
}

fn muon(change: &Change, var: &Var) -> Result<Vec<(String, Tensor)>> {
    let momentum = ((change.remembered("momentum")? * MOMENTUM)? + change.gradient)?;
    let ahead = ((&momentum * MOMENTUM)? + change.gradient)?;
    // Keys and values are two matrices in one.
    let (rows, columns) = ahead.dims2()?;
    let parts = if change.name.contains("kv_proj") { 2 } else { 1 };
    let directions: Vec<Tensor> = ahead.chunk(parts, 0)?.iter().map(orthogonalize).collect::<Result<_>>()?;
    let taller = (rows as f64 / parts as f64 / columns as f64).max(1.0).sqrt();
    let rate = change.rates.muon_rate * change.pace;
    let kept = (var.as_tensor() * (1.0 - rate * change.rates.decay))?;
    var.set(&(kept - (Tensor::cat(&directions, 0)? * (rate * taller))?)?)?;
    Ok(vec![(format!("momentum/{}", change.name), momentum.detach())])
}

/// The nearest matrix with orthogonal rows or columns, roughly: five of Newton and Schulz's iterations with the
/// coefficients of the reference, which leave singular values between 0.7 and 1.2.
fn orthogonalize(matrix: &Tensor) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let mut x = if rows > columns { matrix.t()?.contiguous()? } else { matrix.contiguous()? };
    let norm = x.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
    x = (x / f64::from(norm + 1e-7))?;
    for _ in 0..5 {
        let square = x.matmul(&x.t()?)?;
        let polynomial = ((&square * -4.775)? + (square.matmul(&square)? * 2.0315)?)?;
        x = ((&x * 3.4445)? + polynomial.matmul(&x)?)?;
    }
    if rows > columns { x.t()?.contiguous() } else { Ok(x) }
}

fn adam(change: &Change, var: &Var) -> Result<Vec<(String, Tensor)>> {
    let gradient = change.gradient;
    let first = ((change.remembered("first")? * BETAS.0)? + (gradient * (1.0 - BETAS.0))?)?;
    let second = ((change.remembered("second")? * BETAS.1)? + (gradient.sqr()? * (1.0 - BETAS.1))?)?;
    let unbiased = |moment: &Tensor, beta: f64| moment / (1.0 - beta.powi(change.step as i32));
    let direction = (unbiased(&first, BETAS.0)? / (unbiased(&second, BETAS.1)?.sqrt()? + EPSILON)?)?;
    let faster = if SCALARS.contains(&change.name) { SCALARS_FASTER } else { 1.0 };
    let rate = change.rates.adam_rate * change.pace * faster;
    // Only matrices decay: a gain's or a bias's size costs nothing.
    let decay = if gradient.rank() == 2 { change.rates.decay } else { 0.0 };
    var.set(&((var.as_tensor() * (1.0 - rate * decay))? - (direction * rate)?)?)?;
    Ok(vec![
        (format!("first/{}", change.name), first.detach()),
        (format!("second/{}", change.name), second.detach()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn orthogonalize_brings_singular_values_near_one() {
        let values: Vec<f32> = (0..24).map(|i| ((i * 37 % 23) as f32 - 11.0) / 7.0).collect();
        for shape in [(4, 6), (6, 4)] {
            let matrix = Tensor::from_slice(&values, shape, &Device::Cpu).unwrap();
            let q = orthogonalize(&matrix).unwrap();
            assert_eq!(q.dims2().unwrap(), shape);
            let q = if shape.0 > shape.1 { q.t().unwrap() } else { q };
            let square = q.matmul(&q.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
            for (i, row) in square.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    let (low, high) = if i == j { (0.4, 1.5) } else { (-0.45, 0.45) };
                    assert!((low..high).contains(value), "{i},{j}: {value}");
                }
            }
        }
    }

    #[test]
    fn adam_walks_to_the_bottom_of_a_bowl() {
        let var = Var::new(&[3f32, -2.0], &Device::Cpu).unwrap();
        let rates = Rates { muon_rate: 0.0, adam_rate: 0.05, decay: 0.0 };
        let mut state = BTreeMap::new();
        for step in 1..=400 {
            let gradient = (var.as_tensor() * 2.0).unwrap().detach();
            let change = Change { rates, state: &state, name: "x", gradient: &gradient, step, pace: 1.0 };
            let moments = adam(&change, &var).unwrap();
            state.extend(moments);
        }
        for x in var.to_vec1::<f32>().unwrap() {
            assert!(x.abs() < 1e-2, "{x}");
        }
    }
}
