//! Executes one tower's plan.

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;

use super::{Gpu, GpuError};
use crate::{Activation, Buffer, Count, Dispatch, Pipeline, TowerPlan};

/// Rows of the activations are allocated in multiples of this: the tallest tile of a product.
const ROWS: usize = 64;
/// Submits that take longer than this freeze the screen, or end the device.
const MOST_MS: f64 = 50.0;

/// A tower's buffers and pipelines.
#[derive(Debug)]
pub struct Tower {
    gpu: Gpu,
    plan: TowerPlan,
    weights: Vec<wgpu::Buffer>,
    pipelines: Vec<wgpu::ComputePipeline>,
    /// Of the largest pass so far.
    workspace: Option<Workspace>,
    /// Most dispatches of a submit.
    per_submit: usize,
}

/// Buffers that grow with the rows.
#[derive(Debug)]
struct Workspace {
    rows: usize,
    pass: wgpu::Buffer,
    activations: Vec<wgpu::Buffer>,
    staging: wgpu::Buffer,
    /// One a dispatch.
    groups: Vec<wgpu::BindGroup>,
}

/// The sizes of a pass.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: usize,
    sequences: usize,
    /// Rows of a sequence.
    length: usize,
}

impl Sizes {
    fn count(self, count: Count) -> u32 {
        let number = match count {
            Count::Fixed(number) => number,
            Count::Rows(rows) => self.rows.div_ceil(rows),
            Count::Length(rows) => self.length.div_ceil(rows),
            Count::Sequences => self.sequences,
        };
        // A device refuses more than 65535, which is an error there.
        number as u32
    }
}

impl Tower {
    /// Creates the weight buffers, which start as zeros, and compiles the pipelines, with all checks.
    ///
    /// # Errors
    /// [`GpuError::Shader`], [`GpuError::OutOfMemory`] or [`GpuError::Lost`].
    pub fn new(gpu: &Gpu, plan: TowerPlan) -> Result<Tower, GpuError> {
        Tower::with_pipelines(gpu, plan, |Pipeline { label, wgsl }| gpu.pipeline(label, wgsl))
    }

    /// As [`Tower::new`], with pipelines that check nothing while they run.
    ///
    /// # Safety
    /// The plan is one of [`Plan::new`](crate::Plan::new), unchanged.
    pub unsafe fn new_trusted(gpu: &Gpu, plan: TowerPlan) -> Result<Tower, GpuError> {
        Tower::with_pipelines(gpu, plan, |Pipeline { label, wgsl }| {
            // SAFETY: the kernels' loops have constant bounds, or end with the pass's rows. They index buffers by rows below
            // those of the pass, rounded up to 64 for products, and by columns below the constants that the plan sized the
            // buffers by; `workspace` allocates that many rows. They write workgroup memory before they read it.
            unsafe { gpu.trusted_pipeline(label, wgsl) }
        })
    }

    fn with_pipelines(
        gpu: &Gpu,
        plan: TowerPlan,
        compile: impl Fn(&Pipeline) -> Result<wgpu::ComputePipeline, GpuError> + Sync,
    ) -> Result<Tower, GpuError> {
        let weights = gpu.guarded(|| {
            let buffer = |(block, size): (usize, &u64)| gpu.storage(&format!("block {block}"), *size);
            plan.weights.iter().enumerate().map(buffer).collect()
        })?;
        // Drivers take their time for each.
        let pipelines: Result<_, GpuError> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                plan.pipelines.iter().map(|pipeline| scope.spawn(|| compile(pipeline))).collect();
            let panicked = |_| Err(GpuError::Wrong("the driver's compiler panicked".into()));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        let per_submit = plan.dispatches.len();
        Ok(Tower { gpu: gpu.clone(), plan, weights, pipelines: pipelines?, workspace: None, per_submit })
    }

    /// What it executes.
    pub fn plan(&self) -> &TowerPlan {
        &self.plan
    }

    /// The weights, one buffer a block.
    pub fn weights(&self) -> &[wgpu::Buffer] {
        &self.weights
    }

