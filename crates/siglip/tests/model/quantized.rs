//! How close embeddings in 8 bits, and in bfloat16, are to those in f32.

use siglip::Precision;

use crate::support::checkpoints::{RANDOM_SMALL, TINY, model};
use crate::support::reference::{Outputs, Recording};

/// The least cosine of an embedding in q8 with the one in f32, for trained models and models of published sizes.
pub const LEAST_COSINE: f64 = 0.9995;

fn is_close_to_f32(precision: Precision, folder: &str, name: &str, bound: f64) {
    let recording = Recording::read(name);
    let exact = Outputs::of(&mut model(folder, Precision::F32), &recording);
    let rounded = Outputs::of(&mut model(folder, precision), &recording);
    rounded.assert_cosines(&exact, bound, name);
}

#[test]
fn tiny_in_q8_is_close_to_f32() {
    is_close_to_f32(Precision::Q8, TINY, "tiny", LEAST_COSINE);
}

#[test]
fn tiny_in_bf16_is_close_to_f32() {
    is_close_to_f32(Precision::Bf16, TINY, "tiny", 0.9999);
}

/// The least cosine is 0.9982, for one image; the others are above 0.9995. A sum has only 48 terms here, so errors
/// average out less, and queries and keys have twice the usual deviation, so softmax is sharp. With queries and keys in
/// f32 the least cosine is 0.9997.
#[test]
fn random_small_in_q8_is_close_to_f32() {
    is_close_to_f32(Precision::Q8, RANDOM_SMALL, "random-small", 0.998);
}

/// The least cosine is 0.99985, for the image that is least in `q8`.
#[test]
fn random_small_in_bf16_is_close_to_f32() {
    is_close_to_f32(Precision::Bf16, RANDOM_SMALL, "random-small", 0.9998);
}
