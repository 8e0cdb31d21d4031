//! `siglip convert`: a checkpoint as one GGUF file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use siglip::weights::{GgufWriter, Inventory, MatrixType, TensorShape, TensorSink};
use siglip::{Checkpoint, CheckpointFiles};
use tempfile::NamedTempFile;

use crate::checkpoint::Source;
use crate::error::Error;
use crate::importance;
use crate::loss::Questions;

/// A checkpoint as one GGUF file, with its configuration and tokenizer inside.
#[derive(clap::Args)]
pub struct Convert {
    /// Folder of a checkpoint, a GGUF or an ONNX.
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// File to write; it appears once it is complete.
    #[arg(value_name = "DST.gguf")]
    target: PathBuf,
    /// How matrices are stored.
    #[arg(long, value_enum)]
    to: MatrixTypeArg,
    /// Pictures to measure the loss with, in place of patterns: a folder of yours, of which up to 64 are looked at.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Have q6_k, q5_k and q4_k lose less of what pictures of yours use more, if that helps: a folder, of which up to 64 are looked
    /// at. Every other one tells what counts, and the rest whether it helps.
    #[arg(long, value_name = "DIR", conflicts_with = "pictures")]
    calibrate: Option<PathBuf>,
    /// Leave the loss unmeasured. To measure it, source and target are loaded in single precision, one after the other.
    #[arg(long, conflicts_with_all = ["pictures", "calibrate"])]
    no_loss: bool,
}

/// How matrices are stored, as an argument.
#[derive(Clone, Copy, ValueEnum)]
pub enum MatrixTypeArg {
    /// 8 bits, with one scale per row: the fewest bytes, and nothing is quantized a second time at precision q8. Other
    /// programs that read GGUF see plain integers.
    Q8,
    /// 8 bits, with one scale per 32 numbers, as ggml has it.
    #[value(name = "q8_0")]
    Q8_0,
    /// 6 bits in ggml's k-quants: blocks of 256 numbers. Rows that are not whole blocks have 8 bits.
    #[value(name = "q6_k")]
    Q6K,
    /// 5 bits in ggml's k-quants, and 6 in the token table.
    #[value(name = "q5_k")]
    Q5K,
    /// 4 bits in ggml's k-quants, and 6 in the token table: half of 8 bits, at a loss that the command tells.
    #[value(name = "q4_k")]
    Q4K,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl From<MatrixTypeArg> for MatrixType {
    fn from(argument: MatrixTypeArg) -> MatrixType {
        match argument {
            MatrixTypeArg::Q8 => MatrixType::Q8,
            MatrixTypeArg::Q8_0 => MatrixType::Q8_0,
            MatrixTypeArg::Q6K => MatrixType::Q6K,
            MatrixTypeArg::Q5K => MatrixType::Q5K,
            MatrixTypeArg::Q4K => MatrixType::Q4K,
            MatrixTypeArg::F16 => MatrixType::F16,
            MatrixTypeArg::F32 => MatrixType::F32,
        }
    }
}

impl Convert {
    /// Writes all of the source, and measures what rounding has cost.
    pub fn run(self) -> Result<(), Error> {
        let source = Source::new(Some(&self.source))?;
        // A folder without pictures is told before the work.
        let (calibration, questions) = match &self.calibrate {
            Some(folder) => {
                importance::check(self.to.into())?;
                let (calibration, questions) = Questions::halves(folder)?;
                (Some(calibration), Some(questions))
            }
            None if self.no_loss => (None, None),
            None => (None, Some(Questions::new(self.pictures.as_deref())?)),
        };
        let (files, name) = (source.files()?, source.stem());
        let write = |importance: &HashMap<String, Vec<f32>>| {
            write_gguf(&source, &files, &name, self.to.into(), importance, &self.target)
        };
        let plain = write(&HashMap::new())?;
        let Some(questions) = questions.filter(|_| plain.is_rounded()) else { return plain.keep() };
        let Some(calibration) = calibration else {
            plain.keep()?;
            match questions.loss(&source, &self.target) {
                Ok(loss) => eprintln!("{loss}"),
                // The file is whole all the same.
                Err(error) => eprintln!("The loss could not be measured: {error}"),
            }
            return Ok(());
        };
        let weighted = write(&importance::of_inputs(&source, &calibration)?)?;
        let [equally, by_importance] = questions.losses(&source, [plain.path(), weighted.path()])?;
        eprintln!(
            "All inputs counted equally. {equally}\nInputs counted by {} pictures. {by_importance}",
            calibration.len()
        );
        if by_importance.is_less_than(&equally) {
            eprintln!("Kept: by the pictures.");
            weighted.keep()
        } else {
            eprintln!("Kept: equally, since the pictures do not help.");
            plain.keep()
        }
    }
}

/// A file that is whole, under a temporary name.
pub struct Written {
    file: NamedTempFile,
    target: PathBuf,
    /// How far its weights are from the source's: the root of the mean square, relative.
    difference: f64,
}

impl Written {
    /// Its temporary name.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether its weights differ from the source's.
    pub fn is_rounded(&self) -> bool {
        self.difference > 0.0
    }

