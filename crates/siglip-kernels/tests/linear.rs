//! Matrix products against plain loops, on the shapes of the published models and on awkward ones.

#[path = "common/mod.rs"]
mod common;

use common::{assert_close, cosine, even, gelu_erf, gelu_tanh, product, product_q8, product_u8, random};
use fastrand::Rng;
use siglip_kernels::{
    Epilogue, Gelu, PackedMatrix, Precision, Scratch, finish_sums, linear, linear_sums, merge_row_ranges,
    quantize_rows, row_ranges,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// rows, inputs, outputs
const SHAPES: [(usize, usize, usize); 21] = [
    (1, 1, 1),
    (1, 768, 768),
    (1, 768, 3072),
    (1, 3072, 768),
    (2, 3, 5),
    (3, 7, 9),
    (4, 16, 8),
    (5, 17, 23),
    (6, 33, 31),
    (12, 768, 768),
    (16, 588, 1152),
    (49, 192, 576),
    (49, 192, 12),
    (64, 768, 72),
    (65, 1024, 40),
    (9, 1152, 4304),
    (9, 4304, 1152),
    (31, 588, 50),
    (256, 768, 24),
    (260, 41, 19),
    (1024, 72, 17),
];

const PRECISIONS: [Precision; 4] = [Precision::F32, Precision::Bf16, Precision::Q8, Precision::Q8Exact];

struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    before: Vec<f32>,
}

fn cases() -> impl Iterator<Item = Case> {
    SHAPES.into_iter().enumerate().map(|(seed, (rows, inputs, outputs))| {
        let rng = &mut Rng::with_seed(seed as u64);
        Case {
            rows,
            inputs,
            outputs,
            x: random(rng, rows * inputs),
            weight: random(rng, outputs * inputs),
            bias: random(rng, outputs),
            before: random(rng, rows * outputs),
        }
    })
}

impl Case {
    fn pack(&self, precision: Precision) -> PackedMatrix {
        let mut packed = PackedMatrix::new(precision, self.inputs, self.outputs);
        packed.pack(0, &self.weight);
        packed
    }

    fn run(&self, packed: &PackedMatrix, epilogue: Epilogue, scratch: &mut Scratch) -> Vec<f32> {
        let mut out = self.before.clone();
        linear(&self.x, self.rows, packed, epilogue, &mut out, scratch);
        out
    }

    /// What three workers hold, whose columns end at `cuts` and at the last column: columns of x, and of the weights.
    fn parts(&self, precision: Precision, mut cuts: [usize; 2]) -> [(Vec<f32>, PackedMatrix); 3] {
        cuts.sort_unstable();
        let (mut scales, mut quantized) = (vec![0.0; self.outputs], vec![0; self.weight.len()]);
        quantize_rows(&self.weight, self.inputs, &mut scales, &mut quantized);
        [0..cuts[0], cuts[0]..cuts[1], cuts[1]..self.inputs].map(|columns| {
            let mut packed = PackedMatrix::new(precision, columns.len(), self.outputs);
            for (output, (scale, quantized)) in scales.iter().zip(quantized.chunks(self.inputs)).enumerate() {
                packed.pack_quantized_row(output, *scale, &quantized[columns.clone()]);
            }
            let rows = self.x.chunks(self.inputs);
            (rows.flat_map(|row| &row[columns.clone()]).copied().collect(), packed)
        })
    }

