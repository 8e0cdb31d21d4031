//! What a model makes of a recording's pictures and texts, and how far two such outputs are apart.

use serde::Deserialize;
use siglip::model::Model;

use crate::recording::Recording;

/// Anything with two towers.
pub trait Towers {
    /// Side of the pictures.
    fn image_size(&self) -> usize;
    /// The embedding of one picture.
    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32>;
    /// The embeddings of texts, one after another.
    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32>;
    /// The logits of one picture.
    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32>;
}

impl Towers for Model {
    fn image_size(&self) -> usize {
        self.config().vision_config.image_size
    }

    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32> {
        Model::image_embeds(self, pixel_values).unwrap()
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        Model::text_embeds(self, input_ids).unwrap()
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        Model::logits_per_image(self, image_embeds, text_embeds)
    }
}

/// A row a picture or text.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Outputs {
    pub image_embeds: Vec<Vec<f32>>,
    pub text_embeds: Vec<Vec<f32>>,
    pub logits_per_image: Vec<Vec<f32>>,
}

impl Outputs {
    /// Runs both towers over the inputs of `recording`.
    pub fn of(towers: &mut impl Towers, recording: &Recording) -> Outputs {
        let pictures = recording.pictures(towers.image_size());
        let image_embeds: Vec<Vec<f32>> = pictures.map(|picture| towers.image_embeds(picture)).collect();
        let texts = towers.text_embeds(recording.input_ids());
        let logits_per_image =
            image_embeds.iter().map(|image| towers.logits_per_image(image, &texts)).collect();
        let text_embeds = texts.chunks(image_embeds[0].len()).map(<[f32]>::to_vec).collect();
        Outputs { image_embeds, text_embeds, logits_per_image }
    }

    /// Fails where an embedding or a logit is further than its bound from what is expected.
    #[track_caller]
    pub fn assert_close(&self, expected: &Outputs, embeds: f32, logits: f32, what: &str) {
        let rows = |name: &str, actual: &[Vec<f32>], expected: &[Vec<f32>], bound: f32| {
            let difference = largest_difference(actual, expected);
            assert!(difference <= bound, "{what}: {name} differ by {difference:e}, more than {bound:e}");
        };
        rows("image_embeds", &self.image_embeds, &expected.image_embeds, embeds);
        rows("text_embeds", &self.text_embeds, &expected.text_embeds, embeds);
        rows("logits_per_image", &self.logits_per_image, &expected.logits_per_image, logits);
    }

    /// Fails where the cosine of an embedding with the exact one is below `bound`.
    #[track_caller]
    pub fn assert_cosines(&self, exact: &Outputs, bound: f64, what: &str) {
        let rows = |name: &str, actual: &[Vec<f32>], exact: &[Vec<f32>]| {
            assert_eq!(actual.len(), exact.len());
            for (at, (actual, exact)) in actual.iter().zip(exact).enumerate() {
                let cosine = cosine(actual, exact);
                assert!(
                    cosine >= bound,
                    "{what}: {name} {at} has a cosine of {cosine:.6} with the exact one"
                );
            }
        };
        rows("image_embeds", &self.image_embeds, &exact.image_embeds);
        rows("text_embeds", &self.text_embeds, &exact.text_embeds);
    }
}

/// Infinite where there is a NaN.
#[track_caller]
fn largest_difference(actual: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    let lengths = |rows: &[Vec<f32>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(actual), lengths(expected));
    let difference = |(a, b): (&f32, &f32)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() };
    actual.iter().flatten().zip(expected.iter().flatten()).map(difference).fold(0.0, f32::max)
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
