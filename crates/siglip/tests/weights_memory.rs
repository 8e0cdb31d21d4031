//! A weight file's header claims no memory before its bytes arrive. This test is alone in its binary, since it measures
//! the process's peak.

mod support;

use peak_alloc::PeakAlloc;
use siglip::model::ModelLoader;
use siglip::weights::{Dtype, TensorShape, header_bytes};
use siglip::{Error, LoadOptions};
use support::checkpoints::{RANDOM_SMALL, config, load, read, repository};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most memory that reading takes, beside the model that is built beforehand.
fn peak(file: &[u8]) -> usize {
    let loader = ModelLoader::new(config(RANDOM_SMALL), LoadOptions::default()).unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = load(loader, [file]);
    assert!(matches!(result, Err(Error::BadWeights(_))), "{result:?}");
    MEMORY.peak_usage() - before
}

#[test]
fn false_sizes_allocate_no_memory() {
    let file = read(&repository(RANDOM_SMALL).join("model.safetensors"));
    // Complete but for its last byte.
    let honest = peak(&file[..file.len() - 1]);
    let of_length = |length: u64| [&length.to_le_bytes()[..], &file[8..]].concat();
    let of_shape = |shape: &[usize]| {
        let tensor = TensorShape { name: "vision_model.head.probe".into(), shape: shape.to_vec() };
        header_bytes(&[tensor], Dtype::F32)
    };
    let lies =
        [of_length(100_000_000), of_length(u64::MAX), of_shape(&[1, 1, 1 << 40]), of_shape(&[1 << 40])];
    for lie in lies {
        // A buffer that grows holds up to twice what has arrived.
        let (peak, bound) = (peak(&lie), honest + 2 * lie.len());
        assert!(peak <= bound, "{peak} bytes for a lie, {honest} for an honest file of {}", file.len());
    }
}
