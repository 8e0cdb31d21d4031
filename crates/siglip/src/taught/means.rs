//! Classes as means of their pictures' embeddings, mixed with their texts.

use siglip_kernels::dot;

use super::{ClassesError, Examples, Kind, TaughtClasses, checked, unit};
use crate::index::IndexModel;

/// The share of the mean of "not this" pictures that is subtracted. With three pictures a class of Tiny-ImageNet, and three of the
/// likest class as "not this", a picture of the class is above one of the likest class in 74 % of the pairs, without it in 67 %; above
/// one of another class in 88.8 and 89.0 %, with a share of 0.5 in 87.4 %: tests/parity/class_means.py.
const NOT_SHARE: f32 = 0.3;
/// How many times as far from a class's mean other pictures are as its own, in 1 - cosine, where none are at hand to tell. With the
/// demonstration model and three pictures a class of Tiny-ImageNet, that script measures 1.7.
const OTHERS_DISTANCE: f64 = 1.6;
/// The most that own and other pictures are alike where nothing shows how others are. Three pictures of one thing in a row are
/// more alike than those that will be asked about.
const ALIKE: (f64, f64) = (0.9, 0.6);
/// How many standard deviations lie between own and other pictures, where there are not enough to tell; likewise 1.7.
const SEPARATION: f64 = 1.8;
/// The least distance of two means of cosines that tells anything, and the least standard deviation.
const LEAST_GAP: f64 = 0.01;

/// How the cosines of pictures with a class's direction are distributed, over all classes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cosines {
    /// Of pictures that show the class and were no part of its mean.
    own: f64,
    /// Of pictures that do not show it.
    others: f64,
    /// The variance of either.
    variance: f64,
}

impl TaughtClasses {
    /// Each class is the mean of its pictures' embeddings, less a share of the mean of those that do not show it, with an L2
    /// norm of 1. `mix` of it is joined with 1 - `mix` of the text. A class without pictures is its text, one without a text its
    /// pictures.
    ///
    /// Cosines among pictures are much higher than those of pictures and texts. The text's part has the model's own scale and
    /// bias; the pictures' part is a logit, too, that of two normal distributions of one variance: of the cosines of own
    /// pictures, each with the mean of the others, and of all pictures that show something else.
    ///
    /// # Errors
    /// [`ClassesError`] names the class that cannot be used.
    pub fn means(model: &IndexModel, examples: &[Examples]) -> Result<TaughtClasses, ClassesError> {
        let examples = checked(model, examples)?;
        let directions = examples.iter().map(direction).collect::<Result<Vec<_>, _>>()?;
        let cosines = Cosines::of(&examples, &directions);
        let slope = (cosines.own - cosines.others) / cosines.variance;
        let middle = (cosines.own + cosines.others) / 2.0;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (class, direction) in examples.iter().zip(&directions) {
            let mix = match (&class.text, direction) {
                (_, None) => 0.0,
                (None, _) => 1.0,
                _ => f64::from(class.mix),
            };
            let (scale, bias) = (f64::from(model.logit_scale), f64::from(model.logit_bias));
            if class.text.is_some() && mix < 1.0 && !(scale.is_finite() && bias.is_finite()) {
                let reason =
                    "has a text, and the model has no scale and bias to score it with; leave the text out";
                return Err(ClassesError::BadClass { name: class.name.clone(), reason: reason.into() });
            }
            let mut row = vec![0.0f64; model.embedding_size];
            let mut offset = 0.0;
            if let (Some(text), true) = (&class.text, mix < 1.0) {
                add(&mut row, text, (1.0 - mix) * scale);
                offset += (1.0 - mix) * bias;
            }
            if let (Some(direction), true) = (direction, mix > 0.0) {
                add(&mut row, direction, mix * slope);
                offset -= mix * slope * middle;
            }
            weights.extend(row.into_iter().map(|value| value as f32));
            biases.push(offset as f32);
        }
        let classes = examples.iter().map(Examples::listed).collect();
        Ok(TaughtClasses { model: model.clone(), kind: Kind::Means, classes, weights, biases })
    }
}

/// The direction of a class's pictures; `None` if it has none.
fn direction(class: &Examples) -> Result<Option<Vec<f32>>, ClassesError> {
    let wrong = |reason: &str| ClassesError::BadClass { name: class.name.clone(), reason: reason.into() };
    if class.images.is_empty() {
        return match class.text {
            None => Err(wrong("has neither a text nor a picture")),
            Some(_) => Ok(None),
        };
    }
    let cancelled = || wrong("has pictures that cancel each other out");
    mean_less_not(&sum(&class.images), &class.not).map(Some).ok_or_else(cancelled)
}

/// The mean of own pictures, given their sum, less a share of that of the others.
fn mean_less_not(sum_of_own: &[f32], not: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut direction = unit(sum_of_own)?;
    if !not.is_empty() {
        let not = unit(&sum(not))?;
        direction.iter_mut().zip(not).for_each(|(value, not)| *value -= NOT_SHARE * not);
    }
    unit(&direction)
}

fn sum(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    sum
}

fn add(row: &mut [f64], vector: &[f32], factor: f64) {
    row.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * f64::from(*value));
}

impl Cosines {
    fn of(examples: &[Examples], directions: &[Option<Vec<f32>>]) -> Cosines {
        let (mut own, mut others) = (Moments::default(), Moments::default());
        for (at, (class, direction)) in examples.iter().zip(directions).enumerate() {
            let Some(direction) = direction else { continue };
            let total = sum(&class.images);
            for image in class.images.iter().filter(|_| class.images.len() > 1) {
                let rest: Vec<f32> = total.iter().zip(image).map(|(sum, value)| sum - value).collect();
                let without = mean_less_not(&rest, &class.not);
                own.add(without.map_or(0.0, |without| dot(image, &without)));
            }
            let elsewhere = examples.iter().enumerate().filter(|(other, _)| *other != at);
            for image in elsewhere.flat_map(|(_, other)| &other.images).chain(&class.not) {
                others.add(dot(image, direction));
            }
        }
        // What is not known is made of what is. A single picture says nothing of how far others of its class may be.
        let (own_mean, others_mean) = match (own.mean(), others.mean()) {
            (Some(own), Some(others)) => (own, others),
            (Some(own), None) => {
                let own = own.min(ALIKE.0);
                (own, (1.0 - OTHERS_DISTANCE * (1.0 - own)).min(ALIKE.1))
            }
            (None, Some(others)) => (1.0 - (1.0 - others) / OTHERS_DISTANCE, others),
            (None, None) => (0.6, 0.36),
        };
        let own_mean = own_mean.max(others_mean + LEAST_GAP);
        let expected = ((own_mean - others_mean) / SEPARATION).powi(2);
        let known: Vec<f64> = [own.variance(), others.variance()].into_iter().flatten().collect();
        let measured = known.iter().sum::<f64>() / known.len().max(1) as f64;
        // A few pictures that are alike by chance must not make the model certain.
        let variance = if known.len() == 2 { measured.max(expected / 9.0) } else { measured.max(expected) };
        Cosines { own: own_mean, others: others_mean, variance: variance.max(LEAST_GAP.powi(2)) }
    }
}

/// Count, sum and sum of squares.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    fn variance(self) -> Option<f64> {
        let mean = self.sum / self.count;
        (self.count > 1.0).then(|| (self.squares / self.count - mean * mean).max(0.0))
    }
}
