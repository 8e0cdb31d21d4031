//! The written model, read and run by the engine that visitors run, on pictures it has never seen; and its calibration.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use siglip::evaluation::{Calibration, Evaluation, Question};
use siglip::image::RgbImage;
use siglip::text::Template;
use siglip::{LoadOptions, Precision, Siglip};

use crate::Error;
use crate::data::{IMAGE_SIZE, Validation};

/// The sources that have pictures for validation, with the share of each in what the model is trained for (`SHARES` of
/// `recipe/batches.py`).
const SOURCES: [(&str, f64); 3] = [("tiny-imagenet", 0.60), ("grocery-store", 0.05), ("emoji", 0.17)];

/// Reports on a written model over the validation pictures, a JSON line a source.
#[derive(Args)]
pub struct Eval {
    /// What the recipe wrote.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the model, as the hub has it.
    #[arg(long)]
    model: PathBuf,
    /// How the matrices are kept.
    #[arg(long, value_enum, default_value_t = Kept::Q8)]
    precision: Kept,
}

/// Fits temperature and bias of a written model to every other validation picture among 3 to 12 labels, as people ask, and
/// writes them into it.
#[derive(Args)]
pub struct Calibrate {
    /// What the recipe wrote.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the model, as the hub has it.
    #[arg(long)]
    model: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kept {
    F32,
    Q8,
}

impl Eval {
    /// Looks at every validation picture.
    pub fn run(&self) -> Result<(), Error> {
        let validation = Validation::read(&self.data)?;
        let precision = match self.precision {
            Kept::F32 => Precision::F32,
            Kept::Q8 => Precision::Q8,
        };
        let mut siglip = load(&self.model, precision)?;
        for (source, _) in SOURCES {
            let rows = validation.rows(source);
            print(source, &evaluate(&mut siglip, &validation, &rows)?);
        }
        Ok(())
    }
}

impl Calibrate {
    /// Fits on every other row.
    pub fn run(&self) -> Result<(), Error> {
        let validation = Validation::read(&self.data)?;
        let mut siglip = load(&self.model, Precision::F32)?;
        let (scale, bias) = (siglip.engine().logit_scale(), siglip.engine().logit_bias());
        let mut sources = Vec::new();
        for (source, share) in SOURCES {
            let rows: Vec<usize> = validation.rows(source).into_iter().step_by(2).collect();
            let asked = evaluate(&mut siglip, &validation, &rows)?;
            // Of the cosine: what the logit was made of.
            let of_cosine =
                |question: Question| Question { logit: (question.logit - bias) / scale, ..question };
            sources.push((share, natural(&asked).into_iter().map(of_cosine).collect::<Vec<_>>()));
        }
        let (new_scale, new_bias) = fit(&sources, (scale.into(), bias.into()));
        println!("scale {scale} -> {new_scale}, bias {bias} -> {new_bias}");
        let values = [("logit_scale", new_scale.ln()), ("logit_bias", new_bias)];
        set_scalars(&self.model.join("model.safetensors"), &values)
    }
}

/// Writes other values for some scalars of a checkpoint in half precision.
fn set_scalars(path: &Path, values: &[(&str, f64)]) -> Result<(), Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(Error::data(path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(Error::data(path))?;
    let halves: Vec<[u8; 2]> =
        values.iter().map(|(_, value)| half::f16::from_f64(*value).to_le_bytes()).collect();
    let mut views: BTreeMap<String, TensorView> = tensors.tensors().into_iter().collect();
    for ((name, _), half) in values.iter().zip(&halves) {
        let there = views.get(*name).filter(|view| view.dtype() == Dtype::F16 && view.data().len() == 2);
        let shape = there.ok_or_else(|| Error::data(path)(format!("{name} is no scalar of 16 bits")))?;
        let view = TensorView::new(Dtype::F16, shape.shape().to_vec(), half).map_err(Error::data(path))?;
        views.insert((*name).into(), view);
    }
    let written = safetensors::serialize(views, header.metadata().clone()).map_err(Error::data(path))?;
    std::fs::write(path, written).map_err(Error::file(path))
}

fn print(source: &str, evaluation: &Evaluation) {
    let natural = Calibration::of(natural(evaluation));
    println!(
        "{}",
        serde_json::json!({ "source": source, "report": evaluation.report(), "natural": natural })
    );
}

/// Every picture against the first names of all classes that the rows have, in the page's own template.
fn evaluate(siglip: &mut Siglip, validation: &Validation, rows: &[usize]) -> Result<Evaluation, Error> {
    let classes: BTreeMap<&str, ()> =
        rows.iter().map(|&row| (validation.classes[row].as_str(), ())).collect();
    let labels: Vec<String> = classes.keys().map(|class| validation.names[*class][0].clone()).collect();
    let places: BTreeMap<&str, usize> = classes.into_keys().zip(0..).collect();
    let texts = siglip.text_embeds(&siglip::prompts(&labels, &Template::default())?)?.concat();
    let mut evaluation = Evaluation::new(labels.len());
    for (place, label) in labels.iter().enumerate() {
        if !siglip.unknown_words(label)?.is_empty() {
            evaluation.mark_unreadable(place);
        }
    }
    for &row in rows {
        let side = IMAGE_SIZE as u32;
        let image =
            RgbImage::from_rgb(side, side, validation.pixels(row).to_vec()).map_err(siglip::Error::from)?;
        let image_embeds = siglip.image_embeds(&image)?;
        let logits = siglip.logits_per_image(&image_embeds, &texts);
        evaluation.add(&logits, places[validation.classes[row].as_str()]);
    }
    Ok(evaluation)
}

fn load(folder: &Path, precision: Precision) -> Result<Siglip, Error> {
    let options = LoadOptions { precision, ..LoadOptions::default() };
    Ok(Siglip::from_files(|name| File::open(folder.join(name)), options)?)
}

/// Numbers of labels that are natural to ask about at once, each as often as the others.
const NATURAL: std::ops::RangeInclusive<usize> = 3..=12;

/// The yes/no questions of all natural sets of labels, the true one in each.
fn natural(evaluation: &Evaluation) -> Vec<Question> {
    let sizes = NATURAL.count() as f64;
    let others = NATURAL.map(|size| (size - 1) as f64).sum::<f64>() / sizes;
    // Of the 5-way sets' questions, one in five is about the true label.
    let weigh = |question: Question| {
        let often = if question.truth { 5.0 } else { others * 5.0 / 4.0 };
        Question { weight: question.weight * often / (1.0 + others), ..question }
    };
    evaluation.questions().map(weigh).collect()
}

/// The questions with the logits scale x + bias for theirs.
fn rescaled(questions: &[Question], (scale, bias): (f64, f64)) -> impl Iterator<Item = Question> {
    let rescale = move |logit: f32| (scale * f64::from(logit) + bias) as f32;
    questions.iter().map(move |&question| Question { logit: rescale(question.logit), ..question })
}

/// The scale and bias for which the log loss plus the calibration error, averaged over the sources by their shares, is
/// least: a pattern search (Hooke and Jeeves, 1961) from `start`, with steps up or down in either number that are
/// halved where none helps. The log loss alone fits the many sure answers and leaves those in the middle off; the
/// calibration error alone is least where every answer is the same.
fn fit(sources: &[(f64, Vec<Question>)], start: (f64, f64)) -> (f64, f64) {
    let cost = |(log_scale, bias): (f64, f64)| {
        let line = (log_scale.exp(), bias);
        let of_source = |(share, questions): &(f64, Vec<Question>)| {
            let loss_of = |q: Question| q.weight * softplus(if q.truth { -q.logit } else { q.logit }.into());
            let log_loss: f64 = rescaled(questions, line).map(loss_of).sum();
            share * (log_loss + Calibration::of(rescaled(questions, line)).error)
        };
        sources.iter().map(of_source).sum::<f64>()
    };
    let mut best = (start.0.ln(), start.1);
    let mut least = cost(best);
    let mut step = 0.5_f64;
    while step > 1e-3 {
        let (scale, bias) = best;
        // The best bias is nearly in proportion to the scale: without steps of both the search would be slow.
        let larger = bias * (step.exp() - 1.0);
        let smaller = bias * ((-step).exp() - 1.0);
        let tried = [
            (scale + step, bias),
            (scale - step, bias),
            (scale, bias + step),
            (scale, bias - step),
            (scale + step, bias + larger),
            (scale - step, bias + smaller),
        ];
        let found = tried.into_iter().map(|point| (cost(point), point)).min_by(|a, b| a.0.total_cmp(&b.0));
        match found {
            Some((cost, point)) if cost < least => (least, best) = (cost, point),
            _ => step /= 2.0,
        }
    }
    (best.0.exp(), best.1)
}

/// log(1 + e^x).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At every x the share of yes is exactly sigmoid(6 x - 2).
    fn questions() -> Vec<Question> {
        (-200..=200)
            .flat_map(|i| {
                let x = i as f32 / 100.0;
                let yes = f64::from(siglip::sigmoid(6.0 * x - 2.0)) / 401.0;
                [(true, yes), (false, 1.0 / 401.0 - yes)].map(|(truth, weight)| Question {
                    logit: x,
                    truth,
                    weight,
                })
            })
            .collect()
    }

    #[test]
    fn fit_finds_the_line_that_the_answers_came_from() {
        let (scale, bias) = fit(&[(1.0, questions())], (1.0, 0.0));
        assert!((scale - 6.0).abs() < 0.05 && (bias + 2.0).abs() < 0.02, "{scale} {bias}");
    }

    #[test]
    fn the_error_of_what_is_so_is_none_and_that_of_doubt_is_large() {
        let error = |line| Calibration::of(rescaled(&questions(), line)).error;
        assert!(error((6.0, -2.0)) < 1e-6);
        assert!(error((0.5, 0.0)) > 0.2);
    }

    #[test]
    fn other_scalars_leave_the_rest_as_it_is() {
        let path =
            std::env::temp_dir().join(format!("siglip-train-scalars-{}.safetensors", std::process::id()));
        let half = |value: f64| half::f16::from_f64(value).to_le_bytes().to_vec();
        let (scale, other) = (half(1.0), [half(2.0), half(3.0)].concat());
        let view = |shape: &[usize], data| TensorView::new(Dtype::F16, shape.to_vec(), data).unwrap();
        let tensors = [("logit_scale", view(&[1], &scale)), ("other", view(&[2, 1], &other))];
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        set_scalars(&path, &[("logit_scale", 4.5)]).unwrap();
        let refused = set_scalars(&path, &[("logit_bias", 1.0)]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(refused, Err(Error::Data { .. })));
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("logit_scale").unwrap().data(), half(4.5));
        assert_eq!(read.tensor("other").unwrap().data(), other);
        assert_eq!(read.tensor("other").unwrap().shape(), [2, 1]);
    }

    #[test]
    fn natural_sets_have_the_true_label_once_and_others_six_and_a_half_times() {
        let mut evaluation = Evaluation::new(40);
        evaluation.add(&[0.0; 40], 3);
        let natural = natural(&evaluation);
        let weight = |truth| natural.iter().filter(|q| q.truth == truth).map(|q| q.weight).sum::<f64>();
        assert!((weight(true) + weight(false) - 1.0).abs() < 1e-12);
        assert!((weight(false) / weight(true) - 6.5).abs() < 1e-9);
    }
}
