//! Checkpoints as transformers 5 saves them, of one tower, and weights as MLX stores them.

use std::fs::File;
use std::io::{self, Read};

use serde::Deserialize;
use serde_json::{Value, json};
use siglip::model::{memory_needed, packed_bytes};
use siglip::weights::{Dtype, header_bytes};
use siglip::{Config, Error, LoadOptions, Precision, Siglip, Towers};

use crate::support::checkpoints::{read, read_text, repository, siglip, whole};
use crate::support::reference::{largest_difference, pictures, recording};
use crate::support::weight_files::rows_of;

const SMALL: &str = "tests/fixtures/random-small";
const VISION: &str = "tests/fixtures/random-vision";
const TEXT: &str = "tests/fixtures/random-text";

#[derive(Deserialize)]
struct Recording {
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    image_embeds: Vec<Vec<f32>>,
    texts: Vec<String>,
    text_embeds: Vec<Vec<f32>>,
}

/// Loads a folder of which some files are others; `None` for one that is missing.
fn load_changed(
    folder: &str,
    options: LoadOptions,
    changed: &[(&str, Option<Vec<u8>>)],
) -> Result<Siglip, Error> {
    let open = |name: &str| match changed.iter().find(|(other, _)| *other == name) {
        Some((_, Some(content))) => Ok(Box::new(io::Cursor::new(content.clone())) as Box<dyn Read>),
        Some((_, None)) => Err(io::Error::new(io::ErrorKind::NotFound, name)),
        None => Ok(Box::new(File::open(repository(folder).join(name))?) as Box<dyn Read>),
    };
    Siglip::from_files(open, options)
}

#[test]
fn a_vision_tower_alone_embeds_as_the_reference_does() {
    let recording: Recording = recording("one-tower");
    for (precision, bound) in [(Precision::F32, 2e-6), (Precision::Q8, 0.02)] {
        let mut siglip = siglip(&repository(VISION), precision);
        for (picture, expected) in pictures(&recording.pictures).iter().zip(&recording.image_embeds) {
            let found = siglip.image_embeds(picture).unwrap();
            assert!(largest_difference(&found, expected) < bound, "{precision:?}");
        }
        let model = siglip.engine();
        assert_eq!(model.towers(), Towers::Image);
        let options = LoadOptions { towers: Towers::Image, ..whole(precision) };
        assert_eq!(model.bytes() as u64, packed_bytes(model.config(), options));
        assert!(memory_needed(model.config(), options) >= model.bytes() as u64);
        assert!(siglip.check_logits().is_err(), "there is no scale");
    }
}

#[test]
fn a_text_tower_alone_embeds_as_the_reference_does() {
    let recording: Recording = recording("one-tower");
    for (precision, bound) in [(Precision::F32, 2e-6), (Precision::Q8, 0.02)] {
        let mut siglip = siglip(&repository(TEXT), precision);
        let found = siglip.text_embeds(&recording.texts).unwrap();
        assert!(
            largest_difference(&found.concat(), &recording.text_embeds.concat()) < bound,
            "{precision:?}"
        );
        assert_eq!(siglip.engine().towers(), Towers::Text);
        let refused = siglip.image_embeds(&pictures(&recording.pictures)[0]).unwrap_err();
        assert!(matches!(refused, Error::BadInput(_)), "{refused}");
    }
}

#[test]
fn the_tower_that_a_checkpoint_lacks_is_refused() {
    for (folder, towers, lacks) in
        [(VISION, Towers::Text, "no text tower"), (TEXT, Towers::Image, "no image tower")]
    {
        let options = LoadOptions { towers, ..whole(Precision::F32) };
        let error = load_changed(folder, options, &[]).unwrap_err();
        assert!(matches!(&error, Error::BadInput(reason) if reason.contains(lacks)), "{error}");
    }
    let vision: Value = serde_json::from_str(&read_text(&repository(VISION).join("config.json"))).unwrap();
    let refusal = |field: &str, value: Value| {
        let mut config = vision.clone();
        config[field] = value;
        Config::from_json(&config.to_string()).unwrap_err().to_string()
    };
    assert!(refusal("vision_use_head", json!(false)).contains("attention pooling head"));
    assert!(refusal("image_size", json!([44, 28])).contains("[44, 28] is no square"));
    assert!(refusal("patch_size", json!([14, 14, 3])).contains("the side of a square"));
    assert!(refusal("hidden_size", json!(0)).contains("hidden_size"));
}

