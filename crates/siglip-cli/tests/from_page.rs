//! What a page has written, `tests/browser/search/exchange.test.js`: its index and its classes answer here as they did there.

use std::fs;

use serde_json::Value;
use support::{answer, refusal, repository};

mod support;

const FOLDER: &str = "tests/fixtures/from-page";
const MODEL: &[&str] = &["--model", "tests/fixtures/random-small", "--precision", "q8-exact", "--json"];
const CAT: &str = "www/samples/cat.jpg";

fn recorded() -> Value {
    let path = repository().join(FOLDER).join("answers.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn lines(command: &[&str]) -> Vec<Value> {
    let output = answer(&[command, MODEL].concat());
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_near(actual: &Value, expected: &Value) {
    let (actual, expected) = (actual.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((actual - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{actual}, not {expected}");
}

#[test]
fn the_index_of_a_page_is_searched() {
    let index = format!("{FOLDER}/pictures.siglip-index");
    let recorded = recorded();
    for (query, expected) in [
        (&["a cat"][..], &recorded["text"]),
        (&["--image", CAT], &recorded["picture"]),
        (&["a boat", "--minus", "a dog", "--image", CAT], &recorded["mixed"]),
    ] {
        let found = lines(&[&["search", &index], query].concat());
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found["image"], expected["name"], "{query:?}");
            assert_near(&found["cosine"], &expected["score"]);
        }
    }
    // The demonstration model's embeddings are others.
    assert!(refusal(&["search", &index, "a cat"]).contains("random-small"));
}

#[test]
fn the_classes_of_a_page_are_applied() {
    let recorded = recorded();
    for kind in ["means", "probe"] {
        let file = format!("{FOLDER}/{kind}.json");
        let found = &lines(&["probe", "apply", &file, CAT])[0]["scores"];
        let (found, expected) = (found.as_array().unwrap(), recorded[kind].as_array().unwrap());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found["label"], expected["label"], "{kind}");
            assert_near(&found["score"], &expected["score"]);
            assert_near(&found["logit"], &expected["logit"]);
        }
    }
}
