//! Measures an adapter: its peak, the products of a model in all tiles, and whole towers. Prints JSON.
//!
//! `cargo run --release -p siglip-gpu --features native --example rate -- [--small] [--preset NAME] [--parts peak,products,towers]
//! [--rows 256,1024]`
//!
//! Weights are random. Times are medians of 20 after a warm-up: of the GPU's clock where the adapter has one (`gpu_ms`), from the
//! submit until the end is known (`wall_ms`), and of towers from patches, or from the embeddings of tokens, to the embeddings in
//! the CPU's memory (`run_ms`). `--rows` are those of the products. `--small` is a rehearsal for adapters that are software.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siglip::weights::tensors;
use siglip::{Config, Precision, Towers};
use siglip_gpu::native::{Blocks, Gpu, GpuError, Input, Wish, wgpu};
use siglip_gpu::{Epilogue, Plan, Product, Tile, TowerPlan, product};
use wgpu::BufferUsages;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is measured.
struct Extent {
    config: Config,
    /// Rows of the products.
    rows: Vec<usize>,
    pictures: &'static [usize],
    labels: &'static [usize],
    /// Rounds of the peak's chains, and their workgroups.
    rounds: usize,
    workgroups: u32,
    warm: Duration,
    timed: usize,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let named = arguments.iter().position(|argument| argument == name);
        named.and_then(|at| arguments.get(at + 1)).map(String::as_str)
    };
    let preset = option("--preset").unwrap_or("base-patch16-256");
    let parts: Vec<&str> = option("--parts").unwrap_or("peak,products,towers").split(',').collect();
    let mut config = siglip::preset(preset).ok_or("there is no such preset")?;
    let mut extent = match arguments.iter().any(|argument| argument == "--small") {
        false => Extent {
            config: config.clone(),
            rows: option("--rows")
                .unwrap_or("256,1024,2048")
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()?,
            pictures: &[1, 2, 4, 8],
            labels: &[1, 8, 64],
            rounds: 4096,
            workgroups: 4096,
            warm: Duration::from_millis(100),
            timed: 20,
        },
        true => Extent {
            config: config.clone(),
            rows: vec![64],
            pictures: &[1, 2],
            labels: &[1, 2],
            rounds: 64,
            workgroups: 64,
            warm: Duration::ZERO,
            timed: 3,
        },
    };
    if extent.timed < 20 {
        let (vision, text) = (&mut config.vision_config, &mut config.text_config);
        (vision.hidden_size, vision.intermediate_size, vision.num_attention_heads) = (128, 256, 2);
        (text.hidden_size, text.intermediate_size, text.num_attention_heads) = (128, 256, 2);
        (vision.num_hidden_layers, text.num_hidden_layers, vision.image_size) = (2, 2, 64);
        extent.config = config;
    }
    let gpu = Gpu::open(Wish::Any)?;
    let bench = Bench { gpu: &gpu, timer: Timer::new(&gpu)?, extent };
    let mut report = json!({
        "adapter": gpu.name(),
        "software": gpu.is_software(),
        "has_f16": gpu.has_f16(),
        "clock": if bench.timer.queries.is_some() { "timestamp queries" } else { "wall" },
        "preset": preset,
    });
    for part in parts {
        report[part] = match part {
            "peak" => bench.peaks()?,
            "towers" => bench.towers()?,
            "products" => bench.products()?,
            _ => return Err("parts are peak, products and towers".into()),
        };
    }
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

struct Bench<'g> {
    gpu: &'g Gpu,
    timer: Timer<'g>,
    extent: Extent,
}

