//! Attention against plain loops.

#[path = "common/mod.rs"]
mod common;

use common::{assert_close, cosine, random, softmax};
use fastrand::Rng;
use siglip_kernels::{AttentionShape, attention, attention_q8};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// q_rows, kv_rows, heads, head_dim
const SHAPES: [(usize, usize, usize, usize); 14] = [
    (1, 1, 1, 1),
    (1, 64, 12, 64),
    (1, 256, 2, 64),
    (2, 3, 2, 5),
    (7, 9, 3, 7),
    (8, 8, 1, 8),
    (16, 16, 3, 64),
    (17, 17, 2, 16),
    (49, 49, 3, 64),
    (64, 64, 2, 64),
    (63, 65, 2, 72),
    (196, 196, 1, 64),
    (33, 256, 1, 72),
    (20, 1024, 1, 64),
];

fn expected(shape: &AttentionShape, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f64> {
    let width = shape.heads * shape.head_dim;
    let mut out = vec![0.0; shape.q_rows * width];
    for (query, out) in out.chunks_mut(width).enumerate() {
        for (head, out) in out.chunks_mut(shape.head_dim).enumerate() {
            let row = |x: &[f32], at: usize, stride: usize| -> Vec<f64> {
                x[at * stride + head * shape.head_dim..][..shape.head_dim]
                    .iter()
                    .map(|x| f64::from(*x))
                    .collect()
            };
            let q = row(q, query, shape.q_stride);
            let scores: Vec<f64> = (0..shape.kv_rows)
                .map(|key| {
                    let dot: f64 = q.iter().zip(row(k, key, shape.kv_stride)).map(|(q, k)| q * k).sum();
                    dot * f64::from(shape.scale)
                })
                .collect();
            for (key, weight) in softmax(&scores).into_iter().enumerate() {
                for (out, v) in out.iter_mut().zip(row(v, key, shape.kv_stride)) {
                    *out += weight * v;
                }
            }
        }
    }
    out
}

#[test]
fn views_of_one_buffer() {
    for (seed, (q_rows, kv_rows, heads, head_dim)) in SHAPES.into_iter().enumerate() {
        let rng = &mut Rng::with_seed(seed as u64);
        let (width, scale) = (heads * head_dim, 1.0 / (head_dim as f32).sqrt());
        let stride = 3 * width;
        let qkv = random(rng, q_rows.max(kv_rows) * stride);
        let shape =
            AttentionShape { q_rows, kv_rows, heads, head_dim, q_stride: stride, kv_stride: stride, scale };
        let (q, k, v) = (&qkv[..], &qkv[width..], &qkv[2 * width..]);
        let mut out = vec![f32::NAN; q_rows * width];
        attention(&shape, q, k, v, &mut out);
        let expected = expected(&shape, q, k, v);
        assert_close(&out, &expected, 1e-5, &format!("{shape:?}"));
        out.fill(f32::NAN);
        attention_q8(&shape, q, k, v, &mut out);
        assert_close(&out, &expected, 1e-2, &format!("q8 {shape:?}"));
        let cosine = cosine(&out, &expected);
        assert!(cosine > 0.99999, "{shape:?}: cosine {cosine}");
    }
}

#[test]
fn separate_buffers_end_with_their_last_value() {
    let rng = &mut Rng::with_seed(7);
    let (heads, head_dim) = (3, 10);
    let shape =
        AttentionShape { q_rows: 11, kv_rows: 13, heads, head_dim, q_stride: 31, kv_stride: 35, scale: 0.5 };
    let q = random(rng, 10 * 31 + 30);
    let (k, v) = (random(rng, 12 * 35 + 30), random(rng, 12 * 35 + 30));
    let mut out = vec![0.0; 11 * 30];
    attention(&shape, &q, &k, &v, &mut out);
    let expected = expected(&shape, &q, &k, &v);
    assert_close(&out, &expected, 2e-6, "odd strides");
    attention_q8(&shape, &q, &k, &v, &mut out);
    assert_close(&out, &expected, 1e-2, "q8, odd strides");
}

#[test]
fn scores_of_any_size_do_not_overflow() {
    let shape = AttentionShape {
        q_rows: 9,
        kv_rows: 20,
        heads: 1,
        head_dim: 8,
        q_stride: 8,
        kv_stride: 8,
        scale: 1.0,
    };
    let rng = &mut Rng::with_seed(8);
    let q: Vec<f32> = random(rng, 72).iter().map(|q| q * 1e3).collect();
    let (k, v) = (random(rng, 160), random(rng, 160));
    let mut out = vec![0.0; 72];
    attention(&shape, &q, &k, &v, &mut out);
    assert_close(&out, &expected(&shape, &q, &k, &v), 1e-3, "large scores");
}

#[test]
fn a_query_that_is_not_finite_leaves_the_others_alone() {
    let shape = AttentionShape {
        q_rows: 20,
        kv_rows: 20,
        heads: 2,
        head_dim: 8,
        q_stride: 16,
        kv_stride: 16,
        scale: 1.0,
    };
    let rng = &mut Rng::with_seed(9);
    let (q, k, v) = (random(rng, 320), random(rng, 320), random(rng, 320));
    for attention in [attention, attention_q8] {
        let mut clean = vec![0.0; 320];
        attention(&shape, &q, &k, &v, &mut clean);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut spoiled = q.clone();
            spoiled[3 * 16] = bad;
            let mut out = vec![0.0; 320];
            attention(&shape, &spoiled, &k, &v, &mut out);
            assert_eq!(out[..48], clean[..48]);
            assert_eq!(out[64..], clean[64..]);
            attention(&shape, &q, &spoiled, &spoiled, &mut out);
        }
    }
}

#[test]
fn empty_shapes_are_accepted() {
    let shape = AttentionShape {
        q_rows: 2,
        kv_rows: 0,
        heads: 2,
        head_dim: 4,
        q_stride: 8,
        kv_stride: 8,
        scale: 1.0,
    };
    let mut out = [1.0; 16];
    attention(&shape, &[1.0; 16], &[], &[], &mut out);
    assert_eq!(out, [0.0; 16]);
    attention_q8(&AttentionShape { heads: 0, kv_rows: 2, ..shape }, &[], &[], &[], &mut []);
    attention(&AttentionShape { q_rows: 0, ..shape }, &[], &[], &[], &mut []);
}
