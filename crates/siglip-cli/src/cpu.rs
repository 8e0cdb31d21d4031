//! Where a model's blocks run, in a command that was built without the feature `gpu`.

use clap::ValueEnum;
use siglip::{LoadOptions, Siglip};

use crate::answers::complain;
use crate::checkpoint::Source;
use crate::error::Error;

/// What runs the towers.
pub type Engine = siglip::model::Model;

/// Where the blocks run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// On the CPU
    Cpu,
    /// On the GPU, which this command was built without
    Gpu,
    /// As cpu: this command was built without the GPU
    Auto,
}

impl Device {
    /// Loads a model.
    pub fn load(self, source: Source, options: LoadOptions) -> Result<Siglip, Error> {
        if self == Device::Gpu {
            complain(
                "gpu-missing: The GPU cannot be used, so the CPU computes: this command was built without the feature gpu.",
            );
        }
        source.load(options)
    }
}
