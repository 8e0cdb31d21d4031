//! A model in the making: from a checkpoint's small files and packed batches, in this worker and in those beside it.

use siglip::model::{Model, ModelLoader, Packer};
use siglip::weights::{Metadata, TensorShape, TensorSink, WeightIndex};
use siglip::{Checkpoint, CheckpointFiles, Config, Siglip};

use crate::error::Error;
use crate::listeners::Listeners;
use crate::options::Options;

/// The small files of a checkpoint.
pub const SMALL_FILES: [&str; 3] = ["config.json", "preprocessor_config.json", "tokenizer.json"];

/// Those of a checkpoint, with their names.
pub fn named(files: &CheckpointFiles) -> [(&'static str, &String); 3] {
    let CheckpointFiles { config, preprocessor, tokenizer } = files;
    let [first, second, third] = SMALL_FILES;
    [(first, config), (second, preprocessor), (third, tokenizer)]
}

/// The first worker's part of a model, and its hold on the others'. It turns a weight file's rows into batches, which
/// it is to be given back when they have been kept.
pub struct Assembly<'l> {
    options: &'l Options,
    listeners: &'l Listeners,
    begun: Option<Begun>,
}

struct Begun {
    checkpoint: Checkpoint,
    loader: ModelLoader,
    packer: Packer,
}

impl<'l> Assembly<'l> {
    /// One that a GGUF's metadata will begin.
    pub fn new(options: &'l Options, listeners: &'l Listeners) -> Assembly<'l> {
        Assembly { options, listeners, begun: None }
    }

    /// Begins a model without weights; the other workers begin theirs.
    pub fn begin(&mut self, files: &CheckpointFiles) -> Result<(), siglip::Error> {
        let Options { towers, precision, workers, .. } = *self.options;
        let checkpoint = files.parse()?;
        let shard = siglip::model::Shard::new(0, workers)?;
        let mut loader = checkpoint.loader_of(towers, precision, shard)?;
        self.listeners.config(&files.config);
        self.begun = Some(Begun { packer: loader.packer(), checkpoint, loader });
        Ok(())
    }

    /// Says that the weights are in several files.
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        Ok(self.begun()?.packer.expect_files(index)?)
    }

    /// Bytes of all batches, known once a file has begun.
    pub fn total_bytes(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.packer.total_bytes())
    }

    /// Bytes of the batches that wait.
    pub fn pending(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.packer.pending())
    }

    /// The batches that wait.
    pub fn take_pending(&mut self) -> Vec<u8> {
        self.begun.as_mut().map_or_else(Vec::new, |begun| begun.packer.take())
    }

    /// Whether the model has a use for a tensor.
    pub fn wants(&self, tensor: &TensorShape) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.packer.wants(tensor))
    }

    /// Takes batches, here and with the other workers.
    pub async fn take(&mut self, batches: &[u8]) -> Result<(), Error> {
        self.begun()?.loader.push_packed(batches)?;
        self.listeners.batches(batches).await
    }

    /// The model, once everything has arrived.
    pub fn finish(self) -> Result<Siglip, Error> {
        let Begun { checkpoint, loader, .. } = self.begun.ok_or_else(not_begun)?;
        Ok(Siglip::new(checkpoint, loader.finish()?))
    }

    fn begun(&mut self) -> Result<&mut Begun, siglip::Error> {
        self.begun.as_mut().ok_or_else(not_begun)
    }
}

fn not_begun() -> siglip::Error {
    siglip::Error::BadWeights("this file is no GGUF that carries its configuration".into())
}

impl TensorSink for Assembly<'_> {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), siglip::Error> {
        self.begin(&metadata.into_files()?)
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        self.begun()?.packer.begin(tensors)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), siglip::Error> {
        self.begun()?.packer.rows(tensor, first_row, values)
    }
}

/// Another worker's part of a model, of the batches that the first hands on.
pub struct FollowerAssembly(ModelLoader);

impl FollowerAssembly {
    /// The part `index` of the model that `config.json` describes.
    pub fn new(config: &str, options: &Options, index: usize) -> Result<FollowerAssembly, Error> {
        let (config, shard) = (Config::from_json(config)?, options.shard(index)?);
        Ok(FollowerAssembly(ModelLoader::of_towers(config, options.towers, options.precision, shard)?))
    }

    /// Takes batches.
    pub fn take(&mut self, batches: &[u8]) -> Result<(), Error> {
        Ok(self.0.push_packed(batches)?)
    }

    /// The part, once everything has arrived.
    pub fn finish(self) -> Result<Model, Error> {
        Ok(self.0.finish()?)
    }
}
