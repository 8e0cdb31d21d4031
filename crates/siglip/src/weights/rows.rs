use super::storage::Storage;
use super::{TensorShape, TensorSink, bad};
use crate::Error;

/// Bytes of rows gathered before they are handed on: large enough to amortise the call, small beside a tensor.
const BATCH: usize = 1 << 18;

/// A tensor and its place in a file.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    pub(super) shape: TensorShape,
    pub(super) storage: Storage,
    /// Its first byte, from the start of the file.
    pub(super) start: u64,
    pub(super) bytes: u64,
}

impl StoredTensor {
    /// Its name and dimensions.
    pub fn shape(&self) -> &TensorShape {
        &self.shape
    }

    /// How its numbers are stored: `F32`, `BF16`, `Q8_0`.
    pub fn dtype(&self) -> &'static str {
        self.storage.name()
    }

    /// Bytes it takes in the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What a header says, once it is proven.
#[derive(Debug)]
pub(super) struct Header {
    /// In the order of their bytes, none overlapping another, ends below 2^64.
    pub tensors: Vec<StoredTensor>,
    /// Where the last byte that matters ends, from the start of the file.
    pub end: u64,
    /// The file's whole length: the same, or padded.
    pub total: u64,
}

/// The part of a file that follows the header: cut into tensors and batches of rows.
#[derive(Debug)]
pub(super) struct Rows {
    header: Header,
    /// Where the next byte that arrives stands in the file.
    position: u64,
    current: usize,
    row: usize,
    /// What has arrived of a batch.
    pending: Vec<u8>,
    values: Vec<f32>,
}

impl Rows {
    pub fn new(header: Header, position: u64) -> Rows {
        Rows { header, position, current: 0, row: 0, pending: Vec::new(), values: Vec::new() }
    }

    pub fn tensors(&self) -> &[StoredTensor] {
        &self.header.tensors
    }

    pub fn total(&self) -> u64 {
        self.header.total
    }

    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        while !bytes.is_empty() {
            let skipped_to = match self.header.tensors.get(self.current) {
                Some(tensor) if self.position >= tensor.start => {
                    bytes = self.take_batch(bytes, sink)?;
                    continue;
                }
                Some(tensor) => tensor.start,
                None => self.header.total,
            };
            if skipped_to == self.position {
                return Err(bad("bytes follow the last tensor"));
            }
            let skipped = (skipped_to - self.position).min(bytes.len() as u64);
            self.position += skipped;
            bytes = &bytes[skipped as usize..];
        }
        Ok(())
    }

    pub fn finish(&self) -> Result<(), Error> {
        let (position, end) = (self.position, self.header.end);
        match self.header.tensors.get(self.current) {
            Some(tensor) => {
                let name = &tensor.shape.name;
                Err(bad(format!(
                    "the file ends after {position} of {end} bytes, before the end of tensor {name:?}"
                )))
            }
            None if position < end => Err(bad(format!("the file ends after {position} of {end} bytes"))),
            None => Ok(()),
        }
    }

    /// Takes bytes of the current tensor; gives back what belongs to the next batch.
    fn take_batch<'b>(&mut self, bytes: &'b [u8], sink: &mut dyn TensorSink) -> Result<&'b [u8], Error> {
        let StoredTensor { shape, storage, bytes: tensor_bytes, .. } = &self.header.tensors[self.current];
        // Blocks of a one-dimensional tensor hold several of its rows.
        let step = if shape.row_len().is_multiple_of(storage.block_len()) { 1 } else { storage.block_len() };
        let step_bytes = (tensor_bytes / (shape.rows() / step) as u64) as usize;
        let rows = ((BATCH / step_bytes).max(1) * step).min(shape.rows() - self.row);
        let missing = rows / step * step_bytes - self.pending.len();
        let (now, rest) = bytes.split_at(missing.min(bytes.len()));
        self.position += now.len() as u64;
        if now.len() < missing {
            self.pending.extend_from_slice(now);
            return Ok(rest);
        }
        self.values.clear();
        if self.pending.is_empty() {
            storage.decode(now, &mut self.values);
        } else {
            self.pending.extend_from_slice(now);
            storage.decode(&self.pending, &mut self.values);
            self.pending.clear();
        }
        sink.rows(shape, self.row, &self.values)?;
        self.row += rows;
        if self.row == shape.rows() {
            (self.current, self.row) = (self.current + 1, 0);
        }
        Ok(rest)
    }
}
