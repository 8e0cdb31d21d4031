//! Checkpoints of any shape with random weights, the same for the same seed: for benchmarks and tests.

use crate::config::GEMMA_VOCABULARY;
use crate::weights::{Dtype, TensorShape, header_bytes, tensors};
use crate::{Config, Error};

/// SplitMix64 (Steele, Lea, Flood 2014), so that a seed means the same weights with every version of every crate.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Uniform, with mean 0 and this standard deviation.
    fn spread(&mut self, deviation: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1 << 24) as f32;
        (2.0 * unit - 1.0) * 3.0f32.sqrt() * deviation
    }
}

/// Writes a `model.safetensors` of `config`'s shape with random weights, tensor by tensor, through `write`.
///
/// Deviations are chosen so that every layer adds something of the residual stream's own size, as in a trained
/// model; logit scale and bias are those of siglip-base-patch16-224.
///
/// # Errors
/// What `write` returns.
pub fn random_weights<E>(
    config: &Config,
    dtype: Dtype,
    seed: u64,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let tensors = tensors(config);
    write(&header_bytes(&tensors, dtype))?;
    let mut random = SplitMix64(seed);
    let mut bytes = Vec::new();
    for tensor in &tensors {
        let mean = match tensor.name.as_str() {
            "logit_scale" => 4.765,
            "logit_bias" => -12.932,
            name if name.contains("norm") && name.ends_with(".weight") => 1.0,
            _ => 0.0,
        };
        let deviation = deviation(tensor);
        let values: Vec<f32> = (0..tensor.len()).map(|_| mean + random.spread(deviation)).collect();
        bytes.clear();
        dtype.narrow(&values, &mut bytes);
        write(&bytes)?;
    }
    Ok(())
}

fn deviation(tensor: &TensorShape) -> f32 {
    let name = tensor.name.as_str();
    if name.starts_with("logit") {
        0.0
    } else if name.contains("norm") {
        0.1
    } else if name.contains("embedding.weight") && !name.contains("patch") || name.ends_with("probe") {
        0.5
    } else if name.ends_with("bias") {
        0.02
    } else {
        // Unit variance in, unit variance out.
        1.0 / (tensor.row_len() as f32).sqrt()
    }
}

/// A `tokenizer.json` for a checkpoint with random weights: it lower-cases texts and has one token per character. Its
/// special tokens are those of SigLIP, or of Gemma if the vocabulary has Gemma's size.
///
/// # Errors
/// [`Error::UnsupportedModel`] if the vocabulary is smaller than the printable ASCII characters.
pub fn character_tokenizer(config: &Config) -> Result<Vec<u8>, Error> {
    let special: &[&str] = match config.text_config.vocab_size {
        GEMMA_VOCABULARY => &["<pad>", "<eos>", "<bos>", "<unk>"],
        _ => &["<pad>", "</s>", "<unk>"],
    };
    let end = special[1];
    let characters = (' '..='~').filter(|character| !character.is_ascii_uppercase()).map(String::from);
    let vocabulary: Vec<String> = special.iter().map(ToString::to_string).chain(characters).collect();
    let vocab_size = config.text_config.vocab_size;
    if vocab_size < vocabulary.len() {
        let reason = format!("{vocab_size} is too small; {} at least", vocabulary.len());
        return Err(Error::unsupported("text_config.vocab_size", reason));
    }
    let ids: serde_json::Map<String, serde_json::Value> =
        vocabulary.into_iter().zip(0..).map(|(token, id): (String, u32)| (token, id.into())).collect();
    let added: Vec<_> = (0..).zip(special).map(|(id, token): (u32, &&str)| added_token(id, token)).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": end, "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {end: {"id": end, "ids": [1], "tokens": [end]}}
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "<unk>"}
    });
    Ok(tokenizer.to_string().into_bytes())
}

fn added_token(id: u32, content: &str) -> serde_json::Value {
    serde_json::json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    })
}
