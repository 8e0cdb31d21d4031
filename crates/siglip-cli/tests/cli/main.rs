//! The binary, run as a person or a script would.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod classify;
mod commands;
mod eval;
mod index;
mod onnx;
mod probe;
#[path = "../support/mod.rs"]
mod support;

const CAT: &str = "www/samples/cat.jpg";
const BROKEN: &str = "tests/fixtures/pictures/formats/pillow_broken.png";
const RANDOM_SMALL: &str = "tests/fixtures/random-small";

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}
