//! The towers, with the names of the hub's checkpoints. Two things are held otherwise than there, and written as there:
//! keys and values are one product (`kv_proj`), and the token table is that of fixed word vectors times a matrix.

use std::collections::BTreeMap;

use candle_core::{D, Device, Result, Tensor, Var};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Normal};

use crate::ops::{Rounding, attention, gelu, layer_norm, linear, linear_onto};
use crate::shape::{CONTEXT, HEADS, Shape, TEXT, VISION, intermediate};

/// The model's parameters by name.
pub struct Parameters {
    /// The shape they have.
    pub shape: Shape,
    /// By name, each to be trained.
    pub vars: BTreeMap<String, Var>,
}

/// Parameters as the towers read them.
pub struct Weights<'a> {
    shape: Shape,
    rounding: Rounding,
    tensors: BTreeMap<&'a str, Tensor>,
}

/// The sigmoid loss's scale (its logarithm) and bias, which are the model's, and the softmax loss's scale, which is not.
pub const SCALARS: [&str; 3] = ["logit_scale", "logit_bias", "softmax_scale"];
/// The projection of the student's embedding that is held against the teacher's features; not part of the model.
pub const TEACHER: &str = "teacher";
/// Name of the matrix that makes a token table of word vectors.
pub const WORDS: &str = "text_model.embeddings.words";

impl Parameters {
    /// Random ones, as the reference draws them (modeling_siglip.py, `_init_weights`), with what ends a residual branch
    /// drawn smaller by the root of the number of branches.
    pub fn random(shape: Shape, word_size: usize, features: usize, seed: u64) -> Result<Parameters> {
        let mut draw = Draw { random: SmallRng::seed_from_u64(seed), vars: BTreeMap::new() };
        let Shape { width, text_width, .. } = shape;
        draw.normal(WORDS, &[word_size, text_width], 0.5 / (word_size as f32).sqrt())?;
        draw.normal("text_model.embeddings.position_embedding.weight", &[CONTEXT, text_width], 0.1)?;
        draw.encoder(TEXT, shape)?;
        draw.linear("text_model.head", width, text_width, 1.0)?;
        draw.linear("vision_model.embeddings.patch_embedding", width, shape.patch_size(), 1.0)?;
        draw.normal("vision_model.embeddings.position_embedding.weight", &[shape.patches(), width], 0.2)?;
        draw.encoder(VISION, shape)?;
        draw.normal("vision_model.head.probe", &[1, width], 1.0)?;
        draw.attention("vision_model.head.attention", width, 1.0)?;
        draw.norm("vision_model.head.layernorm", width)?;
        draw.mlp("vision_model.head.mlp", width, 1.0)?;
        for (name, start) in SCALARS.into_iter().zip([10f32.ln(), -10.0, 14f32.ln()]) {
            draw.constant(name, &[1], start)?;
        }
        draw.linear(TEACHER, features, width, 1.0)?;
        Ok(Parameters { shape, vars: draw.vars })
    }

    /// The same numbers in variables of their own.
    pub fn copied(&self) -> Result<Parameters> {
        let copy =
            |(name, var): (&String, &Var)| Ok((name.clone(), Var::from_tensor(&var.as_tensor().copy()?)?));
        Ok(Parameters { shape: self.shape, vars: self.vars.iter().map(copy).collect::<Result<_>>()? })
    }

    /// Goes a share of the way to where the others are: a moving average, if done again and again.
    pub fn follow(&self, others: &Parameters, share: f64) -> Result<()> {
        for (name, var) in &self.vars {
            let other = others.vars[name].as_detached_tensor();
            let here = var.as_detached_tensor();
            var.set(&(&here + ((other - &here)? * share)?)?)?;
        }
        Ok(())
    }

    /// To run the towers and keep what their gradients need.
    pub fn tracked(&self) -> Weights<'_> {
        self.weights(Rounding::Bf16, |var| var.as_tensor().clone())
    }

    /// To run the towers only.
    pub fn frozen(&self) -> Weights<'_> {
        self.weights(Rounding::F32, Var::as_detached_tensor)
    }

    fn weights(&self, rounding: Rounding, read: impl Fn(&Var) -> Tensor) -> Weights<'_> {
        Weights {
            shape: self.shape,
            rounding,
            tensors: self.vars.iter().map(|(name, var)| (name.as_str(), read(var))).collect(),
        }
    }
}

struct Draw {
    random: SmallRng,
    vars: BTreeMap<String, Var>,
}

