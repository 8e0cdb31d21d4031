//! What a pass begins with, on its way to the GPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Gpu;

/// Memory that the CPU writes and the GPU copies from, mapped between two passes: a buffer that is made for each pass would cost
/// as much as the copy.
#[derive(Debug)]
pub(super) struct Upload {
    buffer: wgpu::Buffer,
    is_mapped: Arc<AtomicBool>,
}

impl Upload {
    pub fn new(gpu: &Gpu, size: u64) -> Upload {
        let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("upload"),
            size,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        Upload { buffer, is_mapped: Arc::new(AtomicBool::new(true)) }
    }

    /// Records the copy of `bytes` to the start of a buffer, unless the memory is not mapped: after a fault.
    pub fn copy(&self, bytes: &[u8], encoder: &mut wgpu::CommandEncoder, to: &wgpu::Buffer) -> bool {
        let size = bytes.len() as u64;
        if !self.is_mapped.swap(false, Ordering::Acquire) {
            return false;
        }
        let Ok(mut view) = self.buffer.get_mapped_range_mut(0..size) else { return false };
        view.copy_from_slice(bytes);
        drop(view);
        self.buffer.unmap();
        encoder.copy_buffer_to_buffer(&self.buffer, 0, to, 0, size);
        true
    }

    /// Maps the memory again, once what was submitted is done.
    pub fn map(&self) {
        let is_mapped = Arc::clone(&self.is_mapped);
        self.buffer.map_async(wgpu::MapMode::Write, .., move |result| {
            is_mapped.store(result.is_ok(), Ordering::Release);
        });
    }
}
