//! `siglip probe`: classes taught by example pictures, for pages and for the command line.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use siglip::ScoreFilter;
use siglip::taught::{Examples, Kind, Probe as Trained, ProbeOptions, TaughtClasses};
use siglip::text::Template;

use crate::ModelArgs;
use crate::answers::{Answers, Given, print, print_json, unread};
use crate::classify::{Scores, share, table};
use crate::convert::temporary;
use crate::error::Error;
use crate::eval::class_folders;
use crate::search::is_no_picture;

/// Classes taught by example pictures: one file that this command, pages and elements read.
#[derive(clap::Args)]
pub struct Probe {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Train),
    Apply(Apply),
}

impl Probe {
    /// Trains or applies.
    pub fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Train(train) => train.run(),
            Command::Apply(apply) => apply.run(),
        }
    }
}

/// Learn classes from a folder with one subfolder per class: a linear probe, for 10 pictures a class or more.
#[derive(clap::Args)]
struct Train {
    /// Folder of class folders; "_" and "-" in their names are read as spaces.
    dir: PathBuf,
    /// File to write.
    #[arg(short, long, value_name = "FILE.json")]
    out: PathBuf,
    /// Take the mean of each class's pictures instead: for a few pictures a class. Each class then has a probability of its own.
    #[arg(long)]
    means: bool,
    /// With --means: mix the mean with the class's name as a text. 1 is the pictures alone, 0 the text alone.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "means", value_parser = share)]
    mix: f32,
    /// With --mix: the sentence around the class's name.
    #[arg(long, default_value = siglip::text::DEFAULT_TEMPLATE, requires = "mix")]
    template: Vec<String>,
    /// The inverse of the penalty's strength, as scikit-learn's LogisticRegression has it.
    #[arg(long = "c", value_name = "C", default_value_t = 1.0, conflicts_with = "means")]
    c: f64,
    /// The result as one JSON line, and one per picture that failed.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// What was learned.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    classes: String,
    kind: &'static str,
    names: Vec<String>,
    pictures: usize,
    failed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folds: Option<usize>,
}

impl Train {
    /// Embeds every picture, then learns. Pictures that cannot be decoded are reported and skipped; files that are no pictures
    /// are skipped silently.
    fn run(self) -> Result<ExitCode, Error> {
        let folders = class_folders(&self.dir)?;
        let least = if self.means { 1 } else { 2 };
        if folders.len() < least {
            let (dir, found) = (self.dir.display(), folders.len());
            return Err(Error::Usage(format!(
                "{dir} holds {found} folders with files; make one for each class, at least {least}, and put its pictures there"
            )));
        }
        let template = Template::of(&self.template)?;
        let mut siglip = self.model.load()?;
        let mut answers = Answers::new(self.json);
        let (mut examples, mut failed) = (Vec::new(), 0);
        for (name, paths) in folders {
            let mut images = Vec::new();
            for path in paths {
                match answers.image(&path).and_then(|image| Ok(siglip.image_embeds(&image)?)) {
                    Ok(embedding) => images.push(embedding),
                    Err(error) if is_no_picture(&error) => {}
                    Err(error) => {
                        failed += 1;
                        answers.refuse(Given::Image(&path.display().to_string()), error)?;
                    }
                }
            }
            let mut text = None;
            if self.mix < 1.0 {
                let unknown = siglip.unknown_words(&name)?;
                if !unknown.is_empty() {
                    let advice = "leave --mix out, or rename the folder";
                    return Err(Error::Usage(format!("{name:?}: {}; {advice}", unread(&unknown))));
                }
                text = siglip.label_embeds(std::slice::from_ref(&name), &template)?.pop();
            }
            examples.push(Examples { name, text, images, not: Vec::new(), mix: self.mix });
        }
        let model = siglip.index_model(&self.model.source()?.name());
        let taught = match self.means {
            true => TaughtClasses::means(&model, &examples),
            false => TaughtClasses::probe(&model, &examples, ProbeOptions { c: self.c }),
        };
        let taught = taught.map_err(siglip::Error::from)?;
        let mut file = temporary(&self.out)?;
        file.write_all(taught.to_json().as_bytes()).map_err(Error::file(&self.out))?;
        file.persist(&self.out).map_err(|error| Error::file(&self.out)(error.error))?;
        self.finish(&taught, failed)?;
        Ok(answers.exit_code())
    }

    fn finish(&self, taught: &TaughtClasses, failed: usize) -> Result<(), Error> {
        let (kind, trained) = match taught.kind() {
            Kind::Means => ("means", None),
            Kind::Probe(trained) => ("probe", Some(trained)),
        };
        let report = Report {
            classes: self.out.display().to_string(),
            kind,
            names: taught.classes().iter().map(|class| class.name.clone()).collect(),
            pictures: taught.classes().iter().map(|class| class.images).sum(),
            failed,
            accuracy: trained.map(|trained| trained.accuracy),
            folds: trained.map(|trained| trained.folds),
        };
        if self.json {
            return print_json(&report);
        }
        let Report { classes, names, pictures, .. } = &report;
        let mut lines = vec![format!("{classes}: {} classes from {pictures} pictures", names.len())];
        if let Some(Trained { accuracy, folds, .. }) = trained {
            let percent = accuracy * 100.0;
            lines.push(format!("  accuracy {percent:.1} %, cross-validated in {folds} folds"));
        }
        if taught.classes().iter().any(|class| class.images < 10) && trained.is_some() {
            lines.push("  some classes have fewer than 10 pictures; --means may do better".into());
        }
        print(&lines.join("\n"))
    }
}

/// Probabilities of taught classes for images.
#[derive(clap::Args)]
struct Apply {
    /// What `siglip probe train` or a page has written.
    #[arg(value_name = "CLASSES.json")]
    classes: PathBuf,
    /// Images.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// At most N classes per image, the best ones.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Only classes of at least this score, a probability from 0 to 1.
    #[arg(long, value_name = "P", value_parser = share)]
    threshold: Option<f32>,
    /// One JSON line per image.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Apply {
    /// Answers image by image.
    fn run(self) -> Result<ExitCode, Error> {
        let taught = read(&self.classes)?;
        let mut siglip = self.model.load()?;
        let wrong = Error::checkpoint(&self.classes);
        let loaded = siglip.index_model(&self.model.source()?.name());
        taught.check_model(&loaded).map_err(|error| wrong(error.into()))?;
        let filter = ScoreFilter { top_k: self.top_k, threshold: self.threshold, ..ScoreFilter::default() };
        let mut answers = Answers::new(self.json);
        for path in &self.images {
            let scores = answers.image(path).and_then(|image| {
                let embedding = siglip.image_embeds(&image)?;
                Ok(Scores { scores: taught.scores(&embedding, filter)? })
            });
            let name = path.display().to_string();
            answers.answer(Given::Image(&name), scores, |Scores { scores }| table(&name, scores))?;
        }
        Ok(answers.exit_code())
    }
}

fn read(path: &Path) -> Result<TaughtClasses, Error> {
    let bytes = fs::read(path).map_err(Error::file(path))?;
    // Bytes that are no text are no taught classes either, and are refused as such.
    let json = String::from_utf8_lossy(&bytes);
    TaughtClasses::from_json(&json).map_err(|error| Error::checkpoint(path)(error.into()))
}
