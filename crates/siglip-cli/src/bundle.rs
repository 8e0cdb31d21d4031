//! `siglip bundle`: a classifier for fixed labels as one file.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use siglip::weights::{GgufWriter, MatrixType, TensorShape, TensorSink};
use siglip::{Checkpoint, CheckpointFiles, EngineLoader, LabelSets, LoadOptions, Precision, Siglip, Towers};

use crate::PrecisionArg;
use crate::checkpoint::Source;
use crate::convert::{MatrixTypeArg, progress_bar, write_gguf};
use crate::error::Error;

/// A classifier for fixed labels as one file: the image tower, and the labels' embeddings in place of the text tower.
#[derive(clap::Args)]
pub struct Bundle {
    /// Folder of a checkpoint, a GGUF or an ONNX.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// File to write; it appears once it is complete.
    #[arg(value_name = "OUT.gguf")]
    target: PathBuf,
    /// A text file with one label per line. Repeat for several sets of labels, each named by its file or by NAME.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    labels: Vec<String>,
    /// The sentence that the model reads; {} stands for the label. Repeat to take the mean of several. "imagenet" is a set of
    /// eight.
    #[arg(long, value_name = "TEMPLATE", default_value = siglip::text::DEFAULT_TEMPLATE)]
    template: Vec<String>,
    /// How matrices are stored.
    #[arg(long, value_enum, default_value_t = MatrixTypeArg::Q8)]
    to: MatrixTypeArg,
    /// How the labels are embedded: in 8 bits as pages do it, with this processor's own kernels (q8), or in single
    /// precision.
    #[arg(long, value_enum, default_value_t = PrecisionArg::Q8Exact)]
    precision: PrecisionArg,
}

impl Bundle {
    /// Reads the model twice: its text tower, to embed the labels, then its image tower, to store it.
    pub fn run(self) -> Result<(), Error> {
        let lists =
            self.labels.iter().map(|argument| read_labels(argument)).collect::<Result<Vec<_>, _>>()?;
        let source = Source::new(Some(&self.model))?;
        let files = source.files()?;
        let mut siglip = self.text_tower(&source, &files)?;
        let mut sets = LabelSets::default();
        for (name, labels) in lists {
            if sets.get(&name).is_ok() {
                return Err(Error::Usage(format!(
                    "two label sets are called {name:?}; name one with NAME=FILE"
                )));
            }
            sets.insert(siglip.label_set(&name, &labels, &self.template)?);
        }
        let name = source.stem();
        let labels = Some(siglip.export_labels(&sets, &name)?);
        drop(siglip);
        let bundle = CheckpointFiles { labels, tokenizer: String::new(), ..files };
        write_gguf(&source, &bundle, &name, self.to.into(), &HashMap::new(), &self.target)?.keep()?;
        Ok(())
    }

    /// The text tower as it would be read of a file in the bundle's encoding, so that scores are those of that file.
    fn text_tower(&self, source: &Source, files: &CheckpointFiles) -> Result<Siglip, Error> {
        let wrong = Error::checkpoint(source.name());
        let checkpoint = Checkpoint::parse(files).map_err(&wrong)?;
        let precision: Precision = self.precision.into();
        let options = LoadOptions { precision, towers: Towers::Text, ..LoadOptions::default() };
        let loader = checkpoint.loader::<siglip::model::Model>(options).map_err(&wrong)?;
        let plan = GgufWriter::new(files, "", MatrixType::from(self.to)).map_err(&wrong)?;
        // Rows that the engine quantizes itself are the same without.
        let is_needed = !(matches!(self.to, MatrixTypeArg::Q8) && precision.is_quantized());
        let mut rounding = Rounding { plan: is_needed.then_some(plan), loader };
        let progress = progress_bar(source.weights()?.bytes()?);
        source.read(files, &mut rounding, |rounding| &mut rounding.loader, |bytes| progress.inc(bytes))?;
        progress.finish_and_clear();
        Ok(Siglip::new(checkpoint, rounding.loader.finish().map_err(&wrong)?))
    }
}

/// The name and the labels of `[NAME=]FILE`.
fn read_labels(argument: &str) -> Result<(String, Vec<String>), Error> {
    let (name, path) = match argument.split_once('=') {
        Some((name, path)) if !Path::new(argument).exists() => (name.to_string(), path),
        _ => {
            let stem = Path::new(argument).file_stem().unwrap_or_default();
            (stem.to_string_lossy().into_owned(), argument)
        }
    };
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let text = text.trim_start_matches('\u{feff}');
    let labels: Vec<String> =
        text.lines().map(str::trim).filter(|label| !label.is_empty()).map(String::from).collect();
    if labels.is_empty() {
        return Err(Error::Usage(format!("{path} has no labels; write one per line")));
    }
    Ok((name, labels))
}

/// Rounds the text tower's rows to the encoding of a file before the loader gets them.
struct Rounding<L> {
    plan: Option<GgufWriter>,
    loader: L,
}

impl<L: TensorSink> TensorSink for Rounding<L> {
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        self.loader.begin(tensors)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), siglip::Error> {
        self.loader.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), siglip::Error> {
        match &self.plan {
            Some(plan) if !tensor.name.starts_with("vision_model.") => {
                self.loader.rows(tensor, first_row, &plan.rounded(tensor, first_row, values)?)
            }
            _ => self.loader.rows(tensor, first_row, values),
        }
    }
}
