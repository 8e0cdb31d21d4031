//! Scale and bias of a person's own, fitted to examples that the person has judged.

use serde::Serialize;

use crate::evaluation::{Calibration, Question};
use crate::scores::Adjustment;
use crate::{Engine, Error, Siglip};

/// Most steps of Newton's method; a handful suffice.
const MOST_STEPS: usize = 100;
/// The largest gradient at the optimum, per example.
const TOLERANCE: f64 = 1e-10;
/// How far a person's own slope is expected to be from the model's, which is 1: the standard deviation of a normal prior. A
/// few examples that the model answers well leave its slope alone; a hundred overrule it.
const SLOPE_DEVIATION: f64 = 0.5;
/// The same of the offset, in logits, which is 0 in the model. It is wide: people's questions differ by 10 and more.
const OFFSET_DEVIATION: f64 = 10.0;

/// Whether a label is true of an image, as a person has judged it, and the logit that the model gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// cosine x scale + bias, of the model's own.
    pub logit: f32,
    /// Whether the label is true of the image.
    pub truth: bool,
}

/// What [`Siglip::calibrate`] has fitted, and how much better it fits than the model's own scale and bias.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fitted {
    /// What makes the fitted probabilities.
    #[serde(flatten)]
    pub adjustment: Adjustment,
    /// The cosine whose probability is then one half.
    pub even_cosine: f32,
    /// Number of examples.
    pub examples: usize,
    /// Of the model's own probabilities.
    pub before: Reliability,
    /// Of the fitted ones, for the same examples.
    pub after: Reliability,
}

/// How well probabilities match the judged answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reliability {
    /// Mean of -ln of the probability that was given to the right answer.
    pub log_loss: f64,
    /// Expected calibration error and the reliability diagram.
    #[serde(flatten)]
    pub calibration: Calibration,
}

impl<E: Engine> Siglip<E> {
    /// Fits scale and bias to judged examples: the logistic regression of the answers on the model's logits (Platt scaling),
    /// with a normal prior around the model's own scale and bias. So a few examples do not make the model certain, nor do they
    /// undo what it has learned, and the examples' log loss never rises.
    ///
    /// # Errors
    /// [`Error::BadInput`] unless there are a true and a false example, and if labels judged true have the lower cosines;
    /// as [`Siglip::check_logits`].
    pub fn calibrate(&self, examples: &[Judged]) -> Result<Fitted, Error> {
        self.check_logits()?;
        let (scale, bias) = (self.engine().logit_scale(), self.engine().logit_bias());
        let line = fit(examples)?;
        // slope (cosine scale + bias) + offset = cosine (slope scale) + bias + (slope bias + offset - bias)
        let adjustment = Adjustment {
            scale: line.slope as f32,
            bias: ((line.slope - 1.0) * f64::from(bias) + line.offset) as f32,
        };
        let at = |logit: f32| (line.slope * f64::from(logit) + line.offset) as f32;
        let own = examples.iter().copied();
        let fitted = examples.iter().map(|example| Judged { logit: at(example.logit), ..*example });
        Ok(Fitted {
            adjustment,
            even_cosine: (-(f64::from(bias + adjustment.bias)) / f64::from(scale * adjustment.scale)) as f32,
            examples: examples.len(),
            before: Reliability::of(own),
            after: Reliability::of(fitted),
        })
    }
}

impl Reliability {
    /// Of judged examples with their logits.
    pub fn of(examples: impl ExactSizeIterator<Item = Judged> + Clone) -> Reliability {
        let weight = 1.0 / examples.len().max(1) as f64;
        let loss = |Judged { logit, truth }: Judged| softplus(f64::from(if truth { -logit } else { logit }));
        let question = |Judged { logit, truth }: Judged| Question { logit, truth, weight };
        Reliability {
            log_loss: examples.clone().map(loss).sum::<f64>() * weight,
            calibration: Calibration::of(examples.map(question)),
        }
    }
}

/// ln(1 + e^x), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// slope x logit + offset.
#[derive(Debug, Clone, Copy)]
struct Line {
    slope: f64,
    offset: f64,
}

