//! Classes that a person teaches by example pictures: by the means of their embeddings, or with a linear probe.
//!
//! Either way a class becomes a direction and an offset, so that its logit is weights · embedding + bias. One file,
//! [`TaughtClasses::to_json`], is what the command line, pages and elements exchange.

mod file;
mod logistic;
mod means;
mod probe;

use std::collections::HashSet;

use crate::Error;
use crate::index::{IndexModel, other_model};
use crate::scores::{Score, ScoreFilter, rank, softmax};

pub use probe::{Probe, ProbeOptions};

/// Most classes of a set.
const MOST_CLASSES: usize = 4096;
/// Characters of the longest name of a class.
const LONGEST_NAME: usize = 200;
/// Most values of an embedding.
const MOST_VALUES: usize = 8192;

/// Why classes cannot be taught, or a file of them cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClassesError {
    /// The file is something else.
    #[error(
        "these are no taught classes; `siglip probe train` and the export() of siglip.classes() write such files"
    )]
    NotClasses,
    /// A later version of this program has written it.
    #[error(
        "the classes have version {0}, and this program reads version 1; use a newer one, or teach them again"
    )]
    Version(u32),
    /// Something in the file is missing, out of range or of another length.
    #[error("the classes are damaged: {0}; teach them again")]
    Damaged(String),
    /// The classes are of another model's embeddings.
    #[error(
        "the classes were taught with {}; load that model, or teach them again",
        other_model(taught, "with", loaded)
    )]
    OtherModel {
        /// The model that they were taught with.
        taught: String,
        /// The model at hand.
        loaded: String,
    },
    /// A class that cannot be used as it is.
    #[error("the class {name:?} {reason}")]
    BadClass {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are too few classes, or too many.
    #[error("there are {found} classes; {needed}")]
    Count {
        /// So many there are.
        found: usize,
        /// What there must be.
        needed: &'static str,
    },
    /// A bias of a person's own, or shares, where there can be none.
    #[error("{0}")]
    NoAdjustment(&'static str),
}

/// What a class is taught by.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// The class.
    pub name: String,
    /// The embedding of a text for it.
    pub text: Option<Vec<f32>>,
    /// Embeddings of pictures that show it.
    pub images: Vec<Vec<f32>>,
    /// Embeddings of pictures that do not show it, and are easily taken for it.
    pub not: Vec<Vec<f32>>,
    /// The share of the pictures in a mixture with the text: 0 is the text alone, 1 the pictures alone.
    pub mix: f32,
}

/// How the classes were made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Of each class the mean of its pictures, mixed with its text. Each has a probability of its own.
    Means,
    /// Logistic regression on the pictures. The probabilities add up to one.
    Probe(Probe),
}

/// A class of a set, without its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TaughtClass {
    /// Its name.
    pub name: String,
    /// Number of pictures that show it.
    pub images: usize,
    /// Number of pictures that do not show it.
    pub not: usize,
    /// Whether a text is part of it.
    pub text: bool,
    /// The share of the pictures in the mixture.
    pub mix: f32,
}

/// Classes taught by example.
#[derive(Debug, Clone, PartialEq)]
pub struct TaughtClasses {
    model: IndexModel,
    kind: Kind,
    classes: Vec<TaughtClass>,
    /// [classes, embedding size].
    weights: Vec<f32>,
    /// One per class.
    biases: Vec<f32>,
}

impl TaughtClasses {
    /// Whose embeddings they are of.
    pub fn model(&self) -> &IndexModel {
        &self.model
    }

    /// How they were made.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The classes, in their order.
    pub fn classes(&self) -> &[TaughtClass] {
        &self.classes
    }

    /// Checks that they are of this model's embeddings.
    ///
    /// # Errors
    /// [`ClassesError::OtherModel`].
    pub fn check_model(&self, loaded: &IndexModel) -> Result<(), ClassesError> {
        if self.model.matches(loaded) {
            return Ok(());
        }
        Err(ClassesError::OtherModel { taught: self.model.name.clone(), loaded: loaded.name.clone() })
    }

