//! Outputs in f32 against those of transformers in Python.

use sha2::{Digest, Sha256};
use siglip::Precision;

use crate::support::checkpoints::{RANDOM_SMALL, TINY, hex, model_of, read, repository, whole};
use crate::support::reference::{Outputs, Recording};

fn equals_recording(folder: &str, name: &str) {
    let recording = Recording::read(name);
    let weights = read(&repository(folder).join(&recording.weights));
    assert_eq!(
        hex(&Sha256::digest(weights)),
        recording.weights_sha256,
        "{name} was recorded with other weights"
    );
    let mut model = model_of(folder, &recording.weights, whole(Precision::F32));
    Outputs::of(&mut model, &recording).assert_close(&recording.outputs, 1e-5, 1e-3, name);
}

#[test]
fn random_small_equals_the_reference() {
    equals_recording(RANDOM_SMALL, "random-small");
}

#[test]
fn random_small_in_f16_equals_the_reference() {
    equals_recording(RANDOM_SMALL, "random-small-f16");
}

#[test]
fn random_small_in_bf16_equals_the_reference() {
    equals_recording(RANDOM_SMALL, "random-small-bf16");
}

#[test]
fn tiny_equals_the_reference() {
    equals_recording(TINY, "tiny");
}
