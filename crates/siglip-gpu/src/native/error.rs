//! Why the GPU is not used.

use crate::Unsupported;

/// A reason to compute on the CPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// No Vulkan, Metal or Direct3D 12 driver has an adapter.
    #[error("there is no adapter for Vulkan, Metal or Direct3D 12: {0}")]
    NoAdapter(String),
    /// The only adapters compute on the CPU, more slowly than the engine does.
    #[error("{0} is software that stands in for a GPU")]
    Software(String),
    /// The adapter gives no device.
    #[error("{adapter} gives no device: {reason}")]
    DeviceRefused {
        /// Its name.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
    /// The kernels do not take the model.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The driver refuses a pipeline.
    #[error("the driver refuses the pipeline `{label}`: {reason}")]
    Shader {
        /// The pipeline.
        label: String,
        /// What the compiler says.
        reason: String,
    },
    /// The adapter's memory does not suffice.
    #[error("the GPU has too little memory: {0}")]
    OutOfMemory(String),
    /// The device is gone, or does not answer any more.
    #[error("the GPU was lost: {0}")]
    Lost(String),
    /// It does not do what it should, or gives wrong results.
    #[error("the GPU is wrong: {0}")]
    Wrong(String),
    /// The weights are not of the model that the plan was made for.
    #[error("the packed weights belong to another model")]
    Weights,
}
