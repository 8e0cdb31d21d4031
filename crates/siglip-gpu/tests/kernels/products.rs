//! Products of many rows and of single ones.

use siglip_gpu::native::Gpu;
use siglip_gpu::{Epilogue, Norm, Product, RowProduct, Tile, product, row_product};

use crate::{ROWS, Random, assert_near, bytes, gpu, run};

fn gelu_tanh(v: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v * v * v);
    0.5 * v * (1.0 + u.tanh())
}

fn gelu_erf(v: f64) -> f64 {
    // erf by a series of terms of one sign, from Abramowitz and Stegun, 7.1.6.
    let z = (v / 2f64.sqrt()).clamp(-6.0, 6.0);
    let (mut term, mut sum) = (z, z);
    for n in 1..300 {
        term *= 2.0 * z * z / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 * v * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum)
}

#[test]
fn products() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(1);
    for tile in Tile::ALL {
        for quantized in [false, true] {
            for epilogue in [
                Epilogue::Residual,
                Epilogue::Bias,
                Epilogue::GeluTanh,
                Epilogue::GeluErf,
                Epilogue::Partials(1),
                Epilogue::Partials(2),
                Epilogue::Partials(4),
            ] {
                let inputs = 4 * tile.inputs().max(16) * random.from(1..=3);
                let outputs = tile.outputs().max(64) * random.from(1..=2);
                let shape = Product { inputs, outputs, quantized, tile, epilogue };
                check_product(gpu, &shape, random.from(1..=150), &mut random);
            }
        }
    }
}

fn check_product(gpu: &Gpu, shape: &Product, rows: usize, random: &mut Random) {
    let Product { inputs, outputs, quantized, tile, epilogue } = *shape;
    let (parts, padded) = (epilogue.parts(), rows.next_multiple_of(ROWS));
    let x = random.floats(padded * inputs);
    let levels: Vec<i8> = (0..outputs * inputs).map(|_| random.from(0..=254) as i8).collect();
    let scales: Vec<f32> = (0..outputs).map(|_| random.float() / 200.0).collect();
    let weights = random.floats(outputs * inputs);
    let bias = random.floats(outputs);
    let y = random.floats(parts * padded * outputs);
    // Sequences of a length that divides no tile.
    let length = if rows.is_multiple_of(3) { rows / 3 } else { rows };
    let added = random.floats(length * outputs);
    let mut bound = vec![(1, bytes(&x))];
    match quantized {
        true => bound.extend([(2, bytes(&levels)), (3, bytes(&scales))]),
        false => bound.push((2, bytes(&weights))),
    }
    if epilogue.adds_bias() {
        bound.push((4, bytes(&bias)));
    }
    bound.push((5, bytes(&y)));
    if epilogue == Epilogue::Residual {
        bound.push((6, bytes(&added)));
    }
    let workgroups = [outputs / tile.outputs(), rows.div_ceil(tile.rows()), parts];
    let actual: Vec<f32> = run(gpu, &product(shape), Some([rows, padded, length, 0]), &bound, 5, workgroups);
    let (mut expected, mut sizes, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let part = inputs / parts;
    for index in 0..parts {
        for row in 0..rows {
            for output in 0..outputs {
                let (mut sum, mut size) = (0.0, 1e-3);
                for input in index * part..(index + 1) * part {
                    let at = output * inputs + input;
                    let weight = match quantized {
                        true => f64::from(levels[at]) * f64::from(scales[output]),
                        false => f64::from(weights[at]),
                    };
                    let term = f64::from(x[row * inputs + input]) * weight;
                    sum += term;
                    size += term.abs();
                }
                expected.push(match epilogue {
                    Epilogue::Residual => {
                        sum + f64::from(bias[output]) + f64::from(added[row % length * outputs + output])
                    }
                    Epilogue::Bias => sum + f64::from(bias[output]),
                    Epilogue::GeluTanh => gelu_tanh(sum + f64::from(bias[output])),
                    Epilogue::GeluErf => gelu_erf(sum + f64::from(bias[output])),
                    Epilogue::Partials(_) => sum,
                });
                sizes.push(size + f64::from(bias[output].abs()));
                found.push(actual[(index * padded + row) * outputs + output]);
            }
        }
    }
    assert_near(&found, &expected, &sizes, 1e-6, &format!("{shape:?} of {rows} rows"));
}

#[test]
fn products_of_single_rows() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(5);
    for epilogue in [Epilogue::Bias, Epilogue::Residual, Epilogue::GeluTanh, Epilogue::GeluErf] {
        for quantized in [false, true] {
            for has_norm in [false, true] {
                for takes_last in [false, true] {
                    let inputs = 64 * random.from(1..=9);
                    let width = inputs - random.from(0..=63);
                    let norm = has_norm.then_some((Norm { eps: 1e-6 }, width));
                    let outputs = 8 * random.from(1..=20);
                    let shape = RowProduct { inputs, outputs, quantized, norm, takes_last, epilogue };
                    check_row_product(gpu, &shape, width, &mut random);
                }
            }
        }
    }
}

