//! Builds a model from a checkpoint's small files and packed weights, in this worker and in those with other shards.

use std::collections::BTreeSet;

use siglip::model::{Packer, towers_of};
use siglip::weights::{Logits, Metadata, TensorShape, TensorSink, WeightIndex};
use siglip::{Checkpoint, CheckpointFiles, Config, EngineLoader as _, Towers};
use siglip_gpu::Sizes;

use super::callbacks::Callbacks;
use super::file_digest::DigestWorker;
use crate::backend::{Model, ModelLoader, Siglip};
use crate::error::Error;
use crate::options::Options;

/// Builds this worker's shard and passes weights to the workers with the others.
///
/// As a [`TensorSink`] it turns the rows of a weight file into packed batches. These wait until the caller takes them
/// with [`ModelBuilder::take_pending`], caches them, and returns them to [`ModelBuilder::add`].
pub struct ModelBuilder<'l> {
    options: &'l Options,
    towers: Towers,
    callbacks: &'l Callbacks,
    started: Option<Started>,
}

struct Started {
    checkpoint: Checkpoint,
    loader: ModelLoader,
    packer: Packer,
}

impl<'l> ModelBuilder<'l> {
    /// A builder that [`ModelBuilder::start`] or the metadata of a GGUF will start.
    pub fn new(options: &'l Options, callbacks: &'l Callbacks) -> ModelBuilder<'l> {
        ModelBuilder::of_towers(options, options.towers, callbacks)
    }

    /// As [`ModelBuilder::new`], of these towers whatever the options say.
    pub fn of_towers(options: &'l Options, towers: Towers, callbacks: &'l Callbacks) -> ModelBuilder<'l> {
        ModelBuilder { options, towers, callbacks, started: None }
    }

    /// Starts a model without weights. The other workers start their shards of it.
    pub fn start(&mut self, files: &CheckpointFiles) -> Result<(), siglip::Error> {
        let towers = self.towers;
        let checkpoint = match towers.has_text() || files.tokenizer.is_empty() {
            true => Checkpoint::parse(files)?,
            // A GGUF has its tokenizer whether it is needed or not, and a large one takes a while to read.
            false => Checkpoint::parse(&CheckpointFiles { tokenizer: String::new(), ..files.clone() })?,
        };
        let checkpoint = checkpoint.at(self.options.resolution())?;
        let mut loader = checkpoint.loader::<Model>(self.options.load(towers, 0)?)?;
        let towers = checkpoint.towers(towers)?;
        self.callbacks.config(&files.config, towers, self.sizes(&checkpoint.config, towers));
        self.started = Some(Started { packer: loader.packer(), checkpoint, loader });
        Ok(())
    }

    /// What a plan for the GPU is made of, if there is to be one. `www/worker/gpu.js` asks for none in a precision without a plan.
    fn sizes(&self, config: &Config, towers: Towers) -> Option<String> {
        if cfg!(feature = "candle") || !self.options.gpu {
            return None;
        }
        Some(Sizes::new(config, towers, self.options.precision).ok()?.to_text())
    }

    /// Another worker for the digests of large files, once it is ready.
    pub fn digest_worker(&self) -> Option<DigestWorker> {
        self.callbacks.digest_worker()
    }

    /// Says that the weights are in several files.
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        Ok(self.started()?.packer.expect_files(index)?)
    }

    /// Bytes of all batches; 0 until a weight file has started.
    pub fn total_bytes(&self) -> u64 {
        self.started.as_ref().map_or(0, |started| started.packer.total_bytes())
    }

    /// Bytes of the waiting batches.
    pub fn pending(&self) -> usize {
        self.started.as_ref().map_or(0, |started| started.packer.pending())
    }

    /// The waiting batches.
    pub fn take_pending(&mut self) -> Vec<u8> {
        self.started.as_mut().map_or_else(Vec::new, |started| started.packer.take())
    }

    /// Whether the model needs a tensor.
    pub fn wants(&self, tensor: &TensorShape) -> bool {
        self.started.as_ref().is_some_and(|started| started.packer.wants(tensor))
    }

    /// The towers that need these batches.
    pub fn towers_of(&self, batches: &[u8]) -> Towers {
        self.started.as_ref().map_or(Towers::Both, |started| towers_of(started.loader.inventory(), batches))
    }

    /// Adds batches to this worker's shard and passes them to the other workers.
    pub async fn add(&mut self, batches: &[u8]) -> Result<(), Error> {
        if batches.is_empty() {
            return Ok(());
        }
        self.started()?.loader.push_packed(batches)?;
        self.callbacks.weights(batches).await
    }

    /// Leaves out rows that an earlier visit has cached of tensors that come again from their start.
    pub fn leave_out_begun(&mut self) {
        if let Some(Started { packer, loader, .. }) = &mut self.started {
            packer.leave_out_begun(loader.inventory());
        }
    }

    /// Whether the weights that were added lack the model's scale or bias.
    pub fn lacks_logits(&self) -> bool {
        self.started.as_ref().is_some_and(|started| started.loader.lacks_logits())
    }

    /// Adds the scale and bias to the waiting batches; `None` if there are none.
    pub fn add_logits(&mut self, logits: Option<Logits>) -> Result<(), Error> {
        match logits {
            Some(logits) => Ok(logits.pass(self)?),
            None => {
                self.started()?.packer.without_logits();
                Ok(())
            }
        }
    }

    /// The model, once all weights were added.
    pub fn finish(self) -> Result<Siglip, Error> {
        let Started { checkpoint, loader, .. } = self.started.ok_or_else(no_configuration)?;
        Ok(Siglip::new(checkpoint, loader.finish()?))
    }

    fn started(&mut self) -> Result<&mut Started, siglip::Error> {
        self.started.as_mut().ok_or_else(no_configuration)
    }
}

fn no_configuration() -> siglip::Error {
    siglip::Error::BadWeights("this file has no configuration in it. A GGUF that `siglip convert` made has; other weights are loaded with \
         their config.json, preprocessor_config.json and tokenizer.json".into())
}

impl TensorSink for ModelBuilder<'_> {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), siglip::Error> {
        self.start(&metadata.into_files()?)
    }

    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), siglip::Error> {
        self.started()?.packer.begin(tensors)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), siglip::Error> {
        self.started()?.packer.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), siglip::Error> {
        self.started()?.packer.rows(tensor, first_row, values)
    }

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), siglip::Error> {
        self.started()?.packer.quantized_rows(tensor, first_row, scales, quantized)
    }
}

/// Builds another worker's shard from the batches that the first worker passes on.
pub struct ShardBuilder(ModelLoader);

impl ShardBuilder {
    /// Starts shard `index` of the model that `config.json` describes.
    pub fn new(config: &str, options: &Options, index: usize) -> Result<ShardBuilder, Error> {
        let config = Config::from_json(config)?;
        Ok(ShardBuilder(ModelLoader::new(config, options.load(options.towers, index)?)?))
    }

    /// Adds batches.
    pub fn add(&mut self, batches: &[u8]) -> Result<(), Error> {
        Ok(self.0.push_packed(batches)?)
    }

    /// The shard, once all weights were added.
    pub fn finish(self) -> Result<Model, Error> {
        Ok(self.0.finish()?)
    }
}
