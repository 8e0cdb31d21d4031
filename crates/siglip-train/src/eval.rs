//! The written model, read and run by the engine that visitors run, on pictures it has never seen; and its calibration.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use clap::{Args, ValueEnum};
use siglip::evaluation::{Evaluation, Question, Report};
use siglip::image::RgbImage;
use siglip::text::Template;
use siglip::{LoadOptions, Precision, Siglip};

use crate::Error;
use crate::data::Validation;
use crate::shape::IMAGE_SIZE;

/// The sources that have pictures for validation.
const SOURCES: [&str; 3] = ["tiny-imagenet", "grocery-store", "emoji"];

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

/// Fits temperature and bias of a written model to every other validation picture, and writes them into it.
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
        for source in SOURCES {
            let rows = validation.rows(source);
            print(source, &evaluate(&mut siglip, &validation, &rows)?.report());
        }
        Ok(())
    }
}

impl Calibrate {
    /// Fits on the even rows, reports on the odd ones before and after.
    pub fn run(&self) -> Result<(), Error> {
        let validation = Validation::read(&self.data)?;
        let mut siglip = load(&self.model, Precision::F32)?;
        let (scale, bias) = (siglip.engine().logit_scale(), siglip.engine().logit_bias());
        let mut questions = Vec::new();
        for source in SOURCES {
            let rows: Vec<usize> = validation.rows(source).into_iter().step_by(2).collect();
            let asked = evaluate(&mut siglip, &validation, &rows)?;
            // Every picture counts the same, whatever its source.
            let weigh =
                |question: Question| Question { weight: question.weight * rows.len() as f64, ..question };
            questions.extend(asked.questions().map(weigh));
        }
        // Of the cosine: what the logit was made of.
        let (new_scale, new_bias) =
            fit(&questions, |logit| f64::from((logit - bias) / scale), (scale.into(), bias.into()));
        println!("scale {scale} -> {new_scale}, bias {bias} -> {new_bias}");
        self.report_odd(&mut siglip, &validation)?;
        let path = self.model.join("model.safetensors");
        let mut tensors = safetensors::load(&path, &Device::Cpu)?;
        for (name, value) in [("logit_scale", new_scale.ln()), ("logit_bias", new_bias)] {
            let dtype = tensors[name].dtype();
            tensors.insert(name.into(), Tensor::new(&[value as f32], &Device::Cpu)?.to_dtype(dtype)?);
        }
        safetensors::save(&tensors, &path)?;
        self.report_odd(&mut load(&self.model, Precision::F32)?, &validation)
    }

    fn report_odd(&self, siglip: &mut Siglip, validation: &Validation) -> Result<(), Error> {
        for source in SOURCES {
            let rows: Vec<usize> = validation.rows(source).into_iter().skip(1).step_by(2).collect();
            print(source, &evaluate(siglip, validation, &rows)?.report());
        }
        Ok(())
    }
}

fn print(source: &str, report: &Report) {
    println!("{}", serde_json::json!({ "source": source, "report": report }));
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

/// The scale and bias under which what is so is most probable, from `start`: logistic regression by Newton's method
/// (Platt, 1999).
fn fit(questions: &[Question], feature: impl Fn(f32) -> f64, start: (f64, f64)) -> (f64, f64) {
    let (mut scale, mut bias) = start;
    for _ in 0..100 {
        let (mut gradient, mut curvature) = ([0.0; 2], [0.0; 3]);
        for Question { logit, truth, weight } in questions {
            let x = feature(*logit);
            let probability = 1.0 / (1.0 + (-(scale * x + bias)).exp());
            let slope = weight * (probability - f64::from(u8::from(*truth)));
            let bend = weight * (probability * (1.0 - probability)).max(1e-9);
            gradient = [gradient[0] + slope * x, gradient[1] + slope];
            curvature = [curvature[0] + bend * x * x, curvature[1] + bend * x, curvature[2] + bend];
        }
        let determinant = curvature[0] * curvature[2] - curvature[1] * curvature[1];
        let step = [
            (curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant,
            (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant,
        ];
        // Half steps: from far away a whole one can overshoot.
        (scale, bias) = (scale - 0.5 * step[0], bias - 0.5 * step[1]);
    }
    (scale, bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_finds_the_line_that_the_answers_came_from() {
        // At every x the share of yes is exactly sigmoid(6 x - 2).
        let questions: Vec<Question> = (-20..=20)
            .flat_map(|i| {
                let x = i as f32 / 10.0;
                let yes = f64::from(siglip::sigmoid(6.0 * x - 2.0));
                [(true, yes), (false, 1.0 - yes)].map(|(truth, weight)| Question { logit: x, truth, weight })
            })
            .collect();
        let (scale, bias) = fit(&questions, f64::from, (1.0, 0.0));
        assert!((scale - 6.0).abs() < 1e-3 && (bias + 2.0).abs() < 1e-3, "{scale} {bias}");
    }
}