    /// The classes' scores for an image's embedding of L2 norm 1, best first. Those of a probe are shares of one.
    ///
    /// # Errors
    /// [`Error::BadInput`] for an embedding of another length; [`ClassesError::NoAdjustment`] for a scale of a person's own
    /// and, with a probe, for a bias or relative scores.
    pub fn scores(&self, image_embeds: &[f32], filter: ScoreFilter) -> Result<Vec<Score>, Error> {
        let size = self.model.embedding_size;
        if image_embeds.len() != size {
            let found = image_embeds.len();
            return Err(Error::BadInput(format!(
                "an image embedding of {found}; these classes are of {size}"
            )));
        }
        self.check_filter(filter)?;
        let bias = filter.adjustment.bias;
        let rows = self.weights.chunks_exact(size).zip(&self.biases);
        let logits: Vec<f32> =
            rows.map(|(row, own)| siglip_kernels::dot(image_embeds, row) + own + bias).collect();
        let adjusted = filter.adjustment.is_own();
        let named = self.classes.iter().zip(&logits);
        let mut scores: Vec<Score> =
            named.map(|(class, &logit)| Score { adjusted, ..Score::new(&class.name, logit) }).collect();
        if matches!(self.kind, Kind::Probe(_)) {
            scores.iter_mut().zip(softmax(&logits)).for_each(|(score, share)| score.score = share);
        }
        Ok(rank(scores, filter))
    }

    fn check_filter(&self, filter: ScoreFilter) -> Result<(), ClassesError> {
        if filter.adjustment.scale != 1.0 {
            return Err(ClassesError::NoAdjustment("taught classes take a bias, and no scale; leave it out"));
        }
        let is_probe = matches!(self.kind, Kind::Probe(_));
        if is_probe && (filter.relative || filter.adjustment.is_own()) {
            return Err(ClassesError::NoAdjustment(
                "the scores of a linear probe are shares of one already; leave out bias and relative",
            ));
        }
        Ok(())
    }
}

/// Checks the names, and that all embeddings are of the model and have a direction. They are scaled to L2 norm 1.
fn checked(model: &IndexModel, examples: &[Examples]) -> Result<Vec<Examples>, ClassesError> {
    let found = examples.len();
    if !(1..=MOST_CLASSES).contains(&found) {
        return Err(ClassesError::Count { found, needed: "1 to 4096 can be taught" });
    }
    check_names(examples.iter().map(|class| class.name.as_str()))?;
    examples.iter().map(|class| class.checked(model.embedding_size)).collect()
}

impl Examples {
    fn checked(&self, size: usize) -> Result<Examples, ClassesError> {
        let wrong = |reason: String| ClassesError::BadClass { name: self.name.clone(), reason };
        if !(0.0..=1.0).contains(&self.mix) {
            return Err(wrong(format!("has a mix of {}; it is a number from 0 to 1", self.mix)));
        }
        let unit = |embedding: &Vec<f32>| {
            if embedding.len() != size {
                let found = embedding.len();
                return Err(wrong(format!("has an embedding of {found} values; the model's have {size}")));
            }
            unit(embedding)
                .ok_or_else(|| wrong("has an embedding whose L2 norm is no positive number".into()))
        };
        let units = |list: &[Vec<f32>]| list.iter().map(unit).collect::<Result<Vec<_>, _>>();
        Ok(Examples {
            name: self.name.clone(),
            text: self.text.as_ref().map(unit).transpose()?,
            images: units(&self.images)?,
            not: units(&self.not)?,
            mix: self.mix,
        })
    }

    /// What the file says of the class.
    fn listed(&self) -> TaughtClass {
        TaughtClass {
            name: self.name.clone(),
            images: self.images.len(),
            not: self.not.len(),
            text: self.text.is_some(),
            mix: self.mix,
        }
    }
}

fn check_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), ClassesError> {
    let mut seen = HashSet::new();
    for name in names {
        let wrong = |reason: &str| {
            let name = name.chars().take(LONGEST_NAME).collect();
            Err(ClassesError::BadClass { name, reason: reason.into() })
        };
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            return wrong("has a name that is empty or longer than 200 characters");
        }
        if !seen.insert(name) {
            return wrong("occurs twice");
        }
    }
    Ok(())
}

/// A vector scaled to L2 norm 1; `None` if it has no direction.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let is_usable = norm.is_finite() && norm > 0.0;
    is_usable.then(|| vector.iter().map(|value| (f64::from(*value) / norm) as f32).collect())
}
