//! The attention pooling head of the image tower.

use siglip_kernels::AttentionShape;

use super::buffer::sized;
use super::destination::{Destination, whole_values};
use super::layers::{LayerNorm, Linear};
use super::mlp::Mlp;
use super::workspace::Workspace;
use crate::config::BlockConfig;
use crate::{Precision, Shard};

/// Windows that are projected at a time: their pooled vectors take memory.
const WINDOWS: usize = 64;

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
        // An image has one row here, and its rounding errors are those of the embedding. In the blocks there is a row for each
        // patch, whose errors are averaged.
        let precision = precision.exact();
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

    /// Wkᵀ q / sqrt(head_dim) of every attention head: [heads, hidden_size].
    pub fn queries(&self) -> &[f32] {
        &self.queries
    }

    /// The embeddings of images, not yet normalized: [images, hidden_size]. `workspace.normed` begins with the patches of each,
    /// after the tower's last layer norm.
    pub fn forward(&self, images: usize, patches: usize, workspace: &mut Workspace) -> Vec<f32> {
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let pooled = &mut workspace.context;
        pooled.resize(images * heads * hidden_size, 0.0);
        let of_each = workspace.normed.chunks_exact(patches * hidden_size);
        for (patches, pooled) in of_each.zip(pooled.chunks_exact_mut(heads * hidden_size)) {
            self.attend(patches, pooled);
        }
        self.project(images, workspace)
    }

    /// As [`PoolingHead::forward`], an embedding of each window, which has these patches alone: [windows, hidden_size].
    pub fn forward_windows(&self, windows: &[Vec<usize>], workspace: &mut Workspace) -> Vec<f32> {
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let patches = std::mem::take(&mut workspace.normed);
        let (mut window_patches, mut embeddings) = (Vec::new(), Vec::new());
        for windows in windows.chunks(WINDOWS) {
            let pooled = &mut workspace.context;
            pooled.resize(windows.len() * heads * hidden_size, 0.0);
            for (window, pooled) in windows.iter().zip(pooled.chunks_exact_mut(heads * hidden_size)) {
                window_patches.clear();
                for patch in window {
                    window_patches.extend_from_slice(&patches[patch * hidden_size..][..hidden_size]);
                }
                self.attend(&window_patches, pooled);
            }
            embeddings.extend(self.project(windows.len(), workspace));
        }
        embeddings
    }

    /// `pooled` = for each attention head the mean of `patches` [rows, hidden_size], weighted by its probabilities.
    fn attend(&self, patches: &[f32], pooled: &mut [f32]) {
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let shape = AttentionShape {
            q_rows: heads,
            kv_rows: patches.len() / hidden_size,
            heads: 1,
            head_dim: hidden_size,
            q_stride: hidden_size,
            kv_stride: hidden_size,
            scale: 1.0,
        };
        siglip_kernels::attention(&shape, &self.queries, patches, patches, pooled);
    }

    /// The embeddings of images or windows, of what was pooled of them: `workspace.context` is [images, heads,
    /// hidden_size].
    fn project(&self, images: usize, workspace: &mut Workspace) -> Vec<f32> {
        let Workspace { normed, wide, context, scratch, .. } = workspace;
        let BlockConfig { hidden_size, num_attention_heads: heads, .. } = self.config;
        let head_dim = self.config.head_dim();
        let attended = sized(wide, images * hidden_size);
        let (mut of_head, mut output) = (Vec::new(), vec![0.0; images * head_dim]);
        for (head, value) in self.values.iter().enumerate() {
            of_head.clear();
            for pooled in context.chunks_exact(heads * hidden_size) {
                of_head.extend_from_slice(&pooled[head * hidden_size..][..hidden_size]);
            }
            value.forward(&of_head, images, &mut output, scratch);
            let rows = attended.chunks_exact_mut(hidden_size).zip(output.chunks_exact(head_dim));
            rows.for_each(|(row, output)| row[head * head_dim..][..head_dim].copy_from_slice(output));
        }

        let mut embeddings = vec![0.0; images * hidden_size];
        self.out_proj.forward(attended, images, &mut embeddings, scratch);
        let normed = self.layernorm.forward(&embeddings, normed);
        let hidden = self.mlp.hidden(normed, context, scratch);
        self.mlp.fc2.forward_add(hidden, images, &mut embeddings, scratch);
        embeddings
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.queries[..])
            + self.values.iter().map(Linear::bytes).sum::<usize>()
            + self.out_proj.bytes()
            + self.layernorm.bytes()
            + self.mlp.bytes()
    }
}
