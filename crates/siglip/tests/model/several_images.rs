//! Several images in one pass.

use siglip::{Engine as _, Error, PixelValues, Precision};

use crate::support::checkpoints::{RANDOM_NAFLEX, RANDOM_SMALL, model};
use crate::support::reference::largest_difference;
use crate::support::workers::Workers;

/// Takes the mean over the patches.
const CLASSIFIER: &str = "tests/fixtures/random-classifier";

fn picture(side: usize, seed: usize) -> PixelValues {
    let values = (0..3 * side * side).map(|i| ((i * 7919 + seed * 31) % 256) as f32 / 128.0 - 1.0).collect();
    PixelValues::new(values, side)
}

#[test]
fn images_of_a_pass_have_the_embeddings_of_their_own_passes() {
    for folder in [RANDOM_SMALL, RANDOM_NAFLEX, CLASSIFIER] {
        let mut alone = model(folder, Precision::F32);
        let side = alone.config().vision_config.image_size;
        let images: Vec<PixelValues> = (0..3).map(|seed| picture(side, seed)).collect();
        let expected = alone.image_embeds(images.clone()).unwrap();
        for count in [1, 2] {
            let mut workers = Workers::load(folder, Precision::F32, count);
            let found = workers.run(|worker| worker.begin_images(images.clone()));
            assert_eq!(found.len(), expected.len());
            assert!(largest_difference(&found, &expected) < 1e-5, "{folder}, {count} workers");
        }
    }
}

#[test]
fn images_of_different_sizes_do_not_share_a_pass() {
    let model = model(RANDOM_NAFLEX, Precision::Q8);
    let patch = model.config().vision_config.patch_size;
    assert_eq!(model.begin_images(vec![picture(patch, 1); 4]).unwrap().sequences(), 4);
    for images in [vec![], vec![picture(patch, 1), picture(2 * patch, 1)], vec![picture(patch + 1, 1)]] {
        assert!(matches!(model.begin_images(images), Err(Error::BadInput(_))));
    }
}
