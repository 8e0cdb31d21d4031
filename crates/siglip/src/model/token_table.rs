use siglip_kernels::Precision;

/// The token embeddings, from which rows are gathered: 8 bits and a scale a row, or f32.
#[derive(Debug)]
pub(crate) enum TokenTable {
    F32 { width: usize, values: Vec<f32> },
    Q8 { width: usize, levels: Vec<i8>, scales: Vec<f32> },
}

impl TokenTable {
    pub fn new(precision: Precision, rows: usize, width: usize) -> Self {
        match precision {
            Precision::F32 => TokenTable::F32 { width, values: vec![0.0; rows * width] },
            Precision::Q8 => TokenTable::Q8 { width, levels: vec![0; rows * width], scales: vec![0.0; rows] },
        }
    }

    /// Stores `source`, whole rows, from row `first_row` on.
    pub fn set(&mut self, first_row: usize, source: &[f32]) {
        match self {
            TokenTable::F32 { width, values } => {
                values[first_row * *width..][..source.len()].copy_from_slice(source);
            }
            TokenTable::Q8 { width, levels, scales } => {
                for (row, source) in (first_row..).zip(source.chunks_exact(*width)) {
                    let largest = source.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                    scales[row] = largest / 127.0;
                    for (level, value) in levels[row * *width..].iter_mut().zip(source) {
                        *level = (value * inverse).round_ties_even() as i8;
                    }
                }
            }
        }
    }

    /// Adds row `row` to `out`.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        match self {
            TokenTable::F32 { width, values } => {
                out.iter_mut().zip(&values[row * width..][..*width]).for_each(|(out, value)| *out += value);
            }
            TokenTable::Q8 { width, levels, scales } => {
                let levels = &levels[row * width..][..*width];
                out.iter_mut().zip(levels).for_each(|(out, &level)| *out += f32::from(level) * scales[row]);
            }
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            TokenTable::F32 { values, .. } => size_of_val(&values[..]),
            TokenTable::Q8 { levels, scales, .. } => levels.len() + size_of_val(&scales[..]),
        }
    }
}
