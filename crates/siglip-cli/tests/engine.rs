//! `--engine candle`: the same answers from another implementation.
#![cfg(feature = "candle")]

use serde_json::Value;
use support::{answer, refusal};

mod support;

const CLASSIFY: [&str; 7] =
    ["classify", "www/samples/cat.jpg", "--label", "a cat", "--label", "a dog", "--json"];
const EMBED: [&str; 6] = ["embed", "--image", "www/samples/cat.jpg", "--text", "a cat", "--json"];

/// Every number of an answer, in its order.
fn numbers(answer: &str) -> Vec<f64> {
    fn collect(value: &Value, into: &mut Vec<f64>) {
        match value {
            Value::Number(number) => into.extend(number.as_f64()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            Value::Object(fields) => fields.values().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut numbers = Vec::new();
    answer.lines().for_each(|line| collect(&serde_json::from_str(line).unwrap(), &mut numbers));
    numbers
}

#[test]
fn candle_answers_what_our_engine_does_in_single_precision() {
    for (arguments, count, bound) in [(&CLASSIFY[..], 6, 1e-3), (&EMBED[..], 2 * 192, 1e-5)] {
        let ours = numbers(&answer(&[arguments, &["--precision", "f32"]].concat()));
        let candles = numbers(&answer(&[arguments, &["--engine", "candle"]].concat()));
        assert_eq!((ours.len(), candles.len()), (count, count));
        for (ours, candle) in ours.iter().zip(&candles) {
            assert!((ours - candle).abs() <= bound, "{ours} and {candle}");
        }
    }
}

/// Each message names the cause and the way out.
#[test]
fn what_candle_lacks_is_refused() {
    for (arguments, cause) in [
        (&["--precision", "q8"][..], "choose precision f32 in place of q8"),
        (&["--device", "gpu"], "runs on the CPU only; leave out --device"),
        (&["--threads", "2"], "RAYON_NUM_THREADS; leave out --threads"),
        (&["--model", "tests/fixtures/random-naflex"], "has no NaFlex"),
    ] {
        let message = refusal(&[&CLASSIFY[..], &["--engine", "candle"], arguments].concat());
        assert!(message.contains(cause), "{message}");
    }
    let explain = ["explain", "www/samples/cat.jpg", "--label", "a cat", "--engine", "candle"];
    assert!(refusal(&explain).contains("normalized embeddings alone; load it with the default engine"));
}
