//! Other resolutions than the checkpoint's, on the command line.

use serde_json::Value;
use support::{answer, refusal};

mod support;

const CAT: &str = "www/samples/cat.jpg";
const SMALL: [&str; 2] = ["--model", "tests/fixtures/random-small"];
const NAFLEX: [&str; 2] = ["--model", "tests/fixtures/random-naflex"];

/// The number of patches that the image tower sees.
fn patches(model: [&str; 2], more: &[&str]) -> usize {
    let embed = ["embed", "--image", CAT, "--pooling", "patches", "--json"];
    let line: Value = serde_json::from_str(&answer(&[&embed[..], &model, more].concat())).unwrap();
    line["patches"].as_array().unwrap().len()
}

#[test]
fn an_image_has_as_many_patches_as_asked_for() {
    assert_eq!(patches(SMALL, &[]), 9);
    assert_eq!(patches(SMALL, &["--image-size", "70"]), 25);
    assert_eq!(patches(NAFLEX, &[]), 12);
    let more = patches(NAFLEX, &["--max-patches", "1024"]);
    assert!((900..=1024).contains(&more), "{more}");
    let info: Value =
        serde_json::from_str(&answer(&[&["info", "--json", "--image-size", "28"][..], &SMALL].concat()))
            .unwrap();
    assert_eq!(info["imageSize"], 28);
}

#[test]
fn resolutions_that_a_model_cannot_have_are_refused() {
    for (model, more, reason) in [
        (SMALL, ["--image-size", "50"], "take 42 or 56"),
        (SMALL, ["--image-size", "9100"], "at most 896"),
        (SMALL, ["--max-patches", "64"], "give an image size"),
        (NAFLEX, ["--max-patches", "1025"], "from 1 to 1024"),
        (NAFLEX, ["--image-size", "64"], "give a greatest number of patches"),
        (NAFLEX, ["--max-patches", "many"], "invalid value"),
    ] {
        let message = refusal(&[&["embed", "--image", CAT][..], &model, &more].concat());
        assert!(message.contains(reason), "{message}");
    }
}
