//! The memory that a model takes is known before it is built.

use siglip::model::{ModelLoader, memory_needed, packed_bytes};
use siglip::weights::{Dtype, WeightReader};
use siglip::{Config, EngineLoader as _, Error, LoadOptions, PRESETS, Precision, Shard, preset};

/// Sizes that are not multiples of a panel, with a wider image tower.
const ODD: &str = r#"{
  "model_type": "siglip",
  "text_config": {"hidden_size": 30, "intermediate_size": 41, "num_hidden_layers": 1, "num_attention_heads": 5,
    "vocab_size": 101, "max_position_embeddings": 3, "projection_size": 42},
  "vision_config": {"hidden_size": 42, "intermediate_size": 85, "num_hidden_layers": 2, "num_attention_heads": 3,
    "image_size": 15, "patch_size": 5}
}"#;

#[test]
fn packed_bytes_equal_the_models_memory() {
    let config = Config::from_json(ODD).unwrap();
    let mut weights = Vec::new();
    siglip::random_weights(&config, Dtype::F32, 1, |bytes| {
        weights.extend_from_slice(bytes);
        Ok::<(), Error>(())
    })
    .unwrap();
    for precision in [Precision::Q8, Precision::F32] {
        for count in 1..=3 {
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                let options = LoadOptions { precision, shard, ..LoadOptions::default() };
                let mut loader = ModelLoader::new(config.clone(), options).unwrap();
                let mut reader = WeightReader::new();
                reader.push(&weights, &mut loader).unwrap();
                reader.finish().unwrap();
                let model = loader.finish().unwrap();
                let bytes = packed_bytes(&config, options);
                assert_eq!(bytes, model.bytes() as u64, "{precision:?}, worker {index} of {count}");
                assert!(memory_needed(&config, options) >= bytes);
            }
        }
    }
}

#[test]
fn memory_needed_is_near_the_size_of_the_parameters() {
    for name in PRESETS {
        let config = preset(name).unwrap();
        let parameters: usize = siglip::weights::tensors(&config).iter().map(|tensor| tensor.len()).sum();
        let needed = |precision| {
            let options = LoadOptions { precision, ..LoadOptions::default() };
            memory_needed(&config, options) as f64 / parameters as f64
        };
        let (q8, f32) = (needed(Precision::Q8), needed(Precision::F32));
        assert!(
            (1.0..1.2).contains(&q8) && (4.0..4.1).contains(&f32),
            "{name}: {q8}, {f32} bytes a parameter"
        );
    }
}
