//! Executes plans over [`wgpu`], for programs: on Vulkan, Metal and Direct3D 12.
//!
//! [`Gpu`] is an open device, [`Tower`] executes one tower's plan, [`WeightWriter`] brings packed weights to their places, and
//! [`Blocks`] is all three for a model. No fault of a driver panics: each is a [`GpuError`], after which the CPU has to compute.
//!
//! The page's executor in JavaScript is divided in the same way: www/worker/gpu-device.js, gpu-weights.js and gpu.js.

mod blocks;
mod error;
mod gpu;
mod tower;
mod weights;

pub use blocks::Blocks;
pub use error::GpuError;
pub use gpu::{Gpu, Wish};
pub use tower::{Pass, Tower};
pub use weights::WeightWriter;
pub use wgpu;
