//! Whole models on a GPU against the CPU, and what they do after faults; on whatever adapter there is.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use siglip::image::RgbImage;
use siglip::model::{Model, ModelLoader, Pooling, Step};
use siglip::weights::{TensorSink, WeightReader, tensors};
use siglip::{Config, Engine, EngineLoader, Error, LoadOptions, PixelValues, Precision, Siglip};
use siglip_gpu::native::{Gpu, GpuError, GpuLoader, GpuModel, Input, Tower, Wish};

/// With heads of 12 values, and widths that are padded.
const RANDOM_SMALL: &str = "tests/fixtures/random-small";
/// Pictures of any whole number of patches.
const NAFLEX: &str = "tests/fixtures/random-naflex";
const CHECKPOINTS: [&str; 6] = [
    "www/models/tiny",
    RANDOM_SMALL,
    "tests/fixtures/random-giant",
    "tests/fixtures/random-siglip2",
    NAFLEX,
    "tests/fixtures/random-classifier",
];

/// A device, if there is an adapter.
fn gpu() -> Option<Gpu> {
    let gpu = Gpu::open(Wish::Any);
    gpu.inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions { precision, ..LoadOptions::default() }
}

fn config(folder: &str) -> Config {
    Config::from_json(&std::fs::read_to_string(repository(folder).join("config.json")).unwrap()).unwrap()
}

/// Gives a checkpoint's weights to a loader.
fn load<L: EngineLoader>(folder: &str, mut loader: L) -> L::Engine {
    let mut reader = WeightReader::new();
    let weights = std::fs::read(repository(folder).join("model.safetensors")).unwrap();
    weights.chunks(100_000).for_each(|chunk| reader.push(chunk, &mut loader).unwrap());
    loader.finish().unwrap()
}

fn on_gpu(gpu: &Gpu, folder: &str, precision: Precision) -> GpuModel {
    load(folder, GpuLoader::new(gpu, config(folder), options(precision)).unwrap())
}

fn on_cpu(folder: &str, precision: Precision) -> Model {
    load(folder, ModelLoader::new(config(folder), options(precision)).unwrap())
}

/// Pictures that every model takes: of its image size, or with NaFlex of several patches.
fn picture(config: &Config, seed: usize) -> PixelValues {
    let side = config.vision_config.image_size;
    let values = (0..3 * side * side).map(|i| ((i * 7919 + seed * 31) % 256) as f32 / 128.0 - 1.0).collect();
    PixelValues::new(values, side)
}

/// Texts of a few tokens.
fn texts(config: &Config, count: usize) -> Vec<u32> {
    let text = &config.text_config;
    (0..count * text.max_position_embeddings).map(|i| (i * 101 % (text.vocab_size - 1)) as u32).collect()
}

/// What a model makes of a picture and of three texts.
fn embeddings<E: Engine>(engine: &mut E) -> Vec<f32> {
    let config = engine.config().clone();
    let mut values = engine.image_embeds(vec![picture(&config, 1), picture(&config, 2)]).unwrap();
    if config.classifier.is_none() {
        values.extend(engine.text_embeds(texts(&config, 3)).unwrap());
    }
    values
}

#[track_caller]
fn assert_close(actual: &[f32], expected: &[f32], most: f32, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    for (actual, expected) in actual.iter().zip(expected) {
        let difference = (actual - expected).abs();
        assert!(difference <= most * largest, "{what}: {actual} in place of {expected}");
    }
}

#[test]
fn models_give_the_embeddings_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for folder in CHECKPOINTS {
        let mut model = on_gpu(&gpu, folder, Precision::F32);
        model.check().unwrap();
        let found = embeddings(&mut model);
        assert_close(&found, &embeddings(&mut on_cpu(folder, Precision::F32)), 1e-5, folder);
        assert_eq!(found, embeddings(&mut model), "{folder} gives other bits the second time");
    }
}

