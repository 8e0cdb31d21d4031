//! `siglip eval`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{answer, refusal, repository, run, text};
use crate::{BROKEN, CAT, folder, json_lines};

#[test]
fn eval_does_not_score_a_class_whose_name_is_unknown() {
    let pictures = [("a cat", CAT), ("a dog", "www/samples/dog.jpg"), ("кошка", CAT)];
    let dir = class_folders("eval-unknown", &pictures);
    let report = json_lines(&answer(&["eval", dir.to_str().unwrap(), "--json"])).remove(0);
    assert_eq!(report["classes"][2]["unknown"], json!(["кошка"]));
    assert_eq!(report["classes"][2]["right"], 0);
    assert_eq!((&report["classes"][0]["right"], &report["classes"][1]["right"]), (&json!(1), &json!(1)));
    assert!((report["top1"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
}

/// Class folders of the sample pictures, each picture under the name that is given.
fn class_folders(name: &str, pictures: &[(&str, &str)]) -> PathBuf {
    let dir = folder(name);
    for (class, picture) in pictures {
        fs::create_dir_all(dir.join(class)).unwrap();
        let name = Path::new(picture).file_name().unwrap();
        fs::copy(repository().join(picture), dir.join(class).join(name)).unwrap();
    }
    dir
}

#[test]
fn eval_counts_correct_answers() {
    let dir = class_folders(
        "eval",
        &[
            ("a_cat", CAT),
            ("a-boat", "www/samples/boat.jpg"),
            ("a boat", "www/samples/cat.jpg"),
            ("a coffee cup", "www/samples/coffee.jpg"),
            ("a coffee cup", "www/app/app.css"),
            ("an insect", "www/samples/insect.jpg"),
            ("a dog", "www/samples/dog.jpg"),
        ],
    );
    let dir = dir.to_str().unwrap();
    let report = json_lines(&answer(&["eval", dir, "--json"])).remove(0);
    // The cat among the boats is the one that comes out wrong.
    assert_eq!(report["images"], 6);
    assert_eq!(report["top1"], json!(5.0 / 6.0));
    let boat = &report["classes"].as_array().unwrap()[0];
    assert_eq!(*boat, json!({"label": "a boat", "images": 2, "right": 1}));
    assert!(report["calibration"]["error"].as_f64().unwrap() < 1.0);
    assert!(answer(&["eval", dir]).contains("top-1           83.3 %"));
}

#[test]
fn eval_needs_classes_and_names_pictures_that_are_broken() {
    let message = refusal(&["eval", class_folders("eval-one", &[("a cat", CAT)]).to_str().unwrap()]);
    assert!(message.contains("fewer than two folders"), "{message}");

    let dir =
        class_folders("eval-broken", &[("a cat", CAT), ("a cat", BROKEN), ("a dog", "www/samples/dog.jpg")]);
    let output = run(&["eval", dir.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("pillow_broken.png: "), "{output:?}");
    assert!(text(&output.stdout).starts_with("2 pictures, 2 classes\n"), "{output:?}");
}