/// The most probable line, by Newton's method with a line search. The loss is convex, and the prior makes its optimum unique.
fn fit(examples: &[Judged]) -> Result<Line, Error> {
    let bad = |reason: &str| Err(Error::BadInput(reason.into()));
    if examples.iter().any(|example| !example.logit.is_finite()) {
        return bad("an example's logit is not a finite number");
    }
    let of = |truth| examples.iter().filter(move |example| example.truth == truth);
    let mean =
        |truth| of(truth).map(|example| f64::from(example.logit)).sum::<f64>() / of(truth).count() as f64;
    if of(true).next().is_none() || of(false).next().is_none() {
        return bad("the examples are all true or all false; judge at least one of each kind");
    }
    let points: Vec<(f64, f64)> = examples
        .iter()
        .map(|&Judged { logit, truth }| (f64::from(logit), if truth { 1.0 } else { 0.0 }))
        .collect();
    let (slope_weight, offset_weight) = (SLOPE_DEVIATION.powi(-2), OFFSET_DEVIATION.powi(-2));
    // -t ln p - (1 - t) ln (1 - p) = softplus(z) - t z
    let loss = |slope: f64, offset: f64| -> f64 {
        let prior = 0.5 * (slope_weight * (slope - 1.0).powi(2) + offset_weight * offset.powi(2));
        let answers = points.iter().map(|&(x, t)| softplus(slope * x + offset) - t * (slope * x + offset));
        answers.sum::<f64>() + prior
    };
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..MOST_STEPS {
        // Gradient and Hessian.
        let (mut ga, mut gb) = (slope_weight * (slope - 1.0), offset_weight * offset);
        let (mut haa, mut hab, mut hbb) = (slope_weight, 0.0, offset_weight);
        for &(x, t) in &points {
            let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let (g, h) = (p - t, p * (1.0 - p));
            ga += g * x;
            gb += g;
            haa += h * x * x;
            hab += h * x;
            hbb += h;
        }
        if ga.abs().max(gb.abs()) < TOLERANCE * examples.len() as f64 {
            break;
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = ((hab * gb - hbb * ga) / determinant, (hab * ga - haa * gb) / determinant);
        let (now, descent) = (loss(slope, offset), ga * da + gb * db);
        let is_better =
            |&step: &f64| loss(slope + step * da, offset + step * db) <= now + 1e-4 * step * descent;
        // Where no step makes it smaller, rounding is all that is left.
        let Some(step) = (0..40).map(|halvings| 0.5f64.powi(halvings)).find(is_better) else { break };
        slope += step * da;
        offset += step * db;
    }
    if mean(true) <= mean(false) || slope <= 0.0 {
        return bad(
            "the labels judged true fit no better than those judged false, by the model's cosines; check the judgements, word the \
             labels in another way, or judge more examples",
        );
    }
    Ok(Line { slope, offset })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Recorded {
        logits: Vec<f32>,
        truths: Vec<bool>,
        slope: f64,
        offset: f64,
        log_loss_before: f64,
        log_loss_after: f64,
    }

    fn recorded() -> Vec<Recorded> {
        #[derive(Deserialize)]
        struct File {
            cases: Vec<Recorded>,
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity/calibration.json");
        serde_json::from_slice::<File>(&std::fs::read(file).unwrap()).unwrap().cases
    }

    fn examples(case: &Recorded) -> Vec<Judged> {
        case.logits.iter().zip(&case.truths).map(|(&logit, &truth)| Judged { logit, truth }).collect()
    }

    #[test]
    fn the_fit_is_the_optimum_that_torch_finds() {
        let cases = recorded();
        assert!(cases.len() >= 8);
        for (at, case) in cases.iter().enumerate() {
            let examples = examples(case);
            let Line { slope, offset } = fit(&examples).unwrap();
            let is_near =
                |found: f64, expected: f64| (found - expected).abs() <= 1e-6 * (1.0 + expected.abs());
            assert!(is_near(slope, case.slope), "case {at}: slope {slope}, not {}", case.slope);
            assert!(is_near(offset, case.offset), "case {at}: offset {offset}, not {}", case.offset);
            let before = Reliability::of(examples.iter().copied()).log_loss;
            assert!(is_near(before, case.log_loss_before), "case {at}: {before}");
            let fitted = examples.iter().map(|example| Judged {
                logit: (slope * f64::from(example.logit) + offset) as f32,
                ..*example
            });
            assert!(is_near(Reliability::of(fitted).log_loss, case.log_loss_after), "case {at}");
        }
    }

    #[test]
    fn examples_that_fit_nothing_are_refused() {
        let judged = |logit, truth| Judged { logit, truth };
        for (examples, part) in [
            (vec![], "at least one of each kind"),
            (vec![judged(1.0, true), judged(2.0, true)], "at least one of each kind"),
            (vec![judged(1.0, true), judged(2.0, false)], "fit no better"),
            (vec![judged(1.0, true), judged(1.0, false)], "fit no better"),
            (vec![judged(f32::NAN, true), judged(2.0, false)], "not a finite number"),
        ] {
            let message = fit(&examples).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn few_examples_never_fit_worse_than_the_model_itself() {
        for logits in [[-30.0, -1.0], [-1e4, 1e4], [-16.78, -16.77], [-9.0, 4.0], [3.0, 3.5]] {
            let examples =
                [(logits[0], false), (logits[1], true)].map(|(logit, truth)| Judged { logit, truth });
            let Line { slope, offset } = fit(&examples).unwrap();
            let fitted = examples.map(|example| Judged {
                logit: (slope * f64::from(example.logit) + offset) as f32,
                ..example
            });
            let [before, after] =
                [examples, fitted].map(|judged| Reliability::of(judged.into_iter()).log_loss);
            assert!(slope > 0.0 && after <= before + 1e-6, "{logits:?}: {after} after {before}");
        }
    }
}