/// The weights' own loss is that of 8 bits on the CPU: here only the arithmetic is compared.
#[test]
fn eight_bits_give_what_the_same_weights_give_in_f32() {
    let Some(gpu) = gpu() else { return };
    let config = config(RANDOM_SMALL);
    let mut in_8_bits = on_gpu(&gpu, RANDOM_SMALL, Precision::Q8);
    in_8_bits.check().unwrap();
    let mut dequantized = load(RANDOM_SMALL, Dequantized::new(&gpu, &config));
    let mut pass = in_8_bits.model().begin_image(picture(&config, 1)).unwrap();
    assert_eq!(in_8_bits.model().step(&mut pass), Step::Blocks);
    let patches = in_8_bits.model().patches(&pass).to_vec();
    let positions = in_8_bits.model().positions(&pass);
    let input = Input { rows: &patches, sequences: 1 };
    let [found, expected] = [&mut in_8_bits, &mut dequantized].map(|model| {
        let tower = model.blocks().unwrap().image().unwrap();
        tower.set_positions(None, &positions).unwrap();
        [tower.run_all(input).unwrap(), tower.run_blocks(input).unwrap()]
    });
    assert_close(&found[0], &expected[0], 1e-5, "embeddings in 8 bits");
    assert_close(&found[1], &expected[1], 1e-5, "blocks in 8 bits");
}

/// Loads weights in f32, after they were rounded to 8 bits.
struct Dequantized {
    config: Config,
    packer: siglip::model::Packer,
    loader: GpuLoader,
}

impl Dequantized {
    fn new(gpu: &Gpu, config: &Config) -> Dequantized {
        let packer = ModelLoader::new(config.clone(), options(Precision::Q8)).unwrap().packer();
        let loader = GpuLoader::new(gpu, config.clone(), options(Precision::F32)).unwrap();
        Dequantized { config: config.clone(), packer, loader }
    }
}

impl TensorSink for Dequantized {
    fn begin(&mut self, found: &[siglip::weights::TensorShape]) -> Result<(), Error> {
        self.packer.begin(found)?;
        self.loader.begin(found)
    }

    fn rows(
        &mut self,
        tensor: &siglip::weights::TensorShape,
        first_row: usize,
        values: &[f32],
    ) -> Result<(), Error> {
        self.packer.rows(tensor, first_row, values)?;
        let batch = self.packer.take();
        let word = |at: usize| u32::from_le_bytes(batch[4 * at..4 * at + 4].try_into().unwrap());
        if batch.is_empty() || word(3) == 0 {
            return self.loader.rows(tensor, first_row, values);
        }
        let rows = word(2) as usize;
        assert_eq!(tensors(&self.config)[word(0) as usize].name, tensor.name);
        let levels = batch[16 + 4 * rows..].chunks_exact(tensor.row_len());
        let dequantize = |(row, levels): (usize, &[u8])| {
            let scale = f32::from_bits(word(4 + row));
            levels.iter().map(move |level| scale * f32::from(*level as i8)).collect::<Vec<_>>()
        };
        let rounded: Vec<f32> = levels.enumerate().flat_map(dequantize).collect();
        self.loader.rows(tensor, first_row, &rounded)
    }
}

impl EngineLoader for Dequantized {
    type Engine = GpuModel;

    fn expect_files(&mut self, index: &siglip::weights::WeightIndex) -> Result<(), Error> {
        self.loader.expect_files(index)
    }

    fn lacks_logits(&self) -> bool {
        self.loader.lacks_logits()
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        self.loader.without_logits()
    }

    fn finish(self) -> Result<GpuModel, Error> {
        self.loader.finish()
    }
}

/// Lets the CPU answer after a fault, which is then in the list.
fn noting_faults(model: &mut GpuModel) -> Rc<RefCell<Vec<GpuError>>> {
    let faults = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&faults);
    model.on_fault(Box::new(move |fault| {
        noted.borrow_mut().push(fault.clone());
        Ok(on_cpu(RANDOM_SMALL, Precision::F32))
    }));
    faults
}

#[test]
fn weights_that_arrive_changed_are_found() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::Q8);
    let buffer = model.blocks().unwrap().text().unwrap().weights()[1].clone();
    gpu.guarded(|| gpu.queue().write_buffer(&buffer, 1024, &[1, 2, 3, 4])).unwrap();
    let reason = "the weights of block 1 of the text tower arrived changed";
    assert_eq!(model.check(), Err(GpuError::Wrong(reason.into())));
}

/// The checksums of wrong weights are right if they were wrong before they were sent.
#[test]
fn a_block_that_computes_something_else_is_found() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    // Another model's first blocks on the CPU.
    *model.model() = load("tests/fixtures/random-small", {
        let options = LoadOptions { shard: siglip::Shard::BLOCKS_ELSEWHERE, ..options(Precision::F32) };
        Shifted(ModelLoader::new(config(RANDOM_SMALL), options).unwrap(), "layers.0.mlp.fc2.weight")
    });
    let Err(GpuError::Wrong(reason)) = model.check() else { panic!("the check found nothing") };
    assert!(reason.starts_with("the image tower's first block differs by "), "{reason}");
}

