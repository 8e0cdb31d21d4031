//! `siglip index`: the embeddings of a folder's pictures in one file, for `siglip search` and for pages.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use siglip::image;
use siglip::index::{Entry, Index};

use crate::ModelArgs;
use crate::answers::{Answers, Given, complain, print, print_json};
use crate::convert::temporary;
use crate::engine::Siglip;
use crate::error::Error;
use crate::search::{collect_files, is_no_picture};

/// Name of the index in its folder, if no other is given.
const DEFAULT_NAME: &str = "pictures.siglip-index";
/// A stopped run loses at most the work of this time.
const SAVED_EVERY: Duration = Duration::from_secs(20);
/// Bytes of the largest file that is read.
const LARGEST: u64 = 1 << 29;

/// The embeddings of a folder's pictures in one file, for `siglip search` and for pages.
#[derive(clap::Args)]
pub struct MakeIndex {
    /// Folder of pictures; its subfolders are read too. Or an .npy with embeddings, float32 of shape [pictures, values], and
    /// beside it a .txt with one name per line. Or an index to export.
    source: PathBuf,
    /// File to write. If it is there, only new and changed pictures are embedded, and those that are gone are removed. Default:
    /// pictures.siglip-index in the folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write the embeddings as NumPy's float32, and their names to a .txt beside it.
    #[arg(long, value_name = "OUT.npy")]
    export: Option<PathBuf>,
    /// The result as one JSON line, and one per picture that failed.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// What a run has done.
#[derive(Debug, Default, Serialize)]
struct Report {
    index: String,
    pictures: usize,
    embedded: usize,
    removed: usize,
    failed: usize,
}

impl MakeIndex {
    /// Brings the index up to date with its source.
    pub fn run(self) -> Result<ExitCode, Error> {
        let is_npy = self.source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        if self.source.is_dir() {
            return self.embed_folder();
        }
        if is_npy {
            return self.import();
        }
        let Some(target) = &self.export else {
            let reason = "is no folder; to write an index as .npy, give --export";
            return Err(Error::Usage(format!("{} {reason}", self.source.display())));
        };
        export(&read(&self.source)?, target)?;
        Ok(ExitCode::SUCCESS)
    }

    fn embed_folder(self) -> Result<ExitCode, Error> {
        let target = self.output.clone().unwrap_or_else(|| self.source.join(DEFAULT_NAME));
        let mut paths = Vec::new();
        collect_files(&self.source, &mut paths)?;
        paths.retain(|path| *path != target);
        paths.sort();
        let mut siglip = self.model.load()?;
        let mut index = self.open(&target, &siglip)?;
        let mut answers = Answers::new(self.json);
        let mut report = Report { index: target.display().to_string(), ..Report::default() };
        let before = index.clone();
        let (mut present, mut saved) = (HashSet::new(), Instant::now());
        let progress = counting_bar(paths.len());
        for path in paths {
            let name = name_in(&self.source, &path);
            match bring_up_to_date(&mut index, &mut siglip, &name, &path) {
                Ok(is_new) => {
                    report.embedded += usize::from(is_new);
                    present.insert(name);
                }
                Err(error) if is_no_picture(&error) => {}
                Err(error) => {
                    report.failed += 1;
                    progress.suspend(|| answers.refuse(Given::Image(&name), error))?;
                }
            }
            progress.inc(1);
            if saved.elapsed() > SAVED_EVERY {
                write(&target, &index.to_bytes())?;
                saved = Instant::now();
            }
        }
        progress.finish_and_clear();
        let is_gone = |entry: &&Entry| !present.contains(&entry.name);
        let gone: Vec<String> =
            index.entries().iter().filter(is_gone).map(|entry| entry.name.clone()).collect();
        report.removed = gone.iter().filter(|name| index.remove(name)).count();
        report.pictures = index.entries().len();
        if index != before || !target.exists() {
            write(&target, &index.to_bytes())?;
        }
        self.finish(&index, &report)?;
        Ok(answers.exit_code())
    }

