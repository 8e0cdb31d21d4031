//! The losses of a batch.

use candle_core::{D, Device, Result, Tensor};

use crate::captions::{Captions, Truth};
use crate::model::normalize;

/// What is known of each picture and phrase of a batch, as matrices [pictures, phrases].
pub struct Truths {
    /// 1 where the phrase is true of the picture, -1 where it is false, 0 where it isn't known.
    signs: Tensor,
    /// 0 where the phrase is true, else minus infinity (or nearly).
    only_true: Tensor,
    /// 0 where it is known whether the phrase is true, else minus infinity (or nearly).
    only_known: Tensor,
}

/// What drives e^x to 0 without making NaN of differences.
const NEVER: f32 = -1e4;

impl Truths {
    /// Looks up every pair.
    pub fn new(captions: &Captions, classes: &[usize], phrases: &[usize]) -> Result<Truths> {
        let pairs = classes.iter().flat_map(|&class| phrases.iter().map(move |&phrase| (class, phrase)));
        let truths: Vec<Truth> = pairs.map(|(class, phrase)| captions.truth(class, phrase)).collect();
        Truths::from_pairs(&truths, phrases.len())
    }

    /// Of all phrases of one picture after the other.
    fn from_pairs(truths: &[Truth], phrases: usize) -> Result<Truths> {
        let matrix = |number: fn(&Truth) -> f32| {
            let numbers: Vec<f32> = truths.iter().map(number).collect();
            Tensor::from_vec(numbers, (truths.len() / phrases, phrases), &Device::Cpu)
        };
        Ok(Truths {
            signs: matrix(|truth| match truth {
                Truth::True => 1.0,
                Truth::False => -1.0,
                Truth::Unknown => 0.0,
            })?,
            only_true: matrix(|truth| if *truth == Truth::True { 0.0 } else { NEVER })?,
            only_known: matrix(|truth| if *truth == Truth::Unknown { NEVER } else { 0.0 })?,
        })
    }

    /// Number of phrases.
    pub fn phrases(&self) -> Result<usize> {
        self.signs.dim(1)
    }

    /// The pairwise sigmoid loss of 2303.15343, a picture: minus the log of the probability that the model gives to what
    /// is known of each pair, summed over the phrases. In chunks of phrases, so that a large batch needs no large matrix.
    pub fn sigmoid(&self, logits: &Tensor, chunk: usize) -> Result<Tensor> {
        let (pictures, phrases) = logits.dims2()?;
        let mut loss = Tensor::zeros((), logits.dtype(), logits.device())?;
        for start in (0..phrases).step_by(chunk) {
            let size = chunk.min(phrases - start);
            let signs = self.signs.narrow(1, start, size)?;
            let against = (logits.narrow(1, start, size)? * &signs)?.neg()?;
            loss = (loss + (softplus(&against)? * signs.abs()?)?.sum_all()?)?;
        }
        loss / pictures as f64
    }

    /// The contrastive softmax loss (CLIP, 2103.00020) with every true pair of a row or a column as its target.
    pub fn softmax(&self, logits: &Tensor) -> Result<Tensor> {
        let all = (logits + &self.only_known)?;
        let hits = (logits + &self.only_true)?;
        let along =
            |dim: D| -> Result<Tensor> { (all.log_sum_exp(dim)? - hits.log_sum_exp(dim)?)?.mean_all() };
        // A phrase that is true of no picture of the batch has no row to point at: its column is left out.
        let phrases = hits.max(0)?.gt((NEVER / 2.0) as f64)?.to_dtype(logits.dtype())?;
        let by_phrase = ((all.log_sum_exp(0)? - hits.log_sum_exp(0)?)? * &phrases)?.sum_all()?;
        along(D::Minus1)? + (by_phrase / phrases.sum_all()?)?
    }
}

/// log(1 + e^x).
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// How far, on average, what the student makes of the teacher's features points away from them: 1 - cosine. The
/// features are those of the principal components, each divided by the root of its deviation `spread`, lest
/// the first few drown the rest.
pub fn teacher(student: &Tensor, features: &Tensor, spread: &Tensor) -> Result<Tensor> {
    let target = normalize(&features.broadcast_div(&spread.sqrt()?)?)?;
    (normalize(student)? * target)?.sum(1)?.affine(-1.0, 1.0)?.mean_all()
}

