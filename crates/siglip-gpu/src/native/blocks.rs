//! All blocks and heads of a model on one device.

use siglip::{Config, Precision, Towers};

use super::{Gpu, GpuError, Tower, WeightWriter};
use crate::{Plan, TowerPlan};

/// Workgroups of the checksum's kernel, and so its results for a buffer.
const SUMS: usize = 64;

/// The blocks of a model's loaded towers.
#[derive(Debug)]
pub struct Blocks {
    gpu: Gpu,
    image: Option<Tower>,
    text: Option<Tower>,
    writer: WeightWriter,
    checksum: String,
    precision: Precision,
}

impl Blocks {
    /// Blocks without weights.
    ///
    /// # Errors
    /// [`GpuError::Unsupported`] for a model that the kernels do not take, or as [`Tower::new`].
    pub fn new(gpu: &Gpu, config: &Config, towers: Towers, precision: Precision) -> Result<Blocks, GpuError> {
        let Plan { image, text, places, row_lengths, checksum } = Plan::new(config, towers, precision)?;
        // SAFETY: the plan was made in the line above.
        let tower = |plan: Option<TowerPlan>| plan.map(|plan| unsafe { Tower::new_trusted(gpu, plan) });
        let (image, text) = (tower(image).transpose()?, tower(text).transpose()?);
        let writer = WeightWriter::new(&places, &row_lengths);
        Ok(Blocks { gpu: gpu.clone(), image, text, writer, checksum, precision })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The precision of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The image tower, if it is loaded.
    pub fn image(&mut self) -> Option<&mut Tower> {
        self.image.as_mut()
    }

    /// The text tower, if it is loaded.
    pub fn text(&mut self) -> Option<&mut Tower> {
        self.text.as_mut()
    }

    /// A tower whose turn it is. What the other one needs for a pass is freed before.
    ///
    /// # Errors
    /// [`GpuError::Wrong`] without the tower.
    pub fn tower(&mut self, tower: Towers) -> Result<&mut Tower, GpuError> {
        let Blocks { image, text, .. } = self;
        let (own, other) = if tower == Towers::Text { (text, image) } else { (image, text) };
        if let Some(other) = other {
            other.release();
        }
        own.as_mut().ok_or_else(|| GpuError::Wrong("the tower is not loaded".into()))
    }

    /// Bytes of weights in the GPU's memory.
    pub fn bytes(&self) -> u64 {
        [&self.image, &self.text].into_iter().flatten().flat_map(|tower| &tower.plan().weights).sum()
    }

    /// Takes whole batches of a [`Packer`](siglip::model::Packer), in any order. Those for the CPU are left out.
    ///
    /// # Errors
    /// [`GpuError::Weights`] if they are of another model; [`GpuError::OutOfMemory`], [`GpuError::Lost`] or
    /// [`GpuError::Wrong`].
    pub fn write(&mut self, batches: &[u8]) -> Result<(), GpuError> {
        let Blocks { gpu, image, text, writer, .. } = self;
        let buffer = |tower, block: usize| {
            let tower = if tower == "image" { &*image } else { &*text };
            tower.as_ref()?.weights().get(block)
        };
        writer.write(gpu, buffer, batches)
    }

    /// Compares the weights in the GPU's memory with those that were written, by checksums.
    ///
    /// # Errors
    /// [`GpuError::Wrong`] if they differ, or as [`Blocks::write`].
    pub fn check_weights(&self) -> Result<(), GpuError> {
        let gpu = &self.gpu;
        let pipeline = gpu.pipeline("checksum", &self.checksum)?;
        let towers = [("image", &self.image), ("text", &self.text)];
        let buffers: Vec<_> = towers
            .into_iter()
            .filter_map(|(name, tower)| Some((name, tower.as_ref()?.weights())))
            .flat_map(|(name, weights)| {
                weights.iter().enumerate().map(move |(block, buffer)| ((name, block), buffer))
            })
            .collect();
        let bytes = (size_of::<u32>() * SUMS) as u64;
        let staging = gpu.guarded(|| {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let staging = gpu.buffer("checksums", bytes * buffers.len() as u64, usage);
            let results = gpu.storage("checksums", staging.size());
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            for (index, (_, buffer)) in buffers.iter().enumerate() {
                let result = wgpu::BufferBinding {
                    buffer: &results,
                    offset: bytes * index as u64,
                    size: std::num::NonZero::new(bytes),
                };
                let group = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &pipeline.get_bind_group_layout(0),
                    entries: &[
                        wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() },
                        wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Buffer(result) },
                    ],
                });
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(SUMS as u32, 1, 1);
            }
            drop(pass);
            encoder.copy_buffer_to_buffer(&results, 0, &staging, 0, staging.size());
            gpu.queue().submit([encoder.finish()]);
            staging
        })?;
        let sums: Vec<u32> = bytemuck::pod_collect_to_vec(&gpu.read(&staging, staging.size())?);
        for ((block, _), sums) in buffers.iter().zip(sums.chunks_exact(SUMS)) {
            let found = sums.iter().fold(0, |sum: u32, part| sum.wrapping_add(*part));
            if found != self.writer.sum(*block) {
                let (tower, block) = block;
                let reason = format!("the weights of block {block} of the {tower} tower arrived changed");
                return Err(GpuError::Wrong(reason));
            }
        }
        Ok(())
    }
}
