//! Writes a checkpoint as a GGUF.

use std::collections::HashMap;

use half::f16;

use super::super::encoding::{Encoding, SCALE, encode_rows};
use super::super::ggml_quants::encode_q8_0;
use super::super::{Dtype, TensorShape, bad, k_quants, tensors};
use super::metadata::{ARCHITECTURE, CONFIG, LABELS, PREPROCESSOR, TOKENIZER};
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, STRING, U32};
use crate::{CheckpointFiles, Config, Error};

const VERSION: u32 = 3;
/// Importance of an input that is always zero, where the mean of all is 1.
const LEAST_IMPORTANCE: f32 = 0.01;
const IMAGE_POSITIONS: &str = "vision_model.embeddings.position_embedding.weight";

/// How a written GGUF stores matrices. The other tensors are small and stay in f32: biases, norms, positions, the probe,
/// the patch embedding and a classifier's last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// ggml blocks of 32 numbers of 8 bits; half precision for rows that are not whole blocks.
    Q8_0,
    /// ggml blocks of 256 numbers of 6 bits; [`MatrixType::Q8_0`] for rows that are not whole blocks.
    Q6K,
    /// The same with 5 bits. The token table has 6, as llama.cpp's mixtures do: a text tower bears fewer badly.
    Q5K,
    /// The same with 4 bits. The token table has 6.
    Q4K,
    /// 8 bits with one scale per row, as the engine computes with at [`Precision::Q8`](crate::Precision::Q8): the fewest bytes,
    /// and nothing is quantized a second time there. Other programs see plain integers.
    Q8,
}

impl MatrixType {
    /// ggml's `general.file_type`.
    fn file_type(self) -> u32 {
        match self {
            MatrixType::F32 => 0,
            MatrixType::F16 => 1,
            // There is no number for rows; this one says 8 bits.
            MatrixType::Q8_0 | MatrixType::Q8 => 7,
            MatrixType::Q4K => 14,
            MatrixType::Q5K => 16,
            MatrixType::Q6K => 18,
        }
    }

    fn encoding(self, tensor: &TensorShape) -> Encoding {
        let is_matrix = tensor.shape.len() == 2
            && !tensor.name.ends_with("position_embedding.weight")
            && !tensor.name.ends_with("patch_embedding.weight")
            && tensor.name != "classifier.weight";
        let is_token_table = tensor.name.ends_with("token_embedding.weight");
        let is_whole = |encoding: Encoding| tensor.row_len().is_multiple_of(encoding.block_len());
        match self {
            // After the matrices the largest tensor; half precision is far more than 8 bits.
            MatrixType::Q8 if tensor.name == IMAGE_POSITIONS => Encoding::F16,
            _ if !is_matrix => Encoding::F32,
            MatrixType::F32 => Encoding::F32,
            MatrixType::Q8 => Encoding::Rows { row_len: tensor.row_len() },
            MatrixType::F16 => Encoding::F16,
            MatrixType::Q5K if !is_token_table && is_whole(Encoding::Q5K) => Encoding::Q5K,
            MatrixType::Q4K if !is_token_table && is_whole(Encoding::Q4K) => Encoding::Q4K,
            MatrixType::Q6K | MatrixType::Q5K | MatrixType::Q4K if is_whole(Encoding::Q6K) => Encoding::Q6K,
            _ if is_whole(Encoding::Q8_0) => Encoding::Q8_0,
            _ => Encoding::F16,
        }
    }
}

/// The layout of a GGUF that is to be written: its header, and where each tensor's rows go. The rows may arrive in any
/// order. The bytes between two tensors are zeros.
#[derive(Debug)]
pub struct GgufWriter {
    header: Vec<u8>,
    places: HashMap<String, (Encoding, u64)>,
    total_bytes: u64,
    /// By the names of matrices, how much an error of each input counts.
    importance: HashMap<String, Vec<f32>>,
}

