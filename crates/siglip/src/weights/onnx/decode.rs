//! From an initializer's bytes to rows of a tensor.

use super::super::{TensorSink, bad};
use super::four_bits::FourBits;
use super::tensor::{DataType, Initializer, float_at, floats};
use super::weight::{Codes, Part, Place, Storage, Weight};
use crate::Error;

/// f32 values of one batch of rows: large enough to amortise the call of the sink, small beside a tensor.
const BATCH: usize = 1 << 16;
/// The largest level that the 8-bit kernels take; the smallest is its negative.
const MAX_LEVEL: i16 = 127;

/// A weight, ready to be decoded: everything that it depends on has arrived.
#[derive(Debug)]
pub struct Decoder {
    pub place: Place,
    numbers: Numbers,
    /// Whether the tensor holds the logarithm of the stored number.
    takes_logarithm: bool,
}

#[derive(Debug)]
enum Numbers {
    Floats(super::super::Dtype),
    Levels { is_signed: bool, scales: Vec<f32>, zero_points: Vec<i16> },
    FourBits { codes: Codes, inputs: usize, block: usize, scales: Vec<f32>, zero_points: Vec<u8> },
}

impl Decoder {
    /// A decoder of `weight` in `initializer`. `companion` finds an initializer that has arrived before, by its name.
    ///
    /// # Errors
    /// [`Error::BadWeights`] for dimensions and types that do not fit together.
    pub fn new<'c>(
        weight: &Weight,
        initializer: &Initializer,
        companion: impl Fn(&str) -> Option<&'c (Initializer, Vec<u8>)>,
    ) -> Result<Decoder, Error> {
        let wrong = |reason: &str| bad(format!("ONNX: tensor {:?}: {reason}", weight.tensor));
        let place = weight.place(&initializer.dims)?;
        let found = |name: &String| companion(name).ok_or_else(|| wrong("its scale is missing"));
        let scales = |name: &String| -> Result<Vec<f32>, Error> {
            let (scale, bytes) = found(name)?;
            let scales = floats(scale.data_type, bytes);
            let is_scale = |scale: &f32| scale.is_finite();
            if scale.data_type.float().is_none() || !scales.iter().all(is_scale) {
                return Err(wrong("a scale is not a finite number"));
            }
            Ok(scales)
        };
        let numbers = match &weight.storage {
            Storage::Numbers => Numbers::Floats(initializer.data_type.float().ok_or_else(|| {
                wrong(&format!("it is stored as {}, without a scale", initializer.data_type.name()))
            })?),
            Storage::Levels { scale, zero_point } => {
                let is_signed = match initializer.data_type {
                    DataType::U8 => false,
                    DataType::I8 => true,
                    other => return Err(wrong(&format!("levels stored as {}", other.name()))),
                };
                let per_row = |len: usize| len == 1 || len == place.rows;
                let scales = scales(scale)?;
                let zero_points = match zero_point {
                    None => vec![0],
                    Some(name) => {
                        let (zero_point, bytes) = found(name)?;
                        if zero_point.data_type != initializer.data_type {
                            return Err(wrong("its zero point is of another type"));
                        }
                        bytes.iter().map(|&byte| level(is_signed, byte)).collect()
                    }
                };
                if !per_row(scales.len()) || !per_row(zero_points.len()) {
                    let (scales, rows) = (scales.len(), place.rows);
                    return Err(wrong(&format!("{scales} scales for {rows} rows")));
                }
                Numbers::Levels { is_signed, scales, zero_points }
            }
            Storage::FourBits { codes, scales: name, inputs, outputs, block } => {
                let (inputs, outputs, block) = (*inputs, *outputs, *block);
                let scales = scales(name)?;
                let zero_points = match codes {
                    Codes::Levels { zero_points: Some(name) } => {
                        let (zero_points, bytes) = found(name)?;
                        if zero_points.data_type != DataType::U8 {
                            return Err(wrong("its zero points are not whole numbers"));
                        }
                        bytes.clone()
                    }
                    _ => Vec::new(),
                };
                let lengths = FourBits::lengths(codes, inputs, outputs, block);
                let packed = initializer.bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
                let found = [packed, scales.len(), zero_points.len()];
                if initializer.data_type != DataType::U8 || lengths != Some(found) {
                    return Err(wrong(&format!("{outputs} rows of {inputs} are not stored as {found:?}")));
                }
                Numbers::FourBits { codes: codes.clone(), inputs, block, scales, zero_points }
            }
        };
        Ok(Decoder { place, numbers, takes_logarithm: weight.part == Part::Exponential })
    }

    /// Bytes of a row, of a weight whose rows lie one after another.
    pub fn row_bytes(&self) -> usize {
        let size = match &self.numbers {
            Numbers::Floats(dtype) => dtype.size(),
            Numbers::Levels { .. } | Numbers::FourBits { .. } => 1,
        };
        self.place.tensor.row_len() * size
    }

    /// Rows of a batch.
    pub fn batch(&self) -> usize {
        (BATCH / self.place.tensor.row_len().max(1)).max(1)
    }

    /// Passes all rows to the sink.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn decode(&self, bytes: &[u8], sink: &mut dyn TensorSink) -> Result<(), Error> {
        for first in (0..self.place.rows).step_by(self.batch()) {
            let rows = self.batch().min(self.place.rows - first);
            self.decode_rows(bytes, self.place.rows, first, first, rows, sink)?;
        }
        Ok(())
    }

    /// Passes rows `first..first + rows` to the sink, of which `bytes` holds just these: they lie one after another.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn decode_batch(
        &self,
        bytes: &[u8],
        first: usize,
        rows: usize,
        sink: &mut dyn TensorSink,
    ) -> Result<(), Error> {
        self.decode_rows(bytes, rows, 0, first, rows, sink)
    }

    /// `bytes` holds `stored` rows, of which those from `at` on are rows `first..first + rows` of the initializer.
    fn decode_rows(
        &self,
        bytes: &[u8],
        stored: usize,
        at: usize,
        first: usize,
        rows: usize,
        sink: &mut dyn TensorSink,
    ) -> Result<(), Error> {
        let Place { tensor, first_row, transposed, .. } = &self.place;
        let (row_len, to) = (tensor.row_len(), first_row + first);
        // The element of row `row`, column `column`.
        let element = |row: usize, column: usize| match transposed {
            true => column * stored + at + row,
            false => (at + row) * row_len + column,
        };
        match &self.numbers {
            Numbers::Floats(dtype) => {
                let mut values = vec![0.0; rows * row_len];
                for_each(rows, row_len, *transposed, |row, column| {
                    values[row * row_len + column] = float_at(*dtype, bytes, element(row, column));
                });
                if self.takes_logarithm {
                    values.iter_mut().for_each(|value| *value = value.ln());
                }
                sink.rows(tensor, to, &values)
            }
            Numbers::FourBits { codes, inputs, block, scales, zero_points } => {
                let (inputs, block) = (*inputs, *block);
                let matrix = FourBits { codes, inputs, block, packed: bytes, scales, zero_points };
                let mut values = Vec::with_capacity(rows * row_len);
                (first..first + rows).for_each(|row| matrix.decode(row, &mut values));
                sink.rows(tensor, to, &values)
            }
            Numbers::Levels { is_signed, scales, zero_points } => {
                let of_row = |row: usize| {
                    let at = |len: usize| if len == 1 { 0 } else { first + row };
                    (scales[at(scales.len())], zero_points[at(zero_points.len())])
                };
                let mut levels = vec![0i16; rows * row_len];
                for_each(rows, row_len, *transposed, |row, column| {
                    levels[row * row_len + column] = level(*is_signed, bytes[element(row, column)]);
                });
                let scales: Vec<f32> = (0..rows).map(|row| of_row(row).0).collect();
                for (row, levels) in levels.chunks_exact_mut(row_len).enumerate() {
                    let (_, zero_point) = of_row(row);
                    levels.iter_mut().for_each(|level| *level -= zero_point);
                }
                pass_levels(tensor, to, &scales, &levels, sink)
            }
        }
    }
}

