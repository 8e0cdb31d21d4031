//! Measures an adapter with whole models: from ready pixel values to embeddings, and how far these are from the CPU's in f32.
//!
//! `cargo run --release -p siglip-gpu --features native --example picture -- FOLDER [--runs 20] [--write NAME|FILE]`
//!
//! FOLDER holds a checkpoint's config.json and model.safetensors. `--write` makes both, with random weights of a
//! published shape or a config.json, and ends.
//! For each line of standard input one picture and eight are timed, and a line of JSON is printed: bench/peer/gpu_native.py times
//! another engine on the same pictures between.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use siglip::model::{Model, ModelLoader};
use siglip::weights::{Dtype, WeightReader};
use siglip::{Config, Engine, EngineLoader, LoadOptions, PixelValues, Precision, Towers};
use siglip_gpu::native::{Gpu, GpuLoader, GpuModel, Wish};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Runs that are not counted.
const WARM: usize = 5;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let named = arguments.iter().position(|argument| argument == name);
        named.and_then(|at| arguments.get(at + 1)).map(String::as_str)
    };
    let folder = Path::new(arguments.first().ok_or("name a folder")?);
    if let Some(shape) = option("--write") {
        return write(folder, shape);
    }
    let runs = option("--runs").unwrap_or("20").parse()?;
    let config = Config::from_json(&fs::read_to_string(folder.join("config.json"))?)?;
    let pictures: Vec<PixelValues> = (0..8).map(|seed| picture(&config, seed)).collect();
    let mut on_cpu: Model = load(folder, ModelLoader::new(config.clone(), options(Precision::F32))?)?;
    let expected = on_cpu.image_embeds(pictures.clone())?;
    let gpu = Gpu::open(Wish::Any)?;
    let mut models = Vec::new();
    for precision in [Precision::Q8, Precision::F32] {
        let start = Instant::now();
        let mut model = load(folder, GpuLoader::new(&gpu, config.clone(), options(precision))?)?;
        model.check()?;
        models.push((precision, milliseconds(start), model));
    }
    println!("{}", json!({"adapter": gpu.name(), "software": gpu.is_software()}));
    for line in std::io::stdin().lines() {
        line?;
        let mut results = Vec::new();
        for (precision, load_ms, model) in &mut models {
            let mut result = measure(model, &pictures, &expected, runs)?;
            result["name"] = json!(format!("siglip-gpu {precision:?}"));
            result["load_ms"] = json!(*load_ms);
            results.push(result);
        }
        println!("{}", json!({"results": results}));
    }
    Ok(())
}

/// One picture and all, so many times each.
fn measure(model: &mut GpuModel, pictures: &[PixelValues], expected: &[f32], runs: usize) -> Outcome<Value> {
    let size = model.config().embedding_size();
    let mut result = json!({});
    for count in [1, pictures.len()] {
        let found = model.image_embeds(pictures[..count].to_vec())?;
        let mut times = Vec::new();
        for run in 0..WARM + runs {
            let given = pictures[..count].to_vec();
            let start = Instant::now();
            let again = model.image_embeds(given)?;
            if run >= WARM {
                times.push(milliseconds(start));
            }
            if again != found {
                return Err("the same pictures gave other bits".into());
            }
        }
        result[format!("image{count}_ms")] = quantiles(times);
        result[format!("cosine{count}")] = json!(smallest_cosine(&found, expected, size));
    }
    Ok(result)
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions { precision, towers: Towers::Image, ..LoadOptions::default() }
}

fn write(folder: &Path, shape: &str) -> Outcome<()> {
    let config = match siglip::preset(shape) {
        Some(config) => config,
        None => Config::from_json(&fs::read_to_string(shape)?)?,
    };
    fs::create_dir_all(folder)?;
    fs::write(folder.join("config.json"), serde_json::to_string(&config)?)?;
    let mut file = BufWriter::new(File::create(folder.join("model.safetensors"))?);
    siglip::random_weights(&config, Dtype::F32, 7, |bytes| file.write_all(bytes))?;
    Ok(file.flush()?)
}

fn load<L: EngineLoader>(folder: &Path, mut loader: L) -> Outcome<L::Engine> {
    let mut reader = WeightReader::new();
    let weights = fs::read(folder.join("model.safetensors"))?;
    for chunk in weights.chunks(1 << 20) {
        reader.push(chunk, &mut loader)?;
    }
    Ok(loader.finish()?)
}

/// From -1 to 1, by the same arithmetic as in Python.
fn picture(config: &Config, seed: u32) -> PixelValues {
    let side = config.vision_config.image_size;
    let mut state = seed;
    let values = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    PixelValues::new(values.take(3 * side * side).collect(), side)
}

fn smallest_cosine(found: &[f32], expected: &[f32], size: usize) -> f64 {
    let cosine = |(a, b): (&[f32], &[f32])| {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    };
    found.chunks(size).zip(expected.chunks(size)).map(cosine).fold(1.0, f64::min)
}

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

/// The median, and the times that a tenth and nine tenths are below.
fn quantiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((share * times.len() as f64) as usize).copied();
    json!([at(0.5), at(0.1), at(0.9)])
}
