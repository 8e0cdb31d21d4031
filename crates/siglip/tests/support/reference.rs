//! What the Python reference recorded, and how far outputs are from it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use siglip::PixelValues;
use siglip::image::RgbImage;
use siglip::model::Model;

use super::checkpoints::{read, repository};

/// A recording in `tests/parity/`.
pub fn recording<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&read(&repository(&format!("tests/parity/{name}.json")))).unwrap()
}

/// The pixel values of the recorded images: 0.9 sin((0.37 + 0.11 image) i).
pub fn pixel_values(image: usize, len: usize) -> Vec<f32> {
    let frequency = 0.37 + 0.11 * image as f64;
    (0..len).map(|i| (0.9 * (frequency * i as f64).sin()) as f32).collect()
}

/// The recorded pictures of these heights and widths: the level at place i of picture n is (7 i² + 13 i + 31 n) mod 256.
pub fn pictures(sides: &[(u32, u32)]) -> Vec<RgbImage> {
    let picture = |(number, &(height, width)): (usize, &(u32, u32))| {
        let level = |i: usize| (7 * i * i + 13 * i + 31 * number) as u8;
        RgbImage::from_rgb(width, height, (0..3 * (height * width) as usize).map(level).collect()).unwrap()
    };
    sides.iter().enumerate().map(picture).collect()
}

/// `tests/parity/model-*.json`, which `tests/parity/record_model.py` recorded.
#[derive(Deserialize)]
pub struct Recording {
    /// Name of the weight file.
    pub weights: String,
    pub weights_sha256: String,
    images: usize,
    input_ids: Vec<Vec<u32>>,
    #[serde(flatten)]
    pub outputs: Outputs,
}

impl Recording {
    pub fn read(name: &str) -> Recording {
        let recording: Recording = recording(&format!("model-{name}"));
        let Outputs { image_embeds, text_embeds, logits_per_image } = &recording.outputs;
        assert!(recording.images > 0 && !recording.input_ids.is_empty());
        assert_eq!((image_embeds.len(), logits_per_image.len()), (recording.images, recording.images));
        assert_eq!(text_embeds.len(), recording.input_ids.len());
        recording
    }

    /// Its images, as pixel values [3, side, side].
    fn images(&self, side: usize) -> impl Iterator<Item = Vec<f32>> {
        (0..self.images).map(move |image| pixel_values(image, 3 * side * side))
    }

    /// The ids of its texts: [texts, context length].
    fn input_ids(&self) -> Vec<u32> {
        self.input_ids.concat()
    }
}

/// Anything with two towers.
pub trait Towers {
    /// Side of the images.
    fn image_size(&self) -> usize;
    /// The embedding of one image.
    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32>;
    /// The embeddings of texts, one after another.
    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32>;
    /// The logits of one image.
    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32>;
}

impl Towers for Model {
    fn image_size(&self) -> usize {
        self.config().vision_config.image_size
    }

    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32> {
        let image = PixelValues::new(pixel_values, Towers::image_size(self));
        siglip::Engine::image_embeds(self, vec![image]).unwrap()
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        siglip::Engine::text_embeds(self, input_ids).unwrap()
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        siglip::Engine::logits_per_image(self, image_embeds, text_embeds)
    }
}

/// One row per image or text.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Outputs {
    pub image_embeds: Vec<Vec<f32>>,
    pub text_embeds: Vec<Vec<f32>>,
    pub logits_per_image: Vec<Vec<f32>>,
}

impl Outputs {
    /// Runs both towers over the inputs of `recording`.
    pub fn of(towers: &mut impl Towers, recording: &Recording) -> Outputs {
        let images = recording.images(towers.image_size());
        let image_embeds: Vec<Vec<f32>> = images.map(|image| towers.image_embeds(image)).collect();
        let texts = towers.text_embeds(recording.input_ids());
        let logits_per_image =
            image_embeds.iter().map(|image| towers.logits_per_image(image, &texts)).collect();
        let text_embeds = texts.chunks(image_embeds[0].len()).map(<[f32]>::to_vec).collect();
        Outputs { image_embeds, text_embeds, logits_per_image }
    }

    /// Fails if an embedding or a logit is further than its bound from the expected one.
    #[track_caller]
    pub fn assert_close(&self, expected: &Outputs, embeds: f32, logits: f32, what: &str) {
        let rows = |name: &str, actual: &[Vec<f32>], expected: &[Vec<f32>], bound: f32| {
            let lengths = |rows: &[Vec<f32>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(lengths(actual), lengths(expected));
            let difference = largest_difference(&actual.concat(), &expected.concat());
            assert!(difference <= bound, "{what}: {name} differ by {difference:e}, more than {bound:e}");
        };
        rows("image_embeds", &self.image_embeds, &expected.image_embeds, embeds);
        rows("text_embeds", &self.text_embeds, &expected.text_embeds, embeds);
        rows("logits_per_image", &self.logits_per_image, &expected.logits_per_image, logits);
    }

    /// Fails if the cosine of an embedding with the exact one is below `bound`.
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

/// The largest difference of two lists of equal length; infinite for a NaN.
#[track_caller]
pub fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let difference = |(a, b): (&f32, &f32)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() };
    found.iter().zip(expected).map(difference).fold(0.0, f32::max)
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
