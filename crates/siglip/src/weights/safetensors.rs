//! safetensors as a push parser: <https://github.com/huggingface/safetensors#format>.
//!
//! Eight bytes give the header's length, the header is JSON, then come the tensors' bytes without gaps. The
//! header is hostile until proven: every figure in it is checked before a byte of weights is taken.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Dtype, TensorShape, TensorSink};
use crate::Error;

/// The reference implementation's own bound on a header.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes of rows gathered before they are handed on: large enough to amortise the call, small beside a tensor.
const BATCH: usize = 1 << 18;

/// Reads a safetensors file from chunks of any size and hands its rows to a [`TensorSink`].
#[derive(Debug)]
pub struct SafetensorsReader {
    state: State,
    /// What has arrived and is not yet used.
    pending: Vec<u8>,
    values: Vec<f32>,
    received: u64,
}

#[derive(Debug)]
enum State {
    Length,
    Header(usize),
    Rows { tensors: Vec<Tensor>, current: usize, row: usize },
}

#[derive(Debug)]
struct Tensor {
    info: TensorShape,
    dtype: Dtype,
    /// Where its bytes end, from the start of the file.
    end: u64,
}

impl Default for SafetensorsReader {
    fn default() -> Self {
        SafetensorsReader { state: State::Length, pending: Vec::new(), values: Vec::new(), received: 0 }
    }
}

