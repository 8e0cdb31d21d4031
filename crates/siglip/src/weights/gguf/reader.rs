//! A GGUF's header as a push parser.

use std::collections::HashSet;

use super::super::MAX_HEADER;
use super::super::encoding::{Encoding, I8, SCALE};
use super::super::row_parser::{Header, PlacedTensor};
use super::super::tensor_list::is_buffer;
use super::super::{TensorShape, bad};
use super::{ALIGNMENT_KEY, ARRAY, DEFAULT_ALIGNMENT, MAGIC, Metadata, STRING, U32};
use crate::Error;

/// Bounds far above those of real files.
const MAX_COUNT: u64 = 1 << 16;
const MAX_KEY: u64 = 1 << 10;
const MAX_NESTING: usize = 4;
/// ggml's own limits: names of 64 bytes, four dimensions.
const MAX_NAME: u64 = 64;
const MAX_DIMENSIONS: u32 = 4;

/// Reads a header from chunks, field by field. Only values that [`Metadata`] holds are stored.
#[derive(Debug, Default)]
pub(in super::super) struct HeaderReader {
    field: Field,
    /// The bytes of the field that have arrived.
    pending: Vec<u8>,
    /// Bytes of the header so far.
    position: u64,
    pairs_left: u64,
    tensors_left: u64,
    /// The current pair's key, or the current tensor's name.
    name: String,
    /// The keys, or the tensors' names, read so far.
    names: HashSet<String>,
    /// The arrays whose elements are being read, innermost last.
    arrays: Vec<Array>,
    metadata: Metadata,
    alignment: Option<u32>,
    tensors: Vec<Listed>,
}

/// The field that comes next in the file.
#[derive(Debug, Default, Clone, Copy)]
enum Field {
    #[default]
    Start,
    KeyLength,
    Key(u64),
    Kind,
    /// A number, a string's length, or the element's kind and the length of an array.
    Value(u32),
    /// A string that is stored.
    Text(u64),
    /// Bytes that are skipped.
    Skipped(u64),
    NameLength,
    Name(u64),
    DimensionCount,
    /// Dimensions, type and offset.
    Place(u32),
    End,
}

impl Field {
    /// Its length in bytes.
    fn len(self) -> u64 {
        match self {
            Field::Start => 24,
            Field::KeyLength | Field::NameLength => 8,
            Field::Kind | Field::DimensionCount => 4,
            Field::Value(ARRAY) => 12,
            Field::Value(STRING) => 8,
            Field::Value(kind) => number_size(kind).unwrap_or(0),
            Field::Key(len) | Field::Name(len) | Field::Text(len) | Field::Skipped(len) => len,
            Field::Place(dimensions) => u64::from(dimensions) * 8 + 12,
            Field::End => 0,
        }
    }
}

/// Bytes of a number of this kind, a bool among them.
fn number_size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        U32 | 5 | 6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

#[derive(Debug)]
struct Array {
    kind: u32,
    left: u64,
}

/// A tensor's entry in the header. The offset counts from the start of the tensors' bytes.
#[derive(Debug)]
struct Listed {
    shape: TensorShape,
    ggml_type: u32,
    offset: u64,
}

