//! Matrices that MLX has quantized in 8 bits: weight = scale · code + bias, with a scale and a bias for each group of a row.
//!
//! `mlx.core.quantize` makes three tensors of `Y.weight`: the codes under the same name as U32, four to a number with the lowest
//! bits first, `Y.scales` and `Y.biases`. mlx writes a file's tensors in the order of a hash table. So codes that come before their
//! scales wait for them in memory.

use std::collections::HashMap;

use super::{Dtype, TensorShape, TensorSink, bad};
use crate::Error;

/// Codes in a number of 32 bits.
const PACKED: usize = 4;
/// Codes that are turned into numbers at a time, at least one row.
const BATCH: usize = 1 << 16;

/// What a stored tensor is of a quantized matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Codes,
    Scales,
    Biases,
}

/// A stored tensor of a quantized matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub role: Role,
    /// Groups of a row.
    pub groups: usize,
    /// The matrix.
    pub matrix: TensorShape,
}

/// The name of the matrix whose scales or biases these are, if it is quantized.
pub(super) fn matrix(name: &str) -> Option<String> {
    let owner = name.strip_suffix(".scales").or(name.strip_suffix(".biases"))?;
    Some(format!("{owner}.weight"))
}

/// The parts of every quantized matrix of a file, by their names. `tensors` are the names, types and shapes in its header.
///
/// # Errors
/// [`Error::BadWeights`] for integers that have no scales and biases, or have other than 8 bits.
pub(super) fn parts<'t>(
    tensors: impl Iterator<Item = (&'t str, &'t str, &'t [usize])> + Clone,
) -> Result<HashMap<String, Part>, Error> {
    let mut parts = HashMap::new();
    if !tensors.clone().any(|(_, dtype, _)| dtype == "U32") {
        return Ok(parts);
    }
    let by_name: HashMap<_, _> = tensors.clone().map(|(name, dtype, shape)| (name, (dtype, shape))).collect();
    for (name, _, shape) in tensors.filter(|(_, dtype, _)| *dtype == "U32") {
        let owner = name.strip_suffix(".weight").unwrap_or(name);
        let beside = |what: &str| {
            let found = by_name.get(format!("{owner}.{what}").as_str());
            found.filter(|(dtype, _)| Dtype::from_name(dtype).is_some()).map(|(_, shape)| *shape)
        };
        let (Some([rows, groups]), Some(biases), &[outputs, numbers]) =
            (beside("scales"), beside("biases"), shape)
        else {
            return Err(bad(format!(
                "tensor {name:?} is stored as U32, without the scales and biases that MLX stores beside it"
            )));
        };
        // Queries have the width of what they are computed of.
        if owner.ends_with(".q_proj") && numbers.checked_mul(PACKED) != Some(outputs) && outputs > 0 {
            let bits = numbers.saturating_mul(32) / outputs;
            return Err(bad(format!(
                "tensor {name:?} is quantized in {bits} bits by MLX; 8 bits can be read"
            )));
        }
        let inputs = numbers
            .checked_mul(PACKED)
            .filter(|&inputs| inputs > 0 && *groups > 0 && inputs.is_multiple_of(*groups));
        let (Some(inputs), true) = (inputs, *rows == outputs && biases == [*rows, *groups]) else {
            return Err(bad(format!(
                "tensor {name:?}: codes {shape:?} do not fit scales {:?}",
                [rows, groups]
            )));
        };
        let matrix = TensorShape { name: name.into(), shape: vec![outputs, inputs] };
        for (name, role) in [
            (name.to_string(), Role::Codes),
            (format!("{owner}.scales"), Role::Scales),
            (format!("{owner}.biases"), Role::Biases),
        ] {
            parts.insert(name, Part { role, groups: *groups, matrix: matrix.clone() });
        }
    }
    Ok(parts)
}

/// Parts of matrices of which others have not arrived.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    matrices: HashMap<String, Arrived>,
    /// Where in the file the first of them begins.
    since: Option<u64>,
}

#[derive(Debug, Default)]
struct Arrived {
    codes: Vec<u8>,
    scales: Vec<f32>,
    biases: Vec<f32>,
    /// Rows that were passed on.
    rows: usize,
}

impl Waiting {
    /// Where in the file the first part begins that waits for another.
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    /// Takes bytes of a part that begins at `start` in the file; `values` are those of a scale or bias.
    ///
    /// # Errors
    /// Any error of `sink`.
    pub fn take(
        &mut self,
        Part { role, groups, matrix }: &Part,
        start: u64,
        bytes: &[u8],
        values: &[f32],
        sink: &mut dyn TensorSink,
    ) -> Result<(), Error> {
        self.since.get_or_insert(start);
        let arrived = self.matrices.entry(matrix.name.clone()).or_default();
        match role {
            Role::Codes => arrived.codes.extend_from_slice(bytes),
            Role::Scales => arrived.scales.extend_from_slice(values),
            Role::Biases => arrived.biases.extend_from_slice(values),
        }
        let whole = matrix.rows() * groups;
        if arrived.scales.len() == whole && arrived.biases.len() == whole {
            arrived.pass(matrix, *groups, sink)?;
        }
        if arrived.rows == matrix.rows() {
            self.matrices.remove(&matrix.name);
        }
        if self.matrices.is_empty() {
            self.since = None;
        }
        Ok(())
    }
}

impl Arrived {
    /// Passes on the rows whose codes are there, now that all scales and biases are.
    fn pass(&mut self, matrix: &TensorShape, groups: usize, sink: &mut dyn TensorSink) -> Result<(), Error> {
        let row_len = matrix.row_len();
        let group = row_len / groups;
        let mut values = Vec::new();
        let codes = std::mem::take(&mut self.codes);
        for batch in codes.chunks((BATCH / row_len).max(1) * row_len) {
            let first = self.rows * groups;
            let steps = self.scales[first..].iter().zip(&self.biases[first..]);
            values.clear();
            for (codes, (scale, bias)) in batch.chunks_exact(group).zip(steps) {
                values.extend(codes.iter().map(|&code| scale * f32::from(code) + bias));
            }
            sink.rows(matrix, self.rows, &values)?;
            self.rows += batch.len() / row_len;
        }
        Ok(())
    }
}
