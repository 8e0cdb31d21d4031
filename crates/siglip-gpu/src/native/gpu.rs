//! An open device, whose faults are errors.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use pollster::block_on;

use super::GpuError;

/// How long a submit may take before the device counts as lost. Drivers give up after some seconds themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which adapter will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A GPU, but none that is software.
    Hardware,
    /// The best that there is, software too.
    Any,
}

/// An open device. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: Arc<wgpu::AdapterInfo>,
    faults: Arc<Mutex<Faults>>,
}

/// What the device reported by itself.
#[derive(Debug, Default)]
struct Faults {
    lost: Option<String>,
    uncaptured: Option<GpuError>,
}

impl Gpu {
    /// Opens the adapter that is likely the fastest: a discrete GPU before an integrated one, software last. The environment
    /// variables of wgpu choose another: `WGPU_ADAPTER_NAME`, a part of its name, and `WGPU_BACKEND`.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::Software`] or [`GpuError::DeviceRefused`].
    pub fn open(wish: Wish) -> Result<Gpu, GpuError> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        // Validation by the driver's layers is for who works on wgpu itself.
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor.with_env());
        let named = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default().to_lowercase();
        let backends = wgpu::Backends::from_env().unwrap_or_default();
        let adapters = block_on(instance.enumerate_adapters(backends));
        let mut adapters: Vec<_> =
            adapters.into_iter().map(|adapter| (adapter.get_info(), adapter)).collect();
        adapters.retain(|(info, _)| info.name.to_lowercase().contains(&named));
        let best = adapters.into_iter().min_by_key(|(info, _)| rank(info.device_type));
        let Some((info, adapter)) = best else {
            let reason = if named.is_empty() { "" } else { " with the name in WGPU_ADAPTER_NAME" };
            return Err(GpuError::NoAdapter(reason));
        };
        if wish == Wish::Hardware && is_software(&info) {
            return Err(GpuError::Software(info.name));
        }
        Gpu::open_adapter(info, &adapter)
    }

    fn open_adapter(info: wgpu::AdapterInfo, adapter: &wgpu::Adapter) -> Result<Gpu, GpuError> {
        let most = adapter.limits();
        let used = wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("siglip"),
            required_features: adapter.features() & used,
            required_limits: wgpu::Limits {
                // As every WebGPU device has.
                max_storage_buffers_per_shader_stage: 8,
                max_buffer_size: most.max_buffer_size,
                max_storage_buffer_binding_size: most.max_storage_buffer_binding_size,
                max_compute_workgroup_storage_size: most.max_compute_workgroup_storage_size,
                max_compute_invocations_per_workgroup: most.max_compute_invocations_per_workgroup,
                // What no kernel uses need not be there.
                ..wgpu::Limits::downlevel_defaults().using_resolution(most.clone())
            },
            // The other choice takes memory in pieces of up to 256 MB.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = block_on(adapter.request_device(&descriptor)).map_err(|error| {
            GpuError::DeviceRefused { adapter: info.name.clone(), reason: error.to_string() }
        })?;
        let faults = Arc::new(Mutex::new(Faults::default()));
        let noted = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, reason| {
            note(&noted, |faults| faults.lost = Some(reason.clone()));
        });
        let noted = Arc::clone(&faults);
        // Without this, wgpu panics.
        device.on_uncaptured_error(Arc::new(move |error| {
            note(&noted, |faults| faults.uncaptured = Some(fault_of(&error)));
        }));
        Ok(Gpu { device, queue, info: Arc::new(info), faults })
    }

    /// The adapter's name and what drives it: "NVIDIA H100 (Vulkan)".
    pub fn name(&self) -> String {
        format!("{} ({:?})", self.info.name, self.info.backend)
    }

    /// The adapter and its driver.
    pub(super) fn driver(&self) -> String {
        format!("{}, {} {}", self.name(), self.info.driver, self.info.driver_info)
    }

    /// Whether the adapter computes on the CPU, as lavapipe and WARP do.
    pub fn is_software(&self) -> bool {
        is_software(&self.info)
    }

    /// Whether shaders may compute in f16.
    pub fn has_f16(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// Its queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Runs `work`. What it does wrong, or has no memory for, is an error, as is what went wrong by itself before.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`] or [`GpuError::Wrong`].
    pub fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, GpuError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let [memory, validation, internal] =
            [OutOfMemory, Validation, Internal].map(|filter| self.device.push_error_scope(filter));
        let result = work();
        let [internal, validation, memory] = [internal.pop(), validation.pop(), memory.pop()].map(block_on);
        match memory.or(internal).or(validation) {
            Some(error) => {
                // Whatever is created on a lost device is invalid, and said so before the loss is.
                let _ = self.device.poll(wgpu::PollType::Poll);
                Err(self.lost().unwrap_or_else(|| fault_of(&error)))
            }
            None => self.working().map(|()| result),
        }
    }

    /// # Errors
    /// What the device reported by itself.
    fn working(&self) -> Result<(), GpuError> {
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.uncaptured.take().map_or(Ok(()), Err)
    }

    fn lost(&self) -> Option<GpuError> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.lost.clone().map(GpuError::Lost)
    }

    /// A storage buffer of zeros, which is written from here and copied from.
    pub(super) fn storage(&self, label: &str, size: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.buffer(label, size, usage)
    }

    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    /// Compiles a shader, with all checks. Its entry point is `main`.
    ///
    /// # Errors
    /// [`GpuError::Shader`], or as [`Gpu::guarded`].
    pub fn pipeline(&self, label: &str, wgsl: &str) -> Result<wgpu::ComputePipeline, GpuError> {
        self.compile(label, || self.device.create_shader_module(source(label, wgsl)), true)
    }

    /// Compiles a shader without the checks of its accesses and loops.
    ///
    /// # Errors
    /// As [`Gpu::pipeline`].
    ///
    /// # Safety
    /// With the buffers that it will be given, the shader accesses nothing outside of them, its loops end, and it reads no
    /// workgroup memory that it has not written.
    pub unsafe fn trusted_pipeline(
        &self,
        label: &str,
        wgsl: &str,
    ) -> Result<wgpu::ComputePipeline, GpuError> {
        let checks = wgpu::ShaderRuntimeChecks::unchecked();
        // SAFETY: the caller vouches for what the checks would find.
        let module = || unsafe { self.device.create_shader_module_trusted(source(label, wgsl), checks) };
        self.compile(label, module, false)
    }

    fn compile(
        &self,
        label: &str,
        module: impl FnOnce() -> wgpu::ShaderModule,
        zero_initialize_workgroup_memory: bool,
    ) -> Result<wgpu::ComputePipeline, GpuError> {
        let compiled = self.guarded(|| {
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: None,
                module: &module(),
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory,
                    ..Default::default()
                },
                cache: None,
            })
        });
        compiled.map_err(|error| match error {
            GpuError::Wrong(reason) => GpuError::Shader { label: label.into(), reason },
            error => error,
        })
    }

    /// Waits until all that was submitted is done.
    ///
    /// # Errors
    /// [`GpuError::Lost`], or what went wrong by itself.
    pub fn wait(&self) -> Result<(), GpuError> {
        let all = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        self.device.poll(all).map_err(|error| GpuError::Lost(error.to_string()))?;
        self.working()
    }

    /// Waits for what was submitted, and returns the first bytes of a buffer that can be mapped.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn read(&self, staging: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
        let (sender, mapped) = mpsc::channel();
        self.guarded(|| {
            staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
                // The receiver waits below, unless the wait failed.
                let _ = sender.send(result);
            });
        })?;
        self.wait()?;
        let lost = |error: &dyn std::error::Error| GpuError::Lost(error.to_string());
        mapped.recv().map_err(|error| lost(&error))?.map_err(|error| lost(&error))?;
        let copy = staging.get_mapped_range(0..bytes).map_err(|error| lost(&error))?.to_vec();
        staging.unmap();
        Ok(copy)
    }
}

fn source<'s>(label: &'s str, wgsl: &'s str) -> wgpu::ShaderModuleDescriptor<'s> {
    wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(wgsl.into()) }
}

fn note(faults: &Mutex<Faults>, set: impl FnOnce(&mut Faults)) {
    set(&mut faults.lock().unwrap_or_else(PoisonError::into_inner));
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Less is better.
fn rank(device_type: wgpu::DeviceType) -> u32 {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn fault_of(error: &wgpu::Error) -> GpuError {
    match error {
        wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(source.to_string()),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            GpuError::Wrong(description.trim().into())
        }
    }
}