impl GgufWriter {
    /// Lays out the file of a checkpoint called `name`, or of a bundle: then the text tower is left out.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] if config.json describes a model that does not run here.
    pub fn new(files: &CheckpointFiles, name: &str, matrices: MatrixType) -> Result<GgufWriter, Error> {
        let mut tensors = tensors(&Config::from_json(&files.config)?);
        tensors.retain(|tensor| files.towers().need(&tensor.name));
        let mut pairs = vec![
            Pair::text("general.architecture", ARCHITECTURE),
            Pair::text("general.name", name),
            Pair::number("general.file_type", matrices.file_type()),
            Pair::number(ALIGNMENT_KEY, DEFAULT_ALIGNMENT),
            Pair::text(CONFIG, &files.config),
            Pair::text(PREPROCESSOR, &files.preprocessor),
        ];
        if files.towers().has_text() {
            pairs.push(Pair::text(TOKENIZER, &files.tokenizer));
        }
        pairs.extend(files.labels.iter().map(|labels| Pair::text(LABELS, labels)));
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((pairs.len() as u64).to_le_bytes());
        for pair in &pairs {
            pair.write(&mut header);
        }
        let mut offset = 0;
        let mut placed = Vec::new();
        for tensor in tensors {
            let encoding = matrices.encoding(&tensor);
            write_place(&mut header, &tensor, encoding, offset);
            placed.push((tensor.name.clone(), (encoding, offset)));
            let bytes = encoding.bytes(tensor.len() as u64).unwrap_or(u64::MAX);
            offset = offset.saturating_add(bytes).next_multiple_of(u64::from(DEFAULT_ALIGNMENT));
        }
        header.resize(header.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        let base = header.len() as u64;
        let places =
            placed.into_iter().map(|(name, (encoding, offset))| (name, (encoding, base + offset))).collect();
        Ok(GgufWriter { header, places, total_bytes: base + offset, importance: HashMap::new() })
    }

    /// Has the k-quants of matrices lose less of inputs that count more. `moments` are the mean squares of a matrix's inputs, by its
    /// name: see [`InputMoments`](crate::model::InputMoments).
    pub fn with_importance(mut self, moments: &HashMap<String, Vec<f32>>) -> GgufWriter {
        self.importance = moments.iter().map(|(name, moments)| (name.clone(), importance(moments))).collect();
        self
    }

    /// The file's first bytes.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The file's whole length.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Whether the file holds this tensor.
    pub fn holds(&self, tensor: &TensorShape) -> bool {
        self.places.contains_key(&tensor.name)
    }

    /// Rows of a tensor as they will be read back: rounded to its encoding.
    ///
    /// # Errors
    /// As [`GgufWriter::encode`].
    pub fn rounded(&self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<Vec<f32>, Error> {
        let mut bytes = Vec::new();
        self.encode(tensor, first_row, values, &mut bytes)?;
        Ok(self.decode(tensor, &bytes))
    }

    /// Rows that [`GgufWriter::encode`] has encoded, as they will be read back.
    pub fn decode(&self, tensor: &TensorShape, bytes: &[u8]) -> Vec<f32> {
        let mut values = Vec::new();
        if let Some((encoding, _)) = self.places.get(&tensor.name) {
            encoding.decode(bytes, &mut values);
        }
        values
    }

    /// Encodes rows of a tensor into `bytes`, which is cleared first. Returns their offset in the file.
    ///
    /// # Errors
    /// [`Error::BadWeights`] for a tensor of another model, or a number beyond the encoding's range.
    pub fn encode(
        &self,
        tensor: &TensorShape,
        first_row: usize,
        values: &[f32],
        bytes: &mut Vec<u8>,
    ) -> Result<u64, Error> {
        let name = &tensor.name;
        let Some(&(encoding, start)) = self.places.get(name) else {
            return Err(bad(format!("tensor {name:?} belongs to another model")));
        };
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        bytes.clear();
        let limit = match encoding {
            Encoding::Q8_0 => {
                encode_q8_0(values, bytes);
                127.0 * f16::MAX.to_f32()
            }
            // The scale of a block is the largest number's, or less.
            Encoding::Q6K | Encoding::Q5K | Encoding::Q4K => {
                let importance = self.importance.get(name).filter(|inputs| inputs.len() == tensor.row_len());
                let importance = importance.map(Vec::as_slice);
                match encoding {
                    Encoding::Q6K => k_quants::encode(values, importance, k_quants::q6_k, bytes),
                    Encoding::Q5K => k_quants::encode(values, importance, k_quants::q5_k, bytes),
                    _ => k_quants::encode(values, importance, k_quants::q4_k, bytes),
                }
                f16::MAX.to_f32()
            }
            Encoding::Rows { row_len } => {
                encode_rows(values, row_len, bytes);
                f32::MAX
            }
            Encoding::F16 => {
                Dtype::F16.narrow(values, bytes);
                f16::MAX.to_f32()
            }
            _ => {
                Dtype::F32.narrow(values, bytes);
                f32::MAX
            }
        };
        if largest > limit {
            let dtype = encoding.name();
            return Err(bad(format!(
                "tensor {name:?} holds {largest}, beyond the range of {dtype}; store it as f32"
            )));
        }
        let before = encoding.bytes((first_row * tensor.row_len()) as u64).unwrap_or(u64::MAX);
        Ok(start.saturating_add(before))
    }
}

/// Mean squares in multiples of their mean. An input that no picture has used still counts a little: others may use it.
fn importance(moments: &[f32]) -> Vec<f32> {
    let mean = moments.iter().sum::<f32>() / moments.len() as f32;
    if !(mean > 0.0 && mean.is_finite()) {
        return vec![1.0; moments.len()];
    }
    moments.iter().map(|moment| moment / mean + LEAST_IMPORTANCE).collect()
}

struct Pair<'p> {
    key: &'p str,
    kind: u32,
    value: Vec<u8>,
}

impl<'p> Pair<'p> {
    fn number(key: &'p str, value: u32) -> Self {
        Pair { key, kind: U32, value: value.to_le_bytes().to_vec() }
    }

    fn text(key: &'p str, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 8);
        write_text(&mut value, text);
        Pair { key, kind: STRING, value }
    }

    fn write(&self, header: &mut Vec<u8>) {
        write_text(header, self.key);
        header.extend(self.kind.to_le_bytes());
        header.extend(&self.value);
    }
}

fn write_text(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(text.as_bytes());
}

/// A tensor's entry in the header, with the innermost dimension first.
fn write_place(header: &mut Vec<u8>, tensor: &TensorShape, encoding: Encoding, offset: u64) {
    write_text(header, &tensor.name);
    header.extend((tensor.shape.len() as u32).to_le_bytes());
    let scale = if let Encoding::Rows { .. } = encoding { SCALE } else { 0 };
    let sides = tensor.shape.iter().rev().zip([scale].into_iter().chain(std::iter::repeat(0)));
    header.extend(sides.flat_map(|(&side, scale)| ((side + scale) as u64).to_le_bytes()));
    header.extend(encoding.ggml_type().to_le_bytes());
    header.extend(offset.to_le_bytes());
}
