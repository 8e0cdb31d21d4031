//! What a plan is made of.

use alloc::string::String;
use alloc::vec::Vec;

use crate::words::{decimal, push_decimal, until};

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
    pub tensors: Vec<(String, usize)>,
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
    /// As text, for a program that makes plans and knows no configurations: a line for each number and name, of a tower that is
    /// not loaded a zero. [`Sizes::from_text`] reads it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        line(&mut text, self.quantized.into());
        line(&mut text, self.packed_bytes);
        for tower in [&self.image, &self.text] {
            match tower {
                Some(tower) => tower.numbers().iter().for_each(|number| line(&mut text, *number as u64)),
                None => line(&mut text, 0),
            }
        }
        for (name, row_len) in &self.tensors {
            text += name;
            text.push('\n');
            line(&mut text, *row_len as u64);
        }
        text
    }

    /// Reads what [`Sizes::to_text`] has written. `None` for any other text.
    pub fn from_text(mut text: &str) -> Option<Sizes> {
        let (quantized, packed_bytes) = (number(&mut text)? != 0, number(&mut text)?);
        let (image, text_tower) = (tower(&mut text)?, tower(&mut text)?);
        let mut tensors = Vec::new();
        while let Some(name) = until(&mut text, b'\n') {
            tensors.push((name.into(), number(&mut text)? as usize));
        }
        text.is_empty().then_some(Sizes { image, text: text_tower, quantized, packed_bytes, tensors })
    }
}

impl TowerSizes {
    fn numbers(&self) -> [usize; 9] {
        let TowerSizes { hidden_size, intermediate_size, blocks, heads, length, eps, erf, .. } = *self;
        let (patch_values, embedding_size) =
            (self.patch_values.unwrap_or(0), self.embedding_size.unwrap_or(0));
        let eps = eps.to_bits() as usize;
        [hidden_size, intermediate_size, blocks, heads, length, eps, erf.into(), patch_values, embedding_size]
    }
}

fn line(text: &mut String, number: u64) {
    push_decimal(text, number);
    text.push('\n');
}

/// The number in the next line.
fn number(text: &mut &str) -> Option<u64> {
    decimal(until(text, b'\n')?)
}

/// The next tower, if it is loaded.
#[inline(never)]
fn tower(text: &mut &str) -> Option<Option<TowerSizes>> {
    let mut numbers = [0; 9];
    for index in 0..numbers.len() {
        numbers[index] = number(text)? as usize;
        if numbers[0] == 0 {
            return Some(None);
        }
    }
    let [hidden_size, intermediate_size, blocks, heads, length, eps, erf, patch_values, embedding_size] =
        numbers;
    Some(Some(TowerSizes {
        hidden_size,
        intermediate_size,
        blocks,
        heads,
        length,
        eps: f32::from_bits(eps as u32),
        erf: erf != 0,
        patch_values: (patch_values != 0).then_some(patch_values),
        embedding_size: (embedding_size != 0).then_some(embedding_size),
    }))
}

#[cfg(feature = "config")]
mod of_config {
    use siglip::model::packed_bytes;
    use siglip::weights::tensors;
    use siglip::{Config, LoadOptions, Precision, Towers};

    use super::{Sizes, TowerSizes, Vec};
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
            let mut list = Vec::new();
            for tensor in tensors(config) {
                let row_len = tensor.row_len();
                list.push((tensor.name, row_len));
            }
            Ok(Sizes {
                image: towers.has_image().then(|| image(config)),
                text: towers.has_text().then(|| text(config)),
                quantized: precision.is_quantized(),
                packed_bytes: packed_bytes(config, options),
                tensors: list,
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
