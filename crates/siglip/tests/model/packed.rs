//! Weights in their packed form: the same model to the last bit, with any number of workers.

use siglip::model::{Model, ModelLoader, Packer, Pass};
use siglip::weights::{TensorShape, TensorSink, WeightReader, tensors};
use siglip::{EngineLoader as _, Error, LoadOptions, PixelValues, Precision, Shard, Towers};

use crate::support::checkpoints::{RANDOM_SMALL, config, load, read, repository, whole};
use crate::support::workers::Workers;

fn weights() -> Vec<u8> {
    read(&repository(RANDOM_SMALL).join("model.safetensors"))
}

fn loader(options: LoadOptions) -> ModelLoader {
    ModelLoader::new(config(RANDOM_SMALL), options).unwrap()
}

fn packer(towers: Towers, precision: Precision) -> Packer {
    loader(LoadOptions { towers, ..whole(precision) }).packer()
}

fn batches(towers: Towers, precision: Precision) -> Vec<u8> {
    let mut packer = packer(towers, precision);
    let mut reader = WeightReader::new();
    for chunk in weights().chunks(10_007) {
        reader.push(chunk, &mut packer).unwrap();
    }
    reader.finish().unwrap();
    packer.take()
}

fn from_file(options: LoadOptions) -> Model {
    load(loader(options), weights().chunks(10_007)).unwrap()
}

fn from_batches(options: LoadOptions, batches: &[u8]) -> Model {
    let mut loader = loader(options);
    loader.push_packed(batches).unwrap();
    loader.finish().unwrap()
}

fn image(model: &Model) -> Result<Pass, Error> {
    let side = model.config().vision_config.image_size;
    model.begin_image(PixelValues::new((0..3 * side * side).map(|at| (at as f32).sin()).collect(), side))
}

fn text(model: &Model) -> Result<Pass, Error> {
    model.begin_texts((0..model.config().text_config.max_position_embeddings as u32).collect(), true)
}

#[test]
fn batches_give_the_model_that_the_file_gives() {
    for precision in [Precision::F32, Precision::Q8] {
        let batches = batches(Towers::Both, precision);
        for count in 1..=2 {
            let options = |shard: Shard| LoadOptions { shard, ..whole(precision) };
            let mut from_file = Workers::new(count, |shard| from_file(options(shard)));
            let mut from_batches = Workers::new(count, |shard| from_batches(options(shard), &batches));
            for pass in [image, text] {
                let expected = from_file.run(pass);
                assert!(expected.iter().any(|value| *value != 0.0));
                assert_eq!(from_batches.run(pass), expected, "{precision:?}, {count} workers");
            }
        }
    }
}

#[test]
fn one_tower_is_enough_for_its_own_calls() {
    let mut both = Workers(vec![from_file(LoadOptions::default())]);
    let cases =
        [(Towers::Image, image as fn(&Model) -> _, text as fn(&Model) -> _), (Towers::Text, text, image)];
    for (towers, own_pass, other_pass) in cases {
        let batches = batches(towers, Precision::Q8);
        let total = packer(towers, Precision::Q8).total_bytes();
        assert!((total..total + total / 20).contains(&(batches.len() as u64)), "{total} {}", batches.len());
        let mut one = Workers(vec![from_batches(LoadOptions { towers, ..LoadOptions::default() }, &batches)]);
        assert!(one.0[0].bytes() < both.0[0].bytes());
        assert_eq!(one.run(own_pass), both.run(own_pass));
        assert!(other_pass(&one.0[0]).unwrap_err().to_string().contains("was loaded without its"));
    }
}

#[test]
fn batches_of_another_model_are_refused() {
    let batches = batches(Towers::Both, Precision::Q8);
    let refused = |precision, batches: &[u8]| {
        let mut loader = loader(whole(precision));
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
fn a_reader_continues_where_another_was_settled() {
    let file = weights();
    let expected = batches(Towers::Both, Precision::F32);
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
            let before = expected.len() - second.pending();
            assert_eq!(second.take(), expected[before..], "settled at {settled}");
        }
    }
}

#[test]
fn a_reader_seeks_only_to_row_starts() {
    let file = weights();
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
    let config = config(RANDOM_SMALL);
    let bias = tensors(&config).into_iter().find(|tensor: &TensorShape| tensor.name == "logit_bias").unwrap();
    let error = packer(Towers::Both, Precision::Q8).rows(&bias, 0, &[f32::NAN]).unwrap_err();
    assert!(error.to_string().contains("logit_bias"));
}

/// A reader that continues an ONNX begins each tensor at its start.
#[test]
fn rows_that_an_earlier_visit_has_packed_may_come_again() {
    let options = whole(Precision::Q8);
    let exact = from_batches(options, &batches(Towers::Both, Precision::Q8));
    let all = tensors(&config(RANDOM_SMALL));
    let table = all.iter().find(|tensor| tensor.name.ends_with("token_embedding.weight")).unwrap();
    let values: Vec<f32> = (0..table.len()).map(|at| (at as f32).sin()).collect();
    let (first, rest) = values.split_at(100 * table.row_len());

    let mut loader = loader(options);
    let mut packer = loader.packer();
    packer.rows(table, 0, first).unwrap();
    loader.push_packed(&packer.take()).unwrap();

    let mut again = loader.packer();
    again.leave_out_begun(loader.inventory());
    again.rows(table, 0, first).unwrap();
    assert_eq!(again.pending(), 0);
    again.rows(table, 100, rest).unwrap();
    loader.push_packed(&again.take()).unwrap();
    for tensor in all.iter().filter(|tensor| tensor.name != table.name) {
        again.rows(tensor, 0, &vec![0.5; tensor.len()]).unwrap();
    }
    loader.push_packed(&again.take()).unwrap();
    assert_eq!(loader.finish().unwrap().bytes(), exact.bytes());

    let mut twice = self::loader(options);
    let mut packer = twice.packer();
    packer.rows(table, 0, first).unwrap();
    let batch = packer.take();
    twice.push_packed(&batch).unwrap();
    assert!(twice.push_packed(&batch).is_err());
}
