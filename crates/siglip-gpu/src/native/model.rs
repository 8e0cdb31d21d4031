//! A model whose blocks run on a GPU, as an engine.

use std::collections::BTreeSet;
use std::fmt;

use siglip::model::{Model, ModelLoader, Packer, Pass, Pooling, Step, memory_needed};
use siglip::weights::{TensorShape, TensorSink, WeightIndex};
use siglip::{Config, Engine, EngineLoader, Error, LoadOptions, PixelValues, Shard, Towers};

use super::check::{check_tower, is_finite};
use super::{Blocks, Gpu, GpuError, Input, Times, Wish};
use crate::pooling_queries;

/// Images of one pass. The GPU divides what its memory does not take at once.
const IMAGES_PER_PASS: usize = 8;

/// Loads the model without a GPU. It is told why.
pub type OnFault = Box<dyn FnMut(&GpuError) -> Result<Model, Error>>;
/// Loads the model on another device, or on the same adapter again, and checks it. `None` if that does not work.
pub type OnLoss = Box<dyn FnOnce() -> Option<GpuModel>>;

/// A model whose blocks run on a GPU, until a fault.
pub struct GpuModel {
    /// All but the blocks; after a fault the whole model.
    model: Model,
    /// The blocks, unless the CPU computes.
    blocks: Option<Blocks>,
    /// Why it does, if it was to be otherwise.
    fault: Option<GpuError>,
    on_fault: Option<OnFault>,
    /// Until a device was lost.
    on_loss: Option<OnLoss>,
}

impl From<Model> for GpuModel {
    /// On the CPU.
    fn from(model: Model) -> GpuModel {
        GpuModel { model, blocks: None, fault: None, on_fault: None, on_loss: None }
    }
}

impl fmt::Debug for GpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuModel").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

impl GpuModel {
    /// The blocks, unless the CPU computes.
    pub fn blocks(&mut self) -> Option<&mut Blocks> {
        self.blocks.as_mut()
    }

    /// All but the blocks; after a fault the whole model.
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Compares the GPU's weights with what was sent, and its results with the CPU's. Returns what each tower takes.
    ///
    /// # Errors
    /// [`GpuError::Wrong`] says what differs; or what went wrong before, while the model was loaded.
    pub fn check(&mut self) -> Result<Vec<(Towers, Times)>, GpuError> {
        let fault = self.fault.clone();
        let blocks = self.blocks.as_mut().ok_or_else(|| fault.unwrap_or(GpuError::NoAdapter("")))?;
        blocks.check_weights()?;
        let precision = blocks.precision();
        let mut times = Vec::new();
        if let Some(tower) = blocks.image() {
            times.push((Towers::Image, check_tower(&mut self.model, Towers::Image, tower, precision)?));
        }
        if let Some(tower) = blocks.text() {
            times.push((Towers::Text, check_tower(&mut self.model, Towers::Text, tower, precision)?));
        }
        Ok(times)
    }

    /// What happens after a fault: the call that found it is answered by the model that this returns, as are all later ones.
    /// Without it, the call is an error.
    pub fn on_fault(&mut self, on_fault: OnFault) {
        self.on_fault = Some(on_fault);
    }

    /// What happens when the device is lost for the first time, before [`GpuModel::on_fault`] is asked: drivers are updated, and
    /// GPUs are reset by what another program does to them.
    pub fn on_loss(&mut self, on_loss: OnLoss) {
        self.on_loss = Some(on_loss);
    }

    /// Drives a pass, and restarts it after a fault.
    fn embed(&mut self, tower: Towers, mut pass: Pass) -> Result<Vec<f32>, Error> {
        loop {
            let fault = loop {
                match self.model.step(&mut pass) {
                    Step::Next => {}
                    Step::AllReduce => self.model.add_own_contribution(),
                    Step::Done => return Ok(pass.into_embeddings()),
                    Step::Blocks => match self.run_blocks(tower, &pass) {
                        Ok(Output::Embeddings(values)) => self.model.set_embeddings(&mut pass, values)?,
                        Ok(Output::HiddenStates(values)) => self.model.set_hidden_states(&pass, &values)?,
                        Err(fault) => break fault,
                    },
                }
            };
            self.replace(fault)?;
            pass.restart();
        }
    }

    /// Loads the model again, after a fault.
    fn replace(&mut self, fault: GpuError) -> Result<(), Error> {
        // Two models need not fit into the GPU's memory.
        self.blocks = None;
        if let (GpuError::Lost(_), Some(on_loss)) = (&fault, self.on_loss.take())
            && let Some(next) = on_loss()
        {
            (self.model, self.blocks) = (next.model, next.blocks);
            return Ok(());
        }
        let unanswered = || Error::BadInput(format!("the GPU failed: {fault}"));
        let on_fault = self.on_fault.as_mut().ok_or_else(unanswered)?;
        self.model = on_fault(&fault)?;
        self.fault = Some(fault);
        Ok(())
    }

    fn run_blocks(&mut self, tower: Towers, pass: &Pass) -> Result<Output, GpuError> {
        let GpuModel { model, blocks, .. } = self;
        let blocks = blocks.as_mut().ok_or_else(|| GpuError::Wrong("the blocks are gone".into()))?;
        let tower = blocks.tower(tower)?;
        let grid = pass.patch_grid();
        if grid.is_some() && tower.grid() != grid {
            tower.set_positions(grid, &model.positions(pass))?;
        }
        let rows = if grid.is_some() { model.patches(pass) } else { model.hidden_states() };
        let input = Input { rows, sequences: pass.sequences() };
        let has_head = tower.plan().embeddings.is_some() && pass.ends_with_head();
        let values = if has_head { tower.run_all(input)? } else { tower.run_blocks(input)? };
        if !is_finite(&values) {
            return Err(GpuError::Wrong("results are not finite".into()));
        }
        Ok(if has_head { Output::Embeddings(values) } else { Output::HiddenStates(values) })
    }
}

