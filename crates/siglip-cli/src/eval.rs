//! `siglip eval`: accuracy on a folder of labelled images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use siglip::evaluation::{Evaluation, Recall, Report};
use siglip::text::Template;

use crate::answers::{Answers, Given, print, print_json, unread};
use crate::error::Error;
use crate::search::{collect_files, is_no_picture};
use crate::{ModelArgs, pictures};

/// Accuracy on a folder with one subfolder per class, which has the class's name and images.
#[derive(clap::Args)]
pub struct Eval {
    /// Folder of class folders; "_" and "-" in their names are read as spaces.
    dir: PathBuf,
    /// The sentence that the model reads; {} stands for the class. Repeat it to take the mean of several. "imagenet" is a set
    /// of eight.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: Vec<String>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Serialize)]
struct Answer {
    classes: Vec<Class>,
    #[serde(flatten)]
    report: Report,
}

/// The result of one class.
#[derive(Serialize)]
struct Class {
    label: String,
    images: usize,
    right: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

impl Eval {
    /// Classifies every image. Images that cannot be decoded are reported and skipped; files that are not images are
    /// skipped silently.
    pub fn run(self) -> Result<ExitCode, Error> {
        let folders = class_folders(&self.dir)?;
        let labels: Vec<String> = folders.keys().cloned().collect();
        if labels.len() < 2 {
            let reason = "holds fewer than two folders with files; make a folder for each class and put its images there";
            return Err(Error::Usage(format!("{} {reason}", self.dir.display())));
        }
        let template = Template::of(&self.template)?;
        siglip::prompts(&labels, &template)?;
        let mut siglip = self.model.load()?;
        siglip.check_logits()?;
        let text_embeds = siglip.label_embeds(&labels, &template)?.concat();
        let mut answers = Answers::new(self.json);
        let mut evaluation = Evaluation::new(labels.len());
        let unknown =
            labels.iter().map(|label| siglip.unknown_words(label)).collect::<Result<Vec<_>, _>>()?;
        for (label, _) in unknown.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
            evaluation.mark_unreadable(label);
        }
        let mut classes = Vec::new();
        for ((truth, (label, paths)), unknown) in folders.into_iter().enumerate().zip(unknown) {
            let mut class = Class { label, images: 0, right: 0, unknown };
            for paths in paths.chunks(pictures::at_once(&siglip)) {
                let embedded = pictures::embed(&mut siglip, paths.iter().map(|path| answers.image(path)));
                for (path, embedded) in paths.iter().zip(embedded) {
                    match embedded {
                        Ok(image_embeds) => {
                            let logits = siglip.logits_per_image(&image_embeds, &text_embeds);
                            class.images += 1;
                            class.right += usize::from(evaluation.add(&logits, truth));
                        }
                        Err(error) if is_no_picture(&error) => {}
                        Err(error) => answers.refuse(Given::Image(&path.display().to_string()), error)?,
                    }
                }
            }
            classes.push(class);
        }
        let answer = Answer { classes, report: evaluation.report() };
        if self.json {
            print_json(&answer)?
        } else {
            print(&table(&answer))?
        }
        Ok(answers.exit_code())
    }
}

/// The files in each class's folder, by the class's name.
pub fn class_folders(dir: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, Error> {
    let mut folders: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(Error::file(dir))? {
        let path = entry.map_err(Error::file(dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().replace(['_', '-'], " ");
        if path.is_dir() && !name.starts_with('.') {
            let files = folders.entry(name).or_default();
            collect_files(&path, files)?;
            files.sort();
        }
    }
    folders.retain(|_, files| !files.is_empty());
    Ok(folders)
}

fn table(Answer { classes, report }: &Answer) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let recall = |Recall { at1, at5, at10 }: Recall| {
        [at1, at5, at10].map(percent).join(", ") + " among the first 1, 5, 10"
    };
    let mut lines = vec![
        format!("{} pictures, {} classes", report.images, report.labels),
        format!("  top-1           {}", percent(report.top1)),
    ];
    lines.extend(report.top5.map(|share| format!("  top-5           {}", percent(share))));
    lines.extend(report.five_way.map(|share| format!("  5-way           {}", percent(share))));
    lines.push(format!("  text to image   {}", recall(report.text_to_image)));
    lines.push(format!("  image to text   {}", recall(report.image_to_text)));
    if let Some(calibration) = &report.calibration {
        lines.push(format!("  calibration     {:.3} expected error", calibration.error));
        for bin in calibration.bins.iter().filter(|bin| bin.share > 0.0) {
            let [predicted, observed, share] = [bin.predicted, bin.observed, bin.share].map(percent);
            lines.push(format!(
                "    says {predicted:>7}, is so in {observed:>7} ({share:>6} of the questions)"
            ));
        }
    }
    let width = classes.iter().map(|class| class.label.chars().count()).max().unwrap_or(0);
    for Class { label, images, right, unknown } in classes {
        let unknown = if unknown.is_empty() { String::new() } else { format!("  {}", unread(unknown)) };
        lines.push(format!("  {label:width$}  {right} of {images}{unknown}"));
    }
    lines.join("\n")
}
