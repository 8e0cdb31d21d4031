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
        let matrix = |number: fn(&Truth) -> f32| {
            let numbers: Vec<f32> = truths.iter().map(number).collect();
            Tensor::from_vec(numbers, (classes.len(), phrases.len()), &Device::Cpu)
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
