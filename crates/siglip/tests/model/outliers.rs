//! A model whose activations have outliers: like those of trained models, a few channels are far larger than all others.

use siglip::model::ModelLoader;
use siglip::weights::{Dtype, TensorShape, TensorSink, WeightReader};
use siglip::{Config, EngineLoader as _, Error, Precision, preset, random_weights};

use crate::quantized::LEAST_COSINE;
use crate::support::checkpoints::whole;
use crate::support::reference::{Towers as _, cosine, pixel_values};

/// Multiplies these channels of every layer norm's weight.
const CHANNELS: [usize; 3] = [5, 300, 701];

struct WithOutliers<'l> {
    loader: &'l mut ModelLoader,
    factor: f32,
}

impl TensorSink for WithOutliers<'_> {
    fn begin(&mut self, tensors: &[TensorShape]) -> Result<(), Error> {
        self.loader.begin(tensors)
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        let mut values = values.to_vec();
        if tensor.name.contains("layer_norm") && tensor.name.ends_with(".weight") {
            for (value, channel) in values.iter_mut().zip(first_row..) {
                if CHANNELS.contains(&channel) {
                    *value *= self.factor;
                }
            }
        }
        self.loader.rows(tensor, first_row, &values)
    }
}

/// The embedding of one image by base-patch16-256 with fewer layers and tokens.
fn image_embeds(config: &Config, precision: Precision, factor: f32) -> Vec<f32> {
    let mut loader = ModelLoader::new(config.clone(), whole(precision)).unwrap();
    let mut reader = WeightReader::new();
    random_weights(config, Dtype::F32, 7, |bytes| {
        reader.push(bytes, &mut WithOutliers { loader: &mut loader, factor })
    })
    .unwrap();
    reader.finish().unwrap();
    let mut model = loader.finish().unwrap();
    let size = config.vision_config.image_size;
    model.image_embeds(pixel_values(0, 3 * size * size))
}

#[test]
fn outlier_channels_leave_q8_close_to_f32() {
    let mut config = preset("base-patch16-256").unwrap();
    config.vision_config.num_hidden_layers = 6;
    config.text_config.num_hidden_layers = 1;
    config.text_config.vocab_size = 100;
    for factor in [1.0, 8.0, 30.0, 100.0] {
        let exact = image_embeds(&config, Precision::F32, factor);
        let [q8, q8_exact] = [Precision::Q8, Precision::Q8Exact]
            .map(|precision| cosine(&image_embeds(&config, precision, factor), &exact));
        // Outliers times 100 are too much for weights in 8 bits, with activations in any number of bits: 0.9974.
        let bound = LEAST_COSINE.min(q8_exact - 1e-4);
        assert!(q8 >= bound, "outliers times {factor}: cosine {q8} in q8, {q8_exact} in q8-exact");
        assert!(q8_exact >= LEAST_COSINE || factor > 30.0, "outliers times {factor}: cosine {q8_exact}");
    }
}
