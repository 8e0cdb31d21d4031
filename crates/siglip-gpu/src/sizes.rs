//! What a plan is made of.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A model's sizes, as plain data: all that a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// The image tower's, if it is loaded.
    pub image: Option<TowerSizes>,
    /// The text tower's, if it is loaded.
    pub text: Option<TowerSizes>,
    /// Whether weights are in 8 bits.
    pub quantized: bool,
    /// Bytes of the packed weights.
    pub packed_bytes: u64,
    /// The name and the length of a row of every tensor, in the order of their numbers.
    pub tensors: Vec<(Vec<u8>, usize)>,
}

/// One tower's sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TowerSizes {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// The number of blocks.
    pub blocks: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Rows of a usual sequence: the patches of a square image, or the tokens of a text.
    pub length: usize,
    /// Added to the variance in every layer norm.
    pub eps: f32,
    /// Whether GELU is computed by erf; else by tanh.
    pub erf: bool,
    /// Values of a patch; `None` in the text tower.
    pub patch_values: Option<usize>,
    /// Width of the embedding; `None` if the tower has no head, or a head of another kind.
    pub embedding_size: Option<usize>,
}

impl Sizes {
    /// As text, for a program that makes plans and knows no configurations. [`Sizes::from_text`] reads it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        line(&mut text, &[self.quantized.into(), self.packed_bytes]);
        for tower in [&self.image, &self.text] {
            match tower {
                Some(tower) => line(&mut text, &tower.numbers()),
                None => line(&mut text, &[]),
            }
        }
        for (name, row_len) in &self.tensors {
            text.extend(name.iter().map(|byte| char::from(*byte)));
            text.push(' ');
            line(&mut text, &[*row_len as u64]);
        }
        text
    }

    /// Reads what [`Sizes::to_text`] has written. `None` for any other text.
    pub fn from_text(text: &[u8]) -> Option<Sizes> {
        let mut lines = text.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
        let [quantized, packed_bytes] = numbers(lines.next()?)?;
        let mut tower = || match lines.next()? {
            b"" => Some(None),
            line => Some(Some(TowerSizes::from_numbers(numbers(line)?))),
        };
        let (image, text) = (tower()?, tower()?);
        let mut tensors = Vec::new();
        for line in lines {
            let space = line.iter().position(|byte| *byte == b' ')?;
            let [row_len] = numbers(&line[space + 1..])?;
            tensors.push((line[..space].to_vec(), row_len as usize));
        }
        Some(Sizes { image, text, quantized: quantized != 0, packed_bytes, tensors })
    }
}

impl TowerSizes {
    fn numbers(&self) -> [u64; 9] {
        let TowerSizes { hidden_size, intermediate_size, blocks, heads, length, .. } = *self;
        let (patch_values, embedding_size) =
            (self.patch_values.unwrap_or(0), self.embedding_size.unwrap_or(0));
        let widths = [hidden_size, intermediate_size, blocks, heads, length, patch_values, embedding_size];
        let [a, b, c, d, e, f, g] = widths.map(|size| size as u64);
        [a, b, c, d, e, f, g, self.eps.to_bits().into(), self.erf.into()]
    }

    fn from_numbers(numbers: [u64; 9]) -> TowerSizes {
        let [hidden_size, intermediate_size, blocks, heads, length, patch_values, embedding_size, eps, erf] =
            numbers.map(|number| number as usize);
        TowerSizes {
            hidden_size,
            intermediate_size,
            blocks,
            heads,
            length,
            eps: f32::from_bits(eps as u32),
            erf: erf != 0,
            patch_values: (patch_values != 0).then_some(patch_values),
            embedding_size: (embedding_size != 0).then_some(embedding_size),
        }
    }
}

fn line(text: &mut String, numbers: &[u64]) {
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        *text += &number.to_string();
    }
    text.push('\n');
}

fn numbers<const COUNT: usize>(line: &[u8]) -> Option<[u64; COUNT]> {
    let mut numbers = [0; COUNT];
    let mut words = line.split(|byte| *byte == b' ');
    for number in &mut numbers {
        *number = decimal(words.next()?)?;
    }
    words.next().is_none().then_some(numbers)
}

/// A number in decimal digits.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    let digit = |number: u64, digit: &u8| match digit.wrapping_sub(b'0') {
        value @ 0..10 => number.checked_mul(10)?.checked_add(value.into()),
        _ => None,
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

#[cfg(feature = "config")]
mod of_config {
    use siglip::model::packed_bytes;
    use siglip::weights::{TensorShape, tensors};
    use siglip::{Config, LoadOptions, Precision, Towers};

    use super::{Sizes, TowerSizes};
    use crate::plan::Unsupported;

    /// `Config::check` allows two activations, of which this is the one by erf.
    const GELU_ERF: &str = "gelu";

    impl Sizes {
        /// The sizes of a model's loaded towers.
        ///
        /// # Errors
        /// [`Unsupported`] for a precision that the kernels do not have.
        pub fn new(config: &Config, towers: Towers, precision: Precision) -> Result<Sizes, Unsupported> {
            match precision {
                Precision::Q8Exact => return Err(Unsupported::Exact),
                Precision::Bf16 => return Err(Unsupported::Bf16),
                Precision::Q8 | Precision::F32 => {}
            }
            let options = LoadOptions { precision, towers, ..LoadOptions::default() };
            let tensors = tensors(config).into_iter();
            let named = |tensor: TensorShape| (tensor.row_len(), tensor.name.into_bytes());
            Ok(Sizes {
                image: towers.has_image().then(|| image(config)),
                text: towers.has_text().then(|| text(config)),
                quantized: precision.is_quantized(),
                packed_bytes: packed_bytes(config, options),
                tensors: tensors.map(named).map(|(row_len, name)| (name, row_len)).collect(),
            })
        }
    }

    fn image(config: &Config) -> TowerSizes {
        let c = &config.vision_config;
        TowerSizes {
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            blocks: c.num_hidden_layers,
            heads: c.num_attention_heads,
            length: c.num_patches(),
            eps: c.layer_norm_eps,
            erf: c.hidden_act == GELU_ERF,
            patch_values: Some(c.patch_values()),
            embedding_size: config.classifier.is_none().then(|| config.embedding_size()),
        }
    }

    fn text(config: &Config) -> TowerSizes {
        let c = &config.text_config;
        TowerSizes {
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            blocks: c.num_hidden_layers,
            heads: c.num_attention_heads,
            length: c.max_position_embeddings,
            eps: c.layer_norm_eps,
            erf: c.hidden_act == GELU_ERF,
            patch_values: None,
            embedding_size: c.use_head.then(|| c.embedding_size()),
        }
    }
}
