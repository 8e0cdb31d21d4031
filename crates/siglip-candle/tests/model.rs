//! candle's towers against what transformers recorded, and against `siglip`'s own engine: two implementations that have no
//! line in common.

#[path = "../../siglip/tests/support/mod.rs"]
mod support;

use std::fs::File;

use siglip::model::Pooling;
use siglip::weights::{Dtype, MatrixType, WeightReader};
use siglip::{
    Checkpoint, Engine, EngineLoader as _, Error, LoadOptions, PixelValues, Precision, Resolution, Shard,
    Siglip, Towers, preset, random_weights,
};
use siglip_candle::{Candle, CandleLoader, OPTIONS};
use support::checkpoints::{
    RANDOM_NAFLEX, RANDOM_SMALL, TINY, config, files, model_of, read, repository, siglip,
};
use support::reference::{Outputs, Recording, largest_difference, pictures};
use support::weight_files::gguf;

fn load(folder: &str, weights: &str, options: LoadOptions) -> Result<Candle, Error> {
    let mut loader = CandleLoader::new(config(folder), options)?;
    let mut reader = WeightReader::new();
    for chunk in read(&repository(folder).join(weights)).chunks(4099) {
        reader.push(chunk, &mut loader)?;
    }
    reader.finish()?;
    loader.finish()
}

struct Towered(Candle);

impl support::reference::Towers for Towered {
    fn image_size(&self) -> usize {
        self.0.config().vision_config.image_size
    }

    fn image_embeds(&mut self, pixel_values: Vec<f32>) -> Vec<f32> {
        let image = PixelValues::new(pixel_values, self.image_size());
        self.0.image_embeds(vec![image]).unwrap()
    }

    fn text_embeds(&mut self, input_ids: Vec<u32>) -> Vec<f32> {
        self.0.text_embeds(input_ids).unwrap()
    }

    fn logits_per_image(&self, image_embeds: &[f32], text_embeds: &[f32]) -> Vec<f32> {
        self.0.logits_per_image(image_embeds, text_embeds)
    }
}

/// Version 1 and 2, an i18n vocabulary, text towers with a head to another width, and every type of weights.
#[test]
fn candle_equals_the_reference_and_our_engine() {
    let recordings = [
        (TINY, "tiny"),
        (RANDOM_SMALL, "random-small"),
        (RANDOM_SMALL, "random-small-f16"),
        (RANDOM_SMALL, "random-small-bf16"),
        ("tests/fixtures/random-siglip2", "random-siglip2"),
        ("tests/fixtures/random-i18n", "random-i18n"),
        ("tests/fixtures/random-giant", "random-giant"),
    ];
    for (folder, name) in recordings {
        let recording = Recording::read(name);
        let candle = load(folder, &recording.weights, OPTIONS).unwrap();
        let candle = Outputs::of(&mut Towered(candle), &recording);
        candle.assert_close(&recording.outputs, 1e-5, 1e-3, name);
        let mut ours = model_of(folder, &recording.weights, OPTIONS);
        Outputs::of(&mut ours, &recording).assert_close(&candle, 1e-5, 1e-3, name);
    }
}

#[test]
fn base_patch16_256_equals_the_reference() {
    let recording = Recording::read("base-patch16-256");
    let config = preset("base-patch16-256").unwrap();
    let mut loader = CandleLoader::new(config.clone(), OPTIONS).unwrap();
    let mut reader = WeightReader::new();
    random_weights(&config, Dtype::F32, 1, |bytes| reader.push(bytes, &mut loader)).unwrap();
    reader.finish().unwrap();
    let candle = loader.finish().unwrap();
    assert_eq!(candle.bytes() as u64, Candle::memory_needed(&config, OPTIONS));
    Outputs::of(&mut Towered(candle), &recording).assert_close(
        &recording.outputs,
        1e-5,
        1e-3,
        "base-patch16-256",
    );
}

/// Embeddings of a picture and of texts, from files to vectors.
#[track_caller]
fn assert_equal(candle: &mut Siglip<Candle>, ours: &mut Siglip, what: &str) {
    let texts = ["a photo of 2 cats".to_string(), String::new()];
    let picture = &pictures(&[(37, 53)])[0];
    let theirs = [candle.image_embeds(picture).unwrap(), candle.text_embeds(&texts).unwrap().concat()];
    let ours = [ours.image_embeds(picture).unwrap(), ours.text_embeds(&texts).unwrap().concat()];
    for (theirs, ours) in theirs.iter().zip(&ours) {
        let difference = largest_difference(theirs, ours);
        assert!(difference <= 1e-5, "{what}: {difference:e}");
    }
}

/// open_clip's names of tensors, and the exact GELU that it trains with.
#[test]
fn a_folder_of_open_clips_is_read() {
    let folder = repository("tests/fixtures/random-open-clip");
    let mut candle = Siglip::from_files_with_engine(|file| File::open(folder.join(file)), OPTIONS).unwrap();
    assert_equal(&mut candle, &mut siglip(&folder, Precision::F32), "open_clip");
}

#[test]
fn ggufs_are_read() {
    for matrices in [MatrixType::F32, MatrixType::F16, MatrixType::Q8] {
        let file = gguf(matrices);
        let mut candle = Siglip::from_gguf_with_engine(&file[..], OPTIONS).unwrap();
        assert_equal(
            &mut candle,
            &mut Siglip::from_gguf(&file[..], OPTIONS).unwrap(),
            &format!("{matrices:?}"),
        );
    }
}

