use super::layers::{Destination, whole_values};
use super::{Model, Precision, Shard, Towers, memory};
use crate::weights::{Inventory, TensorShape, TensorSink, WeightIndex};
use crate::{Config, Error};

/// Builds a [`Model`] from a weight file's rows as they arrive: each is packed at once, nothing is held twice.
///
/// It is given either a checkpoint's rows, as a [`TensorSink`], or batches that a [`Packer`](super::Packer) has made
/// of them.
#[derive(Debug)]
pub struct ModelLoader {
    pub(super) model: Model,
    pub(super) inventory: Inventory,
}

impl ModelLoader {
    /// A model without weights, or one worker's part of it.
    ///
    /// # Errors
    /// [`Error::BadInput`] where there are more workers than attention heads to share out,
    /// [`Error::OutOfMemory`] where there is less memory than [`memory_needed`](super::memory_needed).
    pub fn new(config: Config, precision: Precision, shard: Shard) -> Result<ModelLoader, Error> {
        ModelLoader::of_towers(config, Towers::Both, precision, shard)
    }

    /// The same with one tower, or both.
    ///
    /// # Errors
    /// As [`ModelLoader::new`].
    pub fn of_towers(
        config: Config,
        towers: Towers,
        precision: Precision,
        shard: Shard,
    ) -> Result<ModelLoader, Error> {
        let heads = config.vision_config.num_attention_heads.min(config.text_config.num_attention_heads);
        if shard.count() > heads {
            let count = shard.count();
            return Err(Error::BadInput(format!(
                "{count} workers for {heads} attention heads; {heads} at most"
            )));
        }
        memory::reserve(memory::memory_needed_of(&config, towers, precision, shard))?;
        let inventory = Inventory::new(&config);
        Ok(ModelLoader { model: Model::new(config, towers, precision, shard), inventory })
    }

    /// Says that the weights are in several files, which will come in the order of [`WeightIndex::files`], each
    /// through a reader of its own.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that the index lacks, or that belongs to another model.
    pub fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.inventory.expect_files(index)
    }

    /// The model, once the weights have been read to their end.
    ///
    /// # Errors
    /// [`Error::BadWeights`] names a tensor that has not arrived.
    pub fn finish(mut self) -> Result<Model, Error> {
        let towers = self.model.towers();
        self.inventory.finish(|tensor| towers.need(&tensor.name))?;
        if let Some(vision) = &mut self.model.vision {
            vision.finish();
        }
        Ok(self.model)
    }
}

impl TensorSink for ModelLoader {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        self.inventory.begin(found)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        if let Some(destination) = self.model.destination(&tensor.name) {
            destination.write(first_row, tensor.row_len(), values);
        }
        Ok(())
    }
}

impl Model {
    /// The place of a tensor; none where its tower is not there.
    pub(super) fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        match name.split_once('.') {
            None if name == "logit_scale" => Some(whole_values(&mut self.logit_scale)),
            None if name == "logit_bias" => Some(whole_values(&mut self.logit_bias)),
            Some(("text_model", rest)) => self.text.as_mut()?.destination(rest),
            Some(("vision_model", rest)) => self.vision.as_mut()?.destination(rest),
            _ => None,
        }
    }
}
