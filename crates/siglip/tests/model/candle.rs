//! candle-transformers' SigLIP, an independent implementation, on the same weights.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::siglip::{Config, Model};
use siglip::Precision;

use crate::support::checkpoints::{RANDOM_SMALL, model, read, repository};
use crate::support::reference::{Outputs, Recording, Towers};

struct Candle {
    config: Config,
    model: Model,
    logit_scale: f32,
    logit_bias: f32,
}

impl Candle {
    fn load(folder: &str) -> Result<Candle> {
        let folder = repository(folder);
        let config: Config = serde_json::from_slice(&read(&folder.join("config.json"))).unwrap();
        let weights = read(&folder.join("model.safetensors"));
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let scalar = |name| weights.get(1, name)?.squeeze(0)?.to_scalar::<f32>();
        let (logit_scale, logit_bias) = (scalar("logit_scale")?.exp(), scalar("logit_bias")?);
        Ok(Candle { model: Model::new(&config, weights)?, config, logit_scale, logit_bias })
    }

    fn image(&self, pixel_values: Vec<f32>) -> Result<Vec<f32>> {
        let side = self.image_size();
        let pixel_values = Tensor::from_vec(pixel_values, (1, 3, side, side), &Device::Cpu)?;
        normalized(&self.model.get_image_features(&pixel_values)?)
    }

    fn texts(&self, input_ids: Vec<u32>) -> Result<Vec<f32>> {
        let length = self.config.text_config.max_position_embeddings;
        let shape = (input_ids.len() / length, length);
        normalized(&self.model.get_text_features(&Tensor::from_vec(input_ids, shape, &Device::Cpu)?)?)
    }
}

fn normalized(features: &Tensor) -> Result<Vec<f32>> {
    let norm = features.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    features.broadcast_div(&norm)?.flatten_all()?.to_vec1()
}

impl Towers for Candle {
    fn image_size(&self) -> usize {
        self.config.vision_config.image_size
    }

    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32> {
        self.image(pixel_values).unwrap()
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        self.texts(input_ids).unwrap()
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        let dot = |text: &[f32]| text.iter().zip(image_embeds).map(|(a, b)| a * b).sum::<f32>();
        let texts = text_embeds.chunks(image_embeds.len());
        texts.map(|text| dot(text) * self.logit_scale + self.logit_bias).collect()
    }
}

#[test]
fn outputs_equal_candles() {
    let recording = Recording::read("random-small");
    let theirs = Outputs::of(&mut Candle::load(RANDOM_SMALL).unwrap(), &recording);
    let ours = Outputs::of(&mut model(RANDOM_SMALL, Precision::F32), &recording);
    ours.assert_close(&theirs, 1e-5, 1e-3, "candle-transformers");
}
