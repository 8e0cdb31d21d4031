//! Other vectors than embeddings, and maps of what speaks for a label, on the command line.

use serde_json::Value;
use support::{answer, refusal};

mod support;

const CAT: &str = "www/samples/cat.jpg";

fn line(arguments: &[&str]) -> Value {
    serde_json::from_str(&answer(arguments)).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn the_mean_is_that_of_the_patches() {
    let embed =
        |more: &[&str]| line(&[&["embed", "--image", CAT, "--json", "--precision", "f32"], more].concat());
    let patches = embed(&["--pooling", "patches", "--no-normalize"]);
    let patches: Vec<_> = patches["patches"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!((patches.len(), patches[0].len()), (196, 192));
    let mean = numbers(&embed(&["--pooling", "mean", "--no-normalize"])["embedding"]);
    for (at, value) in mean.iter().enumerate() {
        let expected = patches.iter().map(|patch| patch[at]).sum::<f64>() / 196.0;
        assert!((value - expected).abs() < 1e-4, "{value} for {expected}");
    }
    let unit = numbers(&embed(&["--pooling", "mean"])["embedding"]);
    assert!((norm(&unit) - 1.0).abs() < 1e-5 && (norm(&mean) - 1.0).abs() > 0.01);
    assert_eq!(embed(&["--pooling", "head"]), embed(&[]));
}

#[test]
fn a_map_has_a_number_for_each_patch() {
    for method in ["fast", "occlusion"] {
        let explain = ["explain", CAT, "--label", "a cat", "--method", method];
        let map = line(&[&explain[..], &["--json"]].concat());
        assert_eq!((&map["width"], &map["height"]), (&14.into(), &14.into()));
        assert_eq!(numbers(&map["values"]).len(), 196);
        assert_eq!(answer(&explain).lines().count(), 15);
    }
    assert!(refusal(&["explain", CAT, "--label", "кошка"]).contains("cannot read"));
}
