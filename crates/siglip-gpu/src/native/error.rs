//! Why the GPU is not used.

use crate::Unsupported;

/// A reason to compute on the CPU.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// No Vulkan, Metal or Direct3D 12 driver has an adapter.
    #[error("there is no adapter for Vulkan, Metal or Direct3D 12{0}")]
    NoAdapter(&'static str),
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
    #[error("{0}")]
    OutOfMemory(String),
    /// The device is gone, or does not answer any more.
    #[error("{0}")]
    Lost(String),
    /// It takes longer than the CPU, or not much less.
    #[error("the {tower} tower takes {gpu:.1} ms in place of some {cpu:.1} ms")]
    Slow {
        /// `image` or `text`.
        tower: &'static str,
        /// Milliseconds on the GPU.
        gpu: f64,
        /// Milliseconds on the CPU.
        cpu: f64,
    },
    /// It does not do what it should, or gives wrong results.
    #[error("{0}")]
    Wrong(String),
    /// The weights are not of the model that the plan was made for.
    #[error("the packed weights belong to another model")]
    Weights,
}

impl GpuError {
    /// A stable code, the same as a page's notice has.
    pub fn code(&self) -> &'static str {
        match self {
            GpuError::NoAdapter(_)
            | GpuError::Software(_)
            | GpuError::DeviceRefused { .. }
            | GpuError::Unsupported(_) => "gpu-missing",
            GpuError::Shader { .. } | GpuError::Wrong(_) | GpuError::Weights => "gpu-wrong",
            GpuError::OutOfMemory(_) => "gpu-memory",
            GpuError::Lost(_) => "gpu-lost",
            GpuError::Slow { .. } => "gpu-slow",
        }
    }

    /// A sentence that says what it means for who waits for an answer.
    pub fn notice(&self) -> String {
        let headline = match self.code() {
            "gpu-missing" => "The GPU cannot be used",
            "gpu-memory" => "The GPU's memory does not suffice",
            "gpu-lost" => "The GPU was lost",
            "gpu-slow" => "The GPU is slower than the CPU",
            _ => "The GPU computes wrongly",
        };
        format!("{headline}, so the CPU computes: {}.", self.to_string().trim_end_matches('.'))
    }
}
