//! A model in the making: from a checkpoint's small files and packed batches, in this worker and in those beside it.

use siglip::model::{Model, ModelLoader, Packer};
use siglip::{Checkpoint, Config, Siglip};

use crate::error::Error;
use crate::listeners::Listeners;
use crate::options::Options;

pub const CONFIG: &str = "config.json";
pub const PREPROCESSOR: &str = "preprocessor_config.json";
pub const TOKENIZER: &str = "tokenizer.json";

/// A checkpoint's small files as they are published.
#[derive(Debug, Clone, Default)]
pub struct SmallFiles {
    /// `config.json`.
    pub config: Vec<u8>,
    /// `preprocessor_config.json`.
    pub preprocessor: Vec<u8>,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
}

impl SmallFiles {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, &Vec<u8>); 3] {
        [(CONFIG, &self.config), (PREPROCESSOR, &self.preprocessor), (TOKENIZER, &self.tokenizer)]
    }

    /// The place of the one called `name`.
    pub fn place(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        match name {
            CONFIG => Some(&mut self.config),
            PREPROCESSOR => Some(&mut self.preprocessor),
            TOKENIZER => Some(&mut self.tokenizer),
            _ => None,
        }
    }

    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.named().iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// The first worker's part of a model, and its hold on the others'.
pub struct Assembly<'l> {
    /// What makes batches of a weight file.
    pub packer: Packer,
    checkpoint: Checkpoint,
    loader: ModelLoader,
    listeners: &'l Listeners,
}

impl<'l> Assembly<'l> {
    /// A model without weights; the other workers begin theirs.
    pub fn new(files: &SmallFiles, options: &Options, listeners: &'l Listeners) -> Result<Self, Error> {
        let text = String::from_utf8_lossy;
        let config = text(&files.config);
        let checkpoint = Checkpoint::parse(&config, &text(&files.preprocessor), &files.tokenizer)?;
        let mut loader = checkpoint.loader_of(options.towers()?, options.precision()?, options.shard(0)?)?;
        listeners.config(&config);
        Ok(Assembly { packer: loader.packer(), checkpoint, loader, listeners })
    }

    /// Takes batches, here and with the other workers.
    pub async fn take(&mut self, batches: &[u8]) -> Result<(), Error> {
        self.loader.push_packed(batches)?;
        self.listeners.batches(batches).await
    }

    /// The model, once everything has arrived.
    pub fn finish(self) -> Result<Siglip, Error> {
        Ok(Siglip::new(self.checkpoint, self.loader.finish()?))
    }
}

/// Another worker's part of a model, of the batches that the first hands on.
pub struct FollowerAssembly(ModelLoader);

impl FollowerAssembly {
    /// The part `index` of the model that `config.json` describes.
    pub fn new(config: &str, options: &Options, index: usize) -> Result<FollowerAssembly, Error> {
        let config = Config::from_json(config)?;
        let (towers, precision, shard) = (options.towers()?, options.precision()?, options.shard(index)?);
        Ok(FollowerAssembly(ModelLoader::of_towers(config, towers, precision, shard)?))
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