/// The image tower first, then the text tower of a load of its own.
#[test]
fn a_tower_alone_answers_and_takes_the_other_later() {
    let tower =
        |folder, towers| load(folder, "model.safetensors", LoadOptions { towers, ..OPTIONS }).unwrap();
    let (mut image, text) = (tower(RANDOM_SMALL, Towers::Image), tower(RANDOM_SMALL, Towers::Text));
    let mut whole = load(RANDOM_SMALL, "model.safetensors", OPTIONS).unwrap();
    assert_eq!((image.towers(), text.towers(), whole.towers()), (Towers::Image, Towers::Text, Towers::Both));
    assert_eq!(image.bytes() + text.bytes(), whole.bytes() + 8, "scale and bias are in both");
    let ids = vec![1; whole.config().text_config.max_position_embeddings];
    let refused = image.text_embeds(ids.clone()).unwrap_err();
    assert_eq!((refused.code(), refused.to_string().contains("without its text tower")), ("bad-input", true));

    let other = image.add_text_tower(tower("tests/fixtures/random-i18n", Towers::Text)).unwrap_err();
    assert_eq!(other.code(), "bad-weights");
    image.add_text_tower(text).unwrap();
    assert_eq!(image.text_embeds(ids.clone()).unwrap(), whole.text_embeds(ids).unwrap());
}

#[track_caller]
fn assert_refused(folder: &str, options: LoadOptions, code: &str, cause: &str) {
    let refused =
        Checkpoint::parse(&files(folder)).and_then(|checkpoint| checkpoint.loader::<Candle>(options));
    let error = refused.expect_err("it is refused");
    let message = error.to_string();
    assert_eq!(error.code(), code, "{message}");
    assert!(message.contains(cause), "{message}");
}

/// The message names what candle lacks, and the way out.
#[test]
fn what_candle_lacks_is_refused_before_the_weights() {
    let model = "unsupported-model";
    for (folder, cause) in [
        (
            RANDOM_NAFLEX,
            "has no NaFlex, whose pictures keep their aspect ratio; load it with the default engine",
        ),
        (
            "tests/fixtures/random-classifier",
            "candle's SigLIP has no classifier over the mean of the patches",
        ),
    ] {
        assert_refused(folder, OPTIONS, model, cause);
    }
    let q8 = LoadOptions::default();
    assert_refused(
        RANDOM_SMALL,
        q8,
        "bad-input",
        "in single precision only; choose precision f32 in place of q8",
    );
    let shard = Shard::new(0, 2).unwrap();
    let resolution = Resolution { image_size: Some(64), max_patches: None };
    assert_refused(
        RANDOM_SMALL,
        LoadOptions { resolution, ..OPTIONS },
        "bad-input",
        "leave the resolution out",
    );
    assert_refused(RANDOM_SMALL, LoadOptions { shard, ..OPTIONS }, "bad-input", "in one worker");
    let blocks_elsewhere = LoadOptions { shard: Shard::BLOCKS_ELSEWHERE, ..OPTIONS };
    assert_refused(RANDOM_SMALL, blocks_elsewhere, "bad-input", "on the CPU");
}

#[test]
fn what_is_no_image_or_text_of_the_model_is_refused() {
    let mut candle = load(RANDOM_SMALL, "model.safetensors", OPTIONS).unwrap();
    let vision = &candle.config().vision_config;
    let (side, values) = (vision.image_size, 3 * vision.image_size.pow(2));
    let image = |values, height| PixelValues::new(vec![0.0; values], height);
    for image in [image(0, 0), image(values - 1, side), image(values, side + 1)] {
        let message = candle.image_embeds(vec![image]).unwrap_err().to_string();
        assert!(message.contains(&format!("where this model takes {values}")), "{message}");
    }
    let whole = image(values, side);
    let message = candle.image_vectors(whole, Pooling::Mean, false).unwrap_err().to_string();
    assert!(message.ends_with("normalized embeddings alone; load it with the default engine"), "{message}");

    let text = &candle.config().text_config;
    let (length, vocabulary) = (text.max_position_embeddings, text.vocab_size as u32);
    for ids in [vec![], vec![0; length + 1], vec![vocabulary; length]] {
        assert_eq!(candle.text_embeds(ids).unwrap_err().code(), "bad-input");
    }
}

/// Cut, of another model, or not finite: nothing is computed with it.
#[test]
fn damaged_weights_are_refused() {
    let file = read(&repository(RANDOM_SMALL).join("model.safetensors"));
    let push = |folder, bytes: &[u8]| {
        let mut loader = CandleLoader::new(config(folder), OPTIONS)?;
        let mut reader = WeightReader::new();
        reader.push(bytes, &mut loader)?;
        loader.finish()
    };
    let mut infinite = file.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let cut = &file[..end - 4];
    for (folder, bytes) in
        [(RANDOM_SMALL, cut), (RANDOM_SMALL, &infinite[..]), ("tests/fixtures/random-i18n", &file[..])]
    {
        assert_eq!(push(folder, bytes).unwrap_err().code(), "bad-weights");
    }
    assert!(push(RANDOM_SMALL, &file).is_ok());
}
