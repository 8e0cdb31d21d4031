use super::layers::{Destination, whole_values};
use super::{Model, Precision, Shard, Towers};
use crate::weights::{TensorShape, TensorSink, tensors};
use crate::{Config, Error};

/// Builds a [`Model`] from a weight file's rows as they arrive: each is packed at once, nothing is held twice.
///
/// It is given either a checkpoint's rows, as a [`TensorSink`], or batches that a [`Packer`](super::Packer) has made
/// of them.
#[derive(Debug)]
pub struct ModelLoader {
    pub(super) model: Model,
    pub(super) tensors: Vec<TensorShape>,
    pub(super) begun: bool,
}

impl ModelLoader {
    /// A model without weights, or one worker's part of it.
    ///
    /// # Errors
    /// [`Error::BadInput`] where there are more workers than attention heads to share out.
    pub fn new(config: Config, precision: Precision, shard: Shard) -> Result<ModelLoader, Error> {
        ModelLoader::of_towers(config, Towers::Both, precision, shard)
    }

    /// The same with one tower, or both.
    ///
    /// # Errors
    /// As [`ModelLoader::new`].
    pub fn of_towers(
        config: Config,
        towers: Towers,
        precision: Precision,
        shard: Shard,
    ) -> Result<ModelLoader, Error> {
        let heads = config.vision_config.num_attention_heads.min(config.text_config.num_attention_heads);
        if shard.count() > heads {
            let count = shard.count();
            return Err(Error::BadInput(format!(
                "{count} workers for {heads} attention heads; {heads} at most"
            )));
        }
        let tensors = tensors(&config);
        Ok(ModelLoader { model: Model::new(config, towers, precision, shard), tensors, begun: false })
    }

    /// The model, once the file has been read to its end.
    ///
    /// # Errors
    /// [`Error::BadWeights`] where no file was read.
    pub fn finish(mut self) -> Result<Model, Error> {
        if !self.begun {
            return Err(Error::BadWeights("the weight file is empty".into()));
        }
        if let Some(vision) = &mut self.model.vision {
            vision.finish();
        }
        Ok(self.model)
    }
}

impl TensorSink for ModelLoader {
    fn begin(&mut self, found: &[TensorShape]) -> Result<(), Error> {
        check_tensors(&self.tensors, found)?;
        self.begun = true;
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        check_finite(tensor, first_row, values)?;
        if let Some(destination) = self.model.destination(&tensor.name) {
            destination.write(first_row, tensor.row_len(), values);
        }
        Ok(())
    }
}

impl Model {
    /// The place of a tensor; none where its tower is not there.
    pub(super) fn destination(&mut self, name: &str) -> Option<Destination<'_>> {
        match name.split_once('.') {
            None if name == "logit_scale" => Some(whole_values(&mut self.logit_scale)),
            None if name == "logit_bias" => Some(whole_values(&mut self.logit_bias)),
            Some(("text_model", rest)) => self.text.as_mut()?.destination(rest),
            Some(("vision_model", rest)) => self.vision.as_mut()?.destination(rest),
            _ => None,
        }
    }
}

/// Whether rows can be weights.
pub(super) fn check_finite(tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (name, at) = (&tensor.name, first_row * tensor.row_len() + at);
            Err(Error::BadWeights(format!("tensor {name:?} holds a value that is not finite, at {at}")))
        }
    }
}

/// Whether a file's tensors are those of the model, no more and no fewer.
pub(super) fn check_tensors(expected: &[TensorShape], found: &[TensorShape]) -> Result<(), Error> {
    let shapes = |list: &[TensorShape]| -> std::collections::HashMap<String, Vec<usize>> {
        list.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
    };
    let (expected_shapes, found_shapes) = (shapes(expected), shapes(found));
    for TensorShape { name, shape } in expected {
        match found_shapes.get(name) {
            None => return Err(Error::BadWeights(format!("tensor {name:?} is missing"))),
            Some(found) if found != shape => {
                let reason = format!("tensor {name:?} has shape {found:?}; config.json asks for {shape:?}");
                return Err(Error::BadWeights(reason));
            }
            Some(_) => {}
        }
    }
    match found.iter().find(|tensor| !expected_shapes.contains_key(&tensor.name)) {
        None => Ok(()),
        Some(extra) => Err(Error::BadWeights(format!("tensor {:?} belongs to another model", extra.name))),
    }
}
