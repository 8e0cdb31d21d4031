//! SigLIP 2 NaFlex, whose images keep their aspect ratio, against the Python reference.

use serde::Deserialize;
use siglip::image::{Processor, RgbImage};
use siglip::{Checkpoint, Error, PixelValues, Precision, Siglip};

use crate::support::checkpoints::{RANDOM_NAFLEX, files, model, repository};
use crate::support::reference::{cosine, largest_difference, pictures, recording};
use crate::support::workers::Workers;

#[derive(Deserialize)]
struct Recording {
    /// Height, width, patch size, most patches; height and width they are resized to.
    sizes: Vec<[u32; 6]>,
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    /// Rows and columns of patches.
    spatial_shapes: Vec<(usize, usize)>,
    /// Of each picture [patch, line, column, channel].
    levels: Vec<Vec<u8>>,
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    image_embeds: Vec<Vec<f32>>,
    text_embeds: Vec<Vec<f32>>,
    logits_per_image: Vec<Vec<f32>>,
}

const PATCH_SIZE: usize = 4;

fn load(precision: Precision) -> Siglip {
    crate::support::checkpoints::siglip(&repository(RANDOM_NAFLEX), precision)
}

#[test]
fn resized_sides_equal_the_references() {
    let recording: Recording = recording("naflex");
    assert!(recording.sizes.len() > 100);
    for [height, width, patch_size, max_num_patches, expected_height, expected_width] in recording.sizes {
        let json = serde_json::json!({
            "image_processor_type": "Siglip2ImageProcessor",
            "patch_size": patch_size, "max_num_patches": max_num_patches,
        });
        let processor = Processor::from_json(&json.to_string()).unwrap();
        let picture = RgbImage::from_rgb(width, height, vec![0; 3 * (width * height) as usize]);
        // The largest of the recorded sides make pictures that are not read.
        let Ok(picture) = picture else { continue };
        let sides = processor.sides(&picture);
        assert_eq!(sides, (expected_width, expected_height), "{width} x {height} in {max_num_patches}");
    }
}

#[test]
fn pixel_values_equal_the_references() {
    let recording: Recording = recording("naflex");
    let siglip = load(Precision::F32);
    for (at, picture) in pictures(&recording.pictures).iter().enumerate() {
        let (rows, columns) = recording.spatial_shapes[at];
        let (height, width) = (rows * PATCH_SIZE, columns * PATCH_SIZE);
        let PixelValues { values: found, height: found_height } = siglip.pixel_values(picture).unwrap();
        assert_eq!(found_height, height);
        let levels = recording.levels[at].iter().map(|&level| (f32::from(level) / 255.0 - 0.5) / 0.5);
        for (i, expected) in levels.enumerate() {
            let (patch, within) = (i / (3 * PATCH_SIZE.pow(2)), i % (3 * PATCH_SIZE.pow(2)));
            let line = patch / columns * PATCH_SIZE + within / (3 * PATCH_SIZE);
            let column = patch % columns * PATCH_SIZE + within / 3 % PATCH_SIZE;
            let found = found[(within % 3 * height + line) * width + column];
            assert!((found - expected).abs() < 1e-6, "picture {at}, value {i}: {found}, not {expected}");
        }
    }
}

#[test]
fn embeddings_equal_the_references() {
    let recording: Recording = recording("naflex");
    let (mut siglip, mut rounded) = (load(Precision::F32), load(Precision::Q8));
    assert_eq!(siglip.input_ids(&recording.texts).unwrap(), recording.input_ids.concat());
    let texts = siglip.text_embeds(&recording.texts).unwrap().concat();
    assert!(largest_difference(&texts, &recording.text_embeds.concat()) < 2e-6);
    for (at, picture) in pictures(&recording.pictures).iter().enumerate() {
        let expected = &recording.image_embeds[at];
        let found = siglip.image_embeds(picture).unwrap();
        let difference = largest_difference(&found, expected);
        assert!(difference < 3e-6, "picture {at}: {difference}");
        let logits = siglip.logits_per_image(&found, &texts);
        assert!(largest_difference(&logits, &recording.logits_per_image[at]) < 1e-4);
        let rounded = cosine(&rounded.image_embeds(picture).unwrap(), expected);
        assert!(rounded > 0.99, "picture {at}: {rounded}");
    }
}

/// Two workers, each of which holds some columns of the patch embedding.
#[test]
fn two_workers_equal_the_reference() {
    let recording: Recording = recording("naflex");
    let whole = load(Precision::F32);
    let mut workers = Workers::load(RANDOM_NAFLEX, Precision::F32, 2);
    for (at, picture) in pictures(&recording.pictures).iter().enumerate() {
        let found = workers.run(|worker| worker.begin_image(whole.pixel_values(picture).unwrap()));
        let difference = largest_difference(&found, &recording.image_embeds[at]);
        assert!(difference < 3e-6, "picture {at}: {difference}");
    }
}

#[test]
fn images_that_are_not_whole_patches_are_refused() {
    let model = model(RANDOM_NAFLEX, Precision::F32);
    for (len, height) in [(0, 0), (48, 0), (3 * 4 * 6, 4), (3 * 6 * 4, 6), (48, 5), (47, 4), (48, usize::MAX)]
    {
        let error = model.begin_image(PixelValues::new(vec![0.0; len], height)).unwrap_err();
        assert_eq!(error.code(), "bad-input", "{len} values of height {height}");
    }
    assert!(model.begin_image(PixelValues::new(vec![0.0; 48], 4)).is_ok());
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    for (found, replacement, field) in [
        ("\"num_patches\": 16", "\"num_patches\": 17", "vision_config.num_patches"),
        ("\"patch_size\": 4", "\"patch_size\": 5", "vision_config.patch_size"),
        ("\"Siglip2ImageProcessor\"", "\"SiglipImageProcessor\"", "image_processor_type"),
        ("\"model_type\": \"siglip2\"", "\"model_type\": \"siglip\"", "image_processor_type"),
        ("\"max_num_patches\": 16", "\"max_num_patches\": 5000", "max_num_patches"),
    ] {
        let mut files = files(RANDOM_NAFLEX);
        let file = match files.config.contains(found) {
            true => &mut files.config,
            false => &mut files.preprocessor,
        };
        *file = file.replace(found, replacement);
        match Checkpoint::parse(&files).unwrap_err() {
            Error::UnsupportedModel { field: found, .. } => assert_eq!(found, field),
            error => panic!("{error}"),
        }
    }
}
