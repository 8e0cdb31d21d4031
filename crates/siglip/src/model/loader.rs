//! The model as an [`Engine`]: built from a weight file's rows as they arrive.

use std::collections::BTreeSet;

use super::destination::{Destination, whole_values};
use super::{Model, Pooling, memory};
use crate::weights::{Inventory, LOGITS, TensorShape, TensorSink, WeightIndex, dequantized};
use crate::{Config, Engine, EngineLoader, Error, LoadOptions, PixelValues, Towers};

/// Texts of one pass: enough rows to pay for reading the weights through the caches.
const TEXTS_PER_PASS: usize = 4;
/// The same where a GPU runs the blocks. It divides what its memory does not take at once.
const TEXTS_PER_PASS_ELSEWHERE: usize = 64;

/// Builds a [`Model`] from a weight file's rows as they arrive. Each row is packed at once, so nothing is held twice.
///
/// It takes either a checkpoint's rows, as a [`TensorSink`], or batches that a [`Packer`](super::Packer) has made of
/// them.
#[derive(Debug)]
pub struct ModelLoader {
    pub(super) model: Model,
    pub(super) inventory: Inventory,
}

impl ModelLoader {
    /// A model without weights.
    ///
    /// # Errors
    /// [`Error::BadInput`] for more workers than attention heads or another model's resolution, [`Error::OutOfMemory`] if there is less memory than
    /// [`memory_needed`](super::memory_needed).
    pub fn new(config: Config, options: LoadOptions) -> Result<ModelLoader, Error> {
        let config = config.at(options.resolution)?;
        // A classifier has no text tower, whatever is asked for.
        let towers = if config.classifier.is_some() { Towers::Image } else { options.towers };
        let options = LoadOptions { towers, ..options };
        let heads = match &config.classifier {
            Some(_) => config.vision_config.num_attention_heads,
            None => config.vision_config.num_attention_heads.min(config.text_config.num_attention_heads),
        };
        let workers = options.shard.count();
        if workers > heads {
            return Err(Error::BadInput(format!(
                "{workers} workers for {heads} attention heads; {heads} at most"
            )));
        }
        memory::reserve(memory::memory_needed(&config, options))?;
        let inventory = Inventory::of_towers(&config, options.towers);
        Ok(ModelLoader { model: Model::new(config, options), inventory })
    }
}

impl EngineLoader for ModelLoader {
    type Engine = Model;

    fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.inventory.expect_files(index)
    }

    fn lacks_logits(&self) -> bool {
        LOGITS.iter().any(|name| self.inventory.lacks(name))
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        for name in LOGITS {
            self.inventory.arrived(name, 0, 1)?;
            if let Some(destination) = self.model.destination(name) {
                destination.write(0, 1, &[f32::NAN]);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Model, Error> {
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

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.inventory.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        if let Some(destination) = self.model.destination(&tensor.name) {
            destination.write(first_row, tensor.row_len(), values);
        }
        Ok(())
    }

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        let destination = self.model.destination(&tensor.name);
        if destination.is_some_and(|destination| !destination.takes_quantized()) {
            return self.rows(tensor, first_row, &dequantized(tensor, scales, quantized));
        }
        self.inventory.quantized_rows(tensor, first_row, scales)?;
        if let Some(destination) = self.model.destination(&tensor.name) {
            destination.write_quantized(first_row, tensor.row_len(), scales, quantized);
        }
        Ok(())
    }
}

impl Model {
    /// The place of a tensor; `None` if its tower is not loaded.
    pub(super) fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        match name.split_once('.') {
            None if name == "logit_scale" => Some(whole_values(&mut self.logit_scale)),
            None if name == "logit_bias" => Some(whole_values(&mut self.logit_bias)),
            Some(("text_model", rest)) => self.text.as_mut()?.destination(rest),
            Some(("classifier", rest)) => match &mut self.classifier {
                Some(classifier) => classifier.destination(rest),
                None => Some(Destination::Elsewhere(crate::Precision::F32)),
            },
            Some(("vision_model", rest)) => self.vision.as_mut()?.destination(rest),
            _ => None,
        }
    }
}

impl Engine for Model {
    type Loader = ModelLoader;

    fn memory_needed(config: &Config, options: LoadOptions) -> u64 {
        memory::memory_needed(config, options)
    }

    fn loader(config: Config, options: LoadOptions) -> Result<ModelLoader, Error> {
        ModelLoader::new(config, options)
    }

    fn config(&self) -> &Config {
        Model::config(self)
    }

    fn logit_scale(&self) -> f32 {
        Model::logit_scale(self)
    }

    fn logit_bias(&self) -> f32 {
        Model::logit_bias(self)
    }

    fn image_embeds(&mut self, images: Vec<PixelValues>) -> Result<Vec<f32>, Error> {
        let mut embeddings = Vec::with_capacity(images.len() * self.config.embedding_size());
        for image in images {
            let pass = self.begin_image(image)?;
            embeddings.extend(self.run(pass)?);
        }
        Ok(embeddings)
    }

    fn image_vectors(
        &mut self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        let pass = self.begin_image_for(image, pooling, normalize)?;
        self.run(pass)
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        let pass = self.begin_texts(input_ids, true)?;
        self.run(pass)
    }

    fn texts_per_pass(&self) -> usize {
        if self.shard.has_blocks_elsewhere() { TEXTS_PER_PASS_ELSEWHERE } else { TEXTS_PER_PASS }
    }

    fn add_text_tower(&mut self, text: Model) -> Result<(), Error> {
        Model::add_text_tower(self, text)
    }

    fn class_logits(&self, image_embeds: &[f32]) -> Vec<f32> {
        self.classifier.as_ref().map_or_else(Vec::new, |classifier| classifier.logits(image_embeds))
    }
}