impl Bench<'_> {
    fn peaks(&self) -> Outcome<Value> {
        let Extent { rounds, workgroups, .. } = self.extent;
        let mut peaks = serde_json::Map::new();
        for scalar in ["f32", "f16"] {
            if scalar == "f16" && !self.gpu.has_f16() {
                continue;
            }
            let enable = if scalar == "f16" { "enable f16;\n" } else { "" };
            let body = include_str!("peak.wgsl").replace("SCALAR", scalar);
            let wgsl = format!("{enable}const ROUNDS = {rounds}u;\n{body}");
            // SAFETY: the result has a vector for every invocation, and the loop has a constant bound.
            let pipeline = unsafe { self.gpu.trusted_pipeline(scalar, &wgsl)? };
            let result = self.buffer(16 * 256 * u64::from(workgroups), BufferUsages::STORAGE);
            let group = self.group(&pipeline, &[(0, &result)]);
            let time = self.measure(1, |pass| {
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(workgroups, 1, 1);
            })?;
            // Eight fma of four lanes a round.
            let flops = 2.0 * 32.0 * rounds as f64 * 256.0 * f64::from(workgroups);
            peaks.insert(scalar.into(), time.report(flops));
        }
        Ok(peaks.into())
    }

    /// The four linear layers of the image tower, in every tile.
    fn products(&self) -> Outcome<Value> {
        let [hidden, context, middle] = widths(&self.extent.config, Towers::Image);
        let layers = [
            ("qkv", hidden, 3 * context, &[Epilogue::Bias] as &[Epilogue]),
            ("out", context, hidden, &[Epilogue::Partials(1), Epilogue::Partials(2), Epilogue::Partials(4)]),
            ("fc1", hidden, middle, &[Epilogue::GeluTanh]),
            ("fc2", middle, hidden, &[Epilogue::Partials(1), Epilogue::Partials(2), Epilogue::Partials(4)]),
        ];
        let mut products = Vec::new();
        for (layer, inputs, outputs, epilogues) in layers {
            for quantized in [true, false] {
                for (tile, epilogue) in
                    Tile::ALL.iter().flat_map(|tile| epilogues.iter().map(move |epilogue| (tile, epilogue)))
                {
                    if outputs % tile.outputs() != 0 || inputs % (epilogue.parts() * tile.inputs()) != 0 {
                        continue;
                    }
                    let (tile, epilogue) = (*tile, *epilogue);
                    let shape = Product { inputs, outputs, quantized, tile, epilogue };
                    self.product(layer, &shape, &mut products)?;
                }
            }
        }
        Ok(products.into())
    }

    fn product(&self, layer: &str, shape: &Product, products: &mut Vec<Value>) -> Outcome<()> {
        let Product { inputs, outputs, quantized, tile, epilogue } = *shape;
        let most = *self.extent.rows.iter().max().ok_or("no rows")?;
        // SAFETY: the buffers below are as large as the product's documentation says, for `most` rows, a multiple of 64.
        let pipeline = unsafe { self.gpu.trusted_pipeline(layer, &product(shape))? };
        let floats =
            |count: usize| self.buffer(4 * count as u64, BufferUsages::STORAGE | BufferUsages::COPY_DST);
        let weight_bytes = inputs * outputs * if quantized { 1 } else { 4 };
        let pass_info = self.buffer(16, BufferUsages::UNIFORM | BufferUsages::COPY_DST);
        let mut bound = vec![
            (0, pass_info),
            (1, floats(most * inputs)),
            (2, floats(weight_bytes / 4)),
            (5, floats(most * outputs * epilogue.parts())),
        ];
        bound.extend(quantized.then(|| (3, floats(outputs))));
        bound.extend(epilogue.adds_bias().then(|| (4, floats(outputs))));
        let bound: Vec<_> = bound.iter().map(|(binding, buffer)| (*binding, buffer)).collect();
        // Zeros would be multiplied faster than what models have.
        for (binding, count) in [(1, most * inputs), (2, weight_bytes / 4)] {
            let mut values: Vec<u8> = Vec::with_capacity(4 * count);
            match (binding, quantized) {
                (2, true) => {
                    values.extend(random(2).take(4 * count).map(|value| (127.0 * value) as i8 as u8))
                }
                _ => values.extend(random(binding).take(count).flat_map(f32::to_le_bytes)),
            }
            let buffer = bound.iter().find(|(bound, _)| *bound == binding).ok_or("no such buffer")?.1;
            self.gpu.queue().write_buffer(buffer, 0, &values);
        }
        let group = self.group(&pipeline, &bound);
        for rows in &self.extent.rows {
            let words = [*rows, *rows, *rows, 0].map(|size| size as u32);
            self.gpu.queue().write_buffer(bound[0].1, 0, bytemuck::cast_slice(&words));
            let workgroups = [outputs / tile.outputs(), rows.div_ceil(tile.rows()), epilogue.parts()];
            let [x, y, z] = workgroups.map(|count| count as u32);
            // Several, so that the clock's steps and the start count little.
            const REPEATED: u32 = 8;
            let time = self.measure(REPEATED, |pass| {
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                for _ in 0..REPEATED {
                    pass.dispatch_workgroups(x, y, z);
                }
            })?;
            let mut report = time.report(2.0 * (rows * inputs * outputs) as f64);
            report["layer"] = json!(layer);
            report["shape"] = json!([rows, inputs, outputs]);
            report["weights"] = json!(if quantized { "q8" } else { "f32" });
            report["tile"] = json!(format!("{}x{}", tile.rows(), tile.outputs()));
            report["variant"] = json!(format!("{tile:?}"));
            report["parts"] = json!(epilogue.parts());
            products.push(report);
        }
        Ok(())
    }

    fn towers(&self) -> Outcome<Value> {
        let mut towers = Vec::new();
        for precision in [Precision::Q8, Precision::F32] {
            let start = Instant::now();
            let config = &self.extent.config;
            let mut blocks = Blocks::new(self.gpu, config, Towers::Both, precision)?;
            let compiled = start.elapsed();
            write_random_weights(&mut blocks, config, precision)?;
            let start = Instant::now();
            blocks.check_weights()?;
            towers.push(json!({
                "weights": format!("{precision:?}"),
                "bytes": blocks.bytes(),
                "compile_ms": milliseconds(compiled),
                "checksums_ms": milliseconds(start.elapsed()),
            }));
            for (name, counts) in [("image", self.extent.pictures), ("text", self.extent.labels)] {
                for sequences in counts {
                    let tower = if name == "image" { blocks.image() } else { blocks.text() };
                    let tower = tower.ok_or("a tower is missing")?;
                    let plan = tower.plan().clone();
                    let rows = sequences * plan.length;
                    if plan.has_positions {
                        let positions: Vec<f32> = random(3).take(plan.length * plan.hidden_size).collect();
                        tower.set_positions(None, &positions)?;
                    }
                    let pass = tower.prepare(rows, *sequences)?;
                    let all = pass.program().dispatches.len();
                    let time = self.measure(1, |compute| pass.encode(compute, 0..all))?;
                    let kind = if name == "image" { Towers::Image } else { Towers::Text };
                    let mut report = time.report(flops(&plan, widths(config, kind), rows));
                    let values: Vec<f32> = random(1).take(rows * plan.input.size).collect();
                    let input = Input { rows: &values, sequences: *sequences };
                    let whole = self.repeated(|| {
                        let start = Instant::now();
                        let result = tower.run_all(input)?;
                        let finite = result.iter().all(|value| value.is_finite());
                        finite
                            .then(|| milliseconds(start.elapsed()))
                            .ok_or("the results are not finite".into())
                    })?;
                    report["tower"] = json!(name);
                    report["sequences"] = json!(sequences);
                    report["weights"] = json!(format!("{precision:?}"));
                    report["dispatches"] = json!(all);
                    // With the upload of what it begins with, and the embeddings' way back.
                    report["run_ms"] = json!(median(whole));
                    towers.push(report);
                }
            }
        }
        Ok(towers.into())
    }

    /// Times what is recorded in one pass, which is `repeated` times the same.
    fn measure(&self, repeated: u32, encode: impl Fn(&mut wgpu::ComputePass<'_>)) -> Outcome<Time> {
        let times = self.repeated(|| Ok(self.timer.time(self.gpu, &encode)?))?;
        let per_run = |ms: f64| ms / f64::from(repeated);
        let gpu: Option<Vec<f64>> = times.iter().map(|time| time.gpu).collect();
        let wall = times.iter().map(|time| time.wall).collect();
        Ok(Time { gpu: gpu.map(|times| per_run(median(times))), wall: per_run(median(wall)) })
    }

    fn repeated<T>(&self, mut once: impl FnMut() -> Outcome<T>) -> Outcome<Vec<T>> {
        let start = Instant::now();
        let mut warm = 0;
        // Five times, and until the clock of a GPU that was idle has risen.
        while warm < 5.min(self.extent.timed) || start.elapsed() < self.extent.warm {
            once()?;
            warm += 1;
        }
        (0..self.extent.timed).map(|_| once()).collect()
    }

    fn buffer(&self, size: u64, usage: BufferUsages) -> wgpu::Buffer {
        self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    fn group(&self, pipeline: &wgpu::ComputePipeline, bound: &[(u32, &wgpu::Buffer)]) -> wgpu::BindGroup {
        self.gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &bound.iter().map(entry_of).collect::<Vec<_>>(),
        })
    }
}

