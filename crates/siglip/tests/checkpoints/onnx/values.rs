//! What the files hold, however they come.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use siglip::Towers;
use siglip::weights::WeightReader;

use super::{Collected, FIXTURES, RecordedFile, Recording, fixture, renamed, towers_of, whole_exports};
use crate::support::checkpoints::{hex, read, repository};
use crate::support::reference::recording;
use crate::support::weight_files::{self, cut};

#[test]
fn every_tensor_has_the_values_that_the_file_holds() {
    for RecordedFile { file, tensors, .. } in recording::<Recording>("onnx").files {
        let collected = Collected::of([&fixture(&file)[..]]).unwrap();
        let names: BTreeSet<_> = tensors.keys().cloned().collect();
        assert_eq!(collected.named, names, "{file}");
        for (name, (shape, sha256)) in tensors {
            let bytes: Vec<u8> =
                collected.values(&name).iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(collected.tensors[&name].0, shape, "{file}: {name}");
            // The logarithm of a float may differ by a bit between libraries.
            if name != "logit_scale" || file.starts_with("raw") {
                assert_eq!(hex(&Sha256::digest(bytes)), sha256, "{file}: {name}");
            }
        }
    }
}

#[test]
fn eight_bit_matrices_are_not_requantized() {
    for (file, count) in [("raw/model_quantized", 18), ("slim/model_quantized", 18)] {
        let quantized = Collected::of([&fixture(file)[..]]).unwrap().quantized;
        let is_matrix = |name: &&String| {
            name.ends_with("proj.weight") || name.contains(".fc") || name.ends_with("head.weight")
        };
        assert_eq!(quantized.iter().filter(is_matrix).count(), 16, "{file}: {quantized:?}");
        assert!(quantized.len() >= count, "{file}: {quantized:?}");
    }
}

#[test]
fn a_file_reads_the_same_in_chunks_of_any_size() {
    for RecordedFile { file, .. } in recording::<Recording>("onnx").files {
        let bytes = fixture(&file);
        let whole = Collected::of([&bytes[..]]).unwrap();
        for seed in 0..3 {
            assert_eq!(Collected::of(cut(&bytes, seed)).unwrap(), whole, "{file}, seed {seed}");
        }
        assert_eq!(Collected::of(bytes.chunks(1)).unwrap(), whole, "{file}, byte by byte");
    }
}

#[test]
fn whole_exports_hold_what_they_were_made_of() {
    let Some(folder) = whole_exports() else { return };
    let mut exact = weight_files::Collect::default();
    weight_files::read(&read(&folder.join("model.safetensors")), &mut exact).unwrap();
    let exact: BTreeMap<String, Vec<f32>> = weight_files::joined(exact.rows).into_iter().collect();
    let files = [
        "model_quantized",
        "vision_model_fp16",
        "text_model_fp16",
        "vision_model_quantized",
        "text_model_quantized",
        "vision_model_q4f16",
    ];
    for generation in ["raw", "slim"] {
        for file in files {
            let bytes = read(&folder.join(generation).join(format!("{file}.onnx")));
            let collected = Collected::of(cut(&bytes, 1)).unwrap();
            let mut worst = 0.0f64;
            for name in collected.tensors.keys() {
                let (found, exact) = (collected.values(name), &exact[name]);
                let norm = |values: &mut dyn Iterator<Item = f64>| {
                    values.map(|value| value * value).sum::<f64>().sqrt()
                };
                let difference = norm(&mut found.iter().zip(exact).map(|(a, b)| f64::from(a - b)));
                worst =
                    worst.max(difference / norm(&mut exact.iter().map(|&value| f64::from(value))).max(1e-9));
            }
            let bound = match file {
                _ if file.ends_with("fp16") => 1e-3,
                _ if file.ends_with("quantized") => 0.02,
                _ => 0.2,
            };
            println!(
                "{generation}/{file}: {} tensors, relative difference {worst:.2e}",
                collected.tensors.len()
            );
            assert!(worst < bound, "{generation}/{file}: {worst}");
            let all = match towers_of(file) {
                Towers::Both => exact.len(),
                Towers::Image => exact.keys().filter(|name| name.starts_with("vision_model")).count(),
                Towers::Text => exact.keys().filter(|name| name.starts_with("text_model")).count(),
            };
            assert_eq!(collected.tensors.len(), all, "{generation}/{file}");
        }
    }
}

#[test]
fn another_reader_continues_where_one_was_settled() {
    for file in ["raw/model_quantized", "slim/vision_model_q4f16"] {
        let bytes = fixture(file);
        let whole = Collected::of([&bytes[..]]).unwrap();
        for stop in (0..bytes.len()).step_by(4999) {
            let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
            reader.push(&bytes[..stop], &mut sink).unwrap();
            let (Some(header), Some(settled)) = (reader.header_len(), reader.settled()) else { continue };
            assert!(settled <= stop as u64);
            let mut next = WeightReader::new();
            next.push(&bytes[..header as usize], &mut Collected::default()).unwrap();
            // Rows of a tensor that had not ended come again.
            sink.tensors.retain(|_, (_, values)| values.iter().all(Option::is_some));
            next.seek(settled).unwrap();
            let mut rest = Collected::default();
            next.push(&bytes[settled as usize..], &mut rest).unwrap();
            next.finish().unwrap();
            rest.tensors.extend(sink.tensors);
            assert_eq!(rest.tensors, whole.tensors, "{file}, stopped at {stop}");
        }
    }
}

/// An export as the `onnx` package saves it with its data in another file.
#[test]
fn an_export_is_the_same_with_its_data_in_a_file_beside_it() {
    let expected = Collected::of([&fixture("slim/model_quantized")[..]]).unwrap();
    let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
    for chunk in cut(&fixture("external/model_quantized"), 4) {
        reader.push(chunk, &mut sink).unwrap();
    }
    assert!(reader.has_data_file());
    let (name, mut reader) = reader.into_data_file().unwrap().unwrap();
    let data = read(&repository(FIXTURES).join("external").join(name));
    for chunk in cut(&data, 5) {
        reader.push(chunk, &mut sink).unwrap();
    }
    assert_eq!((reader.header_len(), reader.settled()), (Some(0), Some(data.len() as u64)));
    reader.finish().unwrap();
    assert_eq!(sink, expected);
}

/// A tensor of [4, 6] by columns, in a file of its own.
#[test]
fn data_may_be_in_a_file_beside_it() {
    let onnx = &include_bytes!("../../../../../fuzz/seeds/onnx/external")[1..];
    let data: Vec<u8> = (0..24).flat_map(|number| (number as f32).to_le_bytes()).collect();
    let (mut reader, mut sink) = (WeightReader::new(), Collected::default());
    reader.push(onnx, &mut sink).unwrap();
    let (name, mut reader) = reader.into_data_file().unwrap().unwrap();
    assert_eq!(name, "m.onnx_data");
    for chunk in data.chunks(7) {
        reader.push(chunk, &mut sink).unwrap();
    }
    reader.finish().unwrap();
    let name = "vision_model.encoder.layers.0.mlp.fc1.weight";
    assert_eq!(sink.tensors[name].0, [6, 4]);
    assert_eq!(sink.values(name)[..5], [0.0, 6.0, 12.0, 18.0, 1.0]);

    let error = Collected::of([onnx]).unwrap_err().to_string();
    assert!(error.contains("m.onnx_data"), "{error}");
    let elsewhere =
        Collected::of([&renamed(onnx, "m.onnx_data", "../../../pw")[..]]).unwrap_err().to_string();
    assert!(elsewhere.contains("not a file beside it"), "{elsewhere}");
}
