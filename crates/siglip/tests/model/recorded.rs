//! Outputs in f32 against those of transformers.

use sha2::{Digest, Sha256};
use siglip::model::{Precision, Shard};

use crate::common::{RANDOM_SMALL, TINY, hex, read, repository, shard};
use crate::outputs::Outputs;
use crate::recording::Recording;

fn equals_recording(folder: &str, name: &str) {
    let recording = Recording::read(name);
    let weights = read(&repository(folder).join(&recording.weights));
    assert_eq!(
        hex(&Sha256::digest(weights)),
        recording.weights_sha256,
        "{name} was recorded of other weights"
    );
    let mut model = shard(folder, &recording.weights, Precision::F32, Shard::WHOLE);
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