fn entry_of<'b>((binding, buffer): &(u32, &'b wgpu::Buffer)) -> wgpu::BindGroupEntry<'b> {
    wgpu::BindGroupEntry { binding: *binding, resource: buffer.as_entire_binding() }
}

/// Milliseconds.
struct Time {
    gpu: Option<f64>,
    wall: f64,
}

impl Time {
    fn report(&self, flops: f64) -> Value {
        let tflops = flops / self.gpu.unwrap_or(self.wall) / 1e9;
        json!({"gpu_ms": self.gpu, "wall_ms": self.wall, "tflops": tflops})
    }
}

/// Measures submits.
struct Timer<'g> {
    gpu: &'g Gpu,
    /// Two timestamps, the buffer that takes them, and the one that is read.
    queries: Option<(wgpu::QuerySet, wgpu::Buffer, wgpu::Buffer)>,
}

impl Timer<'_> {
    fn new(gpu: &Gpu) -> Result<Timer<'_>, GpuError> {
        let device = gpu.device();
        let has_clock = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let queries = gpu.guarded(|| {
            let buffer = |usage| {
                let label = Some("timestamps");
                device.create_buffer(&wgpu::BufferDescriptor {
                    label,
                    size: 16,
                    usage,
                    mapped_at_creation: false,
                })
            };
            has_clock.then(|| {
                let ty = wgpu::QueryType::Timestamp;
                let set = device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count: 2 });
                let resolved = buffer(BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC);
                (set, resolved, buffer(BufferUsages::MAP_READ | BufferUsages::COPY_DST))
            })
        })?;
        Ok(Timer { gpu, queries })
    }

    fn time(&self, gpu: &Gpu, encode: impl Fn(&mut wgpu::ComputePass<'_>)) -> Result<Time, GpuError> {
        let start = Instant::now();
        gpu.guarded(|| {
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let timestamp_writes =
                self.queries.as_ref().map(|(query_set, ..)| wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                });
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            encode(&mut encoder.begin_compute_pass(&descriptor));
            if let Some((set, resolved, staging)) = &self.queries {
                encoder.resolve_query_set(set, 0..2, resolved, 0);
                encoder.copy_buffer_to_buffer(resolved, 0, staging, 0, 16);
            }
            gpu.queue().submit([encoder.finish()]);
        })?;
        gpu.wait()?;
        let wall = milliseconds(start.elapsed());
        let Some((.., staging)) = &self.queries else { return Ok(Time { gpu: None, wall }) };
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&self.gpu.read(staging, 16)?);
        let nanoseconds =
            ticks[1].saturating_sub(ticks[0]) as f64 * f64::from(gpu.queue().get_timestamp_period());
        Ok(Time { gpu: Some(nanoseconds / 1e6), wall })
    }
}

