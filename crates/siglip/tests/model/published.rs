//! google/siglip-base-patch16-224 itself, against published outputs: `tests/parity/recorded_logits.json`.
//!
//! `SIGLIP_BASE_PATCH16_224` names a folder with its files; without it the test is skipped. `SIGLIP_PICTURES` names a
//! folder with the images: `yolov5_bus.jpg` (ultralytics' `bus.jpg`, 810 x 1080) and `000000039769.png`
//! (from transformers' `tests/fixtures/tests_samples/COCO`).

use std::io::Write;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use siglip::image::decode;
use siglip::{Precision, Siglip};

use crate::support::checkpoints::{hex, read, siglip};
use crate::support::reference::recording;

const CHECKPOINT: &str = "SIGLIP_BASE_PATCH16_224";
const PICTURES: &str = "SIGLIP_PICTURES";

#[derive(Deserialize)]
struct Published {
    hf_test_modeling_siglip: Batch,
    deploysharp: Single,
}

#[derive(Deserialize)]
struct Batch {
    texts: Vec<String>,
    logits_per_image: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Single {
    /// Its path, its SHA-256 and its sides.
    image: String,
    texts: Vec<String>,
    logits: Vec<f32>,
    logit_scale_exp: f32,
    logit_bias: f32,
}

#[expect(clippy::explicit_write, reason = "the test harness captures what eprintln! writes")]
fn say_skipped(what: &str, variable: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {what}; {variable} does not name a folder that has it").unwrap();
}

fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

fn picture(name: &str) -> Option<Vec<u8>> {
    let file = folder(PICTURES).map(|folder| folder.join(name)).filter(|file| file.exists());
    if file.is_none() {
        say_skipped(&format!("the published logits of {name}"), PICTURES);
    }
    file.map(|file| read(&file))
}

#[track_caller]
fn assert_logits(siglip: &mut Siglip, picture: &[u8], texts: &[String], expected: &[f32]) {
    let image_embeds = siglip.image_embeds(&decode(picture).unwrap()).unwrap();
    let text_embeds = siglip.text_embeds(texts).unwrap().concat();
    let logits = siglip.logits_per_image(&image_embeds, &text_embeds);
    assert_eq!(logits.len(), expected.len());
    for (logit, expected) in logits.iter().zip(expected) {
        assert!((logit - expected).abs() <= 1e-3 * (1.0 + expected.abs()), "{logits:?} for {expected}");
    }
}

#[test]
fn the_published_checkpoint_has_the_published_outputs() {
    let Some(checkpoint) = folder(CHECKPOINT) else {
        return say_skipped("google/siglip-base-patch16-224 against published outputs", CHECKPOINT);
    };
    let Published { hf_test_modeling_siglip: cats, deploysharp: bus } = recording("recorded_logits");

    let mut siglip = siglip(&checkpoint, Precision::F32);
    let (scale, bias) = (siglip.engine().logit_scale(), siglip.engine().logit_bias());
    assert!((scale - bus.logit_scale_exp).abs() <= 1e-4, "scale {scale} for {}", bus.logit_scale_exp);
    assert_eq!(bias, bus.logit_bias);

    if let Some(picture) = picture("yolov5_bus.jpg") {
        let sha256 = hex(&Sha256::digest(&picture));
        assert!(bus.image.contains(&sha256), "another picture, {sha256}, than {}", bus.image);
        assert_logits(&mut siglip, &picture, &bus.texts, &bus.logits);
    }
    if let Some(picture) = picture("000000039769.png") {
        assert_logits(&mut siglip, &picture, &cats.texts, &cats.logits_per_image[0]);
    }
}
