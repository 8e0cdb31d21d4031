//! Every kernel against plain double precision, on whatever adapter there is; lavapipe is one.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use siglip::{PRESETS, Precision, Towers};
use siglip_gpu::native::{Gpu, Wish, wgpu};
use siglip_gpu::{
    Epilogue, Group, Norm, Plan, Product, RowProduct, Tile, attention, checksum, pool, product,
    residual_norm, row_product,
};

/// Rows of a pass are rounded up to this.
const ROWS: usize = 64;

/// The device of all tests, if there is one.
fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let opened = GPU.get_or_init(|| {
        let gpu = Gpu::open(Wish::Any);
        gpu.inspect(|gpu| eprintln!("on {}", gpu.name()))
            .inspect_err(|error| eprintln!("skipped: {error}"))
            .ok()
    });
    opened.as_ref()
}

/// Numerical Recipes' generator.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn from(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        range.start() + self.next() as usize % (range.end() - range.start() + 1)
    }

    /// From -1 to 1.
    fn float(&mut self) -> f32 {
        self.next() as f32 / (1 << 23) as f32 - 1.0
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

/// Runs a kernel once. Binding 0 is the pass, if there is one; `bound` are the others, of which the contents of `result` are
/// returned afterwards.
fn run<T: bytemuck::Pod>(
    gpu: &Gpu,
    wgsl: &str,
    pass: Option<[usize; 4]>,
    bound: &[(u32, &[u8])],
    result: u32,
    workgroups: [usize; 3],
) -> Vec<T> {
    use wgpu::BufferUsages;
    use wgpu::util::{BufferInitDescriptor, DeviceExt};

    let pipeline = gpu.pipeline("tested", wgsl).unwrap_or_else(|error| panic!("{error}\n{wgsl}"));
    let device = gpu.device();
    let staging = gpu.guarded(|| {
        let buffer = |contents: &[u8], usage| {
            device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage })
        };
        let words = pass.map(|pass| pass.map(|size| size as u32));
        let mut buffers: Vec<_> =
            words.iter().map(|pass| (0, buffer(bytemuck::cast_slice(pass), BufferUsages::UNIFORM))).collect();
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
        buffers.extend(bound.iter().map(|(binding, contents)| (*binding, buffer(contents, usage))));
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &buffers.iter().map(entry_of).collect::<Vec<_>>(),
        });
        let (_, from) = buffers.iter().find(|(binding, _)| *binding == result).unwrap();
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: from.size(),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut compute = encoder.begin_compute_pass(&Default::default());
        compute.set_pipeline(&pipeline);
        compute.set_bind_group(0, &group, &[]);
        let [x, y, z] = workgroups.map(|count| count as u32);
        compute.dispatch_workgroups(x, y, z);
        drop(compute);
        encoder.copy_buffer_to_buffer(from, 0, &staging, 0, staging.size());
        gpu.queue().submit([encoder.finish()]);
        staging
    });
    let staging = staging.unwrap_or_else(|error| panic!("{error}\n{wgsl}"));
    bytemuck::pod_collect_to_vec(&gpu.read(&staging, staging.size()).unwrap())
}

fn entry_of((binding, buffer): &(u32, wgpu::Buffer)) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry { binding: *binding, resource: buffer.as_entire_binding() }
}

fn bytes<T: bytemuck::NoUninit>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// Asserts that each value is near the expected one, of which `scale` says how large the sums' terms are.
fn assert_near(actual: &[f32], expected: &[f64], scales: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, ((actual, expected), scale)) in actual.iter().zip(expected).zip(scales).enumerate() {
        let difference = (f64::from(*actual) - expected).abs();
        // Written so that NaN is a difference, too.
        assert!(difference <= tolerance * scale, "{what}: {actual} in place of {expected} at {i}");
    }
}

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

#[test]
fn checksums() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(4);
    for words in [1, 63, 64, 65, 4096, 10_007] {
        let values: Vec<u32> = (0..words).map(|_| random.next() << 8 | random.next() & 255).collect();
        let bound = [(0, bytes(&values)), (1, &[0; 256])];
        let sums: Vec<u32> = run(gpu, &checksum(), None, &bound, 1, [64, 1, 1]);
        let expected = values
            .iter()
            .zip(0u32..)
            .fold(0u32, |sum, (word, index)| sum.wrapping_add(word.wrapping_mul(2 * index + 1)));
        assert_eq!(sums.iter().fold(0u32, |sum, part| sum.wrapping_add(*part)), expected, "{words} words");
    }
}

/// Needs no adapter.
#[test]
fn shaders_of_all_presets_are_valid() {
    use wgpu::naga::front::wgsl;
    use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};

    let mut shaders = BTreeSet::from([checksum()]);
    for name in PRESETS {
        let config = siglip::preset(name).unwrap();
        for precision in [Precision::F32, Precision::Q8] {
            let plan = Plan::new(&config, Towers::Both, precision).unwrap();
            let pipelines = [plan.image, plan.text].into_iter().flatten().flat_map(|tower| tower.pipelines);
            shaders.extend(pipelines.map(|pipeline| pipeline.wgsl));
        }
    }
    assert!(shaders.len() > 50);
    for shader in shaders {
        let module = wgsl::parse_str(&shader).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&shader)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16);
        validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&shader)));
    }
}
