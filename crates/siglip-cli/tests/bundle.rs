//! `siglip bundle` and what the other commands make of its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const BOAT: &str = "www/samples/boat.jpg";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn siglip(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_siglip")).args(arguments).output().unwrap()
}

#[track_caller]
fn answer(arguments: &[&str]) -> Value {
    let output = siglip(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[track_caller]
fn refusal(arguments: &[&str]) -> String {
    let output = siglip(arguments);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The labels and the logits that `siglip classify` gives the boat.
fn scores(model: &Path, more: &[&str]) -> Vec<(String, f64)> {
    let picture = repository(BOAT);
    let arguments = ["classify", picture.to_str().unwrap(), "--json", "--model", model.to_str().unwrap()];
    let score =
        |score: &Value| (score["label"].as_str().unwrap().to_string(), score["logit"].as_f64().unwrap());
    answer(&[&arguments[..], more].concat())["scores"].as_array().unwrap().iter().map(score).collect()
}

#[test]
fn a_bundle_has_the_scores_of_the_converted_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_string();
    fs::write(path("labels.txt"), "\u{feff}a cat\r\n\n  a boat \na blorp\na cat\n").unwrap();
    let labels = ["--label", "a cat", "--label", "a boat"];
    for name in ["www/models/tiny", "tests/fixtures/random-small"] {
        let model = repository(name);
        for to in ["q8", "q8_0", "f16"] {
            let (whole, bundle) = (path("whole.gguf"), path("bundle.gguf"));
            let source = text(&model);
            answer(&["convert", &source, &text(&whole), "--to", to]);
            let made = ["--labels", &text(&path("labels.txt")), "--template", "a photo of {}", "--to", to];
            // Labels are embedded once, so the model agrees to the last bit in the precision that they have.
            for precision in ["q8-exact", "q8"] {
                let precision = ["--precision", precision];
                answer(&[&["bundle", &source, &text(&bundle)], &made[..], &precision].concat());
                let expected = [&labels[..], &["--template", "a photo of {}"], &precision].concat();
                let expected = scores(&whole, &expected);
                let chosen = scores(&bundle, &[&labels[..], &precision].concat());
                assert_eq!(chosen.len(), 2);
                for ((label, logit), (expected_label, expected)) in chosen.iter().zip(&expected) {
                    assert_eq!(label, expected_label, "{name} in {to}");
                    assert!((logit - expected).abs() <= 1e-6, "{name} in {to}: {logit}, not {expected}");
                }
                let all = scores(&bundle, &precision);
                assert_eq!(all.len(), 3, "each label once");
                if name.ends_with("tiny") {
                    assert_eq!(all[2].0, "a blorp", "unknown labels rank last");
                }
            }
            let (whole, bundle) = (fs::metadata(&whole).unwrap().len(), fs::metadata(&bundle).unwrap().len());
            let most = if name.ends_with("tiny") { whole * 3 / 5 } else { whole };
            assert!(bundle < most, "{bundle} of {whole} bytes");
        }
    }
}

#[test]
fn label_sets_have_names_and_other_labels_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    fs::write(path("animals.txt"), "a cat\na dog\n").unwrap();
    fs::write(path("things.txt"), "a boat\na coffee cup\n").unwrap();
    let tiny = repository("www/models/tiny");
    let (tiny, bundle) = (tiny.to_str().unwrap(), path("bundle.gguf"));
    let vehicles = format!("vehicles={}", path("things.txt"));
    answer(&[
        "bundle",
        tiny,
        "--labels",
        &path("animals.txt"),
        "--labels",
        &vehicles,
        "--to",
        "q8_0",
        &bundle,
    ]);
    let classify = |more: &[&str]| scores(Path::new(&bundle), more);
    let names = |scores: Vec<(String, f64)>| scores.into_iter().map(|(label, _)| label).collect::<Vec<_>>();
    assert_eq!(names(classify(&["--label-set", "vehicles"])), ["a boat", "a coffee cup"]);
    assert_eq!(names(classify(&["--label", "a boat", "--label", "a dog"])), ["a boat", "a dog"]);
    assert_eq!(names(classify(&["--top-k", "1"])).len(), 1);
    let info = answer(&["info", "--json", "--model", &bundle]);
    assert_eq!(info["labelSets"], serde_json::json!({"animals": 2, "vehicles": 2}));
    assert!(info["towers"].get("text").is_none() && info["memoryNeeded"]["q8"].as_u64() > Some(1000));

    let picture = repository(BOAT);
    let picture = picture.to_str().unwrap();
    let refused = |more: &[&str]| refusal(&[&["classify", picture, "--model", &bundle], more].concat());
    assert!(refused(&["--label", "a tree"]).contains("\"a tree\" is none of the fixed labels"));
    assert!(refused(&["--label-set", "trees"]).contains("there is \"animals\", \"vehicles\""));
    assert!(refusal(&["classify", picture, "--label-set", "trees"]).contains("there are no labels"));
    assert!(refusal(&["embed", "--text", "a tree", "--model", &bundle]).contains("without a text tower"));
    assert!(refusal(&["search", tiny, "a tree", "--model", &bundle]).contains("without a text tower"));

    // A bundle is converted to a bundle.
    let again = path("again.gguf");
    answer(&["convert", &bundle, &again, "--to", "f32"]);
    assert_eq!(scores(Path::new(&again), &[]), classify(&[]));

    let bundled = |more: &[&str]| refusal(&[&["bundle", tiny, &path("none.gguf")], more].concat());
    fs::write(path("empty.txt"), " \n\n").unwrap();
    assert!(bundled(&["--labels", &path("empty.txt")]).contains("has no labels"));
    assert!(bundled(&["--labels", "no-such.txt"]).contains("no-such.txt"));
    let animals = path("animals.txt");
    assert!(bundled(&["--labels", &animals, "--labels", &animals]).contains("two label sets are called"));
    assert!(bundled(&["--labels", &animals, "--template", "none"]).contains("has no {}"));
    let labels = ["--labels", &animals];
    assert!(
        refusal(&[&["bundle", &bundle, &path("none.gguf")], &labels[..]].concat()).contains("text tower")
    );
    assert!(!Path::new(&path("none.gguf")).exists());
}