#[test]
fn sides_may_be_lists_and_the_processor_may_hold_the_preprocessor() {
    let folder = repository(SMALL);
    let mut config: Value = serde_json::from_str(&read_text(&folder.join("config.json"))).unwrap();
    for side in ["image_size", "patch_size"] {
        let value = config["vision_config"][side].clone();
        config["vision_config"][side] = json!([value, value]);
    }
    let preprocessor: Value =
        serde_json::from_str(&read_text(&folder.join("preprocessor_config.json"))).unwrap();
    let processor = json!({ "image_processor": preprocessor, "processor_class": "SiglipProcessor" });
    let bytes = |json: &Value| Some(json.to_string().into_bytes());
    let changed = [
        ("config.json", bytes(&config)),
        ("preprocessor_config.json", None),
        ("processor_config.json", bytes(&processor)),
    ];
    let mut found = load_changed(SMALL, whole(Precision::F32), &changed).unwrap();
    let mut expected = siglip(&folder, Precision::F32);
    let picture = &pictures(&[(40, 25)])[0];
    assert_eq!(found.image_embeds(picture).unwrap(), expected.image_embeds(picture).unwrap());

    let nothing = [("preprocessor_config.json", None), ("processor_config.json", None)];
    let error = load_changed(SMALL, whole(Precision::F32), &nothing).unwrap_err().to_string();
    assert!(error.contains("preprocessor_config.json"), "{error}");
}

/// A safetensors file as MLX names its tensors and lays them out, with the numbers of another one.
fn as_mlx(file: &[u8]) -> Vec<u8> {
    let (mut tensors, mut bytes) = (Vec::new(), Vec::new());
    for rows in rows_of(file).unwrap() {
        let (mut tensor, mut values) = (rows.tensor, rows.values);
        if tensor.name.ends_with("patch_embedding.weight") {
            let [outputs, channels, height, width] = tensor.shape[..] else { panic!("{:?}", tensor.shape) };
            let pixels = height * width;
            let before = values.clone();
            for (at, value) in values.iter_mut().enumerate() {
                let (row, inside) = (at / (channels * pixels), at % (channels * pixels));
                *value = before[row * channels * pixels + inside % channels * pixels + inside / channels];
            }
            tensor.shape = vec![outputs, height, width, channels];
        }
        if let Some((tower, _)) = tensor.name.split_once('.') {
            tensor.name =
                format!("{tower}.{}", tensor.name.replace("attention.in_proj_", "attention.in_proj."));
        }
        bytes.extend(values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()));
        tensors.push(tensor);
    }
    [header_bytes(&tensors, Dtype::F16), bytes].concat()
}

#[test]
fn mlx_weights_in_f16_are_the_same_model() {
    let f16 = read(&repository(SMALL).join("model.f16.safetensors"));
    let load = |weights| {
        load_changed(SMALL, whole(Precision::F32), &[("model.safetensors", Some(weights))]).unwrap()
    };
    let (mut mlx, mut expected) = (load(as_mlx(&f16)), load(f16));
    let picture = &pictures(&[(40, 25)])[0];
    let texts = ["a cat".to_string()];
    assert_eq!(mlx.image_embeds(picture).unwrap(), expected.image_embeds(picture).unwrap());
    assert_eq!(mlx.text_embeds(&texts).unwrap(), expected.text_embeds(&texts).unwrap());
    assert_eq!(mlx.engine().logit_scale(), expected.engine().logit_scale());
}
