//! Executes one tower's plan.

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;

use super::upload::Upload;
use super::{Gpu, GpuError};
use crate::{Activation, Buffer, Count, Dispatch, Pipeline, Program, Rows, TowerPlan};

/// Rows of the activations are allocated in multiples of this: the tallest tile of a product.
const ROWS: usize = 64;
/// Submits that take longer than this freeze the screen, or end the device.
const MOST_MS: f64 = 50.0;

/// A tower's buffers and pipelines.
#[derive(Debug)]
pub struct Tower {
    pub(super) gpu: Gpu,
    plan: TowerPlan,
    weights: Vec<wgpu::Buffer>,
    pipelines: Vec<wgpu::ComputePipeline>,
    /// Position embeddings.
    positions: Option<Positions>,
    /// Of the largest pass so far.
    workspace: Option<Workspace>,
    /// Which program runs where it can: the fastest on this adapter.
    pub(super) chosen: Option<usize>,
    /// Most dispatches of a submit.
    per_submit: usize,
}

/// Buffers that grow with the rows.
#[derive(Debug)]
struct Workspace {
    rows: usize,
    pass: wgpu::Buffer,
    activations: Vec<wgpu::Buffer>,
    upload: Upload,
    staging: wgpu::Buffer,
    /// One a dispatch, of every program.
    groups: Vec<Vec<wgpu::BindGroup>>,
}

/// The image tower's position embeddings.
#[derive(Debug)]
struct Positions {
    grid: Option<(usize, usize)>,
    /// How many the buffer holds.
    length: usize,
    buffer: wgpu::Buffer,
}

/// What a pass begins with.
#[derive(Debug, Clone, Copy)]
pub struct Input<'v> {
    /// Of images their patches, [rows, values of a patch]; of texts the residual stream, [rows, hidden size].
    pub rows: &'v [f32],
    /// The number of sequences, which are of equal length.
    pub sequences: usize,
}

