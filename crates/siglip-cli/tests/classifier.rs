//! Fine-tuned classifiers on the command line.

use serde_json::{Value, json};
use support::{answer, refusal, run};

mod support;

const BOAT: &str = "www/samples/boat.jpg";
const MODEL: &str = "tests/fixtures/random-classifier";

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&answer(arguments)).unwrap()
}

#[test]
fn its_classes_are_scored_without_labels_also_from_a_gguf() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("classifier.gguf");
    answer(&["convert", MODEL, gguf.to_str().unwrap(), "--to", "f32"]);
    let mut answers = Vec::new();
    for model in [MODEL, gguf.to_str().unwrap()] {
        let line = json(&["classify", BOAT, "--json", "--precision", "f32", "--model", model]);
        let scores = line["scores"].as_array().unwrap().clone();
        assert_eq!(scores.len(), 5);
        let sum: f64 = scores.iter().map(|score| score["score"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        answers.push(scores);
    }
    assert_eq!(answers[0], answers[1]);
    let table = answer(&["classify", BOAT, "--top-k", "2", "--model", MODEL]);
    assert_eq!((table.lines().count(), table.matches('%').count()), (3, 2), "{table}");
}

#[test]
fn info_tells_its_classes() {
    let info = json(&["info", "--json", "--model", MODEL]);
    assert_eq!(info["kind"], "classifier");
    assert_eq!(info["labels"], json!(["cat", "dog", "a red boat", "Käfer", "none of these"]));
    assert_eq!(info["problemType"], "single_label_classification");
    assert!(info.get("contextLength").is_none() && info.get("logitScale").is_none(), "{info}");
    assert_eq!(info["towers"]["classifier"]["parameters"], 5 * 25);
    assert_eq!(json(&["info", "--json"])["kind"], "zero-shot");
}

#[test]
fn labels_and_texts_are_refused_with_the_reason() {
    for arguments in [
        &["classify", BOAT, "--label", "a tree", "--model", MODEL][..],
        &["classify", BOAT, "--label-set", "trees", "--model", MODEL],
        &["embed", "--text", "a tree", "--model", MODEL],
        &["search", "www/samples", "a tree", "--model", MODEL],
        &["eval", "tests/fixtures/pictures", "--model", MODEL],
    ] {
        let output = run(arguments);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(told.contains("fine-tuned classifier, which reads no text"), "{told}");
    }
    assert!(refusal(&["classify", BOAT]).contains("there are no labels"));
}
