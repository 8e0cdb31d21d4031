//! `siglip explain`: what in an image speaks for a label.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use siglip::explain::{self, Explanation};
use siglip::text::Template;

use crate::ModelArgs;
use crate::answers::{Answers, Given};
use crate::error::Error;

/// A map over each image's patches of what speaks for a label.
#[derive(clap::Args)]
pub struct Explain {
    /// Images.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// The label.
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// How the map is made.
    #[arg(long, value_enum, default_value = "fast")]
    method: MethodArg,
    /// The sentence that the model reads; {} stands for the label. Repeat it to take the mean of several.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: Vec<String>,
    /// One JSON line per image: the map's width and height, and its values in rows.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum MethodArg {
    /// The label's logit for each patch and its neighbours by themselves: one pass, experimental
    Fast,
    /// How much the logit falls when squares of the image are hidden: some fifty passes
    Occlusion,
}

impl Explain {
    /// Loads the model, then answers image by image.
    pub fn run(self) -> Result<ExitCode, Error> {
        let template = Template::of(&self.template)?;
        let method = match self.method {
            MethodArg::Fast => explain::Method::FAST,
            MethodArg::Occlusion => explain::Method::Occlusion,
        };
        let mut siglip = self.model.load()?;
        let mut answers = Answers::new(self.json);
        for path in &self.images {
            let map = answers
                .image(path)
                .and_then(|image| Ok(siglip.explain(&image, &self.label, &template, method)?));
            let name = path.display().to_string();
            answers.answer(Given::Image(&name), map, |map| table(&name, map))?;
        }
        Ok(answers.exit_code())
    }
}

/// A line of numbers for each row of patches.
fn table(name: &str, Explanation { width, values, .. }: &Explanation) -> String {
    let rows = values.chunks_exact(*width);
    let line = |row: &[f32]| row.iter().map(|value| format!("{value:7.2}")).collect::<String>();
    std::iter::once(name.to_string()).chain(rows.map(line)).collect::<Vec<_>>().join("\n")
}