impl HeaderReader {
    /// Takes the header's next bytes. Returns how many belonged to the header, and the header once it is complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(usize, Option<(Header, Metadata)>), Error> {
        let mut taken = 0;
        loop {
            if let Field::End = self.field {
                let header = self.header()?;
                return Ok((taken, Some((header, std::mem::take(&mut self.metadata)))));
            }
            let missing = self.field.len() - self.pending.len() as u64;
            if self.position.saturating_add(missing) > MAX_HEADER {
                return Err(bad(format!("the header does not end within {MAX_HEADER} bytes")));
            }
            let now = missing.min((bytes.len() - taken) as u64);
            let fresh = &bytes[taken..taken + now as usize];
            (taken, self.position) = (taken + fresh.len(), self.position + now);
            if let Field::Skipped(left) = &mut self.field {
                *left -= now;
            } else {
                self.pending.extend_from_slice(fresh);
            }
            if now < missing {
                return Ok((taken, None));
            }
            let field = std::mem::take(&mut self.pending);
            self.field = self.read(field)?;
        }
    }

    /// Reads a whole field. Returns the one that comes next.
    fn read(&mut self, field: Vec<u8>) -> Result<Field, Error> {
        match self.field {
            Field::Start => self.read_start(&field),
            Field::KeyLength => match u64_at(&field, 0) {
                len @ 1..=MAX_KEY => Ok(Field::Key(len)),
                len => Err(bad(format!("header: a key of {len} bytes"))),
            },
            Field::Key(_) => self.read_name(field, "key").map(|()| Field::Kind),
            Field::Kind => self.value(u32_at(&field, 0)),
            Field::Value(kind) => self.read_value(kind, &field),
            Field::Text(_) => {
                let text = String::from_utf8(field)
                    .map_err(|_| bad(format!("header: the value of {:?} is not UTF-8", self.name)))?;
                self.metadata.strings.insert(std::mem::take(&mut self.name), text);
                Ok(self.next_pair())
            }
            Field::Skipped(_) => Ok(self.next_value()),
            Field::NameLength => match u64_at(&field, 0) {
                len @ 1..=MAX_NAME => Ok(Field::Name(len)),
                len => Err(bad(format!("header: a tensor's name of {len} bytes"))),
            },
            Field::Name(_) => self.read_name(field, "tensor").map(|()| Field::DimensionCount),
            Field::DimensionCount => match u32_at(&field, 0) {
                count @ 1..=MAX_DIMENSIONS => Ok(Field::Place(count)),
                count => Err(bad(format!("tensor {:?} has {count} dimensions", self.name))),
            },
            Field::Place(dimensions) => self.read_place(dimensions as usize, &field),
            Field::End => Ok(Field::End),
        }
    }

    fn read_start(&mut self, field: &[u8]) -> Result<Field, Error> {
        let version = u32_at(field, MAGIC.len());
        if !(2..=3).contains(&version) {
            let hint = if (2..=3).contains(&version.swap_bytes()) { " in big-endian order" } else { "" };
            let version = if hint.is_empty() { version } else { version.swap_bytes() };
            return Err(bad(format!(
                "GGUF version {version}{hint}; 2 and 3 in little-endian order can be read"
            )));
        }
        (self.tensors_left, self.pairs_left) = (u64_at(field, 8), u64_at(field, 16));
        if self.tensors_left > MAX_COUNT || self.pairs_left > MAX_COUNT {
            let (tensors, pairs) = (self.tensors_left, self.pairs_left);
            return Err(bad(format!("header: {tensors} tensors and {pairs} keys; {MAX_COUNT} at most")));
        }
        Ok(self.next_pair())
    }

    fn next_pair(&mut self) -> Field {
        match self.pairs_left.checked_sub(1) {
            Some(left) => {
                self.pairs_left = left;
                Field::KeyLength
            }
            None => {
                self.names.clear();
                self.next_tensor()
            }
        }
    }

    fn next_tensor(&mut self) -> Field {
        match self.tensors_left.checked_sub(1) {
            Some(left) => {
                self.tensors_left = left;
                Field::NameLength
            }
            None => Field::End,
        }
    }

    fn read_name(&mut self, field: Vec<u8>, what: &str) -> Result<(), Error> {
        let name = String::from_utf8(field).map_err(|_| bad(format!("header: a {what} is not UTF-8")))?;
        if !self.names.insert(name.clone()) {
            return Err(bad(format!("{what} {name:?} occurs twice in the header")));
        }
        self.name = name;
        Ok(())
    }

    /// The field of a value of this kind, if that kind exists.
    fn value(&self, kind: u32) -> Result<Field, Error> {
        if kind == STRING || kind == ARRAY || number_size(kind).is_some() {
            return Ok(Field::Value(kind));
        }
        Err(bad(format!("header: the value of {:?} is of unknown type {kind}", self.name)))
    }

    fn read_value(&mut self, kind: u32, field: &[u8]) -> Result<Field, Error> {
        match kind {
            STRING => {
                let len = u64_at(field, 0);
                let is_stored = self.name.starts_with("general.") || self.name.starts_with("siglip.");
                Ok(if is_stored && self.arrays.is_empty() { Field::Text(len) } else { Field::Skipped(len) })
            }
            ARRAY => {
                let array = Array { kind: u32_at(field, 0), left: u64_at(field, 4) };
                self.value(array.kind)?;
                if self.arrays.len() == MAX_NESTING {
                    return Err(bad(format!("header: the arrays in {:?} are nested too deeply", self.name)));
                }
                if let Some(size) = number_size(array.kind) {
                    // A length that overflows 64 bits also exceeds the header's bound.
                    return Ok(Field::Skipped(array.left.saturating_mul(size)));
                }
                self.arrays.push(array);
                Ok(self.next_value())
            }
            _ => {
                if self.name == ALIGNMENT_KEY && self.arrays.is_empty() {
                    self.alignment = Some(alignment(kind, field)?);
                }
                Ok(self.next_value())
            }
        }
    }

    /// The next element of the innermost array that has one left, or the next pair.
    fn next_value(&mut self) -> Field {
        while let Some(array) = self.arrays.last_mut() {
            if let Some(left) = array.left.checked_sub(1) {
                array.left = left;
                return Field::Value(array.kind);
            }
            self.arrays.pop();
        }
        self.next_pair()
    }

    fn read_place(&mut self, dimensions: usize, field: &[u8]) -> Result<Field, Error> {
        let name = std::mem::take(&mut self.name);
        // The file has the innermost dimension first.
        let shape: Option<Vec<usize>> =
            (0..dimensions).rev().map(|at| usize::try_from(u64_at(field, at * 8)).ok()).collect();
        let Some(mut shape) = shape else { return Err(bad(format!("tensor {name:?} is too large"))) };
        let (ggml_type, offset) = (u32_at(field, dimensions * 8), u64_at(field, dimensions * 8 + 4));
        if let (I8, false, [_, bytes]) = (ggml_type, is_buffer(&name), &mut shape[..]) {
            // A row's bytes are its scale and its numbers. A row without a number is refused with the empty tensors.
            *bytes = bytes.saturating_sub(SCALE);
        }
        self.tensors.push(Listed { shape: TensorShape { name, shape }, ggml_type, offset });
        Ok(self.next_tensor())
    }

    /// The tensors in the order of their bytes. Between two tensors there may be padding for alignment, but no gap.
    fn header(&mut self) -> Result<Header, Error> {
        let alignment = u64::from(self.alignment.unwrap_or(DEFAULT_ALIGNMENT));
        let base = self.position.next_multiple_of(alignment);
        let mut listed = std::mem::take(&mut self.tensors);
        listed.sort_by_key(|listed| listed.offset);
        let mut tensors = Vec::new();
        let (mut position, mut end) = (0, 0);
        for Listed { shape, ggml_type, offset } in listed {
            let name = &shape.name;
            if offset != position {
                return Err(bad(format!("tensor {name:?} starts at byte {offset}, not at {position}")));
            }
            let (encoding, bytes) = stored(&shape, ggml_type)?;
            let next = position
                .checked_add(bytes)
                .and_then(|end| end.checked_next_multiple_of(alignment))
                .filter(|next| base.checked_add(*next).is_some())
                .ok_or_else(|| bad(format!("tensor {name:?} is too large")))?;
            end = position + bytes;
            if let Some(encoding) = encoding {
                tensors.push(PlacedTensor::new(shape, encoding, base + position, bytes));
            }
            position = next;
        }
        Ok(Header { tensors, empty: Vec::new(), end: base + end, total: base + position })
    }
}

