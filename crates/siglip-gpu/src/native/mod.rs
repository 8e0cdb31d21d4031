//! Executes plans over [`wgpu`], for programs: on Vulkan, Metal and Direct3D 12.
//!
//! [`Gpu`] is an open device, [`Tower`] executes one tower's plan, [`WeightWriter`] brings packed weights to their places, and
//! [`Blocks`] is all three for a model. [`GpuModel`] is an [`Engine`](siglip::Engine) whose blocks are these. No fault of a driver panics: each is a [`GpuError`], after which the CPU has to compute.
//!
//! The page's executor in JavaScript is divided in the same way: www/worker/gpu-tower.js, gpu-weights.js and gpu.js.

mod blocks;
mod check;
mod choice;
mod error;
mod gpu;
mod model;
mod tower;
mod upload;
mod weights;

pub use blocks::Blocks;
pub use check::{Times, check_tower};
pub use error::GpuError;
pub use gpu::{Gpu, Wish};
pub use model::{GpuLoader, GpuModel, OnFault, OnLoss};
pub use tower::{Input, Pass, Tower};
pub use weights::WeightWriter;
pub use wgpu;
