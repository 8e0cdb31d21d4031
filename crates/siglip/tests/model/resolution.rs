//! Models at another resolution than the checkpoint's, against the Python reference: transformers' `interpolate_pos_encoding`,
//! and NaFlex with another `max_num_patches`.

use std::fs::File;

use serde::Deserialize;
use siglip::model::{Model, ModelLoader, memory_needed, packed_bytes};
use siglip::weights::WeightReader;
use siglip::{
    Engine as _, EngineLoader as _, Error, LoadOptions, PixelValues, Precision, Resolution, Shard, Siglip,
};

use crate::support::checkpoints::{RANDOM_NAFLEX, RANDOM_SMALL, TINY, config, read, repository, whole};
use crate::support::reference::{cosine, largest_difference, pictures, recording};

#[derive(Deserialize)]
struct Recording {
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    fixed: Vec<Fixed>,
    naflex: Vec<Naflex>,
}

#[derive(Deserialize)]
struct Fixed {
    model: String,
    image_size: usize,
    /// Of each picture the embedding, or a classifier's logits.
    values: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Naflex {
    max_patches: usize,
    /// Rows and columns of patches of each picture.
    grids: Vec<(usize, usize)>,
    values: Vec<Vec<f32>>,
}

fn at_size(image_size: usize) -> Resolution {
    Resolution { image_size: Some(image_size), ..Resolution::default() }
}

fn with_patches(max_patches: usize) -> Resolution {
    Resolution { max_patches: Some(max_patches), ..Resolution::default() }
}

fn load(folder: &str, precision: Precision, resolution: Resolution) -> Result<Siglip, Error> {
    let options = LoadOptions { resolution, ..whole(precision) };
    Siglip::from_files(|name| File::open(repository(folder).join(name)), options)
}

#[test]
fn fixed_models_at_another_size_equal_the_reference() {
    let Recording { pictures: sides, fixed, .. } = recording("resolution");
    assert_eq!(fixed.len(), 10);
    for Fixed { model, image_size, values } in fixed {
        let folder = format!("tests/fixtures/random-{model}");
        let mut siglip = load(&folder, Precision::F32, at_size(image_size)).unwrap();
        let mut rounded = load(&folder, Precision::Q8, at_size(image_size)).unwrap();
        assert_eq!(siglip.engine().config().vision_config.image_size, image_size);
        for (picture, expected) in pictures(&sides).iter().zip(&values) {
            let embedding = siglip.image_embeds(picture).unwrap();
            let found = match siglip.classifier() {
                Some(_) => siglip.engine().class_logits(&embedding),
                None => embedding.clone(),
            };
            let scale = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
            let difference = largest_difference(&found, expected);
            assert!(difference < 1e-5 * scale, "{model} at {image_size}: {difference}");
            assert!(cosine(&rounded.image_embeds(picture).unwrap(), &embedding) > 0.99);
        }
    }
}

#[test]
fn naflex_with_more_and_fewer_patches_equals_the_reference() {
    let Recording { pictures: sides, naflex, .. } = recording("resolution");
    assert_eq!(naflex.last().unwrap().max_patches, 1024);
    for Naflex { max_patches, grids, values } in naflex {
        let mut siglip = load(RANDOM_NAFLEX, Precision::F32, with_patches(max_patches)).unwrap();
        assert_eq!(siglip.max_patches(), Some(max_patches));
        for ((picture, grid), expected) in pictures(&sides).iter().zip(grids).zip(&values) {
            let pixel_values = siglip.pixel_values(picture).unwrap();
            assert_eq!(siglip.engine().patch_grid(&pixel_values).unwrap(), grid);
            let difference = largest_difference(&siglip.image_embeds(picture).unwrap(), expected);
            assert!(difference < 1e-5, "{max_patches} patches: {difference}");
        }
    }
}

/// 44 pixels are three patches of 14, and a rest.
#[test]
fn the_trained_size_changes_nothing_even_where_it_is_no_multiple() {
    let picture = &pictures(&[(31, 33)])[0];
    let own =
        load(RANDOM_SMALL, Precision::F32, Resolution::default()).unwrap().image_embeds(picture).unwrap();
    for resolution in [at_size(44), Resolution::default()] {
        let mut siglip = load(RANDOM_SMALL, Precision::F32, resolution).unwrap();
        assert_eq!(siglip.image_embeds(picture).unwrap(), own);
    }
    let changed = config(RANDOM_SMALL).at(at_size(70)).unwrap();
    assert_eq!(changed.clone().at(at_size(70)).unwrap(), changed);
    assert_eq!(changed.at(at_size(44)).unwrap(), config(RANDOM_SMALL));
}

#[test]
fn resolutions_that_a_model_cannot_have_are_refused() {
    for (folder, resolution, reason) in [
        (
            RANDOM_SMALL,
            at_size(0),
            "an image size of 0 pixels is no multiple of this model's patches of 14; take 14",
        ),
        (RANDOM_SMALL, at_size(13), "of 14; take 14"),
        (RANDOM_SMALL, at_size(50), "take 42 or 56"),
        (RANDOM_SMALL, at_size(910), "an image size of 910 pixels; at most 896 run here"),
        (RANDOM_SMALL, at_size(14 * (usize::MAX / 14)), "at most 896"),
        (RANDOM_SMALL, with_patches(100), "give an image size in pixels"),
        (RANDOM_NAFLEX, with_patches(0), "0 patches of an image; take a number from 1 to 1024"),
        (RANDOM_NAFLEX, with_patches(1025), "from 1 to 1024"),
        (RANDOM_NAFLEX, at_size(32), "give a greatest number of patches"),
        ("tests/fixtures/random-text", at_size(32), "a model without an image tower has no resolution"),
    ] {
        let error = load(folder, Precision::F32, resolution).unwrap_err();
        assert_eq!(error.code(), "bad-input", "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// The checkpoint's position embeddings are in memory until they are interpolated.
#[test]
fn memory_is_known_before_and_images_of_other_sizes_are_refused_after() {
    for (image_size, count) in [(15, 1), (140, 1), (140, 2)] {
        let own = config(TINY);
        let weights = read(&repository(TINY).join("model.safetensors"));
        for index in 0..count {
            let shard = Shard::new(index, count).unwrap();
            let options = LoadOptions { shard, resolution: at_size(image_size), ..whole(Precision::Q8) };
            let seen = own.clone().at(options.resolution).unwrap();
            let mut loader = ModelLoader::new(own.clone(), options).unwrap();
            WeightReader::new().push(&weights, &mut loader).unwrap();
            let model: Model = loader.finish().unwrap();
            assert_eq!(packed_bytes(&seen, options), model.bytes() as u64);
            let positions = own.vision_config.num_positions() * own.vision_config.hidden_size;
            let needed = memory_needed(&seen, options) - memory_needed(&own, options);
            let grown = packed_bytes(&seen, options) as i64 - packed_bytes(&own, options) as i64;
            assert_eq!(needed as i64, grown + 4 * positions as i64);
            let image = |side: usize| PixelValues::new(vec![0.0; 3 * side * side], side);
            assert!(model.begin_image(image(image_size)).is_ok());
            assert_eq!(model.begin_image(image(64)).unwrap_err().code(), "bad-input");
        }
    }
}