/// Calls `each` with every row and column, in the order of the elements.
#[inline]
fn for_each(rows: usize, row_len: usize, transposed: bool, mut each: impl FnMut(usize, usize)) {
    if transposed {
        (0..row_len).for_each(|column| (0..rows).for_each(|row| each(row, column)));
    } else {
        (0..rows).for_each(|row| (0..row_len).for_each(|column| each(row, column)));
    }
}

/// Passes rows that fit 8 bits as they are, and the others, which a wide range of unsigned levels may have, as floats.
fn pass_levels(
    tensor: &super::super::TensorShape,
    first_row: usize,
    scales: &[f32],
    levels: &[i16],
    sink: &mut dyn TensorSink,
) -> Result<(), Error> {
    let row_len = tensor.row_len();
    let fits = |row: usize| levels[row * row_len..][..row_len].iter().all(|level| level.abs() <= MAX_LEVEL);
    let mut start = 0;
    while start < scales.len() {
        let exact = fits(start);
        let end = (start..scales.len()).find(|&row| fits(row) != exact).unwrap_or(scales.len());
        let (scales, levels) = (&scales[start..end], &levels[start * row_len..end * row_len]);
        if exact {
            let quantized: Vec<i8> = levels.iter().map(|&level| level as i8).collect();
            sink.quantized_rows(tensor, first_row + start, scales, &quantized)?;
        } else {
            let rows = levels.chunks_exact(row_len).zip(scales);
            let values: Vec<f32> = rows
                .flat_map(|(row, scale)| row.iter().map(move |&level| f32::from(level) * scale))
                .collect();
            sink.rows(tensor, first_row + start, &values)?;
        }
        start = end;
    }
    Ok(())
}

fn level(is_signed: bool, byte: u8) -> i16 {
    if is_signed { i16::from(byte as i8) } else { i16::from(byte) }
}
