//! The attention pooling head of the image tower.

use siglip_kernels::AttentionShape;

use super::buffer::sized;
use super::destination::{Destination, whole_values};
use super::layers::{LayerNorm, Linear};
use super::mlp::Mlp;
use super::workspace::Workspace;
use crate::config::BlockConfig;
use crate::{Precision, Shard};

/// The attention pooling head: one learned query, the probe, attends to all patches.
///
/// The query is the same for every image, so two of the four products can be made once per head in place of once per
/// patch. q · (Wk x + bk) = (Wkᵀ q) · x + constant: softmax drops the constant, and Wkᵀ q is computed at load. And
/// Σ p (Wv x + bv) = Wv (Σ p x) + bv, since the probabilities p of a head sum to one.
#[derive(Debug)]
pub(crate) struct PoolingHead {
    config: BlockConfig,
    /// As stored; emptied by `finish`.
    probe: Vec<f32>,
    in_proj_weight: Vec<f32>,
    in_proj_bias: Vec<f32>,
    /// Wkᵀ q / sqrt(head_dim) of every attention head: [heads, hidden_size].
    queries: Vec<f32>,
    /// Wv, split into one layer per attention head.
    values: Vec<Linear>,
    out_proj: Linear,
    layernorm: LayerNorm,
    mlp: Mlp,
}

impl PoolingHead {
    pub fn new(config: &BlockConfig, precision: Precision) -> Self {
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        PoolingHead {
            probe: vec![0.0; hidden],
            in_proj_weight: vec![0.0; 3 * hidden * hidden],
            in_proj_bias: vec![0.0; 3 * hidden],
            queries: Vec::new(),
            values: (0..config.num_attention_heads)
                .map(|_| Linear::new(precision, hidden, config.head_dim()))
                .collect(),
            out_proj: Linear::new(precision, hidden, hidden),
            layernorm: LayerNorm::new(hidden, eps),
            mlp: Mlp::new(config, precision, Shard::WHOLE),
            config: *config,
        }
    }

    pub fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        match name {
            "head.probe" => return Some(whole_values(&mut self.probe)),
            "head.attention.in_proj_weight" => return Some(whole_values(&mut self.in_proj_weight)),
            "head.attention.in_proj_bias" => return Some(whole_values(&mut self.in_proj_bias)),
            _ => {}
        }
        let (layer, kind) = name.rsplit_once('.')?;
        match layer {
            "head.attention.out_proj" => self.out_proj.whole(kind),
            "head.layernorm" => self.layernorm.destination(kind),
            _ => self.mlp.destination(layer.strip_prefix("head.mlp.")?, kind),
        }
    }

    /// Computes the queries once every tensor has arrived.
    pub fn finish(&mut self) {
        let (hidden, head_dim) = (self.config.hidden_size, self.config.head_dim());
        let (weight, bias) = (&self.in_proj_weight, &self.in_proj_bias);
        let scale = 1.0 / (head_dim as f32).sqrt();
        self.queries = vec![0.0; self.config.num_attention_heads * hidden];
        let heads = self.queries.chunks_exact_mut(hidden).zip(&mut self.values);
        for (head, (folded, value)) in heads.enumerate() {
            let units = head * head_dim..(head + 1) * head_dim;
            for unit in units.clone() {
                let query = bias[unit] + siglip_kernels::dot(&weight[unit * hidden..][..hidden], &self.probe);
                let key = &weight[(hidden + unit) * hidden..][..hidden];
                folded.iter_mut().zip(key).for_each(|(folded, key)| *folded += query * scale * key);
            }
            value.weight.pack(0, &weight[(2 * hidden + units.start) * hidden..][..head_dim * hidden]);
            value.bias.copy_from_slice(&bias[2 * hidden..][units]);
        }
        (self.probe, self.in_proj_weight, self.in_proj_bias) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// The embedding of one image, not yet normalized. The first `rows` rows of `workspace.normed` are its patches after
    /// the tower's last layer norm.
    pub fn forward(&self, rows: usize, workspace: &mut Workspace) -> Vec<f32> {
        let Workspace { normed, wide, sublayer_input, scratch, .. } = workspace;
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let x = &normed[..rows * hidden_size];

        let shape = AttentionShape {
            q_rows: heads,
            kv_rows: rows,
            heads: 1,
            head_dim: hidden_size,
            q_stride: hidden_size,
            kv_stride: hidden_size,
            scale: 1.0,
        };
        sublayer_input.resize(heads * hidden_size, 0.0);
        let pooled = &mut sublayer_input[..];
        siglip_kernels::attention(&shape, &self.queries, x, x, pooled);
        let attended = sized(wide, hidden_size);
        let outputs = attended.chunks_exact_mut(self.config.head_dim());
        for ((value, pooled), out) in self.values.iter().zip(pooled.chunks_exact(hidden_size)).zip(outputs) {
            value.forward(pooled, 1, out, scratch);
        }

        let mut embedding = vec![0.0; hidden_size];
        self.out_proj.forward(attended, 1, &mut embedding, scratch);
        let normed = self.layernorm.forward(&embedding, normed);
        self.mlp.hidden(normed, sublayer_input, scratch);
        self.mlp.fc2.forward_add(sublayer_input, 1, &mut embedding, scratch);
        embedding
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.queries[..])
            + self.values.iter().map(Linear::bytes).sum::<usize>()
            + self.out_proj.bytes()
            + self.layernorm.bytes()
            + self.mlp.bytes()
    }
}
