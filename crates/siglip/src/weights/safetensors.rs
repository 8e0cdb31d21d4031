//! safetensors as a push parser: <https://github.com/huggingface/safetensors#format>.
//!
//! Eight bytes give the header's length, the header is JSON, then come the tensors' bytes without gaps. The header is not
//! trusted: every number in it is checked before a byte of weights is taken.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::MAX_HEADER;
use super::affine::{self, Role};
use super::encoding::Encoding;
use super::other_names::{self, Naming};
use super::row_parser::{Header, PlacedTensor};
use super::tensor_list::is_buffer;
use super::{Dtype, TensorShape, bad, open_clip};
use crate::{Error, impostor};

/// Longest name and longest quote in a message. No real tensor name is longer.
const MAX_QUOTE: usize = 255;
/// A SigLIP's tensors have at most four.
const MAX_DIMENSIONS: usize = 8;

/// Collects a header from chunks.
#[derive(Debug, Default)]
pub(super) struct HeaderReader {
    /// Length of the JSON, once it has arrived.
    length: Option<usize>,
    pending: Vec<u8>,
    /// Whose names the tensors have, if the file is one of several.
    naming: Option<Naming>,
}

impl HeaderReader {
    pub fn new(naming: Option<Naming>) -> HeaderReader {
        HeaderReader { naming, ..HeaderReader::default() }
    }

    /// Takes the header's next bytes. Returns how many belonged to the header, and the header once it is complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(usize, Option<Header>), Error> {
        let wanted = self.length.unwrap_or(8) - self.pending.len();
        let taken = wanted.min(bytes.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        if taken < wanted {
            return Ok((taken, None));
        }
        if self.length.is_some() {
            return Ok((taken, Some(parse(&self.pending, self.naming)?)));
        }
        let length = self.pending.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
        if !(2..=MAX_HEADER).contains(&length) {
            let start = [&self.pending, &bytes[taken..]].concat();
            let reason = impostor::in_place_of_weights(&start).unwrap_or_else(|| {
                format!("a header of {length} bytes; this is neither a safetensors file nor a GGUF")
            });
            return Err(bad(reason));
        }
        self.pending.clear();
        self.length = Some(length as usize);
        Ok((taken, None))
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// The header's entries in the file's order. A map would hide a name that occurs twice.
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
fn parse(header: &[u8], naming: Option<Naming>) -> Result<Header, Error> {
    let Entries(mut entries) = serde_json::from_slice(header).map_err(|error| {
        // The message may quote the file, at any length.
        let reason: String = error.to_string().chars().take(MAX_QUOTE).collect();
        bad(format!("header: {reason}"))
    })?;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let listed = entries.iter().map(|(name, entry)| (name.as_str(), entry.dtype.as_str(), &entry.shape[..]));
    let quantized = affine::parts(listed.clone())?;
    let naming = naming.unwrap_or_else(|| Naming::of(listed.map(|(name, ..)| name)));
    let base = header.len() as u64 + 8;
    let mut names = HashSet::new();
    let mut position = 0;
    let (mut tensors, mut empty) = (Vec::new(), Vec::new());
    for (name, Entry { dtype, shape, data_offsets: [start, end] }) in entries {
        if name.len() > MAX_QUOTE || shape.len() > MAX_DIMENSIONS {
            let start: String = name.chars().take(40).collect();
            let (bytes, dimensions) = (name.len(), shape.len());
            return Err(bad(format!("tensor {start:?}: a name of {bytes} bytes, {dimensions} dimensions")));
        }
        if !names.insert(name.clone()) {
            return Err(bad(format!("tensor {name:?} occurs twice in the header")));
        }
        if start != position || end < start || base.checked_add(end).is_none() {
            let reason = format!("tensor {name:?} has bytes {start}..{end}, after byte {position}");
            return Err(bad(reason));
        }
        position = end;
        if is_buffer(&name) {
            continue;
        }
        let part = quantized.get(&name).cloned();
        let codes = part.as_ref().filter(|part| part.role == Role::Codes).map(|part| part.matrix.clone());
        let is_codes = codes.is_some();
        let shape = codes.unwrap_or(TensorShape { name, shape });
        if start == end && shape.checked_len() == Some(0) {
            empty.push(shape);
            continue;
        }
        let name = &shape.name;
        let encoding = match Dtype::from_name(&dtype) {
            _ if is_codes => Encoding::Codes,
            Some(dtype) => Encoding::Numbers(dtype),
            None => {
                let dtype: String = dtype.chars().take(40).collect();
                return Err(bad(format!(
                    "tensor {name:?} is stored as {dtype}; F32, F16 and BF16 can be read"
                )));
            }
        };
        if shape.checked_len().and_then(|len| encoding.bytes(len)) != Some(end - start) || end == start {
            let TensorShape { name, shape } = shape;
            let reason = format!("tensor {name:?}: shape {shape:?} does not fill bytes {start}..{end}");
            return Err(bad(reason));
        }
        let tensor = PlacedTensor::new(shape, encoding, base + start, end - start);
        tensors.push(match part {
            Some(part) => tensor.quantized(part),
            None => tensor,
        });
    }
    let end = base + position;
    Ok(Header { tensors: other_names::rename(open_clip::rename(tensors)?, naming), empty, end, total: end })
}

/// The header of a safetensors file that stores these tensors one after another.
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
