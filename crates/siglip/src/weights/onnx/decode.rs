//! From an initializer's bytes to rows of a tensor.

use std::borrow::Cow;

use super::super::{TensorSink, bad};
use super::four_bits::FourBits;
use super::tensor::{DataType, Initializer, floats};
use super::weight::{Codes, Part, Place, Storage, Weight};
use crate::Error;

/// f32 values of one batch of rows: large enough to amortise the call of the sink, small beside a tensor.
const BATCH: usize = 1 << 16;
/// The largest level that the 8-bit kernels take; the smallest is its negative.
const MAX_LEVEL: i16 = 127;

/// Side of the tiles in which a matrix is transposed.
const TILE: usize = 16;

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
        self.place.tensor.row_len() * self.element_bytes()
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
        if let Numbers::FourBits { codes, inputs, block, scales, zero_points } = &self.numbers {
            let (inputs, block) = (*inputs, *block);
            let matrix = FourBits { codes, inputs, block, packed: bytes, scales, zero_points };
            let mut values = Vec::with_capacity(rows * row_len);
            (first..first + rows).for_each(|row| matrix.decode(row, &mut values));
            return sink.rows(tensor, to, &values);
        }
        let size = self.element_bytes();
        let row_major = if *transposed {
            Cow::Owned(match size {
                1 => columns::<1>(bytes, stored, at, rows),
                2 => columns::<2>(bytes, stored, at, rows),
                _ => columns::<4>(bytes, stored, at, rows),
            })
        } else {
            Cow::Borrowed(&bytes[at * row_len * size..][..rows * row_len * size])
        };
        if let Numbers::Floats(dtype) = &self.numbers {
            let mut values = Vec::with_capacity(rows * row_len);
            dtype.widen(&row_major, &mut values);
            if self.takes_logarithm {
                values.iter_mut().for_each(|value| *value = value.ln());
            }
            return sink.rows(tensor, to, &values);
        }
        self.pass_levels(&row_major, first, rows, sink)
    }

    /// Passes rows that fit 8 bits as they are, and the others, which a wide range of unsigned levels may have, as floats.
    fn pass_levels(
        &self,
        bytes: &[u8],
        first: usize,
        rows: usize,
        sink: &mut dyn TensorSink,
    ) -> Result<(), Error> {
        let Numbers::Levels { is_signed, scales, zero_points } = &self.numbers else { return Ok(()) };
        let Place { tensor, first_row, .. } = &self.place;
        let row_len = tensor.row_len();
        let at = |len: usize, row: usize| if len == 1 { 0 } else { first + row };
        let zero_point = |row: usize| zero_points[at(zero_points.len(), row)];
        let scales: Vec<f32> = (0..rows).map(|row| scales[at(scales.len(), row)]).collect();
        let row_of = |row: usize| &bytes[row * row_len..][..row_len];
        let fits = |row: usize| {
            let (low, high) = range(*is_signed, row_of(row));
            low - zero_point(row) >= -MAX_LEVEL && high - zero_point(row) <= MAX_LEVEL
        };
        let fits: Vec<bool> = (0..rows).map(fits).collect();
        let mut start = 0;
        while start < rows {
            let end = (start..rows).find(|&row| fits[row] != fits[start]).unwrap_or(rows);
            let to = first_row + first + start;
            if fits[start] {
                let mut quantized = Vec::with_capacity((end - start) * row_len);
                for row in start..end {
                    let zero_point = zero_point(row) as u8;
                    quantized.extend(row_of(row).iter().map(|&byte| byte.wrapping_sub(zero_point) as i8));
                }
                sink.quantized_rows(tensor, to, &scales[start..end], &quantized)?;
            } else {
                let mut values = Vec::with_capacity((end - start) * row_len);
                for (row, scale) in (start..end).zip(&scales[start..end]) {
                    let zero_point = zero_point(row);
                    let value = |&byte: &u8| f32::from(level(*is_signed, byte) - zero_point) * scale;
                    values.extend(row_of(row).iter().map(value));
                }
                sink.rows(tensor, to, &values)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Bytes of a number that is not stored in 4 bits.
    fn element_bytes(&self) -> usize {
        match &self.numbers {
            Numbers::Floats(dtype) => dtype.size(),
            Numbers::Levels { .. } | Numbers::FourBits { .. } => 1,
        }
    }
}

/// Columns `at..at + rows` of a matrix with `stored` columns of elements of `SIZE` bytes, as rows.
fn columns<const SIZE: usize>(bytes: &[u8], stored: usize, at: usize, rows: usize) -> Vec<u8> {
    let elements = bytes.as_chunks::<SIZE>().0;
    let row_len = elements.len() / stored;
    let mut out = vec![[0; SIZE]; rows * row_len];
    // In tiles, which stay in the nearest cache.
    for first in (0..row_len).step_by(TILE) {
        let width = TILE.min(row_len - first);
        for top in (0..rows).step_by(TILE) {
            let height = TILE.min(rows - top);
            let mut tile = [[[0; SIZE]; TILE]; TILE];
            for (column, line) in (first..first + width).zip(&mut tile) {
                line[..height].copy_from_slice(&elements[column * stored + at + top..][..height]);
            }
            for row in 0..height {
                let out = &mut out[(top + row) * row_len + first..][..width];
                out.iter_mut().zip(&tile).for_each(|(out, line)| *out = line[row]);
            }
        }
    }
    out.into_flattened()
}

/// The smallest and the largest level.
fn range(is_signed: bool, bytes: &[u8]) -> (i16, i16) {
    // The order of signed bytes is that of unsigned ones with the sign bit turned.
    let turn = if is_signed { 128 } else { 0 };
    let (low, high) = bytes
        .iter()
        .fold((255, 0), |(low, high): (u8, u8), &byte| (low.min(byte ^ turn), high.max(byte ^ turn)));
    (level(is_signed, low ^ turn), level(is_signed, high ^ turn))
}

fn level(is_signed: bool, byte: u8) -> i16 {
    if is_signed { i16::from(byte as i8) } else { i16::from(byte) }
}
