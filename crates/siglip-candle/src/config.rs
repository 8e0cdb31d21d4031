//! candle's configuration of a model, if candle's SigLIP can run it.

use candle_nn::Activation;
use candle_transformers::models::siglip as candle;
use siglip::{Config, Error, TextConfig, Towers, VisionConfig};

/// What a message about something that candle lacks ends with.
pub const OTHER_ENGINE: &str = "load it with the default engine";

/// Checks that candle's SigLIP runs these towers of the model.
///
/// # Errors
/// [`Error::UnsupportedModel`] names what it lacks.
pub fn check(config: &Config, towers: Towers) -> Result<(), Error> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    let lacks = |field: &str, what: &str| {
        let reason = format!("candle's SigLIP has no {what}; {OTHER_ENGINE}");
        Err(Error::UnsupportedModel { field: field.into(), reason })
    };
    if config.classifier.is_some() {
        return lacks("architectures", "classifier over the mean of the patches");
    }
    if towers.has_image() && vision.keeps_aspect() {
        return lacks("model_type", "NaFlex, whose pictures keep their aspect ratio");
    }
    if towers.has_text() && !text.use_head {
        return lacks("text_config.use_head", "text tower without a head");
    }
    Ok(())
}

/// The text tower's.
pub fn text(config: &TextConfig) -> candle::TextConfig {
    candle::TextConfig {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        max_position_embeddings: config.max_position_embeddings,
        hidden_act: activation(&config.hidden_act),
        layer_norm_eps: config.layer_norm_eps.into(),
        pad_token_id: config.pad_token_id,
        // Nothing reads these two: texts arrive as ids.
        bos_token_id: 0,
        eos_token_id: 0,
    }
}

/// The image tower's.
pub fn vision(config: &VisionConfig) -> candle::VisionConfig {
    candle::VisionConfig {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_channels: config.num_channels,
        image_size: config.image_size,
        patch_size: config.patch_size,
        hidden_act: activation(&config.hidden_act),
        layer_norm_eps: config.layer_norm_eps.into(),
    }
}

/// `Config::check` lets no other pass than `gelu`, which is exact, and `gelu_pytorch_tanh`.
fn activation(name: &str) -> Activation {
    if name == "gelu" { Activation::Gelu } else { Activation::GeluPytorchTanh }
}
