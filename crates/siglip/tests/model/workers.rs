//! Several workers that share a model, against one worker.

use siglip::model::{Model, ModelLoader};
use siglip::{LoadOptions, Precision, Shard};

use crate::support::checkpoints::{RANDOM_SMALL, TINY, config, model};
use crate::support::reference::{Outputs, Recording};
use crate::support::workers::Workers;

/// Each of these numbers of workers against one worker.
fn equal_one_worker(folder: &str, name: &str, counts: &[usize], precision: Precision, bound: f32) {
    let recording = Recording::read(name);
    let one = Outputs::of(&mut model(folder, precision), &recording);
    for &count in counts {
        let mut workers = Workers::load(folder, precision, count);
        let what = format!("{name} in {}, {count} workers", precision.name());
        // Logits are cosines of two embeddings, times 10 to 120.
        Outputs::of(&mut workers, &recording).assert_close(&one, bound, 100.0 * bound, &what);
    }
}

#[test]
fn workers_equal_one_in_f32() {
    equal_one_worker(RANDOM_SMALL, "random-small", &[2, 3, 4], Precision::F32, 1e-6);
    equal_one_worker(TINY, "tiny", &[2, 3], Precision::F32, 1e-6);
}

#[test]
fn workers_equal_one_to_the_last_bit_in_q8() {
    equal_one_worker(TINY, "tiny", &[2, 3], Precision::Q8, 0.0);
    equal_one_worker(RANDOM_SMALL, "random-small", &[2, 3, 4], Precision::Q8, 0.0);
}

#[test]
fn every_worker_takes_less_memory_than_the_whole_model() {
    for precision in [Precision::F32, Precision::Q8] {
        let one = model(RANDOM_SMALL, precision).bytes();
        let workers = Workers::load(RANDOM_SMALL, precision, 4).0;
        let largest = workers.iter().map(Model::bytes).max().unwrap();
        assert!(largest < one, "{largest} of {one} bytes");
    }
}

#[test]
fn more_workers_than_heads_are_refused() {
    let fifth = Shard::new(4, 5).unwrap();
    let options = LoadOptions { shard: fifth, ..LoadOptions::default() };
    let error = ModelLoader::new(config(RANDOM_SMALL), options).unwrap_err();
    assert_eq!(error.code(), "bad-input");
    assert!(error.to_string().contains("5 workers for 4 attention heads"), "{error}");
    assert_eq!(Shard::new(2, 2).unwrap_err().code(), "bad-input");
}
