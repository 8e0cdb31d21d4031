//! Plain loops in f64, the reference for the kernels.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use fastrand::Rng;

/// Values between -1 and 1, with a few far outside, as activations have them.
pub fn random(rng: &mut Rng, len: usize) -> Vec<f32> {
    let value = |rng: &mut Rng| rng.f32() * 2.0 - 1.0;
    (0..len).map(|_| if rng.u8(..) == 0 { 20.0 * value(rng) } else { value(rng) }).collect()
}

/// Values between -1 and 1, spread evenly.
pub fn even(rng: &mut Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

/// x Wᵀ of `x` [rows, inputs] and `weight` [outputs, inputs].
pub fn product(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    x.chunks(inputs).flat_map(|x| weight.chunks(inputs).map(move |weight| dot(x, weight))).collect()
}

/// A row quantized to integers of at most `max` in magnitude, and their scale.
fn quantized(row: &[f32], max: f32) -> (Vec<i64>, f32) {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return (vec![0; row.len()], 0.0);
    }
    let inverse = max / largest;
    (row.iter().map(|value| (value * inverse).round_ties_even() as i64).collect(), largest / max)
}

/// x Wᵀ as Q8 computes it: weights of at most 127, activations of at most 16256 or as large as sums in i32 permit, exact sums.
pub fn product_q8(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let max = (i32::MAX as usize / (127 * inputs)).min(16256) as f32;
    let weight: Vec<_> = weight.chunks(inputs).map(|row| quantized(row, 127.0)).collect();
    let mut out = Vec::new();
    for (x, x_scale) in x.chunks(inputs).map(|row| quantized(row, max)) {
        for (weight, scale) in &weight {
            let sum: i64 = x.iter().zip(weight).map(|(a, b)| a * b).sum();
            out.push(
                i32::try_from(sum).expect("sums of quantized products fit i32") as f32 * (x_scale * scale),
            );
        }
    }
    out
}

/// x Wᵀ as Q8 computes it on rows of bytes: weights of at most 127, activations from 0 to 255 with a zero point, exact sums.
pub fn product_u8(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let weight: Vec<_> = weight.chunks(inputs).map(|row| quantized(row, 127.0)).collect();
    let mut out = Vec::new();
    for x in x.chunks(inputs) {
        let largest = x.iter().copied().fold(0.0, f32::max);
        let least = x.iter().map(|x| -x).fold(0.0, f32::max);
        let (range, inverse) = (largest + least, 255.0 / (largest + least));
        let zero = (least * inverse).round_ties_even();
        let x: Vec<i64> =
            x.iter().map(|x| ((x * inverse + zero).round_ties_even() as i64).clamp(0, 255)).collect();
        for (weight, scale) in &weight {
            let sum: i64 = x.iter().zip(weight).map(|(x, weight)| (x - zero as i64) * weight).sum();
            out.push(sum as f32 * (range / 255.0 * scale));
        }
    }
    out
}

pub fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

pub fn gelu_erf(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2)
}

pub fn softmax(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = row.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Fails where a value is further than `tolerance` · (1 + the largest value) from what is expected.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    for (at, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*actual) - expected).abs();
        assert!(error <= tolerance * largest, "{what}: {actual} at {at}, expected {expected}");
    }
}

pub fn cosine(a: &[f32], b: &[f64]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().map(|a| f64::from(*a)).zip(b) {
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}
