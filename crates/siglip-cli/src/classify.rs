use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use siglip::text::Template;
use siglip::{Keep, Score};

use crate::answers::Answers;
use crate::error::Error;
use crate::{ModelArgs, checkpoint};

/// Probabilities of labels for pictures.
#[derive(clap::Args)]
pub struct Classify {
    /// Pictures.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// A label; repeat for more.
    #[arg(long = "label", value_name = "LABEL", required = true)]
    labels: Vec<String>,
    /// What makes a text of a label; {} is the label's place.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: String,
    /// Only the so many best labels.
    #[arg(long)]
    top_k: Option<usize>,
    /// Only labels of at least this probability.
    #[arg(long)]
    threshold: Option<f32>,
    /// A JSON line a picture.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Classify {
    /// Loads the model, then answers picture by picture.
    pub fn run(self) -> Result<ExitCode, Error> {
        let template = Template::new(&self.template)?;
        siglip::prompts(&self.labels, &template)?;
        let mut siglip = self.model.load()?;
        let keep = Keep { top_k: self.top_k, threshold: self.threshold };
        let mut answers = Answers::new(self.json);
        for path in &self.images {
            let scores = checkpoint::picture(path)
                .and_then(|image| Ok(siglip.classify(&image, &self.labels, &template, keep)?));
            let name = path.display().to_string();
            let fields = |scores: &Vec<Score>| json!({ "scores": scores });
            answers.answer("image", &name, scores, fields, |scores| table(&name, scores))?;
        }
        Ok(answers.exit_code())
    }
}

/// Ranked labels with a bar of twenty cells each.
fn table(name: &str, scores: &[Score]) -> String {
    let width = scores.iter().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let lines = scores.iter().map(|Score { label, score, .. }| {
        let bar = "█".repeat((score * 20.0).round() as usize);
        format!("  {label:width$}  {:8.4} %  {bar}", score * 100.0).trim_end().to_string()
    });
    std::iter::once(name.to_string()).chain(lines).collect::<Vec<_>>().join("\n")
}
