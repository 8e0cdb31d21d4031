//! `siglip classify`: probabilities of labels for images.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use siglip::text::Template;
use siglip::{Adjustment, CheckpointFiles, ProblemType, Score, ScoreFilter};

use crate::ModelArgs;
use crate::answers::{Answers, Given, unread};
use crate::error::Error;

/// Probabilities of labels for images.
#[derive(clap::Args)]
pub struct Classify {
    /// Images: PNG, JPEG, GIF, WebP, BMP, TIFF, ICO, PNM, QOI, TGA, JPEG XL or AVIF.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// A label; repeat for more. A bundle has labels of its own: then these choose among them. A fine-tuned classifier
    /// scores its own classes and takes none.
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Which of a bundle's sets of labels; the first one if it is not given.
    #[arg(long, value_name = "NAME")]
    label_set: Option<String>,
    /// The sentence that the model reads; {} stands for the label. Repeat it to take the mean of several. "imagenet" is a set
    /// of eight; "canonicalize" and "verbatim" overrule whether the model's files have texts canonicalized. A bundle's labels
    /// are in sentences already.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: Vec<String>,
    /// Also each label's share among all labels, which add up to one: a softmax. Results are then shown by it.
    #[arg(long)]
    relative: bool,
    #[command(flatten)]
    adjustment: AdjustmentArgs,
    /// At most N labels per image, the best ones.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Only labels of at least this score, a probability from 0 to 1.
    #[arg(long, value_name = "P", value_parser = share)]
    threshold: Option<f32>,
    /// One JSON line per image.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Classify {
    /// Loads the model, then answers image by image.
    pub fn run(self) -> Result<ExitCode, Error> {
        let template = Template::of(&self.template)?;
        let labels = Some(&self.labels[..]).filter(|labels| !labels.is_empty());
        match labels {
            Some(labels) => drop(siglip::prompts(labels, &template)?),
            // The small files are quick to look into; the weights may be large to load in vain.
            None => {
                let files = self.model.source()?.files()?;
                if files.labels.is_none() && CheckpointFiles::needs_tokenizer(&files.config) {
                    let reason = "there are no labels; give --label, or with --model a bundle or a fine-tuned classifier, \
                                  which have their own";
                    return Err(Error::Usage(reason.into()));
                }
            }
        }
        let mut siglip = self.model.load()?;
        let set = self.label_set.as_deref();
        let uses_label_sets = siglip.uses_label_sets(labels, set);
        if uses_label_sets {
            siglip.check_own_labels(labels, set)?;
        }
        let filter = ScoreFilter {
            top_k: self.top_k,
            threshold: self.threshold,
            relative: self.relative,
            adjustment: self.adjustment.adjustment()?,
        };
        let is_regression =
            siglip.classifier().is_some_and(|classifier| classifier.problem_type == ProblemType::Regression);
        let table = if is_regression { numbers } else { table };
        let mut answers = Answers::new(self.json);
        for path in &self.images {
            let scores = answers.image(path).and_then(|image| {
                let image_embeds = siglip.image_embeds(&image)?;
                Ok(match uses_label_sets {
                    true => siglip.own_scores(&image_embeds, labels, set, filter)?,
                    false => siglip.scores(&image_embeds, &self.labels, &template, filter)?,
                })
            });
            let name = path.display().to_string();
            let scores = scores.map(|scores| Scores { scores });
            answers.answer(Given::Image(&name), scores, |Scores { scores }| table(&name, scores))?;
        }
        Ok(answers.exit_code())
    }
}

/// A scale and bias of a person's own.
#[derive(clap::Args)]
struct AdjustmentArgs {
    /// Your own summand of every logit, on top of the model's bias: probabilities are low by the model's training. See
    /// `siglip calibrate`.
    #[arg(long, value_name = "B", default_value_t = 0.0, allow_negative_numbers = true)]
    bias: f32,
    /// Your own factor of the model's scale.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    scale: f32,
}

impl AdjustmentArgs {
    fn adjustment(&self) -> Result<Adjustment, Error> {
        Ok(Adjustment::new(self.scale, self.bias)?)
    }
}

#[derive(Serialize)]
pub struct Scores {
    pub scores: Vec<Score>,
}

/// A number from 0 to 1.
pub fn share(argument: &str) -> Result<f32, String> {
    match argument.parse() {
        Ok(share @ 0.0..=1.0) => Ok(share),
        _ => Err("give a number from 0 to 1".into()),
    }
}

/// Ranked labels, each with the number that a regression gives it.
fn numbers(name: &str, scores: &[Score]) -> String {
    let width = scores.iter().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let lines = scores.iter().map(|Score { label, score, .. }| format!("  {label:width$}  {score:10.4}"));
    std::iter::once(name.to_string()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Ranked labels, each with a bar of up to twenty cells.
pub fn table(name: &str, scores: &[Score]) -> String {
    let width = scores.iter().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let lines = scores.iter().map(|Score { label, score, relative, unknown, .. }| {
        if !unknown.is_empty() {
            return format!("  {label:width$}  {}", unread(unknown));
        }
        let score = relative.unwrap_or(*score);
        let bar = "█".repeat((score * 20.0).round() as usize);
        format!("  {label:width$}  {:8.4} %  {bar}", score * 100.0).trim_end().to_string()
    });
    let is_relative = scores.iter().any(|score| score.relative.is_some());
    let name = if is_relative { format!("{name} (relative)") } else { name.to_string() };
    std::iter::once(name).chain(lines).collect::<Vec<_>>().join("\n")
}
