//! Vectors for other uses than scores, against the Python reference: the pooling head's output as it is, the mean over the
//! patches, and the patches.

use serde::Deserialize;
use siglip::image::RgbImage;
use siglip::model::Pooling;
use siglip::{PixelValues, Precision};

use crate::support::checkpoints::{repository, siglip};
use crate::support::reference::{largest_difference, recording};
use crate::support::workers::Workers;

#[derive(Deserialize)]
struct Recording {
    /// Height and width.
    pictures: Vec<(u32, u32)>,
    models: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    model: String,
    /// Rows and columns of patches of each picture.
    grids: Vec<(usize, usize)>,
    head: Vec<Vec<f32>>,
    mean: Vec<Vec<f32>>,
    patches: Vec<Vec<Vec<f32>>>,
    /// Of 3 x 3 patches around each patch.
    windows: Vec<Vec<Vec<f32>>>,
}

impl Recording {
    /// The recorded pictures: (7 i² + 13 i + 31 n) mod 256.
    fn pictures(&self) -> Vec<RgbImage> {
        let picture = |(number, &(height, width)): (usize, &(u32, u32))| {
            let level = |i: usize| (7 * i * i + 13 * i + 31 * number) as u8;
            let levels = (0..3 * (height * width) as usize).map(level).collect();
            RgbImage::from_rgb(width, height, levels).unwrap()
        };
        self.pictures.iter().enumerate().map(picture).collect()
    }
}

#[test]
fn vectors_equal_the_references_with_and_without_their_norm() {
    let recording: Recording = recording("vectors");
    assert_eq!(recording.models.len(), 2);
    for recorded in &recording.models {
        let folder = format!("tests/fixtures/random-{}", recorded.model);
        let mut model = siglip(&repository(&folder), Precision::F32);
        let mut workers = Workers::load(&folder, Precision::F32, 2);
        for (at, picture) in recording.pictures().iter().enumerate() {
            let (patches, windows) = (recorded.patches[at].concat(), recorded.windows[at].concat());
            let pixel_values = model.pixel_values(picture).unwrap();
            assert_eq!(model.engine().patch_grid(&pixel_values).unwrap(), recorded.grids[at]);
            for (pooling, expected) in [
                (Pooling::Head, &recorded.head[at]),
                (Pooling::Mean, &recorded.mean[at]),
                (Pooling::Patches, &patches),
                (Pooling::Windows { sides: &[3] }, &windows),
            ] {
                let found = model.image_vectors(picture, pooling, false).unwrap();
                let of = format!("{} {pooling:?} of picture {at}", recorded.model);
                // The numbers are of the order of 4.
                let tolerance = 1e-5 * expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
                assert!(largest_difference(&found, expected) < tolerance, "{of}");
                let shared =
                    workers.run(|worker| worker.begin_image_for(pixel_values.clone(), pooling, false));
                assert!(largest_difference(&shared, expected) < tolerance, "{of}, two workers");
                let width = recorded.mean[at].len();
                let normed: Vec<f32> = expected
                    .chunks_exact(width)
                    .flat_map(|vector| {
                        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
                        vector.iter().map(move |value| value / norm)
                    })
                    .collect();
                let found = model.image_vectors(picture, pooling, true).unwrap();
                assert!(largest_difference(&found, &normed) < 1e-5, "{of}, normalized");
            }
            let embedding = model.image_embeds(picture).unwrap();
            assert_eq!(embedding, model.image_vectors(picture, Pooling::Head, true).unwrap());
        }
    }
}

/// Where each window holds all patches, it is the whole image.
#[test]
fn windows_as_large_as_the_image_are_its_embedding() {
    let picture = RgbImage::from_rgb(20, 10, (0..600).map(|at| (at * at) as u8).collect()).unwrap();
    for precision in [Precision::F32, Precision::Q8Exact] {
        for folder in ["random-small", "random-siglip2", "random-naflex", "random-classifier"] {
            let mut model = siglip(&repository(&format!("tests/fixtures/{folder}")), precision);
            let whole = model.image_embeds(&picture).unwrap();
            let normalize = model.classifier().is_none();
            let sides = &[1, 99];
            let windows = model.image_vectors(&picture, Pooling::Windows { sides }, normalize).unwrap();
            let (single, large) = windows.split_at(windows.len() / 2);
            for window in large.chunks_exact(whole.len()) {
                assert!(largest_difference(window, &whole) < 1e-5, "{folder}");
            }
            assert!(single.chunks_exact(whole.len()).any(|window| largest_difference(window, &whole) > 1e-3));
        }
    }
}

#[test]
fn a_classifier_has_no_pooling_head_and_images_of_other_sizes_no_grid() {
    let mut classifier = siglip(&repository("tests/fixtures/random-classifier"), Precision::F32);
    let picture = RgbImage::from_rgb(2, 2, vec![9; 12]).unwrap();
    let error = classifier.image_vectors(&picture, Pooling::Head, true).unwrap_err();
    assert_eq!(error.code(), "bad-input");
    let mean = classifier.image_vectors(&picture, Pooling::Mean, false).unwrap();
    assert_eq!(mean, classifier.image_embeds(&picture).unwrap());
    assert!(classifier.engine().patch_grid(&PixelValues::new(vec![0.0; 7], 1)).is_err());
}