/// How far the student's shares of the phrases are from those that the teacher gives to the classes which they name:
/// the cross entropy (Hinton et al., 1503.02531), over the pictures of `weights` [pictures, 1].
pub fn distillation(student: &Tensor, teacher: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let log_softmax = |x: &Tensor| x.broadcast_sub(&x.log_sum_exp(D::Minus1)?.unsqueeze(1)?);
    let shares = log_softmax(teacher)?.exp()?.broadcast_mul(weights)?;
    (shares * log_softmax(student)?)?.sum_all()?.neg()?
        / weights.sum_all()?.to_scalar::<f32>()?.max(1.0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 4]; 3] = [[2.0, -1.5, 0.3, 4.0], [-0.2, 1.1, -3.0, 0.7], [0.4, 0.0, 2.2, -1.0]];
    /// The last phrase is true of no picture; of one pair nothing is known.
    const SIGNS: [[f32; 4]; 3] = [[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, -1.0], [0.0, -1.0, 1.0, -1.0]];

    fn truths() -> Truths {
        let matrix =
            |number: fn(f32) -> f32| Tensor::new(&SIGNS.map(|row| row.map(number)), &Device::Cpu).unwrap();
        Truths {
            signs: matrix(|sign| sign),
            only_true: matrix(|sign| if sign > 0.0 { 0.0 } else { NEVER }),
            only_known: matrix(|sign| if sign == 0.0 { NEVER } else { 0.0 }),
        }
    }

    fn logits() -> Tensor {
        Tensor::new(&LOGITS, &Device::Cpu).unwrap()
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        (0..3).flat_map(|picture| (0..4).map(move |phrase| (picture, phrase)))
    }

    fn is(found: &Tensor, expected: f64) {
        let found = f64::from(found.to_scalar::<f32>().unwrap());
        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
    }

    #[test]
    fn the_sigmoid_loss_is_the_papers_in_chunks_of_any_size() {
        let of_pair = |(i, j): (usize, usize)| {
            let (logit, sign) = (f64::from(LOGITS[i][j]), f64::from(SIGNS[i][j]));
            if sign == 0.0 { 0.0 } else { -(1.0 / (1.0 + (-sign * logit).exp())).ln() }
        };
        let expected = pairs().map(of_pair).sum::<f64>() / 3.0;
        for chunk in 1..=5 {
            is(&truths().sigmoid(&logits(), chunk).unwrap(), expected);
        }
    }

    #[test]
    fn the_softmax_loss_asks_for_any_true_pair_of_a_row_and_of_a_column() {
        let share = |line: &[(usize, usize)]| {
            let sum = |wanted: fn(f32) -> bool| -> f64 {
                let wanted = line.iter().filter(|&&(i, j)| wanted(SIGNS[i][j]));
                wanted.map(|&(i, j)| f64::from(LOGITS[i][j]).exp()).sum()
            };
            -(sum(|sign| sign > 0.0) / sum(|sign| sign != 0.0)).ln()
        };
        let rows = (0..3).map(|i| share(&(0..4).map(|j| (i, j)).collect::<Vec<_>>())).sum::<f64>() / 3.0;
        let columns = (0..3).map(|j| share(&(0..3).map(|i| (i, j)).collect::<Vec<_>>())).sum::<f64>() / 3.0;
        is(&truths().softmax(&logits()).unwrap(), rows + columns);
    }

    #[test]
    fn distillation_is_least_where_student_and_teacher_agree() {
        let weights = Tensor::new(&[[1.0f32], [0.0], [1.0]], &Device::Cpu).unwrap();
        let entropy = |row: &[f32; 4]| {
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            row.iter().map(|&x| f64::from(x).exp() / sum).map(|p| -p * p.ln()).sum::<f64>()
        };
        let shifted = (logits() + 3.0).unwrap();
        let least = (entropy(&LOGITS[0]) + entropy(&LOGITS[2])) / 2.0;
        is(&distillation(&shifted, &logits(), &weights).unwrap(), least);
        let other = logits().neg().unwrap();
        let loss = distillation(&other, &logits(), &weights).unwrap().to_scalar::<f32>().unwrap();
        assert!(f64::from(loss) > least);
    }

    #[test]
    fn the_teachers_loss_is_the_distance_of_directions() {
        let features = Tensor::new(&[[4.0f32, 0.0], [0.0, 9.0]], &Device::Cpu).unwrap();
        let spread = Tensor::new(&[[4.0f32, 9.0]], &Device::Cpu).unwrap();
        let student = Tensor::new(&[[3.0f32, 0.0], [5.0, 0.0]], &Device::Cpu).unwrap();
        is(&teacher(&student, &features, &spread).unwrap(), 0.5);
    }
}