    /// Runs the blocks over `sequences` sequences of equal length, the residual stream `values` [rows, hidden size], and returns
    /// the residual stream afterwards.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn run(&mut self, values: &[f32], sequences: usize) -> Result<Vec<f32>, GpuError> {
        self.run_some(values, sequences, self.plan.dispatches.len())
    }

    /// As [`Tower::run`] of the first block alone.
    ///
    /// # Errors
    /// As [`Tower::run`].
    pub fn run_first_block(&mut self, values: &[f32], sequences: usize) -> Result<Vec<f32>, GpuError> {
        self.run_some(values, sequences, self.plan.first_block)
    }

    fn run_some(
        &mut self,
        values: &[f32],
        sequences: usize,
        dispatches: usize,
    ) -> Result<Vec<f32>, GpuError> {
        let TowerPlan { hidden_size, hidden_stride, .. } = self.plan;
        let (gpu, per_submit) = (self.gpu.clone(), self.per_submit);
        let pass = self.prepare(values.len() / hidden_size, sequences)?;
        let bytes = (pass.sizes.rows * hidden_stride * size_of::<f32>()) as u64;
        let Workspace { activations, staging, .. } = pass.workspace;
        gpu.guarded(|| {
            let x = regroup(values, hidden_size, hidden_stride);
            gpu.queue().write_buffer(&activations[0], 0, bytemuck::cast_slice(&x));
            for first in (0..dispatches).step_by(per_submit) {
                let end = dispatches.min(first + per_submit);
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                pass.encode(&mut encoder.begin_compute_pass(&Default::default()), first..end);
                if end == dispatches {
                    encoder.copy_buffer_to_buffer(&activations[0], 0, staging, 0, bytes);
                }
                gpu.queue().submit([encoder.finish()]);
            }
        })?;
        let x: Vec<f32> = bytemuck::pod_collect_to_vec(&gpu.read(staging, bytes)?);
        Ok(regroup(&x, hidden_stride, hidden_size).into_owned())
    }

    /// Keeps submits below 50 ms, where all dispatches take `ms`.
    pub fn limit_submits(&mut self, ms: f64) {
        let dispatches = self.plan.dispatches.len();
        let share = (MOST_MS / ms * dispatches as f64) as usize;
        self.per_submit = share.clamp(1, dispatches);
    }

    /// Allocates what so many rows need, and tells the kernels the sizes of the pass.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn prepare(&mut self, rows: usize, sequences: usize) -> Result<Pass<'_>, GpuError> {
        if self.workspace.as_ref().is_none_or(|workspace| workspace.rows < rows) {
            // The old one first, so that both need not fit.
            self.workspace = None;
            self.workspace = Some(self.allocate(rows)?);
        }
        let Tower { gpu, plan, pipelines, workspace, .. } = self;
        let Some(workspace) = workspace else { return Err(GpuError::OutOfMemory("no workspace".into())) };
        let sizes = Sizes { rows, sequences, length: rows / sequences.max(1) };
        let words = [rows, rows.next_multiple_of(ROWS), sizes.length, 0].map(|size| size as u32);
        gpu.guarded(|| gpu.queue().write_buffer(&workspace.pass, 0, bytemuck::cast_slice(&words)))?;
        Ok(Pass { plan, pipelines, workspace, sizes })
    }

    fn allocate(&self, rows: usize) -> Result<Workspace, GpuError> {
        let Tower { gpu, plan, weights, pipelines, .. } = self;
        let rows = rows.next_multiple_of(ROWS);
        let bytes = |floats_per_row| (rows * floats_per_row * size_of::<f32>()) as u64;
        gpu.guarded(|| {
            let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let mapped = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let pass = gpu.buffer("pass", 16, uniform);
            let staging = gpu.buffer("staging", bytes(plan.hidden_stride), mapped);
            let activations: Vec<_> = plan
                .activations
                .iter()
                .map(|Activation { label, floats_per_row }| gpu.storage(label, bytes(*floats_per_row)))
                .collect();
            let group = |dispatch: &Dispatch| {
                let bound = dispatch.bindings.iter().map(|binding| {
                    let buffer = match binding.buffer {
                        Buffer::Weights(block) => &weights[block],
                        Buffer::Activation(index) => &activations[index],
                    };
                    let (offset, size) = (binding.offset, binding.size.and_then(NonZero::new));
                    let resource =
                        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
                    wgpu::BindGroupEntry { binding: binding.binding, resource }
                });
                let first = wgpu::BindGroupEntry { binding: 0, resource: pass.as_entire_binding() };
                gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &pipelines[dispatch.pipeline].get_bind_group_layout(0),
                    entries: &std::iter::once(first).chain(bound).collect::<Vec<_>>(),
                })
            };
            let groups = plan.dispatches.iter().map(group).collect();
            Workspace { rows, pass, activations, staging, groups }
        })
    }
}

/// A pass whose buffers are there.
#[derive(Debug)]
pub struct Pass<'t> {
    plan: &'t TowerPlan,
    pipelines: &'t [wgpu::ComputePipeline],
    workspace: &'t Workspace,
    sizes: Sizes,
}

impl Pass<'_> {
    /// Records some of the plan's dispatches.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, dispatches: Range<usize>) {
        let Pass { plan, pipelines, workspace, sizes } = self;
        for (dispatch, group) in plan.dispatches[dispatches.clone()].iter().zip(&workspace.groups[dispatches])
        {
            let [x, y, z] = dispatch.workgroups.map(|count| sizes.count(count));
            pass.set_pipeline(&pipelines[dispatch.pipeline]);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

/// Rows of `from` values as rows of `to` values: the rest is cut off, or zeros.
fn regroup(values: &[f32], from: usize, to: usize) -> Cow<'_, [f32]> {
    if from == to {
        return Cow::Borrowed(values);
    }
    let kept = from.min(to);
    let mut rows = vec![0.0; values.len() / from * to];
    for (row, values) in rows.chunks_exact_mut(to).zip(values.chunks_exact(from)) {
        row[..kept].copy_from_slice(&values[..kept]);
    }
    Cow::Owned(rows)
}
