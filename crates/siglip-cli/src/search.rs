//! `siglip search`: the images of a folder or an index that fit a query.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use siglip::Adjustment;
use siglip::image::ImageError;
use siglip::index::{Index, QueryPart};

use crate::answers::{Answers, Given, print, print_json, unread};
use crate::classify::share;
use crate::engine::Siglip;
use crate::error::Error;
use crate::{ModelArgs, index, pictures};

/// The images of a folder or an index, ranked by how well they fit.
#[derive(clap::Args)]
pub struct Search {
    /// A file that `siglip index` or a page has written, or a folder of images; its subfolders are searched too.
    #[arg(value_name = "INDEX|DIR")]
    source: PathBuf,
    /// What to look for, as it is, without a template. Several texts are mixed; a folder takes one.
    texts: Vec<String>,
    /// Look for what is like this image; repeat for more. For an index.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Look for what is unlike this text; repeat for more. For an index.
    #[arg(long, value_name = "TEXT")]
    minus: Vec<String>,
    /// List groups of images that are nearly the same: whose cosine is at least so much, such as 0.95. For an index.
    #[arg(long, value_name = "COSINE", value_parser = share, conflicts_with_all = ["texts", "image", "minus"])]
    duplicates: Option<f32>,
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
    /// Searches an index, or a folder. A text with unknown words is refused: it would rank the images by chance.
    pub fn run(self) -> Result<ExitCode, Error> {
        match &self.texts[..] {
            _ if self.source.is_file() => self.search_index(),
            [text] if self.image.is_empty() && self.minus.is_empty() => self.search_folder(text),
            _ => Err(Error::Usage(format!(
                "a folder is searched for one text; make an index first: siglip index {}",
                self.source.display()
            ))),
        }
    }

    fn search_index(&self) -> Result<ExitCode, Error> {
        let index = index::read(&self.source)?;
        if let Some(threshold) = self.duplicates {
            return self.list_duplicates(&index, threshold);
        }
        let mut siglip = self.model.load()?;
        let model = siglip.index_model(&self.model.source()?.name());
        index.check_model(&model).map_err(index::wrong(&self.source))?;
        let mut answers = Answers::new(self.json);
        let mut parts = Vec::new();
        for (texts, weight) in [(&self.texts, 1.0), (&self.minus, -1.0)] {
            for text in texts {
                parts.push(QueryPart { embedding: text_embedding(&mut siglip, text)?, weight });
            }
        }
        for path in &self.image {
            let embedding = answers.image(path).and_then(|image| Ok(siglip.image_embeds(&image)?));
            match embedding {
                Ok(embedding) => parts.push(QueryPart { embedding, weight: 1.0 }),
                Err(error) => return Err(Error::Usage(format!("{}: {error}", path.display()))),
            }
        }
        let query = index.query(&parts).map_err(siglip::Error::from)?;
        // Only a text's cosine has a probability.
        let scale = (parts.len() == 1
            && self.image.is_empty()
            && siglip.check_logits().is_ok()
            && self.minus.is_empty())
        .then(|| siglip.logit_scale(Adjustment::default()));
        for found in index.search(&query, self.top_k) {
            let logit = scale.map(|scale| scale.logit(found.score));
            let near = Near { cosine: found.score, score: logit.map(siglip::sigmoid), logit };
            let text = |near: &Near| match near.score {
                Some(score) => format!("{:8.4} %  {}", score * 100.0, found.entry.name),
                None => format!("{:8.4}  {}", near.cosine, found.entry.name),
            };
            answers.answer(Given::Image(found.entry.name), Ok(near), text)?;
        }
        Ok(answers.exit_code())
    }

    fn list_duplicates(&self, index: &Index, threshold: f32) -> Result<ExitCode, Error> {
        for group in index.duplicates(threshold) {
            let images: Vec<&str> = group.iter().map(|entry| entry.name).collect();
            if self.json {
                print_json(&Group { images })?;
            } else {
                print(&images.join("\t"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Embeds every image, then ranks them. Images that cannot be decoded are reported and skipped; files that are not
    /// images are skipped silently.
    fn search_folder(&self, text: &str) -> Result<ExitCode, Error> {
        let mut paths = Vec::new();
        collect_files(&self.source, &mut paths)?;
        paths.sort();
        let mut siglip = self.model.load()?;
        siglip.check_logits()?;
        let text_embeds = text_embedding(&mut siglip, text)?;
        let mut answers = Answers::new(self.json);
        let mut found = Vec::new();
        for paths in paths.chunks(pictures::at_once(&siglip)) {
            let embedded = pictures::embed(&mut siglip, paths.iter().map(|path| answers.image(path)));
            for (path, embedded) in paths.iter().zip(embedded) {
                let name = path.display().to_string();
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
        }
        found.sort_by(|(_, a), (_, b)| b.logit.total_cmp(&a.logit));
        for (name, hit) in found.into_iter().take(self.top_k) {
            let text = |hit: &Hit| format!("{:8.4} %  {name}", hit.score * 100.0);
            answers.answer(Given::Image(&name), Ok(hit), text)?;
        }
        Ok(answers.exit_code())
    }
}

/// The embedding of a text that the model can read.
fn text_embedding(siglip: &mut Siglip, text: &str) -> Result<Vec<f32>, Error> {
    let unknown = siglip.unknown_words(text)?;
    if !unknown.is_empty() {
        let reason = format!("{}; use other words, or another model with --model", unread(&unknown));
        return Err(siglip::Error::BadInput(reason).into());
    }
    Ok(siglip.text_embeds(&[text.to_string()])?.concat())
}

/// A picture of an index. Score and logit are those of a single text.
#[derive(Serialize)]
struct Near {
    cosine: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit: Option<f32>,
}

#[derive(Serialize)]
struct Group<'i> {
    images: Vec<&'i str>,
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