    /// The expected result of each epilogue, from x Wᵀ.
    fn expected(&self, product: &[f64]) -> [(Epilogue<'_>, Vec<f64>); 6] {
        let outputs = self.outputs;
        let with_bias: Vec<f64> =
            product.iter().enumerate().map(|(at, y)| y + f64::from(self.bias[at % outputs])).collect();
        let with_gelu = |gelu: fn(f64) -> f64| with_bias.iter().map(|y| gelu(*y)).collect();
        let plus_before =
            |y: &[f64]| y.iter().zip(&self.before).map(|(y, before)| y + f64::from(*before)).collect();
        [
            (Epilogue::None, product.to_vec()),
            (Epilogue::BiasGelu(&self.bias, Gelu::Tanh), with_gelu(gelu_tanh)),
            (Epilogue::BiasGelu(&self.bias, Gelu::Erf), with_gelu(gelu_erf)),
            (Epilogue::Residual(&self.bias), plus_before(&with_bias)),
            (Epilogue::Residual(&[]), plus_before(product)),
            (Epilogue::Bias(&self.bias), with_bias),
        ]
    }
}

#[test]
fn f32_equals_the_plain_product() {
    let mut scratch = Scratch::default();
    for case in cases() {
        let packed = case.pack(Precision::F32);
        for (epilogue, expected) in case.expected(&product(&case.x, &case.weight, case.inputs)) {
            let what = format!("{}x{}x{} {epilogue:.0?}", case.rows, case.inputs, case.outputs);
            let what = &what[..what.len().min(60)];
            assert_close(&case.run(&packed, epilogue, &mut scratch), &expected, 4e-6, what);
        }
    }
}

/// The nearest number whose lower 16 bits are zero; of two, the one whose bit above those is.
fn nearest_bf16(value: &f32) -> f32 {
    let below = f32::from_bits(value.to_bits() & 0xffff_0000);
    let above = f32::from_bits(below.to_bits() + 0x1_0000);
    let distance = |to: f32| (f64::from(*value) - f64::from(to)).abs();
    let below_is_even = below.to_bits() & 0x1_0000 == 0;
    let is_below = distance(below) < distance(above) || distance(below) == distance(above) && below_is_even;
    if is_below { below } else { above }
}

#[test]
fn bf16_equals_the_plain_product_of_rounded_factors() {
    let mut scratch = Scratch::default();
    for mut case in cases() {
        // Halfway between two numbers of bfloat16.
        case.x[0] = f32::from_bits(0x3f80_8000);
        case.weight[0] = f32::from_bits(0x3f81_8000);
        let packed = case.pack(Precision::Bf16);
        if Precision::Bf16.available() == Precision::F32 {
            assert!(packed == case.pack(Precision::F32));
            continue;
        }
        let rounded = |values: &[f32]| values.iter().map(nearest_bf16).collect::<Vec<_>>();
        let plain = product(&rounded(&case.x), &rounded(&case.weight), case.inputs);
        for (epilogue, expected) in case.expected(&plain) {
            let what = format!("bf16 {}x{}x{}", case.rows, case.inputs, case.outputs);
            assert_close(&case.run(&packed, epilogue, &mut scratch), &expected, 4e-6, &what);
        }
    }
}

#[test]
fn q8_exact_is_exactly_the_product_of_the_quantized_values() {
    let mut scratch = Scratch::default();
    for case in cases() {
        let packed = case.pack(Precision::Q8Exact);
        let exact = product_q8(&case.x, &case.weight, case.inputs);
        assert_eq!(case.run(&packed, Epilogue::None, &mut scratch), exact);
        let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
        for (epilogue, expected) in case.expected(&exact) {
            assert_close(&case.run(&packed, epilogue, &mut scratch), &expected, 1e-6, "q8 epilogue");
        }
    }
}

/// All activations and weights have the largest magnitude there is, with random signs, or all of one sign so that sums grow.
#[test]
fn q8_exact_is_exact_at_the_largest_magnitudes() {
    let rng = &mut Rng::with_seed(0);
    for (inputs, signs) in [(8, 1), (768, 1), (768, 2), (1041, 2), (3072, 1), (3072, 2)] {
        let (rows, outputs) = (40, 35);
        let mut largest = |len| (0..len).map(|_| if rng.usize(0..signs) == 0 { 1.0 } else { -1.0 }).collect();
        let (x, weight): (Vec<f32>, Vec<f32>) = (largest(rows * inputs), largest(outputs * inputs));
        let mut packed = PackedMatrix::new(Precision::Q8Exact, inputs, outputs);
        packed.pack(0, &weight);
        let mut out = vec![0.0; rows * outputs];
        linear(&x, rows, &packed, Epilogue::None, &mut out, &mut Scratch::default());
        assert_eq!(out, product_q8(&x, &weight, inputs), "{inputs} inputs");
    }
}

#[test]
fn partial_sums_add_up_to_the_same_bits() {
    let mut scratch = Scratch::default();
    for (seed, mut case) in cases().enumerate() {
        let (rows, inputs, outputs) = (case.rows, case.inputs, case.outputs);
        let rng = &mut Rng::with_seed(seed as u64);
        // Most rows without outliers: rows of bytes, where the processor multiplies bytes.
        for row in case.x.chunks_mut(inputs) {
            if rng.u8(..) > 40 {
                row.copy_from_slice(&even(rng, inputs));
            }
        }
        let cuts = [rng.usize(0..=inputs), rng.usize(0..=inputs)];
        for precision in [Precision::Q8, Precision::Q8Exact] {
            let parts = case.parts(precision, cuts);
            let mut ranges = vec![[0; 3]; rows];
            for (part, packed) in &parts {
                let mut own = vec![[0; 3]; rows];
                row_ranges(part, packed.inputs(), &mut own);
                merge_row_ranges(&mut ranges, &own);
            }
            let mut whole = vec![[0; 3]; rows];
            row_ranges(&case.x, inputs, &mut whole);
            assert_eq!(ranges, whole);
            let mut total = vec![0i32; rows * outputs];
            for (part, packed) in &parts {
                let mut sums = vec![7; rows * outputs];
                linear_sums(part, &ranges, inputs, packed, &mut sums, &mut scratch);
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total = total.wrapping_add(sum));
            }
            let packed = case.pack(precision);
            for (epilogue, _) in case.expected(&vec![0.0; rows * outputs]) {
                let mut out = case.before.clone();
                finish_sums(&total, &ranges, inputs, &packed, epilogue, &mut out);
                let what = format!("{precision:?} {rows}x{inputs}x{outputs}");
                assert_eq!(out, case.run(&packed, epilogue, &mut scratch), "{what}");
            }
        }
    }
}

