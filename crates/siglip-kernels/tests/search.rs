//! Search against exact dot products.

use fastrand::Rng;
use siglip_kernels::{Hit, Rows, l2_normalize, quantize_rows, top_k};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

struct Quantized {
    vectors: Vec<i8>,
    scales: Vec<f32>,
}

fn quantized(rows: &[f32], len: usize) -> Quantized {
    let (mut vectors, mut scales) = (vec![0; rows.len()], vec![0.0; rows.len() / len]);
    quantize_rows(rows, len, &mut scales, &mut vectors);
    Quantized { vectors, scales }
}

/// Every dot product, in plain loops in f64.
fn scores(query: &[f32], rows: impl Iterator<Item = f64>) -> Vec<f64> {
    let rows: Vec<f64> = rows.collect();
    let dot = |row: &[f64]| row.iter().zip(query).map(|(a, b)| a * f64::from(*b)).sum();
    rows.chunks_exact(query.len()).map(dot).collect()
}

/// The places of the largest, best first.
fn largest(scores: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    places.truncate(count);
    places
}

fn normal(rng: &mut Rng) -> f32 {
    (-2.0 * rng.f32().max(1e-30).ln()).sqrt() * (std::f32::consts::TAU * rng.f32()).cos()
}

#[test]
fn scores_are_those_of_plain_loops_on_random_shapes() {
    let mut rng = Rng::with_seed(1);
    for round in 0..60 {
        let len = [1, 3, 15, 16, 17, 31, 32, 64, 192, 768, 1152][round % 11];
        let (count, wanted) = (rng.usize(0..70), rng.usize(0..20));
        let rows: Vec<f32> = (0..count * len).map(|_| normal(&mut rng)).collect();
        let query: Vec<f32> = (0..len).map(|_| normal(&mut rng)).collect();
        let Quantized { vectors, scales } = quantized(&rows, len);
        // Also where they lie in several groups.
        let cut = count / 3;
        let (first, second) = vectors.split_at(cut * len);
        let groups = [
            Rows { vectors: first, scales: &scales[..cut] },
            Rows { vectors: &[], scales: &[] },
            Rows { vectors: second, scales: &scales[cut..] },
        ];
        let hits = top_k(&query, &groups, wanted);
        assert_eq!(hits, top_k(&query, &[Rows { vectors: &vectors, scales: &scales }], wanted));
        let values = vectors.iter().enumerate().map(|(i, v)| f64::from(*v) * f64::from(scales[i / len]));
        let exact = scores(&query, values);
        assert_eq!(hits.len(), wanted.min(count), "{count} vectors of {len}");
        let norm = query.iter().map(|value| value * value).sum::<f32>().sqrt();
        let tolerance = f64::from(2e-4 * norm * (len as f32).sqrt());
        for (hit, best) in hits.iter().zip(largest(&exact, wanted)) {
            assert!((f64::from(hit.score) - exact[hit.place]).abs() < tolerance, "{hit:?} of {len}");
            assert!((exact[hit.place] - exact[best]).abs() < tolerance, "{hit:?} before {best}");
        }
        let mut places: Vec<usize> = hits.iter().map(|hit| hit.place).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), hits.len(), "each vector once");
    }
}

#[test]
fn the_largest_values_do_not_overflow() {
    for len in [768, 1 << 16] {
        let hits =
            top_k(&vec![1e30; len], &[Rows { vectors: &vec![127; 2 * len], scales: &[1e-30, -1e-30] }], 2);
        let expected = 127.0 * len as f32;
        assert_eq!(hits.iter().map(|hit| hit.place).collect::<Vec<_>>(), [0, 1]);
        assert!((hits[0].score / expected - 1.0).abs() < 0.05 && hits[1].score == -hits[0].score, "{hits:?}");
    }
}

#[test]
fn of_equal_vectors_the_first_are_found() {
    let hits = top_k(&[1.0, 0.0], &[Rows { vectors: &[127, 0].repeat(9), scales: &[0.5; 9] }], 3);
    assert_eq!(hits.iter().map(|hit| hit.place).collect::<Vec<_>>(), [0, 1, 2]);
    let one = Rows { vectors: &[127, 0], scales: &[0.5] };
    assert_eq!(top_k(&[0.0; 2], &[one], 5), [Hit { place: 0, score: 0.0 }]);
    assert_eq!(top_k(&[1.0], &[Rows { vectors: &[], scales: &[] }], 5), []);
    assert_eq!(top_k(&[1.0], &[], 5), []);
}

/// The share of the ten best by f32 that are found. Vectors lie around 30 centres, and differ from them in so many directions.
fn recall_at_ten(directions: usize) -> f32 {
    let (len, count, clusters) = (768, 3000, 30);
    let mut rng = Rng::with_seed(2);
    let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| normal(&mut rng)).collect() };
    let (centres, basis) = (random(clusters * len), random(directions * len));
    let share = 0.7 / (directions as f32).sqrt();
    let mut near = |cluster: usize| {
        let mut row = centres[cluster * len..(cluster + 1) * len].to_vec();
        for (weight, direction) in random(directions).into_iter().zip(basis.chunks_exact(len)) {
            row.iter_mut().zip(direction).for_each(|(value, basis)| *value += share * weight * basis);
        }
        l2_normalize(&mut row);
        row
    };
    let rows: Vec<f32> = (0..count).flat_map(|at| near(at % clusters)).collect();
    let Quantized { vectors, scales } = quantized(&rows, len);
    let (queries, mut found) = (40, 0);
    for at in 0..queries {
        let query = near(at % clusters);
        let exact = scores(&query, rows.iter().copied().map(f64::from));
        let expected = largest(&exact, 10);
        let hits = top_k(&query, &[Rows { vectors: &vectors, scales: &scales }], 10);
        found += hits.iter().filter(|hit| expected.contains(&hit.place)).count();
    }
    found as f32 / (10 * queries) as f32
}

#[test]
fn recall_at_ten_against_f32_is_at_least_99_percent() {
    // As pictures of one thing, which differ in few ways.
    let recall = recall_at_ten(32);
    assert!(recall >= 0.99, "{recall}");
    // Noise in every direction makes all of a cluster nearly equally far: the worst case.
    let recall = recall_at_ten(768);
    assert!(recall >= 0.97, "{recall}");
}

#[test]
#[should_panic(expected = "not one scale per vector")]
fn a_slice_of_the_wrong_length_is_refused() {
    top_k(&[1.0; 4], &[Rows { vectors: &[0; 7], scales: &[1.0, 1.0] }], 1);
}
