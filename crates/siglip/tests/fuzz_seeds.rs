//! The fuzz targets without a fuzzer: over their seeds, and the odd files also over random bytes.

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

use fuzz::TARGETS;

/// Odd files of each kind, beyond the seeds.
const ODD_FILES: u64 = 300;

#[test]
fn every_seed_is_read_or_refused() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
        let mut seeds = 0;
        for entry in fs::read_dir(&folder).expect("seeds of every target") {
            let path = entry.expect("a seed").path();
            // Shown where it fails.
            println!("{}", path.display());
            target(&fs::read(&path).expect("a seed"));
            seeds += 1;
        }
        assert!(seeds > 5, "{name}: {seeds} seeds");
    }
}

#[test]
fn odd_but_valid_files_are_read() {
    for (name, target) in TARGETS.iter().filter(|(name, _)| name.starts_with("odd_")) {
        for seed in 0..ODD_FILES {
            println!("{name}, seed {seed}");
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(50..3000)).map(|_| random.u8(..)).collect();
            target(&bytes);
        }
    }
}