#[test]
fn ranges_hold_what_decides_how_rows_are_quantized() {
    for seed in 0..50 {
        let rng = &mut Rng::with_seed(seed);
        let width = rng.usize(1..100);
        let mut x = random(rng, 3 * width);
        x[width + rng.usize(..width)] = [f32::INFINITY, f32::NEG_INFINITY][seed as usize % 2];
        x[2 * width + rng.usize(..width)] = [f32::NAN, -f32::NAN][seed as usize % 2];
        let mut ranges = [[0; 3]; 3];
        row_ranges(&x, width, &mut ranges);
        let steps: i32 = x[..width].iter().map(|x| (x.abs() * 4096.0).round_ties_even() as i32).sum();
        let largest = x[..width].iter().copied().fold(0.0, f32::max);
        let least = x[..width].iter().map(|x| -x).fold(0.0, f32::max);
        assert_eq!(ranges[0], [largest.to_bits() as i32, least.to_bits() as i32, steps]);
        let magnitude = |[largest, least, _]: [i32; 3]| f32::from_bits(largest.max(least) as u32);
        assert_eq!(magnitude(ranges[1]), f32::INFINITY);
        assert!(magnitude(ranges[2]).is_nan());
    }
}

#[test]
fn q8_is_close_to_f32() {
    let mut scratch = Scratch::default();
    for precision in [Precision::Q8, Precision::Q8Exact] {
        for case in cases().filter(|case| case.inputs >= 16) {
            let exact = product(&case.x, &case.weight, case.inputs);
            let out = case.run(&case.pack(precision), Epilogue::None, &mut scratch);
            let cosine = cosine(&out, &exact);
            assert!(cosine > 0.9985, "{}x{}x{}: cosine {cosine}", case.rows, case.inputs, case.outputs);
        }
    }
}

