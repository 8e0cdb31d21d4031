//! Packed weights on their way to the GPU: as the followers of a sharded model, it takes batches in any order.

use std::collections::HashMap;

use super::{Gpu, GpuError};
use crate::{Group, Place};

/// Bytes of a batch's header: index of the tensor, first row, rows, 0 for f32 or 1 for 8 bits.
const HEADER: usize = 16;
/// Bytes on their way to the GPU before the next wait. They take as much memory here until then.
const MOST_IN_FLIGHT: usize = 16 << 20;

/// Writes batches of a [`Packer`](siglip::model::Packer) into the buffers of their blocks.
#[derive(Debug)]
pub struct WeightWriter {
    places: HashMap<usize, Place>,
    row_lengths: Vec<usize>,
    in_flight: usize,
    /// The checksum of what was written, by tower and block.
    sums: HashMap<(&'static str, usize), u32>,
}

/// One batch.
struct Batch<'b> {
    tensor: usize,
    first: usize,
    rows: usize,
    scales: &'b [u8],
    values: &'b [u8],
}

impl<'b> Batch<'b> {
    /// Splits the first one off. `None` if there is no whole one.
    fn split(bytes: &'b [u8], row_lengths: &[usize]) -> Option<(Batch<'b>, &'b [u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let word = |at: usize| u32::from_le_bytes(header.as_chunks().0[at]) as usize;
        let [tensor, first, rows, kind] = [0, 1, 2, 3].map(word);
        let (scale_bytes, element) = if kind == 1 { (4, 1) } else { (0, 4) };
        let (scales, rest) = rest.split_at_checked(rows.checked_mul(scale_bytes)?)?;
        let row_bytes = element * row_lengths.get(tensor)?;
        let (values, rest) = rest.split_at_checked(rows.checked_mul(row_bytes)?)?;
        Some((Batch { tensor, first, rows, scales, values }, rest))
    }
}

impl WeightWriter {
    /// A writer for a plan's places.
    pub fn new(places: &[Place], row_lengths: &[usize]) -> WeightWriter {
        WeightWriter {
            places: places.iter().map(|place| (place.tensor, place.clone())).collect(),
            row_lengths: row_lengths.to_vec(),
            in_flight: 0,
            sums: HashMap::new(),
        }
    }

    /// Writes batches to the buffers that `buffer` names, by tower and block. Those for the CPU are left out.
    ///
    /// # Errors
    /// [`GpuError::Weights`] if they are of another model, or as [`Gpu::guarded`].
    pub fn write<'g>(
        &mut self,
        gpu: &'g Gpu,
        buffer: impl Fn(&'static str, usize) -> Option<&'g wgpu::Buffer>,
        mut batches: &[u8],
    ) -> Result<(), GpuError> {
        while !batches.is_empty() {
            let (batch, rest) = Batch::split(batches, &self.row_lengths).ok_or(GpuError::Weights)?;
            batches = rest;
            let Some(place) = self.places.get(&batch.tensor).cloned() else { continue };
            if place.scales.is_some() != (batch.scales.len() == 4 * batch.rows) && batch.rows > 0 {
                return Err(GpuError::Weights);
            }
            let Some(buffer) = buffer(place.tower, place.block) else { continue };
            if let Some(offset) = place.scales {
                let scales =
                    Place { offset, stride: 4, columns: 1, column_group: Group::ONE, ..place.clone() };
                self.rows(gpu, buffer, &scales, &batch, batch.scales)?;
            }
            self.rows(gpu, buffer, &place, &batch, batch.values)?;
        }
        Ok(())
    }

    fn rows(
        &mut self,
        gpu: &Gpu,
        buffer: &wgpu::Buffer,
        place: &Place,
        batch: &Batch<'_>,
        values: &[u8],
    ) -> Result<(), GpuError> {
        let Place { first_row, offset, columns, row_group, column_group, .. } = *place;
        let left_out = first_row.saturating_sub(batch.first).min(batch.rows);
        let rows = batch.rows - left_out;
        if rows == 0 {
            return Ok(());
        }
        let (first, row_bytes) = (batch.first + left_out - first_row, values.len() / batch.rows);
        let values = &values[left_out * row_bytes..];
        let (stride, start) = (place.stride as usize, row_group.stored(first));
        let mut bytes = vec![0; (row_group.stored(first + rows - 1) - start + 1) * stride];
        let element = row_bytes / columns;
        // Columns of a group lie beside each other; without padding, all do.
        let run = if column_group.size == column_group.stride { columns } else { column_group.size };
        for (row, values) in values.chunks_exact(row_bytes).enumerate() {
            let to = (row_group.stored(first + row) - start) * stride;
            for (group, run_values) in values.chunks(run * element).enumerate() {
                let to = to + column_group.stored(group * run) * element;
                bytes[to..to + run_values.len()].copy_from_slice(run_values);
            }
        }
        let at = offset + (start * stride) as u64;
        gpu.guarded(|| gpu.queue().write_buffer(buffer, at, &bytes))?;
        let sum = self.sums.entry((place.tower, place.block)).or_default();
        *sum = sum.wrapping_add(checksum_of(&bytes, at));
        self.in_flight += bytes.len();
        if self.in_flight >= MOST_IN_FLIGHT {
            self.in_flight = 0;
            gpu.queue().submit([]);
            gpu.wait()?;
        }
        Ok(())
    }

    /// The checksum of what was written to a block of a tower; see [`checksum`](crate::checksum).
    pub fn sum(&self, block: (&'static str, usize)) -> u32 {
        self.sums.get(&block).copied().unwrap_or_default()
    }
}

/// The checksum of bytes that begin at byte `at` of a buffer, of which the rest is zero.
fn checksum_of(bytes: &[u8], at: u64) -> u32 {
    let first = (at / 4) as u32;
    let words = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    words.zip(0..).fold(0, |sum: u32, (word, index)| {
        let factor = first.wrapping_add(index).wrapping_mul(2).wrapping_add(1);
        sum.wrapping_add(word.wrapping_mul(factor))
    })
}
