//! The tensors of a SigLIP by the names transformers gives them.

use crate::config::{BlockConfig, TextConfig, VisionConfig};
use crate::{Config, Towers};

/// A tensor's name and dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShape {
    /// As in the file: `vision_model.head.probe`.
    pub name: String,
    /// Outermost first.
    pub shape: Vec<usize>,
}

impl TensorShape {
    /// Number of elements; `None` if it exceeds 64 bits.
    pub(super) fn checked_len(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |len, &side| len.checked_mul(side as u64))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows: the outermost dimension.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements of one row.
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// Whether `name` is a buffer that older exports store beside the weights: the position ids, which are 0, 1, 2, ... and
/// not needed.
pub(super) fn is_buffer(name: &str) -> bool {
    name.ends_with(".embeddings.position_ids")
}

/// Every tensor of a model of this configuration, in the order in which a forward pass uses them.
pub fn tensors(config: &Config) -> Vec<TensorShape> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    let mut list = List(Vec::new());
    if let Some(classifier) = &config.classifier {
        list.add_image_tower(vision);
        // Without classes there is no last layer.
        if !classifier.labels.is_empty() {
            list.add_pair("classifier", &[classifier.labels.len(), vision.hidden_size]);
        }
        return list.0;
    }
    if config.towers == Towers::Both {
        list.add("logit_scale", &[1]);
        list.add("logit_bias", &[1]);
    }
    if config.towers.has_text() {
        list.add_text_tower(text);
    }
    if config.towers.has_image() {
        list.add_image_tower(vision);
        list.add_pooling_head(vision);
    }
    list.0
}

struct List(Vec<TensorShape>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push(TensorShape { name: name.into(), shape: shape.to_vec() });
    }

    /// A layer's weight and its bias, which has the length of the weight's outermost dimension.
    fn add_pair(&mut self, layer: impl std::fmt::Display, weight: &[usize]) {
        self.add(format!("{layer}.weight"), weight);
        self.add(format!("{layer}.bias"), &weight[..1]);
    }

    fn add_text_tower(&mut self, text: &TextConfig) {
        self.add("text_model.embeddings.token_embedding.weight", &[text.vocab_size, text.hidden_size]);
        let positions = [text.max_position_embeddings, text.hidden_size];
        self.add("text_model.embeddings.position_embedding.weight", &positions);
        self.add_blocks("text_model", &text.blocks());
        self.add_pair("text_model.final_layer_norm", &[text.hidden_size]);
        if text.use_head {
            self.add_pair("text_model.head", &[text.embedding_size(), text.hidden_size]);
        }
    }

    fn add_pooling_head(&mut self, vision: &VisionConfig) {
        let hidden = vision.hidden_size;
        self.add("vision_model.head.probe", &[1, 1, hidden]);
        self.add("vision_model.head.attention.in_proj_weight", &[3 * hidden, hidden]);
        self.add("vision_model.head.attention.in_proj_bias", &[3 * hidden]);
        self.add_pair("vision_model.head.attention.out_proj", &[hidden, hidden]);
        self.add_pair("vision_model.head.layernorm", &[hidden]);
        self.add_mlp("vision_model.head", &vision.blocks());
    }

    /// The image tower without its pooling head.
    fn add_image_tower(&mut self, vision: &VisionConfig) {
        let hidden = vision.hidden_size;
        let convolution = [hidden, vision.num_channels, vision.patch_size, vision.patch_size];
        let linear = [hidden, vision.patch_values()];
        let patch: &[usize] = if vision.keeps_aspect() { &linear } else { &convolution };
        self.add_pair("vision_model.embeddings.patch_embedding", patch);
        self.add("vision_model.embeddings.position_embedding.weight", &[vision.num_positions(), hidden]);
        self.add_blocks("vision_model", &vision.blocks());
        self.add_pair("vision_model.post_layernorm", &[hidden]);
    }

    fn add_mlp(&mut self, owner: &str, blocks: &BlockConfig) {
        self.add_pair(format!("{owner}.mlp.fc1"), &[blocks.intermediate_size, blocks.hidden_size]);
        self.add_pair(format!("{owner}.mlp.fc2"), &[blocks.hidden_size, blocks.intermediate_size]);
    }

    fn add_blocks(&mut self, tower: &str, blocks: &BlockConfig) {
        for layer in 0..blocks.num_hidden_layers {
            let block = format!("{tower}.encoder.layers.{layer}");
            self.add_pair(format!("{block}.layer_norm1"), &[blocks.hidden_size]);
            for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                let shape = [blocks.hidden_size, blocks.hidden_size];
                self.add_pair(format!("{block}.self_attn.{projection}"), &shape);
            }
            self.add_pair(format!("{block}.layer_norm2"), &[blocks.hidden_size]);
            self.add_mlp(&block, blocks);
        }
    }
}
