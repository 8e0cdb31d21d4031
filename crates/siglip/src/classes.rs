//! Scores of a fine-tuned classifier, whose classes are its own.

use crate::config::{ClassifierConfig, ProblemType};
use crate::scores::{Score, sigmoid};
use crate::{Engine, Error, Siglip};

impl ClassifierConfig {
    /// The score of each class, from its logit.
    pub fn scores(&self, logits: &[f32]) -> Vec<Score> {
        let scores = match self.problem_type {
            ProblemType::SingleLabel => softmax(logits),
            ProblemType::MultiLabel => logits.iter().copied().map(sigmoid).collect(),
            ProblemType::Regression => logits.to_vec(),
        };
        let classes = self.labels.iter().zip(logits).zip(scores);
        classes.map(|((label, &logit), score)| Score { score, ..Score::new(label, logit) }).collect()
    }
}

/// e^logit, as a share of the sum over all logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / sum) as f32).collect()
}

impl<E: Engine> Siglip<E> {
    /// The classes of a fine-tuned classifier; `None` of a model that scores any labels.
    pub fn classifier(&self) -> Option<&ClassifierConfig> {
        self.engine.config().classifier.as_ref()
    }
}

/// Checks that a classifier can answer: it has classes, and no others are asked for.
pub(crate) fn check_classes(
    classifier: &ClassifierConfig,
    labels: Option<&[String]>,
    set: Option<&str>,
) -> Result<(), Error> {
    if classifier.labels.is_empty() {
        return Err(Error::BadInput(
            "this classifier has no classes (num_labels is 0), so there are no scores; its vectors are what an embedding of an \
             image gives"
                .into(),
        ));
    }
    match (labels, set) {
        (None, None) => Ok(()),
        (Some(_), _) => Err(Error::BadInput(format!("{}; leave the labels out", no_labels(classifier)))),
        (None, Some(set)) => {
            Err(Error::BadInput(format!("there is no label set {set:?}: {}", no_labels(classifier))))
        }
    }
}

/// The error of a call that needs labels or texts.
pub(crate) fn no_texts(classifier: &ClassifierConfig) -> Error {
    Error::BadInput(format!("{}; load a SigLIP that is no classifier", no_labels(classifier)))
}

fn no_labels(classifier: &ClassifierConfig) -> String {
    let some: Vec<String> = classifier.labels.iter().take(3).map(|label| format!("{label:?}")).collect();
    let more = match classifier.labels.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let some = some.join(", ");
    format!(
        "this model is a fine-tuned classifier, which reads no text: it scores its own classes ({some}{more})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_neither_overflows_nor_depends_on_a_common_term() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(softmax(&[-1000.0, 0.0]), [0.0, 1.0]);
        // torch.tensor([0.5, -1.25, 3.0]).softmax(0)
        let expected = [0.074_871_21, 0.013_010_666, 0.912_118_14];
        for (found, expected) in softmax(&[7.5, 5.75, 10.0]).into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
}