/// Rows without outliers are multiplied in bytes where the processor can, all others in 16 bits.
#[test]
fn q8_is_exactly_the_product_of_the_bytes_except_in_outlier_rows() {
    let mut scratch = Scratch::default();
    for seed in 0..40 {
        let rng = &mut Rng::with_seed(seed);
        let (rows, inputs, outputs) = (rng.usize(1..280), rng.usize(256..500), rng.usize(1..150));
        let (mut x, weight, bias) =
            (even(rng, rows * inputs), random(rng, outputs * inputs), random(rng, outputs));
        let is_outlier: Vec<bool> =
            (0..rows).map(|_| rng.u8(..) < [0, 30, 128, 255][seed as usize % 4]).collect();
        let spoil = |row: &mut [f32], at: usize| row[at] = [500.0, -500.0, f32::NAN, f32::INFINITY][at % 4];
        for (row, _) in x.chunks_mut(inputs).zip(&is_outlier).filter(|(_, is_outlier)| **is_outlier) {
            spoil(row, rng.usize(..inputs));
        }
        let before = random(rng, rows * outputs);
        let case = Case { rows, inputs, outputs, x, weight, bias, before };
        let (packed, exact) = (case.pack(Precision::Q8), case.pack(Precision::Q8Exact));
        for epilogue in
            [Epilogue::None, Epilogue::BiasGelu(&case.bias, Gelu::Tanh), Epilogue::Residual(&case.bias)]
        {
            let out = case.run(&packed, epilogue, &mut scratch);
            let of_outliers = case.run(&exact, epilogue, &mut scratch);
            let expected = match epilogue {
                _ if !siglip_kernels::backend().multiplies_bytes() => of_outliers.clone(),
                Epilogue::None => product_u8(&case.x, &case.weight, inputs),
                _ => continue_with(&case, epilogue, product_u8(&case.x, &case.weight, inputs)),
            };
            let rows = out.chunks(outputs).zip(expected.chunks(outputs)).zip(of_outliers.chunks(outputs));
            for (row, ((out, expected), of_outlier)) in rows.enumerate() {
                let expected = if is_outlier[row] { of_outlier } else { expected };
                let equal = match epilogue {
                    Epilogue::BiasGelu(..) if !is_outlier[row] => {
                        out.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + b.abs()))
                    }
                    _ => out.iter().zip(expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())),
                };
                assert!(equal, "row {row} of {rows:?} with {epilogue:.0?}", rows = case.rows);
            }
        }
    }
}

/// The epilogue on a product that is given.
fn continue_with(case: &Case, epilogue: Epilogue, mut product: Vec<f32>) -> Vec<f32> {
    for (at, value) in product.iter_mut().enumerate() {
        let with_bias = *value + case.bias[at % case.outputs];
        *value = match epilogue {
            Epilogue::None => *value,
            Epilogue::Bias(_) => with_bias,
            Epilogue::BiasGelu(_, Gelu::Tanh) => gelu_tanh(f64::from(with_bias)) as f32,
            Epilogue::BiasGelu(_, Gelu::Erf) => gelu_erf(f64::from(with_bias)) as f32,
            Epilogue::Residual(_) => with_bias + case.before[at],
        };
    }
    product
}

#[test]
fn weights_may_arrive_in_any_number_of_rows() {
    for precision in PRECISIONS {
        for case in cases() {
            let whole = case.pack(precision);
            let mut pieces = PackedMatrix::new(precision, case.inputs, case.outputs);
            let cut = case.outputs / 3;
            pieces.pack(cut, &case.weight[cut * case.inputs..]);
            pieces.pack(0, &case.weight[..cut * case.inputs]);
            assert!(pieces == whole, "{whole:?}");
        }
    }
}

