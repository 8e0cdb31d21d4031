//! A linear probe: logistic regression on the pictures' embeddings.

use super::logistic::{Fitted, Samples, log_softmax};
use super::{ClassesError, Examples, Kind, TaughtClasses, checked};
use crate::index::IndexModel;

/// Most folds of the cross-validation.
const FOLDS: usize = 5;
/// Fewest pictures of a class: one to learn from while the other is held out.
const FEWEST: usize = 2;
/// Bounds of the factor of the logits, and the steps in which it is looked for. The penalty makes logits too small: a factor
/// below 1 would follow from a few unlucky pictures only.
const FACTORS: (f64, f64, usize) = (1.0, 100.0, 120);

/// How a probe is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeOptions {
    /// The inverse of the penalty's strength, as in scikit-learn. The embeddings have L2 norm 1 and are not standardised.
    pub c: f64,
}

impl Default for ProbeOptions {
    fn default() -> ProbeOptions {
        ProbeOptions { c: 1.0 }
    }
}

/// What is known of a trained probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The share of pictures whose class is right by a probe that has not seen them.
    pub accuracy: f64,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// The inverse of the penalty's strength.
    pub c: f64,
    /// The factor of the regression's weights and biases.
    pub factor: f64,
}

impl TaughtClasses {
    /// Multinomial logistic regression with an L2 penalty on the embeddings, as scikit-learn's `LogisticRegression` has it.
    ///
    /// The accuracy is cross-validated: the i-th picture of a class is in fold i mod 5, and each fold is answered by a probe of
    /// the others. On few pictures the penalty leaves all probabilities near each other. One factor for all weights and biases
    /// is fitted to the log loss of these answers; it changes no order, and so no accuracy.
    ///
    /// Texts and pictures that do not show a class have no part in it.
    ///
    /// # Errors
    /// [`ClassesError`] if there are fewer than two classes, or one has fewer than two pictures.
    pub fn probe(
        model: &IndexModel,
        examples: &[Examples],
        options: ProbeOptions,
    ) -> Result<TaughtClasses, ClassesError> {
        let examples = checked(model, examples)?;
        let found = examples.len();
        if found < 2 {
            return Err(ClassesError::Count { found, needed: "a linear probe tells at least two apart" });
        }
        if !(options.c > 0.0 && options.c.is_finite()) {
            return Err(ClassesError::NoAdjustment("C is a number greater than 0"));
        }
        for class in &examples {
            let count = class.images.len();
            if count < FEWEST {
                let reason =
                    format!("has {count} pictures; a linear probe needs {FEWEST}, and better 10 or more");
                return Err(ClassesError::BadClass { name: class.name.clone(), reason });
            }
        }
        let least = examples.iter().map(|class| class.images.len()).min().unwrap_or(0);
        let folds = least.min(FOLDS);
        let all = samples(&examples, |_| true);
        let fitted = all.fit(options.c, None);
        let mut held_out = Vec::with_capacity(all.rows.len());
        for fold in 0..folds {
            // The probe of all pictures is a good start, and the optimum does not depend on it.
            let probe = samples(&examples, |at| at % folds != fold).fit(options.c, Some(&fitted));
            let asked = samples(&examples, |at| at % folds == fold);
            let answers = asked.rows.iter().zip(asked.truths);
            held_out.extend(answers.map(|(row, truth)| (probe.logits(row), truth)));
        }
        let right = held_out.iter().filter(|(logits, truth)| best(logits) == *truth).count();
        let factor = best_factor(&held_out);
        let kind = Kind::Probe(Probe {
            accuracy: right as f64 / held_out.len() as f64,
            folds,
            c: options.c,
            factor,
        });
        let (weights, biases) = split(&fitted, model.embedding_size, factor);
        let classes = examples.iter().map(Examples::listed).collect();
        Ok(TaughtClasses { model: model.clone(), kind, classes, weights, biases })
    }
}

/// The pictures whose places among those of their class are chosen.
fn samples(examples: &[Examples], is_chosen: impl Fn(usize) -> bool) -> Samples<'_> {
    let mut samples = Samples { rows: Vec::new(), truths: Vec::new(), classes: examples.len() };
    for (truth, class) in examples.iter().enumerate() {
        for (_, image) in class.images.iter().enumerate().filter(|(at, _)| is_chosen(*at)) {
            samples.rows.push(image);
            samples.truths.push(truth);
        }
    }
    samples
}

/// The place of the largest logit; of equal ones the first.
fn best(logits: &[f64]) -> usize {
    let better = |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
    (1..logits.len()).fold(0, better)
}

/// The factor of the logits that gives the least log loss.
fn best_factor(answers: &[(Vec<f64>, usize)]) -> f64 {
    let loss = |factor: f64| -> f64 {
        let one = |(logits, truth): &(Vec<f64>, usize)| {
            let mut logits: Vec<f64> = logits.iter().map(|logit| factor * logit).collect();
            log_softmax(&mut logits);
            -logits[*truth]
        };
        answers.iter().map(one).sum()
    };
    let (least, most, steps) = FACTORS;
    let factors = (0..=steps).map(|step| least * (most / least).powf(step as f64 / steps as f64));
    let scored = factors.map(|factor| (factor, loss(factor)));
    scored.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(1.0, |(factor, _)| factor)
}

/// Weights [classes, embedding size] and biases, times the factor.
fn split(fitted: &Fitted, size: usize, factor: f64) -> (Vec<f32>, Vec<f32>) {
    let Fitted { parameters, classes } = fitted;
    let at = |row: usize, class: usize| (factor * parameters[row * classes + class]) as f32;
    let weights = (0..*classes).flat_map(|class| (0..size).map(move |row| at(row, class))).collect();
    (weights, (0..*classes).map(|class| at(size, class)).collect())
}
