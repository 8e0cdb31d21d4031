//! `siglip calibrate`: a scale and bias of one's own, from a few judged examples.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use siglip::evaluation::Bin;
use siglip::text::Template;
use siglip::{Fitted, Judged, Reliability, ScoreFilter};

use crate::ModelArgs;
use crate::answers::{print, print_json, tell_damage, unread};
use crate::checkpoint;
use crate::error::Error;

/// A scale and bias of your own, from examples that you have judged: what to give `siglip classify` as --scale and --bias.
#[derive(clap::Args)]
pub struct Calibrate {
    /// A text file with an example per line: the picture's path (from the file's folder), a label, and yes or no, separated
    /// by tabs.
    #[arg(value_name = "JUDGED.tsv")]
    examples: PathBuf,
    /// The sentence that the model reads; {} stands for the label. Repeat it to take the mean of several.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: Vec<String>,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// A line of the file.
struct Example {
    image: String,
    label: String,
    truth: bool,
}

impl Calibrate {
    /// Embeds every picture once, then fits.
    pub fn run(self) -> Result<(), Error> {
        let examples = self.read()?;
        let template = Template::of(&self.template)?;
        let mut siglip = self.model.load()?;
        siglip.check_logits()?;
        let folder = self.examples.parent().unwrap_or(Path::new(""));
        let mut embeddings: HashMap<&str, Vec<f32>> = HashMap::new();
        let mut judged = Vec::new();
        for Example { image, label, truth } in &examples {
            if !embeddings.contains_key(image.as_str()) {
                let refused = |error| Error::Usage(format!("{image}: {error}"));
                let decoded = checkpoint::image(&folder.join(image)).map_err(refused)?;
                if let Some(damage) = decoded.damage {
                    tell_damage(image, damage);
                }
                embeddings.insert(image, siglip.image_embeds(&decoded.image)?);
            }
            let scores = siglip.scores(
                &embeddings[image.as_str()],
                std::slice::from_ref(label),
                &template,
                ScoreFilter::default(),
            )?;
            for score in scores {
                if !score.unknown.is_empty() {
                    return Err(Error::Usage(format!("{label:?}: {}", unread(&score.unknown))));
                }
                judged.push(Judged { logit: score.logit, truth: *truth });
            }
        }
        let fitted = siglip.calibrate(&judged)?;
        if self.json { print_json(&fitted) } else { print(&table(&fitted)) }
    }

    fn read(&self) -> Result<Vec<Example>, Error> {
        let text = fs::read_to_string(&self.examples).map_err(Error::file(&self.examples))?;
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let parse = |(at, line): (usize, &str)| {
            let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
            let wrong = || {
                let (path, at) = (self.examples.display(), at + 1);
                Error::Usage(format!(
                    "{path}, line {at}: it is not a picture, a label, and yes or no, separated by tabs"
                ))
            };
            let [image, label, truth] = fields[..] else { return Err(wrong()) };
            let truth = match truth.to_lowercase().as_str() {
                "yes" | "true" | "1" => true,
                "no" | "false" | "0" => false,
                _ => return Err(wrong()),
            };
            Ok(Example { image: image.into(), label: label.into(), truth })
        };
        lines.map(parse).collect()
    }
}

fn table(fitted: &Fitted) -> String {
    let Fitted { adjustment, even_cosine, examples, before, after } = fitted;
    let mut lines = vec![
        format!("{examples} examples; give siglip classify"),
        format!("  --scale {:.4} --bias {:.4}", adjustment.scale, adjustment.bias),
        format!("A cosine of {even_cosine:.4} then has a probability of 50 %."),
    ];
    for (name, Reliability { log_loss, calibration }) in [("before", before), ("after", after)] {
        lines.push(format!("  {name:6}  log loss {log_loss:.4}, calibration error {:.3}", calibration.error));
        for Bin { share, predicted, observed } in calibration.bins.iter().filter(|bin| bin.share > 0.0) {
            let [predicted, observed, share] =
                [predicted, observed, share].map(|share| format!("{:.1} %", share * 100.0));
            lines.push(format!(
                "    says {predicted:>7}, is so in {observed:>7} ({share:>6} of the examples)"
            ));
        }
    }
    lines.join("\n")
}
