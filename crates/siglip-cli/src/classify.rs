//! `siglip classify`: probabilities of labels for images.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use siglip::text::Template;
use siglip::{Score, ScoreFilter};

use crate::ModelArgs;
use crate::answers::{Answers, Given, unread};
use crate::error::Error;

/// Probabilities of labels for images.
#[derive(clap::Args)]
pub struct Classify {
    /// Images: PNG, JPEG, GIF, WebP, BMP, TIFF, ICO, PNM, QOI, TGA or JPEG XL.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// A label; repeat for more.
    #[arg(long = "label", value_name = "LABEL", required = true)]
    labels: Vec<String>,
    /// The sentence that the model reads; {} stands for the label.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: String,
    /// At most N labels per image, the best ones.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Only labels of at least this probability, from 0 to 1.
    #[arg(long, value_name = "P", value_parser = probability)]
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
        let template = Template::new(&self.template)?;
        siglip::prompts(&self.labels, &template)?;
        let mut siglip = self.model.load()?;
        let filter = ScoreFilter { top_k: self.top_k, threshold: self.threshold };
        let mut answers = Answers::new(self.json);
        for path in &self.images {
            let scores = answers
                .image(path)
                .and_then(|image| Ok(siglip.classify(&image, &self.labels, &template, filter)?));
            let name = path.display().to_string();
            let scores = scores.map(|scores| Scores { scores });
            answers.answer(Given::Image(&name), scores, |Scores { scores }| table(&name, scores))?;
        }
        Ok(answers.exit_code())
    }
}

#[derive(Serialize)]
struct Scores {
    scores: Vec<Score>,
}

fn probability(argument: &str) -> Result<f32, String> {
    match argument.parse() {
        Ok(probability @ 0.0..=1.0) => Ok(probability),
        _ => Err("give a number from 0 to 1".into()),
    }
}

/// Ranked labels, each with a bar of up to twenty cells.
fn table(name: &str, scores: &[Score]) -> String {
    let width = scores.iter().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let lines = scores.iter().map(|Score { label, score, unknown, .. }| {
        if !unknown.is_empty() {
            return format!("  {label:width$}  {}", unread(unknown));
        }
        let bar = "█".repeat((score * 20.0).round() as usize);
        format!("  {label:width$}  {:8.4} %  {bar}", score * 100.0).trim_end().to_string()
    });
    std::iter::once(name.to_string()).chain(lines).collect::<Vec<_>>().join("\n")
}
