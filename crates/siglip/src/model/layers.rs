//! Layers and the places their weights arrive at.

use std::ops::Range;

use siglip_kernels::{Epilogue, PackedMatrix, Precision, Scratch};

/// Where the rows of a tensor go.
pub(crate) enum Destination<'m> {
    /// These rows and columns of it are outputs `first_output..` of a matrix.
    Matrix { matrix: &'m mut PackedMatrix, first_output: usize, rows: Range<usize>, columns: Range<usize> },
    /// These of its elements, as they are.
    Values { values: &'m mut [f32], elements: Range<usize> },
    /// These of its rows, into a table of tokens.
    Table { table: &'m mut super::token_table::TokenTable, rows: Range<usize> },
    /// Another worker's.
    Nowhere,
}

impl Destination<'_> {
    /// How the rows are kept.
    pub fn precision(&self) -> Precision {
        match self {
            Destination::Matrix { matrix, .. } => matrix.precision(),
            Destination::Table { table, .. } => table.precision(),
            Destination::Values { .. } | Destination::Nowhere => Precision::F32,
        }
    }

    /// Whether [`Destination::write_levels`] may be called.
    pub fn takes_levels(&self) -> bool {
        matches!(self, Destination::Nowhere) || self.precision() == Precision::Q8
    }

    /// Stores the part that belongs here of whole rows from `first_row` on.
    pub fn write(self, first_row: usize, row_len: usize, values: &[f32]) {
        match self {
            // Whole rows are quantised, not the columns kept here: so every division of the work has the same weights.
            _ if self.precision() == Precision::Q8 => {
                let QuantisedRows { scales, levels } = QuantisedRows::new(values, row_len);
                self.write_levels(first_row, row_len, &scales, &levels);
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
            Destination::Values { values: kept, elements } => {
                if let Some((chosen, element)) = overlap(first_row * row_len, 1, values, &elements) {
                    kept[element..element + chosen.len()].copy_from_slice(chosen);
                }
            }
            Destination::Table { table, rows } => {
                if let Some((chosen, row)) = overlap(first_row, row_len, values, &rows) {
                    table.set(row, chosen);
                }
            }
            Destination::Nowhere => {}
        }
    }

    /// The same for rows that are quantised already; see [`Destination::takes_levels`].
    pub fn write_levels(self, first_row: usize, row_len: usize, scales: &[f32], levels: &[i8]) {
        let (Destination::Matrix { rows, .. } | Destination::Table { rows, .. }) = &self else { return };
        let (Some((levels, row)), Some((scales, _))) =
            (overlap(first_row, row_len, levels, rows), overlap(first_row, 1, scales, rows))
        else {
            return;
        };
        match self {
            Destination::Matrix { matrix, first_output, columns, .. } => {
                let outputs = first_output + row..;
                for ((output, scale), levels) in outputs.zip(scales).zip(levels.chunks_exact(row_len)) {
                    matrix.pack_quantized_row(output, *scale, &levels[columns.clone()]);
                }
            }
            Destination::Table { table, .. } => table.set_levels(row, scales, levels),
            Destination::Values { .. } | Destination::Nowhere => {}
        }
    }
}

/// Rows in 8 bits with a scale each.
pub(crate) struct QuantisedRows {
    pub scales: Vec<f32>,
    pub levels: Vec<i8>,
}

impl QuantisedRows {
    pub fn new(values: &[f32], row_len: usize) -> QuantisedRows {
        let (mut scales, mut levels) = (vec![0.0; values.len() / row_len], vec![0; values.len()]);
        siglip_kernels::quantize_rows(values, row_len, &mut scales, &mut levels);
        QuantisedRows { scales, levels }
    }
}

/// Those of `values`, rows from `first` on, that lie in `wanted`, and how far into `wanted` they start.
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

/// y = x Wᵀ + b.
#[derive(Debug)]
pub(crate) struct Linear {
    pub weight: PackedMatrix,
    pub bias: Vec<f32>,
    /// Length of a whole x, of which `weight` has a part where other workers have the others.
    whole_inputs: usize,
}

impl Linear {
    pub fn new(precision: Precision, inputs: usize, outputs: usize) -> Self {
        Linear::part(precision, inputs, inputs, outputs)
    }

    /// One that takes `inputs` of an x of `whole_inputs`.
    pub fn part(precision: Precision, inputs: usize, whole_inputs: usize, outputs: usize) -> Self {
        let (weight, bias) = (PackedMatrix::new(precision, inputs, outputs), vec![0.0; outputs]);
        Linear { weight, bias, whole_inputs }
    }

    /// The place of `weight` or `bias`: its `rows` become outputs `first_output..`, of its inputs it keeps `columns`.
    pub fn destination(
        &mut self,
        kind: &str,
        first_output: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Option<Destination<'_>> {
        match kind {
            "weight" => Some(Destination::Matrix { matrix: &mut self.weight, first_output, rows, columns }),
            "bias" => {
                let values = &mut self.bias[first_output..first_output + rows.len()];
                Some(Destination::Values { values, elements: rows })
            }
            _ => None,
        }
    }

    /// The place of a tensor that is kept whole.
    pub fn whole(&mut self, kind: &str) -> Option<Destination<'_>> {
        let (rows, columns) = (0..self.weight.outputs(), 0..self.weight.inputs());
        self.destination(kind, 0, rows, columns)
    }

    /// `out` = x Wᵀ + b for `rows` rows of `x`.
    pub fn forward(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::Bias(&self.bias), out, scratch);
    }

    /// `out` = x Wᵀ.
    pub fn forward_without_bias(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::None, out, scratch);
    }

    /// `out` = GELU(x Wᵀ + b).
    pub fn forward_gelu(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::BiasGelu(&self.bias), out, scratch);
    }

    /// `out` += x Wᵀ + b.
    pub fn forward_add(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        siglip_kernels::linear(x, rows, &self.weight, Epilogue::Residual(&self.bias), out, scratch);
    }

    /// `sums` = this part of x Wᵀ in levels, where `magnitudes` are those of the whole x.
    pub fn sums(&self, x: &[f32], magnitudes: &[f32], sums: &mut [i32], scratch: &mut Scratch) {
        siglip_kernels::linear_sums(x, magnitudes, self.whole_inputs, &self.weight, sums, scratch);
    }

    /// `out` += x Wᵀ + b of the sum of all parts.
    pub fn add_sums(&self, sums: &[i32], magnitudes: &[f32], out: &mut [f32]) {
        let epilogue = Epilogue::Residual(&self.bias);
        siglip_kernels::finish_sums(sums, magnitudes, self.whole_inputs, &self.weight, epilogue, out);
    }

    pub fn bytes(&self) -> usize {
        self.weight.bytes() + size_of_val(&self.bias[..])
    }
}

/// Layer normalisation with its gain and shift.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub fn new(width: usize, eps: f32) -> Self {
        LayerNorm { weight: vec![1.0; width], bias: vec![0.0; width], eps }
    }

    pub fn destination(&mut self, kind: &str) -> Option<Destination<'_>> {
        let values = match kind {
            "weight" => &mut self.weight,
            "bias" => &mut self.bias,
            _ => return None,
        };
        Some(whole_values(values))
    }

    pub fn width(&self) -> usize {
        self.weight.len()
    }

    /// `out` = the rows of `x`, each normalised.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        siglip_kernels::layer_norm(x, &self.weight, &self.bias, self.eps, out);
    }

    pub fn bytes(&self) -> usize {
        2 * size_of_val(&self.weight[..])
    }
}

/// The place of a tensor kept as it is.
pub(crate) fn whole_values(values: &mut [f32]) -> Destination<'_> {
    let elements = 0..values.len();
    Destination::Values { values, elements }
}