/// A tensor's encoding and its size in bytes. The encoding is `None` for a buffer, which is skipped.
fn stored(shape: &TensorShape, ggml_type: u32) -> Result<(Option<Encoding>, u64), Error> {
    let TensorShape { name, shape: sides } = shape;
    let too_large = || bad(format!("tensor {name:?}: shape {sides:?} is empty or too large"));
    let len = shape.checked_len().filter(|&len| len > 0).ok_or_else(too_large)?;
    if is_buffer(name) {
        let size =
            integer_size(ggml_type).ok_or_else(|| bad(format!("buffer {name:?} holds no integers")))?;
        return Ok((None, len.checked_mul(size).ok_or_else(too_large)?));
    }
    let rows = match sides[..] {
        [_, row_len] if ggml_type == I8 => Some(Encoding::Rows { row_len }),
        _ => None,
    };
    let encoding = rows.or_else(|| Encoding::from_ggml_type(ggml_type)).ok_or_else(|| {
        let reason = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K can be read";
        bad(format!("tensor {name:?} is of ggml type {ggml_type}; {reason}"))
    })?;
    let (dtype, block_len) = (encoding.name(), encoding.block_len());
    let innermost = sides.last().copied().unwrap_or(1);
    if !innermost.is_multiple_of(block_len) {
        return Err(bad(format!(
            "tensor {name:?}: {dtype} has blocks of {block_len} numbers, but its rows have {innermost}"
        )));
    }
    Ok((Some(encoding), encoding.bytes(len).ok_or_else(too_large)?))
}

/// Bytes of an integer of this `ggml_type`: I8, I16, I32, I64.
fn integer_size(ggml_type: u32) -> Option<u64> {
    (24..=27).contains(&ggml_type).then(|| 1 << (ggml_type - 24))
}

fn alignment(kind: u32, field: &[u8]) -> Result<u32, Error> {
    let alignment = if kind == U32 { u32_at(field, 0) } else { 0 };
    if alignment.is_power_of_two() && alignment <= 1 << 16 {
        return Ok(alignment);
    }
    Err(bad(format!("header: {ALIGNMENT_KEY} is not a power of two up to 65536 in 32 bits")))
}

fn u32_at(field: &[u8], at: usize) -> u32 {
    field[at..at + 4].iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn u64_at(field: &[u8], at: usize) -> u64 {
    field[at..at + 8].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
