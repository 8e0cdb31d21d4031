//! Every kernel against plain double precision, on whatever adapter there is; lavapipe is one.

mod attention;
mod norms;
mod products;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use siglip::{PRESETS, Precision, Towers};
use siglip_gpu::native::{Gpu, Wish, wgpu};
use siglip_gpu::{Plan, checksum};

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