/// What a tower makes of a pass.
enum Output {
    /// Not yet normalized.
    Embeddings(Vec<f32>),
    /// The last block's.
    HiddenStates(Vec<f32>),
}

impl Engine for GpuModel {
    type Loader = GpuLoader;

    fn memory_needed(config: &Config, options: LoadOptions) -> u64 {
        memory_needed(config, LoadOptions { shard: Shard::BLOCKS_ELSEWHERE, ..options })
    }

    /// Opens any adapter. [`GpuLoader::new`] takes one that is open.
    fn loader(config: Config, options: LoadOptions) -> Result<GpuLoader, Error> {
        let gpu = Gpu::open(Wish::Any).map_err(|error| Error::BadInput(error.to_string()))?;
        GpuLoader::new(&gpu, config, options)
    }

    fn config(&self) -> &Config {
        self.model.config()
    }

    fn logit_scale(&self) -> f32 {
        self.model.logit_scale()
    }

    fn logit_bias(&self) -> f32 {
        self.model.logit_bias()
    }

    fn image_embeds(&mut self, images: Vec<PixelValues>) -> Result<Vec<f32>, Error> {
        let mut embeddings = Vec::with_capacity(images.len() * self.config().embedding_size());
        let size = |image: &PixelValues| (image.height, image.values.len());
        let mut images = images.into_iter().peekable();
        while let Some(first) = images.next() {
            let alike = size(&first);
            let mut together = vec![first];
            while together.len() < self.images_per_pass()
                && let Some(image) = images.next_if(|image| size(image) == alike)
            {
                together.push(image);
            }
            let pass = self.model.begin_images(together)?;
            embeddings.extend(self.embed(Towers::Image, pass)?);
        }
        Ok(embeddings)
    }

    fn images_per_pass(&self) -> usize {
        if self.blocks.is_some() { IMAGES_PER_PASS } else { 1 }
    }

    fn image_vectors(
        &mut self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        let pass = self.model.begin_image_for(image, pooling, normalize)?;
        self.embed(Towers::Image, pass)
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        let pass = self.model.begin_texts(input_ids, true)?;
        self.embed(Towers::Text, pass)
    }

    fn texts_per_pass(&self) -> usize {
        self.model.texts_per_pass()
    }

    fn class_logits(&self, image_embeds: &[f32]) -> Vec<f32> {
        self.model.class_logits(image_embeds)
    }
}

/// Loads a [`GpuModel`]: each row is packed once, and goes to the GPU, to the engine, or to both.
///
/// A fault of the GPU does not end the load, which reports the faults of the weights alone. [`GpuModel::check`] returns it.
#[derive(Debug)]
pub struct GpuLoader {
    loader: ModelLoader,
    packer: Packer,
    blocks: Result<Blocks, GpuError>,
}

impl GpuLoader {
    /// A loader whose model's blocks run on `gpu`. `options.shard` is not used.
    ///
    /// # Errors
    /// As [`ModelLoader::new`].
    pub fn new(gpu: &Gpu, config: Config, options: LoadOptions) -> Result<GpuLoader, Error> {
        let options = LoadOptions { shard: Shard::BLOCKS_ELSEWHERE, ..options };
        let towers = if config.classifier.is_some() { Towers::Image } else { options.towers };
        let config = config.at(options.resolution)?;
        let blocks = Blocks::new(gpu, &config, towers, options.precision);
        let mut loader = ModelLoader::new(config, options)?;
        Ok(GpuLoader { packer: loader.packer(), loader, blocks })
    }

    /// Passes on what was packed.
    fn flush(&mut self) -> Result<(), Error> {
        let batches = self.packer.take();
        if let Ok(blocks) = &mut self.blocks
            && let Err(fault) = blocks.write(&batches)
        {
            self.blocks = Err(fault);
        }
        self.loader.push_packed(&batches)
    }
}

impl TensorSink for GpuLoader {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        self.packer.begin(found)
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.packer.begin_named(names)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        self.packer.rows(tensor, first_row, values)?;
        self.flush()
    }

    fn quantized_rows(
        &mut self,
        tensor: &TensorShape,
        first_row: usize,
        scales: &[f32],
        quantized: &[i8],
    ) -> Result<(), Error> {
        self.packer.quantized_rows(tensor, first_row, scales, quantized)?;
        self.flush()
    }
}

impl EngineLoader for GpuLoader {
    type Engine = GpuModel;

    fn expect_files(&mut self, index: &WeightIndex) -> Result<(), Error> {
        self.packer.expect_files(index)
    }

    fn lacks_logits(&self) -> bool {
        self.loader.lacks_logits()
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        self.packer.without_logits();
        self.flush()
    }

    fn finish(self) -> Result<GpuModel, Error> {
        let GpuLoader { loader, blocks, .. } = self;
        let model = loader.finish()?;
        let blocks = blocks.and_then(|mut blocks| {
            blocks.write(&pooling_queries(&model))?;
            Ok(blocks)
        });
        let (blocks, fault) = match blocks {
            Ok(blocks) => (Some(blocks), None),
            Err(fault) => (None, Some(fault)),
        };
        Ok(GpuModel { model, blocks, fault, on_fault: None, on_loss: None })
    }
}
