//! Rates on the shapes of a vision tower of base size: `cargo bench -p siglip-kernels`. Criterion's elements are operations;
//! a multiplication with its addition counts as two.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use siglip_kernels::{AttentionShape, Epilogue, Gelu, PackedMatrix, Precision, Scratch};

const ROWS: usize = 256;
const HIDDEN: usize = 768;
const MIDDLE: usize = 3072;
const HEADS: usize = 12;

fn random(len: usize) -> Vec<f32> {
    let mut rng = Rng::with_seed(len as u64);
    (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

fn linear(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("linear, {}", siglip_kernels::backend()));
    let mut scratch = Scratch::default();
    for precision in [Precision::F32, Precision::Q8, Precision::Q8Exact] {
        for (rows, inputs, outputs) in [
            (ROWS, HIDDEN, HIDDEN),
            (ROWS, HIDDEN, MIDDLE),
            (ROWS, MIDDLE, HIDDEN),
            (64, HIDDEN, MIDDLE),
            (1, HIDDEN, MIDDLE),
        ] {
            let (x, bias) = (random(rows * inputs), random(outputs));
            let mut weight = PackedMatrix::new(precision, inputs, outputs);
            weight.pack(0, &random(inputs * outputs));
            let mut out = vec![0.0; rows * outputs];
            group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
            group.bench_function(format!("{precision:?} {rows}x{inputs}x{outputs}"), |bencher| {
                bencher.iter(|| {
                    siglip_kernels::linear(&x, rows, &weight, Epilogue::Bias(&bias), &mut out, &mut scratch);
                });
            });
        }
    }
}

fn attention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    let stride = 3 * HIDDEN;
    let qkv = random(ROWS * stride);
    let mut out = vec![0.0; ROWS * HIDDEN];
    let shape = AttentionShape {
        q_rows: ROWS,
        kv_rows: ROWS,
        heads: HEADS,
        head_dim: HIDDEN / HEADS,
        q_stride: stride,
        kv_stride: stride,
        scale: 0.125,
    };
    let (q, k, v) = (&qkv[..], &qkv[HIDDEN..], &qkv[2 * HIDDEN..]);
    group.throughput(Throughput::Elements((4 * ROWS * ROWS * HIDDEN) as u64));
    group.bench_function("F32", |bencher| {
        bencher.iter(|| siglip_kernels::attention(&shape, q, k, v, &mut out));
    });
    group.bench_function("Q8", |bencher| {
        bencher.iter(|| siglip_kernels::attention_q8(&shape, q, k, v, &mut out));
    });
}

fn elementwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elementwise");
    let (x, gamma, beta) = (random(ROWS * HIDDEN), random(HIDDEN), random(HIDDEN));
    let mut out = vec![0.0; x.len()];
    group.throughput(Throughput::Elements(x.len() as u64));
    group.bench_function("layer norm", |bencher| {
        bencher.iter(|| siglip_kernels::layer_norm(black_box(&x), &gamma, &beta, 1e-6, &mut out));
    });
    for kind in [Gelu::Tanh, Gelu::Erf] {
        group.bench_function(format!("GELU {kind:?}"), |bencher| {
            bencher.iter(|| {
                out.copy_from_slice(&x);
                siglip_kernels::gelu(kind, &mut out);
            });
        });
    }
}

/// Elements are vectors.
fn search(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("search");
    group.sample_size(15);
    let query = random(HIDDEN);
    for count in [100_000, 1_000_000] {
        let mut rng = Rng::with_seed(1);
        let (vectors, scales): (Vec<i8>, _) =
            ((0..count * HIDDEN).map(|_| rng.i8(-127..)).collect(), vec![1e-3; count]);
        group.throughput(Throughput::Elements(count as u64));
        let rows = [siglip_kernels::Rows { vectors: &vectors, scales: &scales }];
        group.bench_function(format!("{count}x{HIDDEN}"), |bencher| {
            bencher.iter(|| siglip_kernels::top_k(black_box(&query), &rows, 10));
        });
    }
    group.finish();
}

criterion_group!(benches, linear, attention, elementwise, search);
criterion_main!(benches);
