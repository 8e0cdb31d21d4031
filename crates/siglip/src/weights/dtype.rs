//! The number types of safetensors.

use half::{bf16, f16};

/// The type of a file's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single.
    Bf16,
}

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
        }
    }

    /// Its name in safetensors.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
        }
    }

    /// The type of this name in safetensors, if weights may have it.
    pub fn from_name(name: &str) -> Option<Dtype> {
        [Dtype::F32, Dtype::F16, Dtype::Bf16].into_iter().find(|dtype| dtype.name() == name)
    }

    /// Decodes little-endian `bytes`, which hold whole values, and appends them to `values`.
    pub(crate) fn widen(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Dtype::F32 => values.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four))),
            Dtype::F16 => {
                values.extend(bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()))
            }
            Dtype::Bf16 => {
                values.extend(bytes.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()))
            }
        }
    }

    /// Rounds `values` to nearest and appends them to `bytes`.
    pub(crate) fn narrow(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Dtype::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Dtype::F16 => bytes.extend(values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes())),
            Dtype::Bf16 => bytes.extend(values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes())),
        }
    }
}
