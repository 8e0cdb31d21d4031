//! Attention, and that of the pooling head.

use siglip_gpu::native::Gpu;
use siglip_gpu::{Group, attention, pool};

use crate::{ROWS, Random, assert_near, bytes, gpu, run};

#[test]
fn attention_of_all_head_sizes() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(3);
    for size in [4, 9, 16, 30, 64, 72, 80, 88, 96, 125, 128] {
        let [heads, sequences] = [2, 3].map(|most| random.from(1..=most));
        let length = [1, 7, 15, 17, 33, 49, 65][random.from(0..=6)];
        check_attention(gpu, size, heads, length, sequences, &mut random);
    }
}

fn check_attention(
    gpu: &Gpu,
    size: usize,
    heads: usize,
    length: usize,
    sequences: usize,
    random: &mut Random,
) {
    let group = Group { size, stride: size.next_multiple_of(4) };
    let width = (heads * group.stride).next_multiple_of(64);
    let rows = sequences * length;
    let padded = rows.next_multiple_of(ROWS);
    let mut qkv = vec![0f32; padded * 3 * width];
    // Scores of up to some tens: the softmax is far from even.
    for row in qkv.chunks_mut(width).take(3 * rows) {
        for head in 0..heads {
            for column in 0..size {
                row[head * group.stride + column] = 3.0 * random.float();
            }
        }
    }
    let context = vec![0f32; padded * width];
    let actual: Vec<f32> = run(
        gpu,
        &attention(group, width),
        Some([rows, padded, length, 0]),
        &[(1, bytes(&qkv)), (2, bytes(&context))],
        2,
        [length.div_ceil(16), heads, sequences],
    );
    let value = |row: usize, part: usize, column: usize| f64::from(qkv[(row * 3 + part) * width + column]);
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let keys = row / length * length..(row / length + 1) * length;
        for head in 0..heads {
            let columns = head * group.stride..head * group.stride + size;
            let score = |key: usize| {
                let products = columns.clone().map(|column| value(row, 0, column) * value(key, 1, column));
                products.sum::<f64>() / (size as f64).sqrt()
            };
            let scores: Vec<f64> = keys.clone().map(score).collect();
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for column in columns {
                let sum: f64 =
                    keys.clone().zip(&weights).map(|(key, weight)| weight * value(key, 2, column)).sum();
                expected.push(sum / total);
                found.push(actual[row * width + column]);
            }
        }
    }
    let what = format!("{heads} heads of {size}, {sequences} sequences of {length}");
    assert_near(&found, &expected, &vec![3.0; found.len()], 3e-6, &what);
}

#[test]
fn pooling_of_all_head_sizes() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(6);
    // A width of more vectors than invocations, and more patches than pass by at once.
    for (size, heads, length) in
        [(4, 2, 1), (9, 4, 63), (12, 5, 64), (64, 1, 65), (72, 16, 200), (88, 3, 7), (128, 2, 130)]
    {
        check_pool(gpu, size, heads, length, &mut random);
    }
}

fn check_pool(gpu: &Gpu, size: usize, heads: usize, length: usize, random: &mut Random) {
    let (width, sequences) = (heads * size, random.from(1..=3));
    let stride = width.next_multiple_of(64);
    let mut padded = |rows: usize, factor: f32| -> Vec<f32> {
        let value = |i: usize, value: f32| if i % stride < width { factor * value } else { 0.0 };
        (0..rows * stride).map(|i| value(i, random.float())).collect()
    };
    // Scores of up to some tens: the softmax is far from even.
    let x = padded(sequences * length, 3.0);
    let (queries, values) = (padded(heads, 10.0 / (width as f32).sqrt()), padded(width, 0.1));
    let (bias, context) = (padded(1, 1.0), vec![0f32; sequences * stride]);
    let actual: Vec<f32> = run(
        gpu,
        &pool(size, stride),
        Some([sequences * length, (sequences * length).next_multiple_of(ROWS), length, 0]),
        &[(1, bytes(&x)), (2, bytes(&queries)), (3, bytes(&values)), (4, bytes(&bias)), (5, bytes(&context))],
        5,
        [heads, sequences, 1],
    );
    let product = |a: &[f32], b: &[f64]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
    let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let mut expected = vec![0.0; sequences * stride];
    for sequence in 0..sequences {
        let rows: Vec<&[f64]> = x[sequence * length * stride..].chunks(stride).take(length).collect();
        for head in 0..heads {
            let scores: Vec<f64> =
                rows.iter().map(|row| product(&queries[head * stride..][..stride], row)).collect();
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut pooled = vec![0.0; stride];
            for (row, weight) in rows.iter().zip(&weights) {
                pooled.iter_mut().zip(*row).for_each(|(pooled, x)| *pooled += weight / total * x);
            }
            for output in head * size..(head + 1) * size {
                expected[sequence * stride + output] =
                    product(&values[output * stride..][..stride], &pooled) + f64::from(bias[output]);
            }
        }
    }
    let what = format!("{heads} heads of {size}, {sequences} sequences of {length}");
    assert_near(&actual, &expected, &vec![10.0; expected.len()], 3e-6, &what);
}
