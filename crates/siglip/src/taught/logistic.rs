//! Multinomial logistic regression with an L2 penalty: the objective of scikit-learn's `LogisticRegression`, and L-BFGS
//! (Nocedal and Wright, "Numerical Optimization", algorithm 7.5).

use std::collections::VecDeque;

/// Steps that the approximation of the Hessian remembers.
const MEMORY: usize = 10;
/// Most steps. The objective is strictly convex, and a few dozen suffice.
const MOST_STEPS: usize = 1000;
/// The largest gradient at the optimum; the objective is a mean over the pictures.
const TOLERANCE: f64 = 1e-7;

/// Pictures with their classes.
pub(super) struct Samples<'s> {
    /// Embeddings, all of one length.
    pub rows: Vec<&'s [f32]>,
    /// The class of each, below `classes`.
    pub truths: Vec<usize>,
    /// Number of classes, from two on.
    pub classes: usize,
}

/// The parameters: [embedding size + 1, classes]. The last row has the biases. In this order both products below run over
/// neighbouring numbers.
pub(super) struct Fitted {
    pub parameters: Vec<f64>,
    pub classes: usize,
}

impl Fitted {
    /// The logits of an embedding.
    pub fn logits(&self, row: &[f32]) -> Vec<f64> {
        let mut logits = vec![0.0; self.classes];
        logits_of(&self.parameters, row, &mut logits);
        logits
    }
}

fn logits_of(parameters: &[f64], row: &[f32], logits: &mut [f64]) {
    let (weights, biases) = parameters.split_at(row.len() * logits.len());
    logits.copy_from_slice(biases);
    for (value, weights) in row.iter().zip(weights.chunks_exact(logits.len())) {
        let value = f64::from(*value);
        logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += value * weight);
    }
}

/// Log-softmax, in place. Returns nothing else.
pub(super) fn log_softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    logits.iter_mut().for_each(|logit| *logit -= log_sum);
}

impl Samples<'_> {
    /// The parameters that minimise C x the sum of the log losses + half the squared norm of the weights. The biases have no
    /// penalty. Two classes count as scikit-learn counts them: the penalty is on the difference of their weights.
    pub fn fit(&self, c: f64, start: Option<&Fitted>) -> Fitted {
        let size = self.rows[0].len();
        let penalty = if self.classes == 2 { 2.0 } else { 1.0 } / (c * self.rows.len() as f64);
        let zeros = || vec![0.0; (size + 1) * self.classes];
        let begin = start.map_or_else(zeros, |fitted| fitted.parameters.clone());
        let weights = size * self.classes;
        let objective =
            |parameters: &[f64], gradient: &mut [f64]| self.objective(parameters, weights, penalty, gradient);
        Fitted { parameters: minimise(begin, objective), classes: self.classes }
    }

    fn objective(&self, parameters: &[f64], weights: usize, penalty: f64, gradient: &mut [f64]) -> f64 {
        let share = 1.0 / self.rows.len() as f64;
        for (gradient, weight) in gradient.iter_mut().zip(&parameters[..weights]) {
            *gradient = penalty * weight;
        }
        gradient[weights..].fill(0.0);
        let squares: f64 = parameters[..weights].iter().map(|weight| weight * weight).sum();
        let mut loss = 0.5 * penalty * squares;
        let mut logits = vec![0.0; self.classes];
        for (row, &truth) in self.rows.iter().zip(&self.truths) {
            logits_of(parameters, row, &mut logits);
            log_softmax(&mut logits);
            loss -= share * logits[truth];
            // The gradient of the logits: probability - truth.
            logits.iter_mut().for_each(|logit| *logit = share * logit.exp());
            logits[truth] -= share;
            let (of_weights, of_biases) = gradient.split_at_mut(weights);
            for (value, gradient) in row.iter().zip(of_weights.chunks_exact_mut(self.classes)) {
                let value = f64::from(*value);
                gradient.iter_mut().zip(&logits).for_each(|(gradient, error)| *gradient += value * error);
            }
            of_biases.iter_mut().zip(&logits).for_each(|(gradient, error)| *gradient += error);
        }
        loss
    }
}

/// Minimises a convex function, which writes its gradient, by L-BFGS with a backtracking line search.
fn minimise(mut x: Vec<f64>, objective: impl Fn(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = objective(&x, &mut gradient);
    // Steps with the changes of the gradient, the newest last.
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    let mut next_gradient = vec![0.0; x.len()];
    for _ in 0..MOST_STEPS {
        if gradient.iter().all(|value| value.abs() <= TOLERANCE) {
            break;
        }
        let direction = descent(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        let moved = |step: f64| -> Vec<f64> { x.iter().zip(&direction).map(|(x, d)| x + step * d).collect() };
        // The first direction has no scale yet; later ones are right for a step of 1.
        let mut step = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let mut accepted = None;
        for _ in 0..50 {
            let next = moved(step);
            let next_value = objective(&next, &mut next_gradient);
            if next_value <= value + 1e-4 * step * slope {
                accepted = Some((next, next_value));
                break;
            }
            step *= 0.5;
        }
        // Where no step makes it smaller, rounding is all that is left.
        let Some((next, next_value)) = accepted else { break };
        let steps: Vec<f64> = next.iter().zip(&x).map(|(new, old)| new - old).collect();
        let changes: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        let curvature = dot(&steps, &changes);
        if curvature > 1e-12 * dot(&changes, &changes) {
            memory.push_back((steps, changes, 1.0 / curvature));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (x, value) = (next, next_value);
        std::mem::swap(&mut gradient, &mut next_gradient);
    }
    x
}

/// The direction of L-BFGS: the inverse Hessian, as far as it is known, times the negative gradient.
fn descent(gradient: &[f64], memory: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut factors = Vec::with_capacity(memory.len());
    for (steps, changes, inverse) in memory.iter().rev() {
        let factor = inverse * dot(steps, &direction);
        add(&mut direction, changes, -factor);
        factors.push(factor);
    }
    if let Some((_, changes, inverse)) = memory.back() {
        let scale = 1.0 / (inverse * dot(changes, changes));
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for ((steps, changes, inverse), factor) in memory.iter().zip(factors.into_iter().rev()) {
        let back = inverse * dot(changes, &direction);
        add(&mut direction, steps, factor - back);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sums: &mut [f64], values: &[f64], factor: f64) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}
