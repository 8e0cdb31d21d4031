//! Collects a weight file's rows into candle's tensors.

use std::collections::{BTreeSet, HashMap};

use candle_core::{DType, Device, Tensor};
use candle_nn::{Linear, VarBuilder};
use candle_transformers::models::siglip::{TextModel, VisionModel};
use siglip::model::{Packer, unpack};
use siglip::weights::{Inventory, LOGITS, TensorShape, TensorSink, WeightIndex, tensors};
use siglip::{Config, EngineLoader, Error, LoadOptions, Precision, Resolution, Towers};

use crate::config::{self, OTHER_ENGINE};
use crate::engine::Candle;

/// Builds a [`Candle`] from a weight file's rows as they arrive.
#[derive(Debug)]
pub struct CandleLoader {
    config: Config,
    towers: Towers,
    /// All tensors of the model, in the order of a packer's batches.
    tensors: Vec<TensorShape>,
    inventory: Inventory,
    /// The loaded towers' tensors, whole from the start.
    values: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl CandleLoader {
    /// A model without weights.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] names what candle's SigLIP lacks, [`Error::BadInput`] any options but
    /// [`OPTIONS`](crate::OPTIONS), and [`Error::OutOfMemory`] says that the tensors do not fit.
    pub fn new(config: Config, options: LoadOptions) -> Result<CandleLoader, Error> {
        let LoadOptions { precision, towers, shard, resolution } = options;
        if precision != Precision::F32 {
            let reason = format!(
                "candle's engine computes in single precision only; choose precision f32 in place of {}",
                precision.name()
            );
            return Err(Error::BadInput(reason));
        }
        if !shard.is_whole() || shard.has_blocks_elsewhere() {
            let reason = "candle's engine runs on the CPU in one worker; choose that, or the default engine";
            return Err(Error::BadInput(reason.into()));
        }
        config::check(&config, towers)?;
        if resolution != Resolution::default() {
            let reason = format!(
                "candle's SigLIP interpolates position embeddings in another way; leave the resolution out, or {OTHER_ENGINE}"
            );
            return Err(Error::BadInput(reason));
        }
        let needed = memory_needed(&config, towers);
        let mut values = HashMap::new();
        for TensorShape { name, shape } in needed_tensors(&config, towers) {
            let length = shape.iter().product();
            let mut zeros = Vec::new();
            zeros.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { needed })?;
            zeros.resize(length, 0.0);
            values.insert(name, (shape, zeros));
        }
        let inventory = Inventory::of_towers(&config, towers);
        let tensors = inventory.tensors().cloned().collect();
        Ok(CandleLoader { config, towers, tensors, inventory, values })
    }

    /// The tensors that the model needs, and what of them has arrived.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// A packer whose batches fit this loader. They are those of `siglip`'s own engine in single precision.
    pub fn packer(&mut self) -> Packer {
        Packer::single_precision(&self.config, self.towers)
    }

    /// Takes whole batches of a packer. Those of a tower that is not loaded are left out.
    ///
    /// # Errors
    /// [`Error::BadWeights`] if they are of another model.
    pub fn push_packed(&mut self, batches: &[u8]) -> Result<(), Error> {
        let tensors = std::mem::take(&mut self.tensors);
        let taken = unpack(&tensors, batches, |tensor, first_row, values| {
            if self.towers.need(&tensor.name) {
                self.inventory.arrived(&tensor.name, first_row, values.len() / tensor.row_len())?;
                self.store(tensor, first_row, values);
            }
            Ok(())
        });
        self.tensors = tensors;
        taken
    }

    /// Puts rows in their place. Those of a tower that is not loaded have none.
    fn store(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) {
        let Some((_, stored)) = self.values.get_mut(&tensor.name) else { return };
        let start = first_row * tensor.row_len();
        // The inventory has checked that the rows are the tensor's.
        stored[start..start + values.len()].copy_from_slice(values);
    }

    fn build(mut self) -> candle_core::Result<Candle> {
        let mut scalar = |name: &str| self.values.remove(name).map_or(f32::NAN, |(_, values)| values[0]);
        let [scale, bias] = LOGITS.map(&mut scalar);
        let mut named = HashMap::new();
        for (name, (shape, values)) in self.values {
            named.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        let (config, towers) = (self.config, self.towers);
        let text = towers.has_text().then(|| text_model(&config, named.clone())).transpose()?;
        let weights = VarBuilder::from_tensors(named, DType::F32, &Device::Cpu);
        let vision =
            || VisionModel::new(&config::vision(&config.vision_config), true, weights.pp("vision_model"));
        Ok(Candle {
            vision: towers.has_image().then(vision).transpose()?,
            text,
            logit_scale: scale,
            logit_bias: bias,
            config,
        })
    }
}

/// The text tower. candle makes its head as wide as the tower: one to another width takes its place afterwards.
fn text_model(config: &Config, mut named: HashMap<String, Tensor>) -> candle_core::Result<TextModel> {
    let text = &config.text_config;
    let width = text.hidden_size;
    let [weight, bias] = ["weight", "bias"].map(|part| format!("text_model.head.{part}"));
    let head = (text.embedding_size() != width).then(|| (named.remove(&weight), named.remove(&bias)));
    if head.is_some() {
        named.insert(weight, Tensor::zeros((width, width), DType::F32, &Device::Cpu)?);
        named.insert(bias, Tensor::zeros(width, DType::F32, &Device::Cpu)?);
    }
    let weights = VarBuilder::from_tensors(named, DType::F32, &Device::Cpu);
    let mut model = TextModel::new(&config::text(text), weights.pp("text_model"))?;
    if let Some((Some(weight), bias)) = head {
        model.text_model.head = Linear::new(weight, bias);
    }
    Ok(model)
}

/// The tensors of these towers, with those that belong to neither.
fn needed_tensors(config: &Config, towers: Towers) -> impl Iterator<Item = TensorShape> {
    tensors(config).into_iter().filter(move |tensor| towers.need(&tensor.name))
}

/// Bytes of the tensors of these towers.
pub fn memory_needed(config: &Config, towers: Towers) -> u64 {
    needed_tensors(config, towers).map(|tensor| (size_of::<f32>() * tensor.len()) as u64).sum()
}

impl EngineLoader for CandleLoader {
    type Engine = Candle;

    fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.inventory.expect_files(index)
    }

    fn lacks_logits(&self) -> bool {
        LOGITS.iter().any(|name| self.inventory.lacks(name))
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        for name in LOGITS {
            self.inventory.arrived(name, 0, 1)?;
            self.values.insert(name.into(), (vec![1], vec![f32::NAN]));
        }
        Ok(())
    }

    fn finish(self) -> Result<Candle, Error> {
        self.inventory.finish(|tensor| self.towers.need(&tensor.name))?;
        self.build().map_err(|error| Error::BadWeights(format!("candle: {error}; {OTHER_ENGINE}")))
    }
}

impl TensorSink for CandleLoader {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        self.inventory.begin(found)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.inventory.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.inventory.rows(tensor, first_row, values)?;
        self.store(tensor, first_row, values);
        Ok(())
    }
}