/// The widths of the residual stream, of all heads together and of the MLP's hidden layer, as they are padded.
fn widths(config: &Config, tower: Towers) -> [usize; 3] {
    let (vision, text) = (&config.vision_config, &config.text_config);
    let (hidden, heads, middle) = match tower {
        Towers::Text => (text.hidden_size, text.num_attention_heads, text.intermediate_size),
        _ => (vision.hidden_size, vision.num_attention_heads, vision.intermediate_size),
    };
    let context = heads * (hidden / heads).next_multiple_of(4);
    [hidden, context, middle].map(|width| width.next_multiple_of(64))
}

/// Of the products and attention of a tower's blocks, and of the patch embedding.
fn flops(plan: &TowerPlan, [hidden, context, middle]: [usize; 3], rows: usize) -> f64 {
    let a_row = 4 * hidden * context + 2 * hidden * middle + 2 * plan.length * context;
    let embedding = if plan.has_positions { plan.input.stride * hidden } else { 0 };
    2.0 * rows as f64 * (plan.blocks * a_row + embedding) as f64
}

/// Writes batches as a packer makes them: small weights, so that the residual stream stays as it is in trained models.
fn write_random_weights(blocks: &mut Blocks, config: &Config, precision: Precision) -> Outcome<()> {
    let tensors = tensors(config);
    let places = Plan::new(config, Towers::Both, precision)?.places;
    for place in places {
        let vision = &config.vision_config;
        // The number after the last tensor's is that of the pooling head's queries.
        let (rows, row_len) = match tensors.get(place.tensor) {
            Some(tensor) => (tensor.rows(), tensor.row_len()),
            None => (vision.num_attention_heads, vision.hidden_size),
        };
        let scale = 1.0 / (row_len as f32).sqrt();
        let header = [place.tensor, 0, rows, usize::from(place.scales.is_some())].map(|word| word as u32);
        let mut batch: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
        let mut values = random(place.tensor as u32 + 1);
        if place.scales.is_some() {
            batch.extend(std::iter::repeat_n((scale / 127.0).to_le_bytes(), rows).flatten());
            batch.extend(values.take(rows * row_len).map(|value| (127.0 * value) as i8 as u8));
        } else {
            let factor = if row_len > 1 { scale } else { 1.0 };
            batch.extend(
                values.by_ref().take(rows * row_len).flat_map(|value| (factor * value).to_le_bytes()),
            );
        }
        blocks.write(&batch)?;
    }
    Ok(())
}

/// From -1 to 1, by Numerical Recipes' generator.
fn random(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