fn check_row_product(gpu: &Gpu, shape: &RowProduct, width: usize, random: &mut Random) {
    let RowProduct { inputs, outputs, quantized, norm, takes_last, epilogue } = *shape;
    let (sequences, length) = (random.from(1..=5), random.from(1..=7));
    let rows = if takes_last { sequences * length } else { sequences };
    // Padding is zero; a mean far from zero, as in the residual streams of trained models.
    let value = |i: usize, value: f32| if i % inputs < width { 3.0 * value + 5.0 } else { 0.0 };
    let x: Vec<f32> = (0..rows * inputs).map(|i| value(i, random.float())).collect();
    let levels: Vec<i8> = (0..outputs * inputs).map(|_| random.from(0..=254) as i8).collect();
    let scales: Vec<f32> = (0..outputs).map(|_| random.float() / 200.0).collect();
    let weights = random.floats(outputs * inputs);
    let [bias, added, y] =
        [outputs, sequences * outputs, sequences * outputs].map(|count| random.floats(count));
    let [norm_weight, norm_bias] = [(); 2]
        .map(|()| (0..inputs).map(|i| if i < width { random.float() } else { 0.0 }).collect::<Vec<f32>>());
    let mut bound = vec![(1, bytes(&x)), (4, bytes(&bias)), (5, bytes(&y))];
    match quantized {
        true => bound.extend([(2, bytes(&levels)), (3, bytes(&scales))]),
        false => bound.push((2, bytes(&weights))),
    }
    if epilogue == Epilogue::Residual {
        bound.push((6, bytes(&added)));
    }
    if norm.is_some() {
        bound.extend([(7, bytes(&norm_weight)), (8, bytes(&norm_bias))]);
    }
    let pass = Some([sequences * length, (sequences * length).next_multiple_of(ROWS), length, 0]);
    let actual: Vec<f32> = run(gpu, &row_product(shape), pass, &bound, 5, [outputs / 8, sequences, 1]);
    let (mut expected, mut sizes) = (Vec::new(), Vec::new());
    for sequence in 0..sequences {
        let row = if takes_last { (sequence + 1) * length - 1 } else { sequence };
        let mut x: Vec<f64> = x[row * inputs..][..inputs].iter().map(|x| f64::from(*x)).collect();
        if let Some((Norm { eps }, _)) = norm {
            let mean = x.iter().sum::<f64>() / width as f64;
            let variance = x[..width].iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let factor = 1.0 / (variance + f64::from(eps)).sqrt();
            for (i, x) in x.iter_mut().enumerate() {
                *x = (*x - mean) * factor * f64::from(norm_weight[i]) + f64::from(norm_bias[i]);
            }
        }
        for output in 0..outputs {
            let weight = |input: usize| match quantized {
                true => f64::from(levels[output * inputs + input]) * f64::from(scales[output]),
                false => f64::from(weights[output * inputs + input]),
            };
            let terms = x.iter().enumerate().map(|(input, x)| x * weight(input));
            let size: f64 = terms.clone().map(f64::abs).sum();
            let sum = terms.sum::<f64>() + f64::from(bias[output]);
            expected.push(match epilogue {
                Epilogue::Residual => sum + f64::from(added[sequence * outputs + output]),
                Epilogue::GeluTanh => gelu_tanh(sum),
                Epilogue::GeluErf => gelu_erf(sum),
                Epilogue::Bias | Epilogue::Partials(_) => sum,
            });
            sizes.push(1.0 + size);
        }
    }
    assert_near(&actual, &expected, &sizes, 1e-6, &format!("{shape:?} of {sequences} sequences"));
}