/// Where a pass ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    FirstBlock,
    LastBlock,
    Head,
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
            // those of the pass, rounded up to 64 for products, or below a sequence's length, and by columns below the constants
            // that the plan sized the buffers by; `allocate` allocates that many rows, and `prepare` sees that there are position
            // embeddings for a sequence. They write workgroup memory before they read it.
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
        let per_submit = usize::MAX;
        Ok(Tower {
            gpu: gpu.clone(),
            plan,
            weights,
            pipelines: pipelines?,
            positions: None,
            workspace: None,
            chosen: None,
            per_submit,
        })
    }

    /// What it executes.
    pub fn plan(&self) -> &TowerPlan {
        &self.plan
    }

    /// The weights, one buffer a block.
    pub fn weights(&self) -> &[wgpu::Buffer] {
        &self.weights
    }

    /// What [`Tower::set_positions`] was called with last.
    pub fn grid(&self) -> Option<(usize, usize)> {
        self.positions.as_ref().and_then(|positions| positions.grid)
    }

    /// Sets the position embeddings, [patches of an image, hidden size], for the passes that follow. `grid` names them.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn set_positions(&mut self, grid: Option<(usize, usize)>, values: &[f32]) -> Result<(), GpuError> {
        let TowerPlan { hidden_size, hidden_stride, .. } = self.plan;
        let rows = regroup(values, hidden_size, hidden_stride);
        let length = values.len() / hidden_size;
        let gpu = &self.gpu;
        let buffer = match self.positions.take().filter(|positions| positions.length == length) {
            Some(positions) => positions.buffer,
            None => {
                // The bind groups have the one before.
                self.workspace = None;
                gpu.guarded(|| gpu.storage("positions", size_of_val(&rows[..]) as u64))?
            }
        };
        gpu.guarded(|| gpu.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(&rows)))?;
        self.positions = Some(Positions { grid, length, buffer });
        Ok(())
    }

    /// Runs the blocks and the head, if the plan has one, and returns the embeddings, not yet normalized; otherwise as
    /// [`Tower::run_blocks`].
    ///
    /// # Errors
    /// As [`Tower::run_blocks`].
    pub fn run_all(&mut self, input: Input<'_>) -> Result<Vec<f32>, GpuError> {
        self.run_in_groups(input, self.last_end())
    }

    /// Where a whole pass ends.
    pub(super) fn last_end(&self) -> End {
        if self.plan.embeddings.is_some() { End::Head } else { End::LastBlock }
    }

    /// Runs the blocks, and returns the residual stream afterwards. If the rows are more than [`TowerPlan::most_rows`], the sequences
    /// run in groups of nearly equal size.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn run_blocks(&mut self, input: Input<'_>) -> Result<Vec<f32>, GpuError> {
        self.run_in_groups(input, End::LastBlock)
    }

    fn run_in_groups(&mut self, input: Input<'_>, end: End) -> Result<Vec<f32>, GpuError> {
        let Input { rows, sequences } = input;
        let values = (rows.len() / sequences.max(1)).max(1);
        let fitting = (self.plan.most_rows * self.plan.input.size / values).max(1);
        let groups = sequences.div_ceil(fitting);
        if groups <= 1 {
            return self.run_some(input, end);
        }
        let mut results = Vec::new();
        for rows in rows.chunks(sequences.div_ceil(groups) * values) {
            results.extend(self.run_some(Input { rows, sequences: rows.len() / values }, end)?);
        }
        Ok(results)
    }

    /// Frees what a pass needs beside the weights, until the next one.
    pub fn release(&mut self) {
        self.workspace = None;
    }

    /// As [`Tower::run_blocks`] of the first block alone.
    ///
    /// # Errors
    /// As [`Tower::run_blocks`].
    pub fn run_first_block(&mut self, input: Input<'_>) -> Result<Vec<f32>, GpuError> {
        self.run_some(input, End::FirstBlock)
    }

    /// As [`Tower::run_first_block`], with the program for any number of rows.
    pub(super) fn run_first_block_of_many(&mut self, input: Input<'_>) -> Result<Vec<f32>, GpuError> {
        let chosen = self.chosen.replace(self.plan.programs.len() - 1);
        let result = self.run_first_block(input);
        self.chosen = chosen;
        result
    }

    pub(super) fn run_some(
        &mut self,
        Input { rows, sequences }: Input<'_>,
        end: End,
    ) -> Result<Vec<f32>, GpuError> {
        let TowerPlan { hidden_size, hidden_stride, input, .. } = self.plan;
        let (gpu, per_submit) = (self.gpu.clone(), self.per_submit);
        let pass = self.prepare(rows.len() / input.size, sequences)?;
        let stream = Rows { size: hidden_size, stride: hidden_stride, activation: 0 };
        let Program { dispatches, first_block, last_block, .. } = pass.program();
        let (end, count, result) = match (end, pass.plan.embeddings) {
            (End::Head, Some(embeddings)) => (dispatches.len(), sequences, embeddings),
            (End::Head, None) => return Err(GpuError::Wrong("the tower has no head".into())),
            (End::LastBlock, _) => (*last_block, pass.sizes.rows, stream),
            (End::FirstBlock, _) => (*first_block, pass.sizes.rows, stream),
        };
        let bytes = (count * result.stride * size_of::<f32>()) as u64;
        let Workspace { activations, upload, staging, .. } = pass.workspace;
        gpu.guarded(|| {
            let rows = regroup(rows, input.size, input.stride);
            let (rows, to) = (bytemuck::cast_slice(&rows), &activations[input.activation]);
            for first in (0..end).step_by(per_submit) {
                let last = end.min(first.saturating_add(per_submit));
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                if first == 0 && !upload.copy(rows, &mut encoder, to) {
                    gpu.queue().write_buffer(to, 0, rows);
                }
                pass.encode(&mut encoder.begin_compute_pass(&Default::default()), first..last);
                if last == end {
                    encoder.copy_buffer_to_buffer(&activations[result.activation], 0, staging, 0, bytes);
                }
                gpu.queue().submit([encoder.finish()]);
            }
            upload.map();
        })?;
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&gpu.read(staging, bytes)?);
        Ok(regroup(&values, result.stride, result.size).into_owned())
    }

    /// Keeps submits below 50 ms, where all dispatches take `ms`.
    pub fn limit_submits(&mut self, ms: f64) {
        let dispatches = self.plan.programs.iter().map(|program| program.dispatches.len()).max().unwrap_or(1);
        let share = (MOST_MS / ms * dispatches as f64) as usize;
        self.per_submit = if ms > MOST_MS { share.max(1) } else { usize::MAX };
    }

    /// Allocates what so many rows need, and tells the kernels the sizes of the pass. [`Tower::set_positions`] comes before.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn prepare(&mut self, rows: usize, sequences: usize) -> Result<Pass<'_>, GpuError> {
        let length = rows / sequences.max(1);
        if self.plan.has_positions
            && self.positions.as_ref().is_none_or(|positions| positions.length < length)
        {
            return Err(GpuError::Wrong(format!("there are no {length} position embeddings")));
        }
        if self.workspace.as_ref().is_none_or(|workspace| workspace.rows < rows) {
            // The old one first, so that both need not fit.
            self.workspace = None;
            self.workspace = Some(self.allocate(rows)?);
        }
        let Tower { gpu, plan, pipelines, workspace, chosen, .. } = self;
        let Some(workspace) = workspace else { return Err(GpuError::OutOfMemory("no workspace".into())) };
        let sizes = Sizes { rows, sequences, length };
        let words = [rows, rows.next_multiple_of(ROWS), length, 0].map(|size| size as u32);
        gpu.guarded(|| gpu.queue().write_buffer(&workspace.pass, 0, bytemuck::cast_slice(&words)))?;
        let chosen = chosen.filter(|chosen| plan.programs[*chosen].fits(rows));
        let program = chosen.or_else(|| plan.programs.iter().position(|program| program.fits(rows)));
        let program = program.unwrap_or(0);
        Ok(Pass { plan, program, pipelines, workspace, sizes })
    }

    fn allocate(&self, rows: usize) -> Result<Workspace, GpuError> {
        let Tower { gpu, plan, weights, positions, pipelines, .. } = self;
        let rows = rows.next_multiple_of(ROWS);
        let bytes = |floats_per_row| (rows * floats_per_row * size_of::<f32>()) as u64;
        gpu.guarded(|| {
            let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let mapped = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let pass = gpu.buffer("pass", 16, uniform);
            let upload = Upload::new(gpu, bytes(plan.input.stride));
            let width = plan.embeddings.map_or(0, |embeddings| embeddings.stride).max(plan.hidden_stride);
            let staging = gpu.buffer("staging", bytes(width), mapped);
            let activations: Vec<_> = plan
                .activations
                .iter()
                .map(|Activation { label, floats_per_row }| gpu.storage(label, bytes(*floats_per_row)))
                .collect();
            let group = |dispatch: &Dispatch| {
                let bound = dispatch.bindings.iter().filter_map(|binding| {
                    let buffer = match binding.buffer {
                        Buffer::Weights(block) => &weights[block],
                        Buffer::Activation(index) => &activations[index],
                        // `prepare` has seen that they are there.
                        Buffer::Positions => &positions.as_ref()?.buffer,
                    };
                    let (offset, size) = (binding.offset, binding.size.and_then(NonZero::new));
                    let resource =
                        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
                    Some(wgpu::BindGroupEntry { binding: binding.binding, resource })
                });
                let first = wgpu::BindGroupEntry { binding: 0, resource: pass.as_entire_binding() };
                gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &pipelines[dispatch.pipeline].get_bind_group_layout(0),
                    entries: &std::iter::once(first).chain(bound).collect::<Vec<_>>(),
                })
            };
            let of_program = |program: &Program| program.dispatches.iter().map(group).collect();
            let groups = plan.programs.iter().map(of_program).collect();
            Workspace { rows, pass, activations, upload, staging, groups }
        })
    }
}

/// A pass whose buffers are there.
#[derive(Debug)]
pub struct Pass<'t> {
    plan: &'t TowerPlan,
    /// Which of the plan's.
    program: usize,
    pipelines: &'t [wgpu::ComputePipeline],
    workspace: &'t Workspace,
    sizes: Sizes,
}

impl<'t> Pass<'t> {
    /// The program for its rows.
    pub fn program(&self) -> &'t Program {
        &self.plan.programs[self.program]
    }

    /// Records some of the program's dispatches.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, dispatches: Range<usize>) {
        let Pass { pipelines, workspace, sizes, .. } = self;
        let groups = &workspace.groups[self.program][dispatches.clone()];
        for (dispatch, group) in self.program().dispatches[dispatches].iter().zip(groups) {
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
