//! `--device`: the GPU where there is one, the CPU's answer in any case.
#![cfg(feature = "gpu")]

use std::process::Output;

use serde_json::Value;
use support::{answer, command, refusal, text};

mod support;

const CLASSIFY: [&str; 7] =
    ["classify", "www/samples/cat.jpg", "--label", "a cat", "--label", "a dog", "--json"];

fn run_on(device: &str, more: &[&str], adapter: &str) -> Output {
    let arguments = [&CLASSIFY[..], &["--device", device], more].concat();
    let output = command(&arguments).env("WGPU_ADAPTER_NAME", adapter).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// The command's own lines; drivers write there, too.
fn notices(output: &Output) -> Vec<&str> {
    text(&output.stderr).lines().filter(|line| line.starts_with("siglip: ")).collect()
}

#[test]
fn without_an_adapter_the_cpu_answers_and_one_line_says_why() {
    let expected = answer(&CLASSIFY);
    let output = run_on("gpu", &[], "none has this name");
    assert_eq!(text(&output.stdout), expected);
    let notice = "siglip: gpu-missing: The GPU cannot be used, so the CPU computes: there is no adapter for Vulkan, Metal or \
                  Direct3D 12 with the name in WGPU_ADAPTER_NAME.";
    assert_eq!(notices(&output), [notice]);
    // Most machines have none, and nobody asked for it.
    let output = run_on("auto", &["--model", "tests/fixtures/random-small"], "none has this name");
    assert!(notices(&output).is_empty(), "{output:?}");
}

#[test]
fn what_the_kernels_do_not_take_the_cpu_answers() {
    let output = run_on("gpu", &["--precision", "q8-exact"], "");
    assert_eq!(text(&output.stdout), answer(&[&CLASSIFY[..], &["--precision", "q8-exact"]].concat()));
    assert!(
        matches!(notices(&output)[..], [notice] if notice.starts_with("siglip: gpu-missing: ")),
        "{output:?}"
    );
}

/// Also on machines without any, where the notice says so.
#[test]
fn the_gpu_gives_the_scores_of_the_cpu() {
    for model in ["www/models/tiny", "tests/fixtures/random-siglip2"] {
        let more = ["--precision", "f32", "--model", model];
        let output = run_on("gpu", &more, "");
        if let [notice] = notices(&output)[..] {
            assert!(notice.starts_with("siglip: gpu-missing: "), "{notice}");
        }
        let cosines = |line: &str| -> Vec<f64> {
            let answer: Value = serde_json::from_str(line).unwrap();
            let scores = answer["scores"].as_array().unwrap();
            scores.iter().map(|score| score["cosine"].as_f64().unwrap()).collect()
        };
        let expected = cosines(&answer(&[&CLASSIFY[..], &more].concat()));
        for (found, expected) in cosines(text(&output.stdout)).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{model}: {found} in place of {expected}");
        }
    }
}

#[test]
fn another_device_is_refused() {
    assert!(refusal(&[&CLASSIFY[..], &["--device", "tpu"]].concat()).contains("cpu, gpu, auto"));
}
