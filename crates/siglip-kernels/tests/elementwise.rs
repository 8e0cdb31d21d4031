//! Norms, activations and vector sums against plain loops.

#[path = "common/mod.rs"]
mod common;

use common::{assert_close, gelu_erf, gelu_tanh, random, softmax};
use fastrand::Rng;
use siglip_kernels::{Gelu, add_assign, dot, gelu, l2_normalize, layer_norm};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LENGTHS: [usize; 13] = [0, 1, 3, 7, 8, 9, 15, 49, 64, 192, 768, 1152, 4304];

fn each_length(mut check: impl FnMut(&mut Rng, usize)) {
    for length in LENGTHS {
        check(&mut Rng::with_seed(length as u64), length);
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn layer_norm_centres_and_scales() {
    each_length(|rng, width| {
        for rows in [0, 1, 5] {
            let offset = 10.0 * rng.f32();
            let x: Vec<f32> = random(rng, rows * width).iter().map(|x| x + offset).collect();
            let [gamma, beta] = std::array::from_fn(|_| (0..width).map(|_| rng.f32()).collect::<Vec<_>>());
            let mut out = vec![f32::NAN; x.len()];
            layer_norm(&x, &gamma, &beta, 1e-6, &mut out);
            let mut expected = Vec::new();
            for row in x.chunks(width.max(1)).map(widened) {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                expected.extend(row.iter().zip(&gamma).zip(&beta).map(|((x, gamma), beta)| {
                    (x - mean) / (variance + 1e-6).sqrt() * f64::from(*gamma) + f64::from(*beta)
                }));
            }
            let tolerance = if width == 1 { 1e-3 } else { 5e-6 };
            assert_close(&out, &expected, tolerance, &format!("layer norm of {rows} x {width}"));
        }
    });
}

#[test]
fn gelu_follows_tanh_and_erf() {
    for (kind, reference) in [(Gelu::Tanh, gelu_tanh as fn(f64) -> f64), (Gelu::Erf, gelu_erf)] {
        let mut values: Vec<f32> = (-3000..=3000).map(|step| step as f32 / 200.0).collect();
        values.extend([1e-30, -1e-30, 0.0, 1e4, -1e4, 1e30, -1e30, f32::MAX, f32::MIN]);
        let expected = values.clone();
        gelu(kind, &mut values);
        for (actual, x) in values.iter().zip(expected) {
            let expected = reference(f64::from(x));
            let error = (f64::from(*actual) - expected).abs();
            assert!(
                error <= 2e-7 + 1e-6 * expected.abs(),
                "{kind:?} GELU({x}) = {actual}, expected {expected}"
            );
        }
        each_length(|rng, length| {
            let mut values = random(rng, length);
            let expected: Vec<f64> = values.iter().map(|x| reference(f64::from(*x))).collect();
            gelu(kind, &mut values);
            assert_close(&values, &expected, 1e-6, "GELU");
        });
    }
}

#[test]
fn softmax_sums_to_one() {
    each_length(|rng, length| {
        for scale in [1.0, 30.0] {
            let mut row: Vec<f32> = random(rng, length).iter().map(|x| x * scale).collect();
            let expected = softmax(&widened(&row));
            siglip_kernels::softmax(&mut row);
            assert_close(&row, &expected, 1e-5, "softmax");
            if length > 0 {
                let sum: f64 = row.iter().copied().map(f64::from).sum();
                assert!((sum - 1.0).abs() < 1e-5, "softmax of {length} sums to {sum}");
            }
        }
    });
    let mut masked = [0.0, f32::NEG_INFINITY, 0.0];
    siglip_kernels::softmax(&mut masked);
    assert_close(&masked, &[0.5, 0.0, 0.5], 1e-7, "masked softmax");
}

#[test]
fn vectors_are_multiplied_added_and_normalised() {
    each_length(|rng, length| {
        let (a, b) = (random(rng, length), random(rng, length));
        let exact: f64 = widened(&a).iter().zip(widened(&b)).map(|(a, b)| a * b).sum();
        let magnitude: f64 = widened(&a).iter().zip(widened(&b)).map(|(a, b)| (a * b).abs()).sum();
        assert!((f64::from(dot(&a, &b)) - exact).abs() <= 1e-6 * (1.0 + magnitude));

        let mut sum = a.clone();
        add_assign(&mut sum, &b);
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert_eq!(sum, expected);

        let norm = widened(&a).iter().map(|a| a * a).sum::<f64>().sqrt();
        let expected: Vec<f64> = widened(&a).iter().map(|a| a / norm).collect();
        let mut unit = a.clone();
        l2_normalize(&mut unit);
        assert_close(&unit, &expected, 1e-6, "L2 norm");
    });
    let mut zeros = [0.0; 9];
    l2_normalize(&mut zeros);
    assert_eq!(zeros, [0.0; 9]);
}

#[test]
fn values_that_are_not_finite_do_not_panic() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for length in [1, 8, 11] {
            let mut values = vec![bad; length];
            gelu(Gelu::Tanh, &mut values);
            gelu(Gelu::Erf, &mut values);
            siglip_kernels::softmax(&mut values);
            l2_normalize(&mut values);
            let mut out = vec![0.0; length];
            layer_norm(&vec![bad; length], &vec![1.0; length], &vec![0.0; length], 1e-6, &mut out);
            assert!(out.iter().all(|y| y.is_nan()));
        }
    }
}