    /// Gives it its name, and tells on standard error how far its weights are from the source's.
    pub fn keep(self) -> Result<(), Error> {
        self.file.persist(&self.target).map_err(|error| Error::file(&self.target)(error.error))?;
        if self.difference > 0.0 {
            let percent = 100.0 * self.difference;
            eprintln!(
                "The rounded weights differ from the source's by {percent:.2} % (root of the mean square, relative)."
            );
        }
        Ok(())
    }
}

/// Streams the source's weights, a few rows at a time, to a temporary file beside `target`. `files` are the small files of the
/// target: those of a bundle have no text tower, so that its weights are left out. `importance` is that of the inputs of
/// matrices, by their names; all count equally in others.
pub fn write_gguf(
    source: &Source,
    files: &CheckpointFiles,
    name: &str,
    matrices: MatrixType,
    importance: &HashMap<String, Vec<f32>>,
    target: &Path,
) -> Result<Written, Error> {
    let wrong = Error::checkpoint(source.name());
    let config = Checkpoint::parse(files).map_err(&wrong)?.config;
    let weights = source.weights()?;
    let mut inventory = Inventory::of_towers(&config, files.towers());
    if let Some(index) = &weights.index {
        inventory.expect_files(index).map_err(&wrong)?;
    }
    let plan = GgufWriter::new(files, name, matrices).map_err(&wrong)?.with_importance(importance);

    let mut temporary = temporary(target)?;
    let file = temporary.as_file_mut();
    file.write_all(plan.header())
        .and_then(|()| file.set_len(plan.total_bytes()))
        .map_err(Error::file(target))?;
    let mut conversion =
        Conversion { plan, inventory, file, encoded: Vec::new(), squares: [0.0; 2], failed: None };
    let progress = progress_bar(weights.bytes()?);
    let read = weights.read(&mut conversion, |bytes| progress.inc(bytes));
    if let Some(error) = conversion.failed {
        return Err(Error::file(target)(error));
    }
    read?;
    if conversion.inventory.lacks("logit_scale")
        && let Some(logits) = source.known_logits(files)
    {
        logits.pass(&mut conversion).map_err(&wrong)?;
    }
    let Conversion { inventory, plan, squares: [lost, all], .. } = conversion;
    inventory.finish(|tensor| plan.holds(tensor)).map_err(&wrong)?;
    progress.finish_and_clear();
    let difference = if lost > 0.0 { (lost / all).sqrt() } else { 0.0 };
    Ok(Written { file: temporary, target: target.into(), difference })
}

/// A temporary file in the target's folder, since a rename is atomic only within one file system.
pub fn temporary(target: &Path) -> Result<NamedTempFile, Error> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".siglip-").suffix(".part");
    // The library's default is readable by its owner only; this becomes an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(Error::file(target))
}

/// A bar for so many bytes.
pub fn progress_bar(bytes: u64) -> ProgressBar {
    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    // It draws to standard error, if that is a terminal.
    let progress = ProgressBar::new(bytes);
    match ProgressStyle::with_template(template) {
        Ok(style) => progress.with_style(style),
        Err(_) => progress,
    }
}

/// Writes rows to their places in a GGUF as they arrive.
struct Conversion<'f> {
    plan: GgufWriter,
    inventory: Inventory,
    file: &'f mut File,
    encoded: Vec<u8>,
    /// Sums of the squares over the tensors that are rounded: of what their numbers have lost, and of the numbers.
    squares: [f64; 2],
    /// Why the target could not be written.
    failed: Option<io::Error>,
}

impl TensorSink for Conversion<'_> {
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        self.inventory.begin(tensors)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), siglip::Error> {
        self.inventory.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), siglip::Error> {
        self.inventory.rows(tensor, first_row, values)?;
        if !self.plan.holds(tensor) {
            return Ok(());
        }
        let place = self.plan.encode(tensor, first_row, values, &mut self.encoded)?;
        let decoded = self.plan.decode(tensor, &self.encoded);
        if decoded != values {
            for (value, decoded) in values.iter().zip(decoded) {
                self.squares[0] += f64::from(value - decoded).powi(2);
                self.squares[1] += f64::from(*value).powi(2);
            }
        }
        let written = self.file.seek(SeekFrom::Start(place)).and_then(|_| self.file.write_all(&self.encoded));
        written.map_err(|error| {
            let stopped = siglip::Error::BadInput(format!("the file cannot be written: {error}"));
            self.failed = Some(error);
            stopped
        })
    }
}
