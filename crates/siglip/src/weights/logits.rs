//! The scale and bias of a model whose towers are in files of their own, which have neither.

use std::collections::BTreeSet;

use super::{TensorShape, TensorSink};
use crate::Error;

/// The names of the two tensors.
pub const LOGITS: [&str; 2] = ["logit_scale", "logit_bias"];

/// Published models, with exp(logit_scale) and logit_bias as their users recorded them.
const KNOWN: [(&str, f32, f32); 4] = [
    ("siglip-base-patch16-256", 111.375, -12.9283),
    ("siglip-large-patch16-256", 110.024, -12.6546),
    ("siglip2-base-patch16-224", 112.668_9, -16.771_725),
    ("siglip2-base-patch16-384", 112.846_01, -16.772_243),
];

/// What turns a cosine into a logit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Logits {
    /// The logarithm of the scale, as checkpoints store it.
    pub logit_scale: Option<f32>,
    /// The bias.
    pub logit_bias: Option<f32>,
    /// How many of the two are still to come; known once the file's header has arrived.
    left: Option<usize>,
}

impl Logits {
    /// Those of a published model, by a path or an address that names it, such as
    /// `onnx-community/siglip2-base-patch16-224-ONNX`.
    pub fn known(path: &str) -> Option<Logits> {
        let is_known = |name: &str| {
            path.split(['/', '\\']).any(|part| part.strip_suffix("-ONNX").unwrap_or(part) == name)
        };
        let &(_, scale, bias) = KNOWN.iter().find(|(name, ..)| is_known(name))?;
        Some(Logits { logit_scale: Some(scale.ln()), logit_bias: Some(bias), left: Some(0) })
    }

    /// Whether there are both.
    pub fn is_complete(&self) -> bool {
        self.logit_scale.is_some() && self.logit_bias.is_some()
    }

    /// Whether nothing more is to come of a file that is being read. They are the first tensors of the checkpoints that
    /// transformers writes.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Passes both to a model's loader.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn pass(&self, sink: &mut dyn TensorSink) -> Result<(), Error> {
        for (name, value) in LOGITS.into_iter().zip([self.logit_scale, self.logit_bias]) {
            if let Some(value) = value {
                sink.rows(&TensorShape { name: name.into(), shape: vec![1] }, 0, &[value])?;
            }
        }
        Ok(())
    }
}

impl TensorSink for Logits {
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error> {
        self.left = Some(tensors.iter().filter(|tensor| LOGITS.contains(&tensor.name.as_str())).count());
        Ok(())
    }

    fn begin_named(&mut self, names: &BTreeSet<&str>) -> Result<(), Error> {
        self.left = Some(LOGITS.iter().filter(|name| names.contains(**name)).count());
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, _: usize, values: &[f32]) -> Result<(), Error> {
        let logit = match tensor.name.as_str() {
            "logit_scale" => &mut self.logit_scale,
            "logit_bias" => &mut self.logit_bias,
            _ => return Ok(()),
        };
        *logit = values.first().copied();
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }
}
