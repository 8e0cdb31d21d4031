use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::answers::Answers;
use crate::error::Error;
use crate::{ModelArgs, checkpoint};

/// The pictures of a folder, those that fit a text best first.
#[derive(clap::Args)]
pub struct Search {
    /// Folder of pictures; folders inside it are searched as well.
    dir: PathBuf,
    /// What to look for, taken as it is, without a template.
    text: String,
    /// At most so many.
    #[arg(long, default_value_t = 10)]
    top_k: usize,
    /// A JSON line a picture.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Search {
    /// Embeds every picture, then answers; what cannot be read is named and left out.
    pub fn run(self) -> Result<ExitCode, Error> {
        let mut paths = Vec::new();
        collect_files(&self.dir, &mut paths)?;
        paths.sort();
        let mut siglip = self.model.load()?;
        let text_embeds = siglip.text_embeds(std::slice::from_ref(&self.text))?.concat();
        let mut answers = Answers::new(self.json);
        let mut found = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let embedded = checkpoint::picture(&path).and_then(|image| Ok(siglip.image_embeds(&image)?));
            match embedded {
                Ok(image_embeds) => {
                    let logits = siglip.model().logits_per_image(&image_embeds, &text_embeds);
                    found.extend(siglip::scores::rank(&[name], &logits, siglip::Keep::default()));
                }
                Err(error) => {
                    answers.answer("image", &name, Err::<(), _>(error), |()| json!({}), |()| name.clone())?
                }
            }
        }
        found.sort_by(|a, b| b.logit.total_cmp(&a.logit));
        for hit in found.into_iter().take(self.top_k) {
            let name = hit.label.clone();
            let fields = |hit: &siglip::Score| json!({ "score": hit.score, "logit": hit.logit });
            let text = |hit: &siglip::Score| format!("{:9.4} %  {name}", hit.score * 100.0);
            answers.answer("image", &name, Ok(hit), fields, text)?;
        }
        Ok(answers.exit_code())
    }
}

fn collect_files(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
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
