//! Where a model's blocks run: on the CPU, or on a GPU that computes what the CPU does.

use std::rc::Rc;

use clap::ValueEnum;
use siglip::model::Model;
use siglip::{Checkpoint, EngineLoader, LoadOptions};
use siglip_gpu::native::{Gpu, GpuError, GpuLoader, GpuModel, Wish};

use crate::answers::complain;
use crate::checkpoint::Source;
use crate::error::Error;

/// What runs the towers.
pub type Engine = GpuModel;
/// A loaded model.
type Siglip = siglip::Siglip<Engine>;

/// Where the blocks run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// On the CPU
    Cpu,
    /// On the GPU if there is one that computes what the CPU does
    Gpu,
    /// On the GPU if it is also at least 1.2 times as fast; never on software that stands in for one
    Auto,
}

impl Device {
    /// Loads a model. If the GPU cannot be used, the CPU computes, and the reason is told.
    pub fn load(self, source: Source, options: LoadOptions) -> Result<Siglip, Error> {
        let source = Rc::new(source);
        // The demonstration model takes less than the check of a GPU.
        let on_gpu = match (self, &*source) {
            (Device::Cpu, _) | (Device::Auto, Source::BuiltIn) => None,
            _ => Some(
                self.open()
                    .map_or_else(|fault| Ok(Err(fault)), |gpu| self.load_on(&gpu, &source, options))?,
            ),
        };
        match on_gpu {
            Some(Ok(mut siglip)) => {
                let again = Rc::clone(&source);
                // It was fast enough before: on a second device nothing is to be decided again.
                let on_second = move || {
                    let loaded = Device::Gpu.load_on(&self.open().ok()?, &again, options).ok()?;
                    loaded.ok().map(siglip::Siglip::into_engine)
                };
                siglip.engine_mut().on_loss(Box::new(on_second));
                let on_cpu = move |fault: &GpuError| {
                    tell(fault);
                    source.load(options).map(siglip::Siglip::into_engine).map_err(|error| match error {
                        Error::Siglip(error) | Error::Checkpoint { source: error, .. } => error,
                        error => siglip::Error::BadWeights(error.to_string()),
                    })
                };
                siglip.engine_mut().on_fault(Box::new(on_cpu));
                return Ok(siglip);
            }
            // Most machines that "auto" finds no GPU on have none: that is not worth telling.
            Some(Err(fault)) if self == Device::Gpu || fault.code() != "gpu-missing" => tell(&fault),
            _ => {}
        }
        Ok(source.load::<Model>(options)?.map_engine(GpuModel::from))
    }

    fn open(self) -> Result<Gpu, GpuError> {
        Gpu::open(if self == Device::Auto { Wish::Hardware } else { Wish::Any })
    }

    /// Loads the model with its blocks on the GPU, and checks what that computes.
    fn load_on(
        self,
        gpu: &Gpu,
        source: &Source,
        options: LoadOptions,
    ) -> Result<Result<Siglip, GpuError>, Error> {
        let wrong = Error::checkpoint(source.name());
        let files = source.files()?;
        let checkpoint =
            Checkpoint::parse(&files).and_then(|read| read.at(options.resolution)).map_err(&wrong)?;
        let options = checkpoint.options(options).map_err(&wrong)?;
        let mut loader = GpuLoader::new(gpu, checkpoint.config.clone(), options).map_err(&wrong)?;
        source.read(&files, &mut loader, |loader| loader, |_| {})?;
        if loader.lacks_logits() && source.may_lack_logits() {
            loader.without_logits().map_err(&wrong)?;
        }
        let mut engine = loader.finish().map_err(&wrong)?;
        let checked = engine.check().and_then(|times| {
            let worth = |(tower, times): &(_, siglip_gpu::native::Times)| times.check_worth(*tower);
            if self == Device::Auto { times.iter().try_for_each(worth) } else { Ok(()) }
        });
        Ok(checked.map(|()| Siglip::new(checkpoint, engine)))
    }
}

/// Says on standard error why the CPU computes.
fn tell(fault: &GpuError) {
    complain(&format!("{}: {}", fault.code(), fault.notice()));
}
