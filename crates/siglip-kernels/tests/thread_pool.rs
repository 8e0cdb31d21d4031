//! Kernels give the same bits with any number of threads.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::sync::Barrier;

use common::random;
use fastrand::Rng;
use siglip_kernels::{
    AttentionShape, Epilogue, Gelu, PackedMatrix, Precision, Scratch, attention, attention_q8,
};
use siglip_kernels::{join_thread_pool, layer_norm, linear, thread_pool_members};

/// The results of a block's kernels on random rows.
fn block(rows: usize, width: usize) -> Vec<f32> {
    let rng = &mut Rng::with_seed(rows as u64);
    let (x, weight, bias) =
        (random(rng, rows * width), random(rng, 3 * width * width), random(rng, 3 * width));
    let mut results = vec![0.0; rows * width];
    layer_norm(&x, &bias[..width], &bias[width..2 * width], 1e-6, &mut results);
    for precision in [Precision::F32, Precision::Q8, Precision::Q8Exact] {
        let mut packed = PackedMatrix::new(precision, width, 3 * width);
        packed.pack(0, &weight);
        let mut qkv = vec![0.0; rows * 3 * width];
        linear(&x, rows, &packed, Epilogue::BiasGelu(&bias, Gelu::Tanh), &mut qkv, &mut Scratch::default());
        let (heads, stride) = (width / 12, 3 * width);
        let shape = AttentionShape {
            q_rows: rows,
            kv_rows: rows,
            heads,
            head_dim: 12,
            q_stride: stride,
            kv_stride: stride,
            scale: 0.3,
        };
        let mut context = vec![0.0; rows * heads * 12];
        for attend in [attention, attention_q8] {
            attend(&shape, &qkv, &qkv[width..], &qkv[2 * width..], &mut context);
            results.extend_from_slice(&context);
        }
        results.extend(qkv);
    }
    results
}

#[test]
fn the_same_bits_with_any_number_of_threads() {
    const SHAPES: [(usize, usize); 4] = [(1, 24), (40, 100), (257, 96), (64, 264)];
    let alone: Vec<Vec<f32>> = SHAPES.iter().map(|&(rows, width)| block(rows, width)).collect();
    for members in 1..=3 {
        std::thread::spawn(|| join_thread_pool());
        while thread_pool_members() < members {
            std::thread::yield_now();
        }
        for _ in 0..50 {
            for (&(rows, width), alone) in SHAPES.iter().zip(&alone) {
                assert!(block(rows, width) == *alone, "{rows} rows of {width} with {members} members");
            }
        }
    }
    // Two threads call kernels at the same time: the pool works for one, the other works alone.
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    barrier.wait();
                    assert!(block(SHAPES[2].0, SHAPES[2].1) == alone[2]);
                }
            });
        }
    });
}