/// Adds a little to the weights of one layer.
struct Shifted(ModelLoader, &'static str);

impl TensorSink for Shifted {
    fn begin(&mut self, found: &[siglip::weights::TensorShape]) -> Result<(), Error> {
        self.0.begin(found)
    }

    fn rows(
        &mut self,
        tensor: &siglip::weights::TensorShape,
        first_row: usize,
        values: &[f32],
    ) -> Result<(), Error> {
        let shift = if tensor.name.ends_with(self.1) { 1e-3 } else { 0.0 };
        let values: Vec<f32> = values.iter().map(|value| value + shift).collect();
        self.0.rows(tensor, first_row, &values)
    }
}

impl EngineLoader for Shifted {
    type Engine = Model;

    fn expect_files(&mut self, index: &siglip::weights::WeightIndex) -> Result<(), Error> {
        self.0.expect_files(index)
    }

    fn lacks_logits(&self) -> bool {
        self.0.lacks_logits()
    }

    fn without_logits(&mut self) -> Result<(), Error> {
        self.0.without_logits()
    }

    fn finish(self) -> Result<Model, Error> {
        self.0.finish()
    }
}

#[test]
fn results_that_are_not_finite_are_computed_again_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    let faults = noting_faults(&mut model);
    let buffer = model.blocks().unwrap().image().unwrap().weights()[0].clone();
    gpu.guarded(|| gpu.queue().write_buffer(&buffer, 0, &f32::NAN.to_le_bytes())).unwrap();
    let expected = embeddings(&mut on_cpu(RANDOM_SMALL, Precision::F32));
    assert_eq!(embeddings(&mut model), expected);
    assert_eq!(*faults.borrow(), [GpuError::Wrong("results are not finite".into())]);
    assert!(model.blocks().is_none());
}

#[test]
fn a_lost_device_is_an_error_and_the_cpu_answers() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    let faults = noting_faults(&mut model);
    gpu.device().destroy();
    let expected = embeddings(&mut on_cpu(RANDOM_SMALL, Precision::F32));
    assert_eq!(embeddings(&mut model), expected);
    assert!(matches!(&faults.borrow()[..], [GpuError::Lost(_)]), "{faults:?}");
    // The load itself goes on, and the check tells.
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    assert!(matches!(model.check(), Err(GpuError::Lost(_))));
}

#[test]
fn a_lost_device_is_replaced_once() {
    let Some(first) = gpu() else { return };
    let second = Rc::new(RefCell::new(None));
    let opened = Rc::clone(&second);
    let mut model = on_gpu(&first, RANDOM_SMALL, Precision::F32);
    let faults = noting_faults(&mut model);
    model.on_loss(Box::new(move || {
        let gpu = gpu()?;
        let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
        model.check().ok()?;
        *opened.borrow_mut() = Some(gpu);
        Some(model)
    }));
    let expected = embeddings(&mut on_cpu(RANDOM_SMALL, Precision::F32));
    assert_close(&embeddings(&mut model), &expected, 1e-5, "before the loss");
    first.device().destroy();
    assert_close(&embeddings(&mut model), &expected, 1e-5, "on a second device");
    assert!(model.blocks().is_some() && faults.borrow().is_empty());
    second.borrow().as_ref().unwrap().device().destroy();
    assert_eq!(embeddings(&mut model), expected);
    assert!(matches!(&faults.borrow()[..], [GpuError::Lost(_)]), "{faults:?}");
    assert!(model.blocks().is_none());
    // No second device to be had.
    let Some(first) = gpu() else { return };
    let mut model = on_gpu(&first, RANDOM_SMALL, Precision::F32);
    let faults = noting_faults(&mut model);
    model.on_loss(Box::new(|| None));
    first.device().destroy();
    assert_eq!(embeddings(&mut model), expected);
    assert_eq!(faults.borrow().len(), 1);
}

/// More pictures and texts than run at once, and pictures of two sizes in a list.
#[test]
fn many_pictures_and_texts_are_divided_into_passes() {
    let Some(gpu) = gpu() else { return };
    let mut cpu = on_cpu(NAFLEX, Precision::F32);
    let mut model = on_gpu(&gpu, NAFLEX, Precision::F32);
    let config = model.config().clone();
    let mut pictures: Vec<PixelValues> = (0..11).map(|seed| picture(&config, seed)).collect();
    let patch = config.vision_config.patch_size;
    for at in [3, 4] {
        pictures[at] = PixelValues::new(pictures[at].values[..3 * 2 * patch * 3 * patch].to_vec(), 2 * patch);
    }
    assert_eq!(model.images_per_pass(), 8);
    let found = model.image_embeds(pictures.clone()).unwrap();
    assert_close(&found, &cpu.image_embeds(pictures).unwrap(), 1e-5, "pictures");
    let ids = texts(&config, model.texts_per_pass());
    assert_close(&model.text_embeds(ids.clone()).unwrap(), &cpu.text_embeds(ids).unwrap(), 1e-5, "texts");
}

