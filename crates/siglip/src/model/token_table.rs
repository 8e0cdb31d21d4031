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

    pub fn precision(&self) -> Precision {
        match self {
            TokenTable::F32 { .. } => Precision::F32,
            TokenTable::Q8 { .. } => Precision::Q8,
        }
    }

    /// Stores `source`, whole rows, from row `first_row` on; a table of 8 bits takes [`TokenTable::set_levels`] alone.
    pub fn set(&mut self, first_row: usize, source: &[f32]) {
        if let TokenTable::F32 { width, values } = self {
            values[first_row * *width..][..source.len()].copy_from_slice(source);
        }
    }

    /// Stores quantised rows from row `first_row` on; a table of f32 takes [`TokenTable::set`] alone.
    pub fn set_levels(&mut self, first_row: usize, new_scales: &[f32], new_levels: &[i8]) {
        if let TokenTable::Q8 { width, levels, scales } = self {
            scales[first_row..][..new_scales.len()].copy_from_slice(new_scales);
            levels[first_row * *width..][..new_levels.len()].copy_from_slice(new_levels);
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
