//! `siglip search`: the images of a folder that fit a text.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use siglip::image::ImageError;

use crate::ModelArgs;
use crate::answers::{Answers, Given, unread};
use crate::error::Error;

/// The images of a folder, ranked by how well they fit a text.
#[derive(clap::Args)]
pub struct Search {
    /// Folder of images; its subfolders are searched too.
    dir: PathBuf,
    /// What to look for. The text is used as it is, without a template.
    text: String,
    /// At most N images, the best ones.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top_k: usize,
    /// One JSON line per image.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Search {
    /// Embeds every image, then ranks them. Images that cannot be decoded are reported and skipped; files that are not
    /// images are skipped silently. A text with unknown words is refused: it would rank the images by chance.
    pub fn run(self) -> Result<ExitCode, Error> {
        let mut paths = Vec::new();
        collect_files(&self.dir, &mut paths)?;
        paths.sort();
        let mut siglip = self.model.load()?;
        siglip.check_logits()?;
        let unknown = siglip.unknown_words(&self.text)?;
        if !unknown.is_empty() {
            let reason = format!("{}; use other words, or another model with --model", unread(&unknown));
            return Err(siglip::Error::BadInput(reason).into());
        }
        let text_embeds = siglip.text_embeds(std::slice::from_ref(&self.text))?.concat();
        let mut answers = Answers::new(self.json);
        let mut found = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let embedded = answers.image(&path).and_then(|image| Ok(siglip.image_embeds(&image)?));
            match embedded {
                Ok(image_embeds) => {
                    for logit in siglip.logits_per_image(&image_embeds, &text_embeds) {
                        found.push((name.clone(), Hit { score: siglip::sigmoid(logit), logit }));
                    }
                }
                Err(error) if is_no_picture(&error) => {}
                Err(error) => answers.refuse(Given::Image(&name), error)?,
            }
        }
        found.sort_by(|(_, a), (_, b)| b.logit.total_cmp(&a.logit));
        for (name, hit) in found.into_iter().take(self.top_k) {
            let text = |hit: &Hit| format!("{:8.4} %  {name}", hit.score * 100.0);
            answers.answer(Given::Image(&name), Ok(hit), text)?;
        }
        Ok(answers.exit_code())
    }
}

#[derive(Serialize)]
struct Hit {
    score: f32,
    logit: f32,
}

/// Whether a file is not an image at all.
pub fn is_no_picture(error: &Error) -> bool {
    let no_picture = ImageError::UnsupportedFormat { format: None };
    matches!(error, Error::Siglip(siglip::Error::BadImage(error)) if *error == no_picture)
}

/// The files of a folder and its subfolders.
pub fn collect_files(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::file(dir))? {
        let entry = entry.map_err(Error::file(dir))?;
        let kind = entry.file_type().map_err(Error::file(entry.path()))?;
        if kind.is_dir() {
            collect_files(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}