    /// Makes an index of an array.
    fn import(self) -> Result<ExitCode, Error> {
        let Some(target) = &self.output else {
            return Err(Error::Usage("an .npy needs --output, the index to write".into()));
        };
        let beside = self.source.with_extension("txt");
        let names = fs::read_to_string(&beside).map_err(Error::file(&beside))?;
        let names: Vec<String> = names.lines().map(String::from).collect();
        let array = fs::read(&self.source).map_err(Error::file(&self.source))?;
        let siglip = self.model.load()?;
        let mut index = self.open(target, &siglip)?;
        index.insert_npy(&array, &names).map_err(wrong(&self.source))?;
        write(target, &index.to_bytes())?;
        let pictures = index.entries().len();
        let report = Report { index: target.display().to_string(), pictures, ..Report::default() };
        self.finish(&index, &report)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The index that is there, or an empty one. One of another model is left alone.
    fn open(&self, target: &Path, siglip: &Siglip) -> Result<Index, Error> {
        let model = siglip.index_model(&self.model.source()?.name());
        if !target.exists() {
            return Ok(Index::new(model));
        }
        let index = read(target)?;
        index.check_model(&model).map_err(wrong(target))?;
        Ok(index)
    }

    fn finish(&self, index: &Index, report: &Report) -> Result<(), Error> {
        if let Some(target) = &self.export {
            export(index, target)?;
        }
        if self.json {
            return print_json(report);
        }
        let Report { index, pictures, embedded, removed, failed } = report;
        print(&format!(
            "{index}: {pictures} pictures ({embedded} embedded, {removed} removed, {failed} failed)"
        ))
    }
}

/// Reads an index.
pub fn read(path: &Path) -> Result<Index, Error> {
    let bytes = fs::read(path).map_err(Error::file(path))?;
    Index::parse(&bytes).map_err(wrong(path))
}

/// Adds the path of the index to an error.
pub fn wrong(path: &Path) -> impl FnOnce(siglip::index::IndexError) -> Error {
    let wrong = Error::checkpoint(path);
    move |error| wrong(error.into())
}

/// Embeds a picture unless the index has it. Returns whether it did.
fn bring_up_to_date(index: &mut Index, siglip: &mut Siglip, name: &str, path: &Path) -> Result<bool, Error> {
    let metadata = fs::metadata(path).map_err(Error::Picture)?;
    let (bytes, modified) = (metadata.len(), modified(&metadata));
    if index.get(name).is_some_and(|entry| entry.bytes == bytes && entry.modified == modified) {
        return Ok(false);
    }
    if bytes > LARGEST {
        return Err(Error::Usage(format!("a file of {bytes} bytes is too large; {LARGEST} are read")));
    }
    let file = fs::read(path).map_err(Error::Picture)?;
    let entry = Entry { name: name.into(), hash: Sha256::digest(&file).into(), bytes, modified };
    if index.insert_known(entry.clone()).map_err(siglip::Error::from)? {
        return Ok(false);
    }
    let decoded = image::read(&file).map_err(siglip::Error::from)?;
    let embedding = siglip.image_embeds(&decoded.image)?;
    index.insert(entry, &embedding).map_err(siglip::Error::from)?;
    Ok(true)
}

/// When a file was changed, in milliseconds since 1970; 0 if that is not known.
fn modified(metadata: &Metadata) -> u64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_millis() as u64)
}

/// The path relative to the folder, with slashes.
fn name_in(folder: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Writes the embeddings, and their names beside them.
fn export(index: &Index, target: &Path) -> Result<(), Error> {
    let names = target.with_extension("txt");
    if let Some(entry) = index.entries().iter().find(|entry| entry.name.contains(['\n', '\r'])) {
        complain(&format!(
            "{:?} has a line break in its name, which the list of names cannot have",
            entry.name
        ));
    }
    let list: String =
        index.entries().iter().map(|entry| entry.name.replace(['\n', '\r'], " ") + "\n").collect();
    write(target, &index.to_npy())?;
    write(&names, list.as_bytes())
}

/// Writes a file that appears once it is complete.
fn write(target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = temporary(target)?;
    file.write_all(bytes).map_err(Error::file(target))?;
    file.persist(target).map_err(|error| Error::file(target)(error.error))?;
    Ok(())
}

fn counting_bar(count: usize) -> ProgressBar {
    let progress = ProgressBar::new(count as u64);
    match ProgressStyle::with_template("{bar:30} {pos} of {len} files, {per_sec}, {eta} left") {
        Ok(style) => progress.with_style(style),
        Err(_) => progress,
    }
}
