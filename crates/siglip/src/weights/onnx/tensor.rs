//! A `TensorProto` up to its data, and the types of numbers in it.

use super::super::{Dtype, bad};
use super::wire::{self, Value};
use crate::Error;

/// A SigLIP's tensors have at most four.
const MAX_DIMENSIONS: usize = 8;

/// `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataType {
    F32,
    U8,
    I8,
    F16,
    Bf16,
    /// One that weights do not have, by its number.
    #[default]
    Other,
}

impl DataType {
    pub fn from_number(number: u64) -> DataType {
        match number {
            1 => DataType::F32,
            2 => DataType::U8,
            3 => DataType::I8,
            10 => DataType::F16,
            16 => DataType::Bf16,
            _ => DataType::Other,
        }
    }

    /// Bytes of one number; 0 if it cannot be read.
    pub fn size(self) -> usize {
        match self {
            DataType::F32 => 4,
            DataType::F16 | DataType::Bf16 => 2,
            DataType::U8 | DataType::I8 => 1,
            DataType::Other => 0,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            DataType::F32 => "F32",
            DataType::F16 => "F16",
            DataType::Bf16 => "BF16",
            DataType::U8 => "U8",
            DataType::I8 => "I8",
            DataType::Other => "another type",
        }
    }

    /// The type of floats; `None` for integers.
    pub fn float(self) -> Option<Dtype> {
        match self {
            DataType::F32 => Some(Dtype::F32),
            DataType::F16 => Some(Dtype::F16),
            DataType::Bf16 => Some(Dtype::Bf16),
            DataType::U8 | DataType::I8 | DataType::Other => None,
        }
    }
}

/// An initializer without its data.
#[derive(Debug, Clone, Default)]
pub struct Initializer {
    pub name: String,
    pub dims: Vec<usize>,
    pub data_type: DataType,
    /// Offset of the initializer's tag in the file.
    pub start: u64,
    /// Where its data are, if they are in another file.
    pub external: Option<External>,
}

/// Data in another file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// The file's name, beside the ONNX.
    pub location: String,
    pub offset: u64,
    /// `None` if they reach to the file's end.
    pub length: Option<u64>,
}

impl Initializer {
    /// Takes a number of the field `dims`.
    pub fn add_dimension(&mut self, side: u64) -> Result<(), Error> {
        let side = usize::try_from(side).ok().filter(|_| self.dims.len() < MAX_DIMENSIONS);
        self.dims.push(side.ok_or_else(|| bad("ONNX: a tensor with too many or too large dimensions"))?);
        Ok(())
    }

    /// Takes an entry of the field `external_data`.
    pub fn add_external(&mut self, entry: &[u8]) -> Result<(), Error> {
        let (mut key, mut text) = ("", "");
        wire::fields(entry, |field, value: Value<'_>| {
            match field {
                1 => key = value.text()?,
                2 => text = value.text()?,
                _ => {}
            }
            Ok(())
        })?;
        let external = self.external.get_or_insert_default();
        let number = || text.parse().map_err(|_| bad("ONNX: the place of external data is no number"));
        match key {
            "location" => external.location = text.into(),
            "offset" => external.offset = number()?,
            "length" => external.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    /// Number of elements; `None` if it exceeds 64 bits.
    pub fn len(&self) -> Option<u64> {
        self.dims.iter().try_fold(1u64, |len, &side| len.checked_mul(side as u64))
    }

    /// Bytes of its numbers, one after another; `None` if they exceed 64 bits, or their type cannot be read.
    pub fn bytes(&self) -> Option<u64> {
        match self.data_type.size() {
            0 => None,
            size => self.len()?.checked_mul(size as u64),
        }
    }

    /// The fields `float_data` and `int32_data`, which hold small tensors, as `raw_data` would be.
    pub fn raw_of_fields(&self, floats: &[u8], integers: &[u64]) -> Vec<u8> {
        match self.data_type {
            DataType::F32 => floats.to_vec(),
            DataType::U8 | DataType::I8 => integers.iter().map(|&integer| integer as u8).collect(),
            DataType::F16 | DataType::Bf16 => {
                integers.iter().flat_map(|&integer| (integer as u16).to_le_bytes()).collect()
            }
            DataType::Other => Vec::new(),
        }
    }

    /// Its name in messages.
    pub fn shown(&self) -> String {
        self.name.chars().take(120).collect()
    }
}

/// Little-endian floats.
pub fn floats(data_type: DataType, bytes: &[u8]) -> Vec<f32> {
    let mut values = Vec::with_capacity(bytes.len() / data_type.size().max(1));
    if let Some(dtype) = data_type.float() {
        dtype.widen(bytes, &mut values);
    }
    values
}
