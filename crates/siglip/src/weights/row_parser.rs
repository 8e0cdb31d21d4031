//! The part of a weight file after its header: cut into tensors and batches of rows.

use super::affine::{Part, Waiting};
use super::encoding::{Encoding, split_rows};
use super::{TensorShape, TensorSink, bad};
use crate::Error;

/// Bytes of one batch of rows: large enough to amortise the call of the sink, small beside a tensor.
const BATCH: usize = 1 << 18;

/// What an incomplete file's error says.
pub(super) const CUT_SHORT: &str = "it was cut short; download or copy it again";

/// A tensor as a weight file stores it.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    shape: TensorShape,
    dtype: &'static str,
    bytes: u64,
}

impl StoredTensor {
    pub(super) fn new(shape: TensorShape, dtype: &'static str, bytes: u64) -> StoredTensor {
        StoredTensor { shape, dtype, bytes }
    }

    /// Its name and dimensions. An ONNX or a file of open_clip's may store a tensor in parts: each has the number of its own
    /// rows.
    pub fn shape(&self) -> &TensorShape {
        &self.shape
    }

    /// How its numbers are encoded, such as `F32`, `BF16` or `Q8_0`.
    pub fn dtype(&self) -> &'static str {
        self.dtype
    }

    /// Bytes that it takes in the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A tensor and its place in a weight file.
#[derive(Debug)]
pub(super) struct PlacedTensor {
    pub stored: StoredTensor,
    pub encoding: Encoding,
    /// Offset of its first byte in the file.
    pub start: u64,
    /// The tensor that these are rows of, and the number of the first, if the file has that tensor in parts.
    part_of: Option<(TensorShape, usize)>,
    /// Whether the file has the channels of its rows last, where its shape has them first.
    channels_last: bool,
    /// What it is of a quantized matrix that the file has in three tensors.
    quantized: Option<Part>,
}

impl PlacedTensor {
    pub fn new(shape: TensorShape, encoding: Encoding, start: u64, bytes: u64) -> PlacedTensor {
        PlacedTensor {
            stored: StoredTensor::new(shape, encoding.name(), bytes),
            encoding,
            start,
            part_of: None,
            channels_last: false,
            quantized: None,
        }
    }

    /// With another name or shape of the same rows.
    pub fn renamed(self, shape: TensorShape) -> PlacedTensor {
        let stored = StoredTensor { shape, ..self.stored };
        PlacedTensor { stored, ..self }
    }

    /// With the channels of each row last in the file: rows of [height, width, channels] for a shape [rows, channels, height,
    /// width].
    pub fn with_channels_last(self) -> PlacedTensor {
        PlacedTensor { channels_last: true, ..self }
    }

    /// As a part of a quantized matrix.
    pub fn quantized(self, part: Part) -> PlacedTensor {
        PlacedTensor { quantized: Some(part), ..self }
    }

    /// With other names for itself and for what it is a part of.
    pub fn map_names(mut self, name: impl Fn(&str) -> String) -> PlacedTensor {
        self.stored.shape.name = name(&self.stored.shape.name);
        if let Some(part) = &mut self.quantized {
            part.matrix.name = name(&part.matrix.name);
        }
        self
    }

    /// As rows of `whole` from `first_row` on.
    pub fn part_of(self, whole: TensorShape, first_row: usize) -> PlacedTensor {
        PlacedTensor { part_of: Some((whole, first_row)), ..self }
    }

