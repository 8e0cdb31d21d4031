//! Residuals and layer norms.

use siglip_gpu::native::Gpu;
use siglip_gpu::{Norm, residual_norm};

use crate::{ROWS, Random, assert_near, bytes, gpu, run};

#[test]
fn residuals_and_norms() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(2);
    for parts in [0, 1, 2, 4] {
        for norm in [Some(Norm { eps: 1e-6 }), None] {
            let rows = random.from(1..=70);
            let width = random.from(10..=400);
            check_residual_norm(gpu, width, parts, norm, rows, &mut random);
        }
    }
}

fn check_residual_norm(
    gpu: &Gpu,
    width: usize,
    parts: usize,
    norm: Option<Norm>,
    rows: usize,
    random: &mut Random,
) {
    let (stride, padded) = (width.next_multiple_of(64), rows.next_multiple_of(ROWS));
    // A mean far from zero, as in the residual streams of trained models.
    let x: Vec<f32> = random.floats(padded * stride).iter().map(|x| 3.0 * x + 5.0).collect();
    let partials = random.floats(parts * padded * stride);
    let [bias, weight, norm_bias] = [(); 3].map(|()| random.floats(stride));
    let normed = vec![0f32; padded * stride];
    let mut bound = vec![(1, bytes(&x))];
    if parts > 0 {
        bound.extend([(2, bytes(&partials)), (3, bytes(&bias))]);
    }
    if norm.is_some() {
        bound.extend([(4, bytes(&weight)), (5, bytes(&norm_bias)), (6, bytes(&normed))]);
    }
    let wgsl = residual_norm(width, stride, parts, norm);
    let pass = Some([rows, padded, rows, 0]);
    let what = format!("{rows} rows of {width}, {parts} parts, {norm:?}");
    let sums: Vec<Vec<f64>> = (0..rows)
        .map(|row| {
            let value = |column: usize| {
                let at = row * stride + column;
                let sums = (0..parts).map(|part| f64::from(partials[part * padded * stride + at]));
                let bias = if parts > 0 { f64::from(bias[column]) } else { 0.0 };
                f64::from(x[at]) + bias + sums.sum::<f64>()
            };
            (0..width).map(value).collect()
        })
        .collect();
    let used = |values: Vec<f32>| -> Vec<f32> {
        values.chunks(stride).take(rows).flat_map(|row| &row[..width]).copied().collect()
    };
    let actual = used(run(gpu, &wgsl, pass, &bound, 1, [rows, 1, 1]));
    assert_near(&actual, &sums.concat(), &vec![10.0; rows * width], 1e-6, &what);
    let Some(Norm { eps }) = norm else { return };
    let mut expected = Vec::new();
    for row in sums {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let factor = 1.0 / (variance + f64::from(eps)).sqrt();
        let affine = |(column, x): (usize, &f64)| {
            (x - mean) * factor * f64::from(weight[column]) + f64::from(norm_bias[column])
        };
        expected.extend(row.iter().enumerate().map(affine));
    }
    let actual = used(run(gpu, &wgsl, pass, &bound, 6, [rows, 1, 1]));
    assert_near(&actual, &expected, &vec![5.0; rows * width], 1e-6, &what);
}
