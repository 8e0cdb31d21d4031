//! `siglip index`: the embeddings of a folder's pictures in one file, for `siglip search` and for pages.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use siglip::image::{self, RgbImage};
use siglip::index::{Entry, Index, IndexError, IndexReader, NpyReader};

use crate::answers::{Answers, Given, complain, print, print_json};
use crate::convert::temporary;
use crate::engine::Siglip;
use crate::error::Error;
use crate::search::{collect_files, is_no_picture};
use crate::{ModelArgs, pictures};

/// Name of the index in its folder, if no other is given.
const DEFAULT_NAME: &str = "pictures.siglip-index";
/// A stopped run loses at most the work of this time.
const SAVED_EVERY: Duration = Duration::from_secs(20);
/// The work between two writes takes so many times as long as the first of them.
const SAVE_SHARE: u32 = 20;
/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 20;
/// Bytes of the largest picture file that is read.
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
    /// Files that are no pictures.
    other_files: usize,
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
        let mut is_changed = !target.exists();
        let (mut present, mut saved, mut saved_every) = (HashSet::new(), Instant::now(), SAVED_EVERY);
        let progress = counting_bar(paths.len());
        for paths in paths.chunks(pictures::at_once(&siglip)) {
            let names: Vec<String> = paths.iter().map(|path| name_in(&self.source, path)).collect();
            let results = bring_up_to_date(&mut index, &mut siglip, &names, paths);
            for (name, result) in names.into_iter().zip(results) {
                match result {
                    Ok(change) => {
                        report.embedded += usize::from(change == Change::Embedded);
                        is_changed |= change != Change::None;
                        present.insert(name);
                    }
                    Err(error) if is_no_picture(&error) => report.other_files += 1,
                    Err(error) => {
                        report.failed += 1;
                        progress.suspend(|| answers.refuse(Given::Image(&name), error))?;
                    }
                }
                progress.inc(1);
            }
            if saved.elapsed() > saved_every {
                let begun = Instant::now();
                write(&target, index.file_chunks())?;
                // A large index takes seconds to write.
                saved_every = SAVED_EVERY.max(SAVE_SHARE * begun.elapsed());
                saved = Instant::now();
            }
        }
        progress.finish_and_clear();
        let names = index.entries().map(|entry| entry.name.to_string());
        let gone: Vec<String> = names.filter(|name| !present.contains(name)).collect();
        report.removed = gone.iter().filter(|name| index.remove(name)).count();
        report.pictures = index.len();
        if is_changed || report.removed > 0 {
            write(&target, index.file_chunks())?;
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
        let siglip = self.model.load()?;
        let mut index = self.open(target, &siglip)?;
        let (file, length) = open(&self.source)?;
        let mut reader = NpyReader::new(index.model().clone(), names, length);
        pieces(file, &self.source, |piece| reader.push(piece))?;
        let array = reader.finish().map_err(wrong(&self.source))?;
        index.merge(array).map_err(wrong(&self.source))?;
        write(target, index.file_chunks())?;
        let pictures = index.len();
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
        let Report { index, pictures, embedded, removed, failed, other_files } = report;
        let passed_over = match other_files {
            0 => String::new(),
            1 => "; 1 file is no picture".into(),
            count => format!("; {count} files are no pictures"),
        };
        print(&format!(
            "{index}: {pictures} pictures ({embedded} embedded, {removed} removed, {failed} failed){passed_over}"
        ))
    }
}

/// Reads an index.
pub fn read(path: &Path) -> Result<Index, Error> {
    let (file, length) = open(path)?;
    let mut reader = IndexReader::new(length);
    pieces(file, path, |piece| reader.push(piece))?;
    reader.finish().map_err(wrong(path))
}

/// A file and its length.
fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let length = file.metadata().map_err(Error::file(path))?.len();
    Ok((file, length))
}

/// Gives a file piece by piece to a reader.
fn pieces(
    mut file: File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), IndexError>,
) -> Result<(), Error> {
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer).map_err(Error::file(path))? {
            0 => return Ok(()),
            length => take(&buffer[..length]).map_err(wrong(path))?,
        }
    }
}

/// Adds the path of the index to an error.
pub fn wrong(path: &Path) -> impl FnOnce(siglip::index::IndexError) -> Error {
    let wrong = Error::checkpoint(path);
    move |error| wrong(error.into())
}

/// What has become of a file in the index.
#[derive(PartialEq)]
enum Change {
    None,
    /// Its content was known under another name.
    Known,
    Embedded,
}

/// Embeds the pictures that the index does not have, all at once.
fn bring_up_to_date(
    index: &mut Index,
    siglip: &mut Siglip,
    names: &[String],
    paths: &[PathBuf],
) -> Vec<Result<Change, Error>> {
    let (mut results, mut entries, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for (name, path) in names.iter().zip(paths) {
        let found = look_up(index, name, path);
        let at = results.len();
        results.push(found.map(|(change, new)| {
            if let Some((entry, image)) = new {
                entries.push((at, entry));
                images.push(Ok(image));
            }
            change
        }));
    }
    for ((at, entry), embedded) in entries.into_iter().zip(pictures::embed(siglip, images)) {
        let inserted = embedded
            .and_then(|embedding| Ok(index.insert(entry, &embedding).map_err(siglip::Error::from)?));
        results[at] = inserted.map(|()| Change::Embedded);
    }
    results
}

/// What becomes of a file, and if that takes an embedding, the picture.
fn look_up<'n>(
    index: &mut Index,
    name: &'n str,
    path: &Path,
) -> Result<(Change, Option<(Entry<'n>, RgbImage)>), Error> {
    let metadata = fs::metadata(path).map_err(Error::Picture)?;
    let (bytes, modified) = (metadata.len(), modified(&metadata));
    if index.get(name).is_some_and(|entry| entry.bytes == bytes && entry.modified == modified) {
        return Ok((Change::None, None));
    }
    if bytes > LARGEST {
        return Err(Error::Usage(format!("a file of {bytes} bytes is too large; {LARGEST} are read")));
    }
    let file = fs::read(path).map_err(Error::Picture)?;
    let entry = Entry { name, hash: Sha256::digest(&file).into(), bytes, modified };
    if index.insert_known(entry).map_err(siglip::Error::from)? {
        return Ok((Change::Known, None));
    }
    let decoded = image::read(&file).map_err(siglip::Error::from)?;
    Ok((Change::Embedded, Some((entry, decoded.image))))
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
    if let Some(entry) = index.entries().find(|entry| entry.name.contains(['\n', '\r'])) {
        complain(&format!(
            "{:?} has a line break in its name, which the list of names cannot have",
            entry.name
        ));
    }
    let list = index.entries().map(|entry| (entry.name.replace(['\n', '\r'], " ") + "\n").into_bytes());
    write(target, index.npy_chunks())?;
    write(&names, list)
}

/// Writes a file that appears once it is complete.
fn write(target: &Path, chunks: impl Iterator<Item = Vec<u8>>) -> Result<(), Error> {
    let mut file = BufWriter::new(temporary(target)?);
    for chunk in chunks {
        file.write_all(&chunk).map_err(Error::file(target))?;
    }
    let file = file.into_inner().map_err(|error| Error::file(target)(error.into_error()))?;
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