impl SafetensorsReader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file's whole length, known once its header has arrived.
    pub fn total_bytes(&self) -> Option<u64> {
        match &self.state {
            State::Rows { tensors, .. } => Some(tensors.last().map_or(0, |last| last.end)),
            _ => None,
        }
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// [`Error::BadWeights`] for a header that is broken or lies, for bytes past the end, and whatever `sink` says.
    /// The reader is of no use after an error.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        self.received += bytes.len() as u64;
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Length => self.take_length(bytes)?,
                State::Header(length) => self.take_header(length, bytes, sink)?,
                State::Rows { .. } => self.take_rows(bytes, sink)?,
            };
        }
        Ok(())
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::BadWeights`] where bytes are missing.
    pub fn finish(self) -> Result<(), Error> {
        let State::Rows { tensors, current, .. } = &self.state else {
            return Err(bad(format!("the file ends after {} bytes, inside its header", self.received)));
        };
        match tensors.get(*current) {
            None => Ok(()),
            Some(tensor) => {
                let total = tensors.last().map_or(0, |last| last.end);
                let (name, received) = (&tensor.info.name, self.received);
                Err(bad(format!("the file ends after {received} of {total} bytes, inside tensor {name:?}")))
            }
        }
    }

    /// Moves bytes to `pending` until it holds `wanted`; what is left over, or `None` where more must come.
    fn gather<'b>(&mut self, wanted: usize, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let (now, later) = bytes.split_at(bytes.len().min(wanted - self.pending.len()));
        self.pending.extend_from_slice(now);
        (self.pending.len() == wanted).then_some(later)
    }

    fn take_length<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Error> {
        let Some(rest) = self.gather(8, bytes) else { return Ok(&[]) };
        let length = self.pending.drain(..).rev().fold(0, |length, byte| length << 8 | u64::from(byte));
        if !(2..=MAX_HEADER).contains(&length) {
            return Err(bad(format!("a header of {length} bytes; this is not a safetensors file")));
        }
        self.state = State::Header(length as usize);
        Ok(rest)
    }

    fn take_header<'b>(
        &mut self,
        length: usize,
        bytes: &'b [u8],
        sink: &mut dyn TensorSink,
    ) -> Result<&'b [u8], Error> {
        let Some(rest) = self.gather(length, bytes) else { return Ok(&[]) };
        let tensors = parse_header(&self.pending)?;
        self.pending = Vec::with_capacity(BATCH);
        let infos: Vec<TensorShape> = tensors.iter().map(|tensor| tensor.info.clone()).collect();
        sink.begin(&infos)?;
        self.state = State::Rows { tensors, current: 0, row: 0 };
        Ok(rest)
    }

    fn take_rows<'b>(&mut self, bytes: &'b [u8], sink: &mut dyn TensorSink) -> Result<&'b [u8], Error> {
        let State::Rows { tensors, current, row } = &mut self.state else { return Ok(bytes) };
        let Some(tensor) = tensors.get(*current) else {
            return Err(bad("bytes follow the last tensor".to_string()));
        };
        let row_bytes = tensor.info.row_len() * tensor.dtype.size();
        let rows = (BATCH / row_bytes).max(1).min(tensor.info.rows() - *row);
        let (first_row, last) = (*row, *row + rows == tensor.info.rows());
        *row += rows;
        let wanted = rows * row_bytes;
        let missing = wanted - self.pending.len();
        if bytes.len() < missing {
            *row = first_row;
            self.pending.extend_from_slice(bytes);
            return Ok(&[]);
        }
        let (now, rest) = bytes.split_at(missing);
        self.values.clear();
        if self.pending.is_empty() {
            tensor.dtype.widen(now, &mut self.values);
        } else {
            self.pending.extend_from_slice(now);
            tensor.dtype.widen(&self.pending, &mut self.values);
            self.pending.clear();
        }
        sink.rows(&tensor.info, first_row, &self.values)?;
        if last {
            (*current, *row) = (*current + 1, 0);
        }
        Ok(rest)
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// The header's entries in the file's order; a map type would hide a name that stands twice.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<BTreeMap<String, String>>()?;
                    } else {
                        let entry = map
                            .next_value()
                            .map_err(|error| A::Error::custom(format_args!("tensor {name:?}: {error}")))?;
                        entries.push((name, entry));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The tensors in the order of their bytes, with offsets from the start of the file.
fn parse_header(header: &[u8]) -> Result<Vec<Tensor>, Error> {
    let Entries(mut entries) =
        serde_json::from_slice(header).map_err(|error| bad(format!("header: {error}")))?;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut names = std::collections::HashSet::new();
    let mut position = 0;
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, Entry { dtype, shape, data_offsets: [start, end] }) in entries {
        if !names.insert(name.clone()) {
            return Err(bad(format!("tensor {name:?} stands twice in the header")));
        }
        let Some(dtype) = Dtype::from_name(&dtype) else {
            return Err(bad(format!("tensor {name:?} is stored as {dtype}; F32, F16 and BF16 can be read")));
        };
        let bytes = shape.iter().try_fold(dtype.size() as u64, |bytes, &side| bytes.checked_mul(side as u64));
        if bytes.is_none() || bytes == Some(0) || end.checked_sub(start) != bytes {
            let reason = format!("tensor {name:?}: shape {shape:?} does not fill bytes {start}..{end}");
            return Err(bad(reason));
        }
        if start != position {
            return Err(bad(format!("tensor {name:?} starts at byte {start}, not at {position}")));
        }
        position = end;
        let base = header.len() as u64 + 8;
        let end = base.checked_add(end).ok_or_else(|| bad(format!("tensor {name:?} ends at byte {end}")))?;
        tensors.push(Tensor { info: TensorShape { name, shape }, dtype, end });
    }
    Ok(tensors)
}

/// A safetensors header for these tensors, stored one after another: what comes before their bytes.
pub fn header_bytes(tensors: &[TensorShape], dtype: Dtype) -> Vec<u8> {
    let mut position = 0;
    let entries: serde_json::Map<String, serde_json::Value> = tensors
        .iter()
        .map(|tensor| {
            let start = position;
            position += (tensor.len() * dtype.size()) as u64;
            let entry = serde_json::json!({
                "dtype": dtype.name(), "shape": tensor.shape, "data_offsets": [start, position],
            });
            (tensor.name.clone(), entry)
        })
        .collect();
    let mut json = serde_json::Value::Object(entries).to_string().into_bytes();
    // The reference writer aligns the tensors to eight bytes with spaces.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    header
}

fn bad(reason: String) -> Error {
    Error::BadWeights(reason)
}