    /// The whole tensor that this is of.
    pub fn whole(&self) -> &TensorShape {
        match (&self.part_of, &self.quantized) {
            (Some((whole, _)), _) => whole,
            (None, Some(part)) => &part.matrix,
            (None, None) => self.shape(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.stored.bytes
    }

    fn first_row(&self) -> usize {
        self.part_of.as_ref().map_or(0, |(_, first_row)| *first_row)
    }

    pub fn shape(&self) -> &TensorShape {
        &self.stored.shape
    }

    fn end(&self) -> u64 {
        self.start + self.stored.bytes
    }

    /// The smallest number of rows that is a whole number of ggml blocks, and its bytes. A block of a one-dimensional
    /// tensor spans many rows, of one number each.
    fn step(&self) -> (usize, u64) {
        let (shape, block_len) = (self.shape(), self.encoding.block_len());
        let rows = if shape.row_len().is_multiple_of(block_len) { 1 } else { block_len };
        (rows, self.stored.bytes / (shape.rows() / rows) as u64)
    }
}

/// A header whose numbers have been checked.
#[derive(Debug)]
pub(super) struct Header {
    /// In the order of their bytes. They do not overlap, and end below 2^64.
    pub tensors: Vec<PlacedTensor>,
    /// Tensors without a number, such as those of shape [0]. Some tools leave them behind.
    pub empty: Vec<TensorShape>,
    /// Offset of the end of the last tensor.
    pub end: u64,
    /// The file's length: `end`, or more with padding.
    pub total: u64,
}

/// Cuts what follows the header into tensors and batches of rows.
#[derive(Debug)]
pub(super) struct RowParser {
    header: Header,
    /// Offset of the header's end.
    begin: u64,
    /// Offset of the next byte that arrives.
    position: u64,
    current: usize,
    row: usize,
    /// The bytes of an incomplete batch.
    pending: Vec<u8>,
    values: Vec<f32>,
    waiting: Waiting,
}

impl RowParser {
    pub fn new(header: Header, position: u64) -> RowParser {
        RowParser {
            header,
            begin: position,
            position,
            current: 0,
            row: 0,
            pending: Vec::new(),
            values: Vec::new(),
            waiting: Waiting::default(),
        }
    }

    pub fn tensors(&self) -> &[PlacedTensor] {
        &self.header.tensors
    }

    pub fn total(&self) -> u64 {
        self.header.total
    }

    /// Offset of the header's end.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// Offset up to which rows have been passed to the sink.
    pub fn settled(&self) -> u64 {
        self.waiting.since().unwrap_or(self.position - self.pending.len() as u64)
    }

    pub fn next_wanted(&self, wants: impl Fn(&TensorShape) -> bool) -> Option<u64> {
        let mut later = self.header.tensors[self.current..].iter();
        let next = later.position(|tensor| wants(tensor.whole())).map(|skipped| self.current + skipped);
        match next {
            Some(next) if next == self.current => None,
            Some(next) => Some(self.header.tensors[next].start),
            None => Some(self.header.total),
        }
    }

    pub fn seek(&mut self, position: u64) -> Result<(), Error> {
        let current = self.header.tensors.partition_point(|tensor| tensor.end() <= position);
        let row = match self.header.tensors.get(current) {
            Some(tensor) if position > tensor.start => {
                let (rows, bytes) = tensor.step();
                let inside = position - tensor.start;
                inside.is_multiple_of(bytes).then_some((inside / bytes) as usize * rows)
            }
            _ => (self.begin..=self.header.total).contains(&position).then_some(0),
        };
        self.row = row.ok_or_else(|| bad(format!("no row begins at byte {position}")))?;
        if position < self.position {
            self.waiting = Waiting::default();
        }
        (self.current, self.position) = (current, position);
        self.pending.clear();
        Ok(())
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

    pub fn check_len(&self, len: u64) -> Result<(), Error> {
        let Header { end, total, .. } = self.header;
        if len < end {
            return Err(bad(format!("the file ends after {len} of {end} bytes: {CUT_SHORT}")));
        }
        if len > total {
            return Err(bad(format!("{} bytes follow the last tensor", len - total)));
        }
        Ok(())
    }

    pub fn finish(&self) -> Result<(), Error> {
        let (position, end) = (self.position, self.header.end);
        match self.header.tensors.get(self.current) {
            Some(tensor) => {
                let name = &tensor.shape().name;
                Err(bad(format!(
                    "the file ends after {position} of {end} bytes, before the end of tensor {name:?}: {CUT_SHORT}"
                )))
            }
            None if position < end => {
                Err(bad(format!("the file ends after {position} of {end} bytes: {CUT_SHORT}")))
            }
            None => Ok(()),
        }
    }

    /// Takes bytes of the current tensor. Returns those that belong to the next batch.
    fn take_batch<'b>(&mut self, bytes: &'b [u8], sink: &mut dyn TensorSink) -> Result<&'b [u8], Error> {
        let tensor = &self.header.tensors[self.current];
        let (shape, (step, step_bytes)) = (tensor.shape(), tensor.step());
        let step_bytes = step_bytes as usize;
        let rows = ((BATCH / step_bytes).max(1) * step).min(shape.rows() - self.row);
        let missing = rows / step * step_bytes - self.pending.len();
        let (now, rest) = bytes.split_at(missing.min(bytes.len()));
        self.position += now.len() as u64;
        if now.len() < missing {
            self.pending.extend_from_slice(now);
            return Ok(rest);
        }
        let batch = match self.pending.is_empty() {
            true => now,
            false => {
                self.pending.extend_from_slice(now);
                &self.pending
            }
        };
        let first_row = tensor.first_row() + self.row;
        if let Encoding::Rows { row_len } = tensor.encoding {
            let (scales, quantized) = split_rows(batch, row_len);
            // The kernels' bounds rest on it.
            if quantized.contains(&i8::MIN) {
                return Err(bad(format!("tensor {:?} holds -128, where -127 is the least", shape.name)));
            }
            sink.quantized_rows(tensor.whole(), first_row, &scales, &quantized)?;
        } else {
            self.values.clear();
            tensor.encoding.decode(batch, &mut self.values);
            if tensor.channels_last {
                put_channels_first(&mut self.values, shape);
            }
            match &tensor.quantized {
                Some(part) => self.waiting.take(part, tensor.start, batch, &self.values, sink)?,
                None => sink.rows(tensor.whole(), first_row, &self.values)?,
            }
        }
        self.pending.clear();
        self.row += rows;
        if self.row == shape.rows() {
            (self.current, self.row) = (self.current + 1, 0);
        }
        Ok(rest)
    }
}

/// Turns rows of [pixels, channels] into rows of [channels, pixels], for a tensor of shape [rows, channels, height, width].
fn put_channels_first(values: &mut [f32], tensor: &TensorShape) {
    let channels = tensor.shape[1];
    let row_len = tensor.row_len();
    let pixels = row_len / channels;
    let mut row_before = vec![0.0; row_len];
    for row in values.chunks_exact_mut(row_len) {
        row_before.copy_from_slice(row);
        for (at, value) in row.iter_mut().enumerate() {
            *value = row_before[at % pixels * channels + at / pixels];
        }
    }
}