/// What does not fit the GPU's memory at once gives the same bits.
#[test]
fn sequences_run_in_groups() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    let mut plan = model.blocks().unwrap().text().unwrap().plan().clone();
    let rows = plan.length;
    let values: Vec<f32> = (0..5 * rows * plan.hidden_size).map(|i| (i as f32).sin()).collect();
    let whole = model.blocks().unwrap().text().unwrap();
    let input = Input { rows: &values, sequences: 5 };
    let expected = [whole.run_blocks(input).unwrap(), whole.run_all(input).unwrap()];
    plan.most_rows = 2 * rows;
    let mut divided = Tower::new(&gpu, plan).unwrap();
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    for (from, to) in whole.weights().iter().zip(divided.weights()) {
        encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
    }
    gpu.queue().submit([encoder.finish()]);
    let found = [divided.run_blocks(input).unwrap(), divided.run_all(input).unwrap()];
    assert_eq!(found, expected, "five texts, two at a time");
}

/// Patches, their mean and windows are made on the CPU of the last block's output.
#[test]
fn other_vectors_than_the_heads_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let (mut cpu, mut model) = (on_cpu(NAFLEX, Precision::F32), on_gpu(&gpu, NAFLEX, Precision::F32));
    let picture = picture(model.config(), 5);
    for pooling in [Pooling::Head, Pooling::Mean, Pooling::Patches, Pooling::Windows { sides: &[1, 3] }] {
        let expected = cpu.image_vectors(picture.clone(), pooling, false).unwrap();
        let found = model.image_vectors(picture.clone(), pooling, false).unwrap();
        assert_close(&found, &expected, 1e-5, &format!("{pooling:?}"));
    }
}

#[test]
fn a_pass_without_position_embeddings_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    let tower = model.blocks().unwrap().image().unwrap();
    let rows = vec![0.0; tower.plan().input.size];
    let error = tower.run_all(Input { rows: &rows, sequences: 1 }).unwrap_err();
    assert_eq!(error, GpuError::Wrong("there are no 1 position embeddings".into()));
}

/// The blocks are right, and the head has other weights than the CPU's.
#[test]
fn a_head_that_computes_something_else_is_found() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::F32);
    *model.model() = load(RANDOM_SMALL, {
        let options = LoadOptions { shard: siglip::Shard::BLOCKS_ELSEWHERE, ..options(Precision::F32) };
        Shifted(ModelLoader::new(config(RANDOM_SMALL), options).unwrap(), "head.mlp.fc2.weight")
    });
    let Err(GpuError::Wrong(reason)) = model.check() else { panic!("the check found nothing") };
    assert!(reason.starts_with("the image tower's head differs by "), "{reason}");
}

#[test]
fn a_pipeline_that_is_refused_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let Err(GpuError::Shader { label, reason }) = gpu.pipeline("broken", "fn main() { let a = b; }") else {
        panic!("it was taken");
    };
    assert!(label == "broken" && reason.contains('b'), "{label}: {reason}");
    // The device goes on.
    gpu.wait().unwrap();
}

#[test]
fn what_the_kernels_do_not_take_is_told() {
    let Some(gpu) = gpu() else { return };
    let mut model = on_gpu(&gpu, RANDOM_SMALL, Precision::Q8Exact);
    let fault = model.check().unwrap_err();
    assert_eq!((fault.code(), fault), ("gpu-missing", GpuError::Unsupported(siglip_gpu::Unsupported::Exact)));
}

/// The facade loads it as any engine.
#[test]
fn a_checkpoint_is_loaded_by_the_facade() {
    let Some(_) = gpu() else { return };
    let open = |name: &str| File::open(repository(RANDOM_SMALL).join(name));
    let mut siglip = Siglip::<GpuModel>::from_files_with_engine(open, options(Precision::F32)).unwrap();
    let image = RgbImage::from_rgb(40, 30, vec![77; 3600]).unwrap();
    let found = siglip.image_embeds(&image).unwrap();
    let expected = Siglip::from_files(open, options(Precision::F32)).unwrap().image_embeds(&image).unwrap();
    assert_close(&found, &expected, 1e-5, "a grey picture");
}
