//! A look at how training is going: accuracy on some of the validation pictures, with the towers as they are trained.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::Tensor;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::index;

use crate::Error;
use crate::captions::Captions;
use crate::data::Validation;
use crate::model::{Parameters, normalize};

/// Zero-shot accuracy on one source.
pub struct Accuracy {
    source: &'static str,
    classes: usize,
    top1: f64,
    five_way: f64,
}

/// Accuracies by source.
pub struct Quick(Vec<Accuracy>);

impl fmt::Display for Quick {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, a) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let (top1, five_way) = (a.top1 * 100.0, a.five_way * 100.0);
            write!(f, "{comma}{}: top-1 of {} {top1:.1} %, 5-way {five_way:.1} %", a.source, a.classes)?;
        }
        Ok(())
    }
}

/// A look at some of the validation pictures while training goes on.
pub fn quick(parameters: &Parameters, captions: &Captions, validation: &Validation) -> Result<Quick, Error> {
    let sources = [("tiny-imagenet", 4), ("emoji", 1)];
    Ok(Quick(
        sources
            .map(|(source, every)| accuracy(parameters, captions, validation, source, every))
            .into_iter()
            .collect::<Result<_, _>>()?,
    ))
}

fn accuracy(
    parameters: &Parameters,
    captions: &Captions,
    validation: &Validation,
    source: &'static str,
    every: usize,
) -> Result<Accuracy, Error> {
    let weights = parameters.frozen();
    let rows: Vec<usize> = validation.rows(source).into_iter().step_by(every).collect();
    let names: BTreeMap<&str, usize> =
        rows.iter().map(|&row| (validation.classes[row].as_str(), 0)).collect();
    let names: BTreeMap<&str, usize> = names.into_keys().enumerate().map(|(i, class)| (class, i)).collect();
    let sentences: Vec<String> = names
        .keys()
        .map(|class| format!("this is a photo of {}", plain(&validation.names[*class][0])))
        .collect();
    let mut texts = Vec::new();
    for sentences in sentences.chunks(256) {
        texts.push(normalize(&weights.text_features(&captions.input_ids(sentences)?, &captions.vectors)?)?);
    }
    let texts = Tensor::cat(&texts, 0)?.t()?.contiguous()?;
    let mut random = SmallRng::seed_from_u64(0);
    let (mut best, mut best_of_five) = (0, 0);
    for rows in rows.chunks(100) {
        let (patches, positions) = validation.patches(rows, &parameters.shape)?;
        let images = normalize(&weights.image_features(&patches, &positions, rows.len())?)?;
        for (row, cosines) in rows.iter().zip(images.matmul(&texts)?.to_vec2::<f32>()?) {
            let right = names[validation.classes[*row].as_str()];
            let beaten = |other: usize| other == right || cosines[other] < cosines[right];
            best += usize::from((0..cosines.len()).all(beaten));
            let others = index::sample(&mut random, cosines.len() - 1, 4);
            best_of_five += usize::from(others.into_iter().map(|i| i + usize::from(i >= right)).all(beaten));
        }
    }
    let share = |hits: usize| hits as f64 / rows.len() as f64;
    Ok(Accuracy { source, classes: names.len(), top1: share(best), five_way: share(best_of_five) })
}

/// Lower case, without punctuation, as the tokenizer makes it.
fn plain(name: &str) -> String {
    let spaced: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
