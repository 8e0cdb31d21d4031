//! A weight file's bytes may arrive in any pieces.

use siglip::model::{ModelLoader, Precision, Shard};

use crate::common::{RANDOM_SMALL, config, load, read, repository};
use crate::outputs::Outputs;
use crate::recording::Recording;

/// Pieces of 0 to `longest` bytes.
fn random_pieces(bytes: &[u8], longest: usize, seed: u64) -> Vec<&[u8]> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.usize(..=longest).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces
}

#[test]
fn any_pieces_give_the_same_model() {
    let recording = Recording::read("random-small");
    let bytes = read(&repository(RANDOM_SMALL).join("model.safetensors"));
    for precision in [Precision::F32, Precision::Q8] {
        let outputs = |pieces: &[&[u8]]| {
            let loader = ModelLoader::new(config(RANDOM_SMALL), precision, Shard::WHOLE).unwrap();
            Outputs::of(&mut load(loader, pieces.iter().copied()).unwrap(), &recording)
        };
        let whole = outputs(&[&bytes]);
        for length in [1, 7, 4096, 1 << 18] {
            let pieces: Vec<&[u8]> = bytes.chunks(length).collect();
            assert_eq!(outputs(&pieces), whole, "{precision:?}, pieces of {length} bytes");
        }
        for (seed, longest) in [(1, 3), (2, 100), (3, 10_000), (4, 300_000), (5, 300_000)] {
            let pieces = random_pieces(&bytes, longest, seed);
            assert_eq!(outputs(&pieces), whole, "{precision:?}, random pieces, seed {seed}");
        }
    }
}
