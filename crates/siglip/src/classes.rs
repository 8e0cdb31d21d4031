//! Scores of a fine-tuned classifier, whose classes are its own.

use crate::config::{ClassifierConfig, ProblemType};
use crate::scores::{Score, sigmoid, softmax};
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

/// The error of a bias, a scale or relative scores for a classifier.
pub(crate) fn no_own_scores() -> Error {
    Error::BadInput(
        "a fine-tuned classifier has no scale and bias that could be changed, and what its scores are was decided when it was \
         trained; leave out bias, scale and relative"
            .into(),
    )
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
