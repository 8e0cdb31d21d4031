//! The programs in examples/, run with the embedded model. `cargo test` builds them as well. `cargo test --test examples`
//! does not: run `cargo build --examples` before it.

mod support;

use std::fs::File;
use std::process::{Command, Output};

use support::checkpoints::{TINY, config, repository};

/// The built example, to be run with the small model.
fn example(name: &str) -> Command {
    // This test is target/<profile>/deps/examples-<hash>; examples lie in target/<profile>/examples/.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is missing: run `cargo build --examples`", program.display());
    let mut command = Command::new(program);
    command.arg(repository(TINY));
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn classify_puts_the_right_label_first() {
    let mut classify = example("classify");
    classify.arg(repository("www/samples/dog.jpg")).args(["a boat", "a dog", "a coffee cup"]);
    let answer = stdout(&mut classify);
    let lines: Vec<(f32, &str)> = answer
        .lines()
        .map(|line| line.split_once(" %  ").unwrap())
        .map(|(percent, label)| (percent.trim().parse().unwrap(), label))
        .collect();
    assert_eq!(lines.len(), 3, "{answer}");
    assert_eq!(lines[0].1, "a dog", "{answer}");
    assert!(lines[0].0 > 50.0 && lines[1].0 < 50.0, "{answer}");
}

#[test]
fn embed_puts_the_image_that_fits_first() {
    let image = |name: &str| repository(&format!("www/samples/{name}.jpg"));
    for name in ["boat", "cat"] {
        let mut embed = example("embed");
        embed.arg(format!("This is a photo of a {name}."));
        let answer = stdout(embed.args(["coffee", "cat", "boat"].map(image)));
        let files: Vec<&str> = answer.lines().map(|line| line.split_once("  ").unwrap().1).collect();
        assert_eq!(files.len(), 3, "{answer}");
        assert_eq!(files[0], image(name).to_str().unwrap(), "{answer}");
    }
}

#[test]
fn stream_weights_reports_progress_and_ends_with_a_working_model() {
    let weights = File::open(repository(TINY).join("model.safetensors")).unwrap();
    let answer = stdout(example("stream_weights").stdin(weights));
    let lines: Vec<&str> = answer.lines().collect();
    let [memory, progress @ .., embedding] = &lines[..] else { panic!("{answer}") };
    let megabytes: u64 = memory.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1..100).contains(&megabytes), "{answer}");
    assert_eq!(progress, ["25 % loaded", "50 % loaded", "75 % loaded", "100 % loaded"]);
    let size = config(TINY).text_config.embedding_size();
    assert_eq!(*embedding, format!("an embedding has {size} numbers"));
}

#[test]
fn a_missing_argument_and_a_wrong_weight_file_are_refused_with_the_reason() {
    let output = example("classify").output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("CHECKPOINT IMAGE LABEL"), "{}", stderr(&output));
    let wrong = File::open(repository(TINY).join("config.json")).unwrap();
    let output = example("stream_weights").stdin(wrong).output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("JSON"), "{}", stderr(&output));
}
