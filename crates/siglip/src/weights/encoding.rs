//! How weight files store tensors.

use super::Dtype;
use super::ggml_quants::{self, BLOCK, SUPER_BLOCK};

/// ggml's type of plain integers of 8 bits.
pub(super) const I8: u32 = 24;
/// Bytes of a row's scale in [`Encoding::Rows`].
pub(super) const SCALE: usize = size_of::<f32>();

/// How a file stores a tensor: number by number, or in ggml blocks, whose numbers share scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Numbers(Dtype),
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    /// Codes of 8 bits, whose scales and biases are tensors of their own: see [`super::affine`].
    Codes,
    /// Rows of 8 bits: before each row its scale, a little-endian f32. Not ggml's; its `ggml_type` is I8.
    Rows {
        row_len: usize,
    },
}

impl Encoding {
    pub const F32: Encoding = Encoding::Numbers(Dtype::F32);
    pub const F16: Encoding = Encoding::Numbers(Dtype::F16);

    const ALL: [Encoding; 13] = [
        Encoding::F32,
        Encoding::F16,
        Encoding::Numbers(Dtype::Bf16),
        Encoding::Q4_0,
        Encoding::Q4_1,
        Encoding::Q5_0,
        Encoding::Q5_1,
        Encoding::Q8_0,
        Encoding::Q2K,
        Encoding::Q3K,
        Encoding::Q4K,
        Encoding::Q5K,
        Encoding::Q6K,
    ];

    /// Its name, `ggml_type`, numbers per ggml block, and bytes per ggml block.
    fn facts(self) -> (&'static str, u32, usize, usize) {
        match self {
            Encoding::Numbers(dtype @ Dtype::F32) => (dtype.name(), 0, 1, dtype.size()),
            Encoding::Numbers(dtype @ Dtype::F16) => (dtype.name(), 1, 1, dtype.size()),
            Encoding::Numbers(dtype @ Dtype::Bf16) => (dtype.name(), 30, 1, dtype.size()),
            Encoding::Q4_0 => ("Q4_0", 2, BLOCK, size_of::<ggml_quants::Q4_0>()),
            Encoding::Q4_1 => ("Q4_1", 3, BLOCK, size_of::<ggml_quants::Q4_1>()),
            Encoding::Q5_0 => ("Q5_0", 6, BLOCK, size_of::<ggml_quants::Q5_0>()),
            Encoding::Q5_1 => ("Q5_1", 7, BLOCK, size_of::<ggml_quants::Q5_1>()),
            Encoding::Q8_0 => ("Q8_0", 8, BLOCK, size_of::<ggml_quants::Q8_0>()),
            Encoding::Q2K => ("Q2_K", 10, SUPER_BLOCK, size_of::<ggml_quants::Q2K>()),
            Encoding::Q3K => ("Q3_K", 11, SUPER_BLOCK, size_of::<ggml_quants::Q3K>()),
            Encoding::Q4K => ("Q4_K", 12, SUPER_BLOCK, size_of::<ggml_quants::Q4K>()),
            Encoding::Q5K => ("Q5_K", 13, SUPER_BLOCK, size_of::<ggml_quants::Q5K>()),
            Encoding::Q6K => ("Q6_K", 14, SUPER_BLOCK, size_of::<ggml_quants::Q6K>()),
            // No GGUF has them.
            Encoding::Codes => ("U32", u32::MAX, 1, 1),
            Encoding::Rows { row_len } => ("I8", I8, row_len, row_len + SCALE),
        }
    }

    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Its `ggml_type` in a GGUF.
    pub fn ggml_type(self) -> u32 {
        self.facts().1
    }

    pub fn from_ggml_type(number: u32) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|encoding| encoding.ggml_type() == number)
    }

    /// Numbers per ggml block. The innermost dimension of a tensor is whole blocks.
    pub fn block_len(self) -> usize {
        self.facts().2
    }

    /// Bytes of `len` numbers, which are whole ggml blocks; `None` if they exceed 64 bits.
    pub fn bytes(self, len: u64) -> Option<u64> {
        let (_, _, block_len, block_bytes) = self.facts();
        (len / block_len as u64).checked_mul(block_bytes as u64)
    }

    /// Decodes `bytes`, which are whole ggml blocks, and appends the numbers to `values`.
    pub fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Encoding::Numbers(dtype) => dtype.widen(bytes, values),
            Encoding::Q4_0 => ggml_quants::decode(bytes, ggml_quants::q4_0, values),
            Encoding::Q4_1 => ggml_quants::decode(bytes, ggml_quants::q4_1, values),
            Encoding::Q5_0 => ggml_quants::decode(bytes, ggml_quants::q5_0, values),
            Encoding::Q5_1 => ggml_quants::decode(bytes, ggml_quants::q5_1, values),
            Encoding::Q8_0 => ggml_quants::decode(bytes, ggml_quants::q8_0, values),
            Encoding::Q2K => ggml_quants::decode(bytes, ggml_quants::q2_k, values),
            Encoding::Q3K => ggml_quants::decode(bytes, ggml_quants::q3_k, values),
            Encoding::Q4K => ggml_quants::decode(bytes, ggml_quants::q4_k, values),
            Encoding::Q5K => ggml_quants::decode(bytes, ggml_quants::q5_k, values),
            Encoding::Q6K => ggml_quants::decode(bytes, ggml_quants::q6_k, values),
            Encoding::Codes => values.extend(bytes.iter().map(|&code| f32::from(code))),
            Encoding::Rows { row_len } => {
                let (scales, quantized) = split_rows(bytes, row_len);
                for (row, scale) in quantized.chunks_exact(row_len).zip(scales) {
                    values.extend(row.iter().map(|&quantized| f32::from(quantized) * scale));
                }
            }
        }
    }
}

/// The scales and the quantized values of whole rows in [`Encoding::Rows`].
pub(super) fn split_rows(bytes: &[u8], row_len: usize) -> (Vec<f32>, Vec<i8>) {
    let (mut scales, mut quantized) = (Vec::new(), Vec::with_capacity(bytes.len()));
    for (scale, row) in bytes.chunks_exact(SCALE + row_len).filter_map(|row| row.split_first_chunk::<SCALE>())
    {
        scales.push(f32::from_le_bytes(*scale));
        quantized.extend_from_slice(bytemuck::cast_slice(row));
    }
    (scales, quantized)
}

/// Encodes whole rows as [`Encoding::Rows`], as the engine quantizes them.
pub(super) fn encode_rows(values: &[f32], row_len: usize, bytes: &mut Vec<u8>) {
    let (mut scales, mut quantized) = (vec![0.0; values.len() / row_len.max(1)], vec![0; values.len()]);
    siglip_kernels::quantize_rows(values, row_len, &mut scales, &mut quantized);
    for (scale, row) in scales.iter().zip(quantized.chunks_exact(row_len.max(1))) {
        bytes.extend(scale.to_le_bytes());
        bytes.extend_from_slice(bytemuck::cast_slice(row));
    }
}
