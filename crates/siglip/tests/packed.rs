//! Weights through their packed form: the same model to the last bit, however they are divided.

use siglip::Config;
use siglip::model::{Model, ModelLoader, Packer, Pass, Precision, Shard, Step, Towers};
use siglip::weights::{TensorShape, TensorSink, WeightReader, tensors};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/random-small/");

fn config() -> Config {
    Config::from_json(&std::fs::read_to_string(format!("{FOLDER}config.json")).unwrap()).unwrap()
}

fn read_into(sink: &mut dyn TensorSink) {
    let file = std::fs::read(format!("{FOLDER}model.safetensors")).unwrap();
    let mut reader = WeightReader::new();
    for chunk in file.chunks(10_007) {
        reader.push(chunk, sink).unwrap();
    }
    reader.finish().unwrap();
}

fn direct(towers: Towers, precision: Precision, shard: Shard) -> Model {
    let mut loader = ModelLoader::of_towers(config(), towers, precision, shard).unwrap();
    read_into(&mut loader);
    loader.finish().unwrap()
}

fn packer(towers: Towers, precision: Precision) -> Packer {
    ModelLoader::of_towers(config(), towers, precision, Shard::WHOLE).unwrap().packer()
}

fn batches(towers: Towers, precision: Precision) -> Vec<u8> {
    let mut packer = packer(towers, precision);
    read_into(&mut packer);
    packer.take()
}

fn packed(towers: Towers, precision: Precision, shard: Shard, batches: &[u8]) -> Model {
    let mut loader = ModelLoader::of_towers(config(), towers, precision, shard).unwrap();
    loader.push_packed(batches).unwrap();
    loader.finish().unwrap()
}

fn pixel_values(model: &Model) -> Vec<f32> {
    let side = model.config().vision_config.image_size;
    (0..3 * side * side).map(|at| (at as f32).sin()).collect()
}

fn input_ids(model: &Model) -> Vec<u32> {
    (0..model.config().text_config.max_position_embeddings as u32).collect()
}

/// Runs a pass that all shards share to its end.
fn embeddings(shards: &mut [Model], begin: fn(&Model) -> Pass) -> Vec<f32> {
    let mut passes: Vec<Pass> = shards.iter().map(begin).collect();
    loop {
        let steps: Vec<Step> =
            shards.iter_mut().zip(&mut passes).map(|(model, pass)| model.step(pass)).collect();
        match steps[0] {
            Step::Next => {}
            Step::Exchange => {
                let parts: Vec<Vec<u32>> = shards.iter().map(|model| model.part().to_vec()).collect();
                for model in shards.iter_mut() {
                    parts.iter().for_each(|part| model.add_part(part));
                }
            }
            Step::Done => return passes.remove(0).into_embeddings(),
        }
    }
}

fn image(model: &Model) -> Pass {
    model.begin_image(pixel_values(model)).unwrap()
}

fn text(model: &Model) -> Pass {
    model.begin_texts(input_ids(model)).unwrap()
}

#[test]
fn every_division_has_the_weights_of_the_file() {
    for precision in [Precision::F32, Precision::Q8] {
        let batches = batches(Towers::Both, precision);
        for count in 1..=2 {
            let shards = |make: &dyn Fn(Shard) -> Model| -> Vec<Model> {
                (0..count).map(|index| make(Shard::new(index, count).unwrap())).collect()
            };
            let mut from_file = shards(&|shard| direct(Towers::Both, precision, shard));
            let mut from_batches = shards(&|shard| packed(Towers::Both, precision, shard, &batches));
            for pass in [image, text] {
                let expected = embeddings(&mut from_file, pass);
                assert!(expected.iter().any(|value| *value != 0.0));
                assert_eq!(embeddings(&mut from_batches, pass), expected, "{precision:?}, {count} workers");
            }
        }
    }
}

#[test]
fn one_tower_is_enough_for_its_own_calls() {
    let both = &mut [direct(Towers::Both, Precision::Q8, Shard::WHOLE)];
    for (towers, pass) in [(Towers::Image, image as fn(&Model) -> Pass), (Towers::Text, text)] {
        let batches = batches(towers, Precision::Q8);
        let total = packer(towers, Precision::Q8).total_bytes();
        assert!((total..total + total / 20).contains(&(batches.len() as u64)), "{total} {}", batches.len());
        let one = &mut [packed(towers, Precision::Q8, Shard::WHOLE, &batches)];
        assert!(one[0].bytes() < both[0].bytes());
        assert_eq!(embeddings(one, pass), embeddings(both, pass));
        let other = match towers {
            Towers::Text => one[0].begin_image(pixel_values(&one[0])),
            _ => one[0].begin_texts(input_ids(&one[0])),
        };
        assert!(other.unwrap_err().to_string().contains("was loaded without its"));
    }
}

#[test]
fn batches_of_another_model_are_refused() {
    let batches = batches(Towers::Both, Precision::Q8);
    let refused = |precision, batches: &[u8]| {
        let mut loader = ModelLoader::new(config(), precision, Shard::WHOLE).unwrap();
        assert_eq!(loader.push_packed(batches).unwrap_err().code(), "bad-weights");
    };
    refused(Precision::F32, &batches);
    refused(Precision::Q8, &batches[..batches.len() - 1]);
    for at in 0..16 {
        let mut broken = batches.clone();
        broken[at] ^= 0xff;
        refused(Precision::Q8, &broken);
    }
}

#[test]
fn a_reader_goes_on_where_another_was_settled() {
    let file = std::fs::read(format!("{FOLDER}model.safetensors")).unwrap();
    let whole = batches(Towers::Both, Precision::F32);
    for chunk in [1_000, 33_333, 200_000] {
        let (mut reader, mut first) = (WeightReader::new(), packer(Towers::Both, Precision::F32));
        for stop in (0..file.len()).step_by(chunk).skip(1) {
            reader.push(&file[stop - chunk..stop], &mut first).unwrap();
            let Some(settled) = reader.settled() else { continue };
            assert!(settled <= stop as u64);
            let header = reader.header_len().unwrap() as usize;
            let (mut next, mut second) = (WeightReader::new(), packer(Towers::Both, Precision::F32));
            next.push(&file[..header], &mut second).unwrap();
            next.seek(settled).unwrap();
            next.push(&file[settled as usize..], &mut second).unwrap();
            next.finish().unwrap();
            let before = whole.len() - second.pending();
            assert_eq!(second.take(), whole[before..], "settled at {settled}");
        }
    }
}

#[test]
fn a_reader_goes_nowhere_but_to_rows() {
    let file = std::fs::read(format!("{FOLDER}model.safetensors")).unwrap();
    let mut reader = WeightReader::new();
    assert!(reader.seek(8).is_err(), "before the header");
    let mut packer = packer(Towers::Both, Precision::F32);
    reader.push(&file[..file.len() / 2], &mut packer).unwrap();
    let header = reader.header_len().unwrap();
    for position in [0, header - 1, header + 1, file.len() as u64 - 1, file.len() as u64 + 1, u64::MAX] {
        assert!(reader.seek(position).is_err(), "{position}");
    }
    reader.seek(file.len() as u64).unwrap();
    reader.finish().unwrap();
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let config = config();
    let bias = tensors(&config).into_iter().find(|tensor: &TensorShape| tensor.name == "logit_bias").unwrap();
    let error = packer(Towers::Both, Precision::Q8).rows(&bias, 0, &[f32::NAN]).unwrap_err();
    assert!(error.to_string().contains("logit_bias"));
}