impl Draw {
    fn normal(&mut self, name: &str, shape: &[usize], deviation: f32) -> Result<()> {
        let normal = Normal::new(0.0, deviation).map_err(candle_core::Error::wrap)?;
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal.sample(&mut self.random)).collect();
        self.vars.insert(name.into(), Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?);
        Ok(())
    }

    fn constant(&mut self, name: &str, shape: &[usize], value: f32) -> Result<()> {
        self.vars.insert(name.into(), Var::from_tensor(&Tensor::full(value, shape, &Device::Cpu)?)?);
        Ok(())
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, gain: f32) -> Result<()> {
        self.normal(
            &format!("{name}.weight"),
            &[outputs, inputs],
            gain * (2.0 / (inputs + outputs) as f32).sqrt(),
        )?;
        self.constant(&format!("{name}.bias"), &[outputs], 0.0)
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<()> {
        self.constant(&format!("{name}.weight"), &[width], 1.0)?;
        self.constant(&format!("{name}.bias"), &[width], 0.0)
    }

    fn attention(&mut self, name: &str, width: usize, gain: f32) -> Result<()> {
        self.linear(&format!("{name}.q_proj"), width, width, 1.0)?;
        self.linear(&format!("{name}.kv_proj"), 2 * width, width, 1.0)?;
        self.linear(&format!("{name}.out_proj"), width, width, gain)
    }

    fn mlp(&mut self, name: &str, width: usize, gain: f32) -> Result<()> {
        self.linear(&format!("{name}.fc1"), intermediate(width), width, 1.0)?;
        self.linear(&format!("{name}.fc2"), width, intermediate(width), gain)
    }

    fn encoder(&mut self, tower: &str, shape: Shape) -> Result<()> {
        let (width, layers) = shape.tower(tower);
        let gain = 1.0 / (2.0 * layers as f32).sqrt();
        for layer in 0..layers {
            let name = format!("{tower}.encoder.layers.{layer}");
            self.norm(&format!("{name}.layer_norm1"), width)?;
            self.attention(&format!("{name}.self_attn"), width, gain)?;
            self.norm(&format!("{name}.layer_norm2"), width)?;
            self.mlp(&format!("{name}.mlp"), width, gain)?;
        }
        let last = if tower == TEXT { "final_layer_norm" } else { "post_layernorm" };
        self.norm(&format!("{tower}.{last}"), width)
    }
}

impl Weights<'_> {
    /// A parameter by name.
    pub fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        linear(x, self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")), self.rounding)
    }

    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")))
    }

    fn linear_onto(&self, residual: &Tensor, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        linear_onto(residual, x, weight, bias, self.rounding)
    }

    /// What each query takes from the rows of its sequence in `x`, before the output projection.
    fn attend(&self, name: &str, queries: &Tensor, x: &Tensor, batch: usize) -> Result<Tensor> {
        let q = self.linear(&format!("{name}.q_proj"), queries)?;
        let kv = self.linear(&format!("{name}.kv_proj"), x)?;
        attention(&q, &kv, batch, HEADS)
    }

    /// x + MLP(norm(x)).
    fn transform(&self, norm: &str, mlp: &str, x: &Tensor) -> Result<Tensor> {
        let inner = self.linear(&format!("{mlp}.fc1"), &self.norm(norm, x)?)?;
        self.linear_onto(x, &format!("{mlp}.fc2"), &gelu(&inner)?)
    }

    fn encoder(&self, tower: &str, mut x: Tensor, batch: usize) -> Result<Tensor> {
        for layer in 0..self.shape.tower(tower).1 {
            let name = format!("{tower}.encoder.layers.{layer}");
            let normal = self.norm(&format!("{name}.layer_norm1"), &x)?;
            let attended = self.attend(&format!("{name}.self_attn"), &normal, &normal, batch)?;
            x = self.linear_onto(&x, &format!("{name}.self_attn.out_proj"), &attended)?;
            x = self.transform(&format!("{name}.layer_norm2"), &format!("{name}.mlp"), &x)?;
        }
        Ok(x)
    }

    /// The pooled outputs [pictures, width] for patches [pictures·kept, numbers] at `positions` [pictures·kept].
    pub fn image_features(&self, patches: &Tensor, positions: &Tensor, pictures: usize) -> Result<Tensor> {
        let places =
            self.get("vision_model.embeddings.position_embedding.weight").index_select(positions, 0)?;
        let x = self.linear_onto(&places, "vision_model.embeddings.patch_embedding", patches)?;
        let x = self.encoder(VISION, x, pictures)?;
        let x = self.norm("vision_model.post_layernorm", &x)?;
        let probes =
            self.get("vision_model.head.probe").broadcast_as((pictures, self.shape.width))?.contiguous()?;
        let attended = self.attend("vision_model.head.attention", &probes, &x, pictures)?;
        let x = self.linear("vision_model.head.attention.out_proj", &attended)?;
        self.transform("vision_model.head.layernorm", "vision_model.head.mlp", &x)
    }

    /// The text tower's outputs [sentences, width] for `input_ids` [sentences·CONTEXT] of words with these vectors.
    pub fn text_features(&self, input_ids: &Tensor, vectors: &Tensor) -> Result<Tensor> {
        let sentences = input_ids.dim(0)? / CONTEXT;
        let words = vectors.index_select(input_ids, 0)?.matmul(self.get(WORDS))?;
        let places = self.get("text_model.embeddings.position_embedding.weight").repeat((sentences, 1))?;
        let x = self.encoder(TEXT, (words + places)?, sentences)?;
        let last: Vec<u32> = (1..=sentences).map(|s| (s * CONTEXT - 1) as u32).collect();
        let x = x.index_select(&Tensor::from_vec(last, sentences, &Device::Cpu)?, 0)?;
        let x = self.norm("text_model.final_layer_norm", &x)?;
        self.linear("text_model.head", &x)
    }

    /// What the student makes of the teacher's features, of its own [pictures, width].
    pub fn teacher(&self, image_features: &Tensor) -> Result<Tensor> {
        self.linear(TEACHER, image_features)
    }
}

/// Every row divided by its L2 norm.
pub fn normalize(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)
}
