//! Files that are cut, changed, or of another kind.

use std::collections::BTreeSet;

use siglip::weights::{TensorShape, TensorSink, WeightReader};
use siglip::{Error, Precision};

use super::{Collected, config_of_exports, fixture, load, renamed};
use crate::support::checkpoints::{RANDOM_SMALL, config, whole};

#[test]
fn a_file_that_is_cut_short_says_so() {
    let bytes = fixture("slim/model_quantized");
    for end in (0..bytes.len()).step_by(1999) {
        let error = Collected::of([&bytes[..end]]).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{end}: {error}");
    }
}

#[test]
fn an_unknown_graph_is_refused_by_name() {
    let file = fixture("raw/model_quantized");
    for (from, to) in [
        (
            "/vision_model/encoder/layers.0/mlp/fc1/MatMul_quant",
            "/vision_model/encoder/layers.0/mlp/fcx/MatMul_quant",
        ),
        ("/text_model/embeddings/token_embedding/Gather", "/text_model/embeddings/class_embedding/Gather"),
        ("/vision_model/head/attention/Gemm_MatMul_quant", "/vision_model/tail/attention/Gemm_MatMul_quant"),
    ] {
        let error = Collected::of([&renamed(&file, from, to)[..]]).unwrap_err();
        assert_eq!(error.code(), "unsupported-model", "{error}");
        assert!(error.to_string().contains(to), "{error}");
    }
}

#[test]
fn a_missing_tensor_is_named_before_the_weights() {
    let file = renamed(
        &fixture("raw/model_quantized"),
        "/vision_model/post_layernorm/Add_1",
        "/vision_model/post_layernorm/Add_9",
    );
    let error = load(&[&file], config_of_exports(), whole(Precision::Q8)).unwrap_err();
    assert!(error.to_string().contains("vision_model.post_layernorm.bias"), "{error}");
}

#[test]
fn a_model_of_another_shape_is_refused() {
    let file = fixture("raw/model_quantized");
    let error = load(&[&file], config(RANDOM_SMALL), whole(Precision::Q8)).unwrap_err();
    assert_eq!(error.code(), "bad-weights");
}

/// Bytes changed at random: an error or other values, but no panic, and no more memory than the file gives reason for.
#[test]
fn changed_bytes_do_not_panic() {
    let files = ["raw/model_quantized", "slim/vision_model_q4f16"].map(fixture);
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..600 {
        let mut file = files[round % 2].clone();
        // Most changes hit the graph, which is where lengths are.
        let reach = if round % 3 == 0 { file.len() } else { 60_000 };
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..reach);
            match random.u8(..4) {
                0 => file[at] = random.u8(..),
                1 => file[at] = 255,
                2 => file[at] ^= 1 << random.u8(..8),
                _ => file.truncate(file.len().min(at + random.usize(..file.len()))),
            }
            if file.len() <= reach {
                break;
            }
        }
        let _ = Changed::read(&file);
    }
}

/// Takes anything.
struct Changed;

impl Changed {
    fn read(file: &[u8]) -> Result<(), Error> {
        let mut reader = WeightReader::new();
        for chunk in file.chunks(4096) {
            reader.push(chunk, &mut Changed)?;
        }
        reader.finish()
    }
}

impl TensorSink for Changed {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        Ok(())
    }

    fn begin_named(&mut self, _: &BTreeSet<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, first_row: usize, values: &[f32]) -> Result<(), Error> {
        let rows = values.len() / tensor.row_len().max(1);
        assert!(values.len() == rows * tensor.row_len() && first_row + rows <= tensor.rows());
        Ok(())
    }
}
