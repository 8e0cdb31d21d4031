//! The places that weights are stored in as they arrive.

use std::ops::Range;

use siglip_kernels::PackedMatrix;

use super::token_table::TokenTable;
use crate::Precision;

/// Where a tensor's rows are stored, and which of them.
pub(crate) enum Destination<'m> {
    /// `rows` and `columns` of the tensor become outputs `first_output..` of a matrix.
    Matrix { matrix: &'m mut PackedMatrix, first_output: usize, rows: Range<usize>, columns: Range<usize> },
    /// `elements` of the tensor, in f32.
    Values { values: &'m mut [f32], elements: Range<usize> },
    /// `rows` of the tensor, in a token table.
    Table { table: &'m mut TokenTable, rows: Range<usize> },
    /// Another worker, or a GPU, stores the tensor, in this precision.
    Elsewhere(Precision),
}

impl Destination<'_> {
    /// The precision that the rows are stored in.
    pub fn precision(&self) -> Precision {
        match self {
            Destination::Matrix { matrix, .. } => matrix.precision(),
            Destination::Table { table, .. } => table.precision(),
            Destination::Elsewhere(precision) => *precision,
            Destination::Values { .. } => Precision::F32,
        }
    }

    /// Whether [`Destination::write_quantized`] may be called.
    pub fn takes_quantized(&self) -> bool {
        matches!(self, Destination::Elsewhere(_)) || self.precision().is_quantized()
    }

    /// Stores those of the rows that belong here. `values` are whole rows from `first_row` on.
    pub fn write(self, first_row: usize, row_len: usize, values: &[f32]) {
        match self {
            Destination::Elsewhere(_) => {}
            // Whole rows are quantized before columns are cut out, so that weights do not depend on the number of workers.
            _ if self.precision().is_quantized() => {
                let QuantizedRows { scales, quantized } = QuantizedRows::new(values, row_len);
                self.write_quantized(first_row, row_len, &scales, &quantized);
            }
            Destination::Matrix { matrix, first_output, rows, columns } => {
                let Some((chosen, row)) = overlap(first_row, row_len, values, &rows) else { return };
                if columns.len() == row_len {
                    matrix.pack(first_output + row, chosen);
                } else {
                    let cut: Vec<f32> =
                        chosen.chunks(row_len).flat_map(|row| &row[columns.clone()]).copied().collect();
                    matrix.pack(first_output + row, &cut);
                }
            }
            Destination::Values { values: stored, elements } => {
                if let Some((chosen, element)) = overlap(first_row * row_len, 1, values, &elements) {
                    stored[element..element + chosen.len()].copy_from_slice(chosen);
                }
            }
            Destination::Table { table, rows } => {
                if let Some((chosen, row)) = overlap(first_row, row_len, values, &rows) {
                    table.set(row, chosen);
                }
            }
        }
    }

    /// As [`Destination::write`] for quantized rows; see [`Destination::takes_quantized`].
    pub fn write_quantized(self, first_row: usize, row_len: usize, scales: &[f32], quantized: &[i8]) {
        let (Destination::Matrix { rows, .. } | Destination::Table { rows, .. }) = &self else { return };
        let (Some((quantized, row)), Some((scales, _))) =
            (overlap(first_row, row_len, quantized, rows), overlap(first_row, 1, scales, rows))
        else {
            return;
        };
        match self {
            Destination::Matrix { matrix, first_output, columns, .. } => {
                let outputs = first_output + row..;
                for ((output, scale), quantized) in outputs.zip(scales).zip(quantized.chunks_exact(row_len)) {
                    matrix.pack_quantized_row(output, *scale, &quantized[columns.clone()]);
                }
            }
            Destination::Table { table, .. } => table.set_quantized(row, scales, quantized),
            Destination::Values { .. } | Destination::Elsewhere(_) => {}
        }
    }
}

/// Rows in 8 bits, with one scale per row.
pub(crate) struct QuantizedRows {
    pub scales: Vec<f32>,
    pub quantized: Vec<i8>,
}

impl QuantizedRows {
    pub fn new(values: &[f32], row_len: usize) -> QuantizedRows {
        let (mut scales, mut quantized) = (vec![0.0; values.len() / row_len], vec![0; values.len()]);
        siglip_kernels::quantize_rows(values, row_len, &mut scales, &mut quantized);
        QuantizedRows { scales, quantized }
    }
}

/// `values` are rows from `first` on. Returns those that lie in `wanted`, and where in `wanted` they start.
fn overlap<'v, T>(
    first: usize,
    row_len: usize,
    values: &'v [T],
    wanted: &Range<usize>,
) -> Option<(&'v [T], usize)> {
    let start = first.max(wanted.start);
    let end = (first + values.len() / row_len).min(wanted.end);
    (start < end).then(|| (&values[(start - first) * row_len..(end - first) * row_len], start - wanted.start))
}

/// The place of a tensor that is stored whole, in f32.
pub(crate) fn whole_values(values: &mut [f32]) -> Destination<'_> {
    let elements = 0..values.len();
    Destination::Values { values, elements }
}