#[test]
fn quantized_rows_make_the_same_matrix() {
    for case in cases() {
        let (mut scales, mut quantized) = (vec![0.0; case.outputs], vec![0; case.weight.len()]);
        quantize_rows(&case.weight, case.inputs, &mut scales, &mut quantized);
        let mut packed = PackedMatrix::new(Precision::Q8Exact, case.inputs, case.outputs);
        for (output, (scale, quantized)) in scales.iter().zip(quantized.chunks(case.inputs)).enumerate() {
            packed.pack_quantized_row(output, *scale, quantized);
        }
        assert!(packed == case.pack(Precision::Q8Exact), "{packed:?}");
    }
}

#[test]
fn extreme_quantized_weights_do_not_panic() {
    let mut scratch = Scratch::default();
    for (scale, value) in [(1.0, i8::MIN), (f32::NAN, i8::MAX), (f32::INFINITY, -1)] {
        let mut packed = PackedMatrix::new(Precision::Q8Exact, 4304, 9);
        (0..9).for_each(|output| packed.pack_quantized_row(output, scale, &[value; 4304]));
        linear(&[-1.0; 2 * 4304], 2, &packed, Epilogue::None, &mut [0.0; 18], &mut scratch);
    }
}

#[test]
fn a_row_that_is_not_finite_leaves_the_others_alone() {
    let mut scratch = Scratch::default();
    for precision in PRECISIONS {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // More columns than a tile of any instruction set has.
            let case = cases().nth(11).unwrap();
            let packed = case.pack(precision);
            let clean = case.run(&packed, Epilogue::None, &mut scratch);
            let spoiled = Case {
                x: case
                    .x
                    .iter()
                    .enumerate()
                    .map(|(at, x)| if at == 3 * case.inputs + 5 { bad } else { *x })
                    .collect(),
                ..case
            };
            let out = spoiled.run(&packed, Epilogue::None, &mut scratch);
            for (row, (out, clean)) in
                out.chunks(spoiled.outputs).zip(clean.chunks(spoiled.outputs)).enumerate()
            {
                match row {
                    3 => assert!(out.iter().all(|y| !y.is_finite())),
                    _ => assert_eq!(out, clean),
                }
            }
        }
    }
}

#[test]
fn zeros_and_the_smallest_numbers_give_zeros() {
    let mut scratch = Scratch::default();
    for (x, weight) in [(0.0, 1.0), (1.0, 0.0), (1e-45, 1.0), (1.0, 1e-45), (0.0, 0.0)] {
        for precision in PRECISIONS {
            let mut packed = PackedMatrix::new(precision, 20, 10);
            packed.pack(0, &[weight; 200]);
            let mut out = [1.0; 30];
            linear(&[x; 60], 3, &packed, Epilogue::None, &mut out, &mut scratch);
            assert!(out.iter().all(|y| y.abs() < 1e-40), "{x} by {weight} gives {}", out[0]);
        }
    }
}

#[test]
fn empty_shapes_are_accepted() {
    let mut scratch = Scratch::default();
    for precision in PRECISIONS {
        let mut packed = PackedMatrix::new(precision, 8, 3);
        packed.pack(0, &[]);
        linear(&[], 0, &packed, Epilogue::None, &mut [], &mut scratch);
        let empty = PackedMatrix::new(precision, 8, 0);
        linear(&[0.0; 16], 2, &empty, Epilogue::None, &mut [], &mut scratch);
        let no_inputs = PackedMatrix::new(precision, 0, 3);
        let mut out = [7.0; 6];
        linear(&[], 2, &no_inputs, Epilogue::Bias(&[1.0, 2.0, 3.0]), &mut out, &mut scratch);
        assert_eq!(out, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    }
}
