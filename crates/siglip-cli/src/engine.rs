//! Which implementation of the towers a command runs: our own, or candle's for comparison.

use clap::ValueEnum;
use siglip::model::Pooling;
use siglip::weights::{TensorShape, TensorSink, WeightIndex};
use siglip::{Config, EngineLoader, Error, LoadOptions, PixelValues};

use crate::{ModelArgs, device};

/// A loaded model.
pub type Siglip = siglip::Siglip<Engine>;

/// The choice of `--engine`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// The engine of this project
    Auto,
    /// candle-transformers' SigLIP, in single precision on the CPU: slower, and for comparison
    Candle,
}

/// What runs the towers.
#[derive(Debug)]
pub enum Engine {
    /// The engine of this project.
    Own(Box<device::Engine>),
    /// candle's.
    #[cfg(feature = "candle")]
    Candle(Box<siglip_candle::Candle>),
}

/// Calls a method of whichever engine it is.
macro_rules! either {
    ($engine:expr, $method:ident($($argument:expr),*)) => {
        match $engine {
            Engine::Own(engine) => engine.$method($($argument),*),
            #[cfg(feature = "candle")]
            Engine::Candle(engine) => engine.$method($($argument),*),
        }
    };
}

impl siglip::Engine for Engine {
    type Loader = Loaded;

    fn memory_needed(config: &Config, options: LoadOptions) -> u64 {
        siglip::model::memory_needed(config, options)
    }

    fn loader(_: Config, _: LoadOptions) -> Result<Loaded, Error> {
        Err(Error::BadInput("the choice between engines is made before one is loaded".into()))
    }

    fn config(&self) -> &Config {
        either!(self, config())
    }

    fn logit_scale(&self) -> f32 {
        either!(self, logit_scale())
    }

    fn logit_bias(&self) -> f32 {
        either!(self, logit_bias())
    }

    fn image_embeds(&mut self, images: Vec<PixelValues>) -> Result<Vec<f32>, Error> {
        either!(self, image_embeds(images))
    }

    fn image_vectors(
        &mut self,
        image: PixelValues,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Vec<f32>, Error> {
        either!(self, image_vectors(image, pooling, normalize))
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Result<Vec<f32>, Error> {
        either!(self, text_embeds(input_ids))
    }

    fn texts_per_pass(&self) -> usize {
        either!(self, texts_per_pass())
    }

    fn images_per_pass(&self) -> usize {
        either!(self, images_per_pass())
    }

    fn class_logits(&self, image_embeds: &[f32]) -> Vec<f32> {
        either!(self, class_logits(image_embeds))
    }
}

/// The loader of [`Engine`], of which there is none: each of the two is loaded by its own.
#[derive(Debug)]
pub enum Loaded {}

impl EngineLoader for Loaded {
    type Engine = Engine;

    fn expect_files(&mut self, _: &WeightIndex) -> Result<(), Error> {
        match *self {}
    }

    fn lacks_logits(&self) -> bool {
        match *self {}
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        match *self {}
    }

    fn finish(self) -> Result<Engine, Error> {
        match self {}
    }
}

impl TensorSink for Loaded {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        match *self {}
    }

    fn rows(&mut self, _: &TensorShape, _: usize, _: &[f32]) -> Result<(), Error> {
        match *self {}
    }
}

impl ModelArgs {
    /// Loads the model with the chosen engine.
    pub fn load(&self) -> Result<Siglip, crate::Error> {
        match self.engine {
            EngineArg::Auto => {
                self.start_threads();
                let own = self.device.load(self.source()?, self.options())?;
                Ok(own.map_engine(|engine| Engine::Own(Box::new(engine))))
            }
            EngineArg::Candle => self.load_candle(),
        }
    }

    #[cfg(feature = "candle")]
    fn load_candle(&self) -> Result<Siglip, crate::Error> {
        let refuse = |reason: &str| Err(crate::Error::Usage(format!("--engine candle {reason}")));
        if self.device == device::Device::Gpu {
            return refuse("runs on the CPU only; leave out --device");
        }
        if self.threads.is_some() {
            return refuse(
                "takes the number of its threads from the variable RAYON_NUM_THREADS; leave out --threads",
            );
        }
        let candle = self.source()?.load::<siglip_candle::Candle>(self.options())?;
        Ok(candle.map_engine(|engine| Engine::Candle(Box::new(engine))))
    }

    #[cfg(not(feature = "candle"))]
    fn load_candle(&self) -> Result<Siglip, crate::Error> {
        let reason = "this command was built without the feature candle; leave out --engine, or install it with its default features";
        Err(crate::Error::Usage(reason.into()))
    }
}
