//! `siglip probe`: classes taught by folders of pictures.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{answer, refusal, repository, run, text};
use crate::{folder, json_lines};

/// Class folders, each with copies of these pictures.
fn folders(name: &str, classes: &[(&str, &[&str])]) -> PathBuf {
    let dir = folder(name);
    for (class, pictures) in classes {
        fs::create_dir_all(dir.join("pictures").join(class)).unwrap();
        for (at, picture) in pictures.iter().enumerate() {
            let to = dir.join("pictures").join(class).join(format!("{at}.jpg"));
            fs::copy(repository().join("www/samples").join(picture), to).unwrap();
        }
    }
    fs::write(dir.join("pictures").join(classes[0].0).join("notes.txt"), "no picture").unwrap();
    dir
}

const ANIMALS: &[&str] = &["cat.jpg", "dog.jpg", "insect.jpg"];
const THINGS: &[&str] = &["boat.jpg", "coffee.jpg"];

#[test]
fn a_probe_is_trained_and_applied() {
    let dir = folders("probe-train", &[("an_animal", ANIMALS), ("a thing", THINGS)]);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_string();
    let (pictures, file) = (path("pictures"), path("classes.json"));
    let train = ["probe", "train", &pictures, "--out", &file, "--c", "30"];
    let report = json_lines(&answer(&[&train[..], &["--json"]].concat())).remove(0);
    assert_eq!(report["kind"], "probe");
    assert_eq!(report["names"], serde_json::json!(["a thing", "an animal"]));
    assert_eq!((&report["pictures"], &report["folds"]), (&5.into(), &2.into()));
    assert!((0.0..=1.0).contains(&report["accuracy"].as_f64().unwrap()), "{report}");
    let arguments = ["probe", "apply", &file, "www/samples/cat.jpg", "www/samples/boat.jpg"];
    let found = json_lines(&answer(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(found[0]["image"], "www/samples/cat.jpg");
    assert_eq!(found[0]["scores"][0]["label"], "an animal");
    assert_eq!(found[1]["scores"][0]["label"], "a thing");
    let total: f64 =
        found[0]["scores"].as_array().unwrap().iter().map(|score| score["score"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
    let table = answer(&[&arguments[..], &["--top-k", "1"]].concat());
    assert_eq!(table.lines().count(), 4);
    assert!(table.lines().nth(1).unwrap().contains("an animal"), "{table}");
    assert!(answer(&train).contains("cross-validated in 2 folds"));
}

#[test]
fn means_take_a_few_pictures_and_mix_with_the_name() {
    let dir = folders("probe-means", &[("a cat", &["cat.jpg"]), ("a boat", &["boat.jpg"])]);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_string();
    let (pictures, file) = (path("pictures"), path("classes.json"));
    for mix in [&[][..], &["--mix", "0.5"], &["--mix", "0"]] {
        answer(&[&["probe", "train", &pictures, "--out", &file, "--means"], mix].concat());
        let found = json_lines(&answer(&[
            "probe",
            "apply",
            &file,
            "www/samples/cat.jpg",
            "www/samples/boat.jpg",
            "--json",
        ]));
        assert_eq!(found[0]["scores"][0]["label"], "a cat", "{mix:?}");
        assert_eq!(found[1]["scores"][0]["label"], "a boat", "{mix:?}");
    }
    // The text alone has the scores of `siglip classify`.
    let classify = ["classify", "www/samples/cat.jpg", "--label", "a cat", "--json"];
    let expected = json_lines(&answer(&classify))[0]["scores"][0]["logit"].as_f64().unwrap();
    let found =
        json_lines(&answer(&["probe", "apply", &file, "www/samples/cat.jpg", "--json", "--top-k", "1"]));
    assert!((found[0]["scores"][0]["logit"].as_f64().unwrap() - expected).abs() < 1e-3, "{found:?}");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let dir = folders("probe-refusals", &[("a cat", &["cat.jpg"]), ("a boat", &["boat.jpg", "coffee.jpg"])]);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_string();
    let (pictures, file) = (path("pictures"), path("classes.json"));
    let train = ["probe", "train", &pictures, "--out", &file];
    assert!(refusal(&train).contains("\"a cat\" has 1 pictures; a linear probe needs 2"));
    assert!(!Path::new(&file).exists());
    assert!(refusal(&["probe", "train", &path("pictures/a cat"), "--out", &file]).contains("0 folders"));
    assert!(refusal(&[&train[..], &["--mix", "0.5"]].concat()).contains("--means"));
    assert!(
        refusal(&["probe", "apply", "www/samples/cat.jpg", "www/samples/cat.jpg"])
            .contains("no taught classes")
    );
    // A broken picture is listed, and the rest is done.
    fs::write(dir.join("pictures/a boat/broken.jpg"), b"\xff\xd8\xff\xe0 cut").unwrap();
    let output = run(&[&train[..], &["--means", "--json"]].concat());
    assert!(!output.status.success());
    let told = json_lines(text(&output.stdout));
    assert_eq!(told[0]["error"]["code"], "bad-image");
    assert_eq!((&told[1]["failed"], &told[1]["pictures"]), (&1.into(), &3.into()));
    let apply = ["probe", "apply", &file, "www/samples/cat.jpg", "--model", "tests/fixtures/random-small"];
    assert!(refusal(&apply).contains("the classes were taught with the model tiny, not with"));
}
