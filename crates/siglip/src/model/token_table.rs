//! The table of token embeddings.

use crate::Precision;

/// The token embeddings, from which rows are gathered. Stored in f32, or in 8 bits with one scale per row.
#[derive(Debug)]
pub(crate) enum TokenTable {
    F32 { width: usize, values: Vec<f32> },
    Q8 { width: usize, quantized: Vec<i8>, scales: Vec<f32> },
}

impl TokenTable {
    pub fn new(precision: Precision, rows: usize, width: usize) -> Self {
        match precision {
            Precision::F32 | Precision::Bf16 => TokenTable::F32 { width, values: vec![0.0; rows * width] },
            Precision::Q8 | Precision::Q8Exact => {
                TokenTable::Q8 { width, quantized: vec![0; rows * width], scales: vec![0.0; rows] }
            }
        }
    }

    pub fn precision(&self) -> Precision {
        match self {
            TokenTable::F32 { .. } => Precision::F32,
            TokenTable::Q8 { .. } => Precision::Q8,
        }
    }

    /// Stores whole rows from `first_row` on. Only for f32; see [`TokenTable::set_quantized`].
    pub fn set(&mut self, first_row: usize, source: &[f32]) {
        if let TokenTable::F32 { width, values } = self {
            values[first_row * *width..][..source.len()].copy_from_slice(source);
        }
    }

    /// Stores whole quantized rows from `first_row` on. Only for 8 bits; see [`TokenTable::set`].
    pub fn set_quantized(&mut self, first_row: usize, new_scales: &[f32], new_quantized: &[i8]) {
        if let TokenTable::Q8 { width, quantized, scales } = self {
            scales[first_row..][..new_scales.len()].copy_from_slice(new_scales);
            quantized[first_row * *width..][..new_quantized.len()].copy_from_slice(new_quantized);
        }
    }

    /// Adds row `row` to `out`.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        match self {
            TokenTable::F32 { width, values } => {
                out.iter_mut().zip(&values[row * width..][..*width]).for_each(|(out, value)| *out += value);
            }
            TokenTable::Q8 { width, quantized, scales } => {
                let quantized = &quantized[row * width..][..*width];
                out.iter_mut()
                    .zip(quantized)
                    .for_each(|(out, &quantized)| *out += f32::from(quantized) * scales[row]);
            }
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            TokenTable::F32 { values, .. } => size_of_val(&values[..]),
            TokenTable::Q8 { quantized, scales, .. } => quantized.len() + size_of_val(&scales[..]),
        }
    }
}
