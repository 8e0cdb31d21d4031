//! A weight file's bytes may arrive in chunks of any length.

use siglip::Precision;
use siglip::model::ModelLoader;

use crate::support::checkpoints::{RANDOM_SMALL, config, load, read, repository, whole};
use crate::support::reference::{Outputs, Recording};

/// Chunks of 0 to `longest` bytes.
fn random_chunks(bytes: &[u8], longest: usize, seed: u64) -> Vec<&[u8]> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rng.usize(..=longest).min(rest.len()));
        chunks.push(chunk);
        rest = later;
    }
    chunks
}

#[test]
fn any_chunks_give_the_same_model() {
    let recording = Recording::read("random-small");
    let bytes = read(&repository(RANDOM_SMALL).join("model.safetensors"));
    for precision in [Precision::F32, Precision::Q8] {
        let outputs = |chunks: &[&[u8]]| {
            let loader = ModelLoader::new(config(RANDOM_SMALL), whole(precision)).unwrap();
            Outputs::of(&mut load(loader, chunks.iter().copied()).unwrap(), &recording)
        };
        let expected = outputs(&[&bytes]);
        for length in [1, 7, 4096, 1 << 18] {
            let chunks: Vec<&[u8]> = bytes.chunks(length).collect();
            assert_eq!(outputs(&chunks), expected, "{precision:?}, chunks of {length} bytes");
        }
        for (seed, longest) in [(1, 3), (2, 100), (3, 10_000), (4, 300_000), (5, 300_000)] {
            let chunks = random_chunks(&bytes, longest, seed);
            assert_eq!(outputs(&chunks), expected, "{precision:?}, random chunks, seed {seed}");
        }
    }
}
