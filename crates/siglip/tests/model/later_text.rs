//! A model whose text tower comes later, and labels that an earlier visit has embedded.

use std::fs;
use std::path::{Path, PathBuf};

use siglip::model::{Model, ModelLoader, towers_of};
use siglip::text::Template;
use siglip::weights::{TensorShape, WeightReader};
use siglip::{
    Checkpoint, CheckpointFiles, EngineLoader as _, Error, LoadOptions, Precision, ScoreFilter, Siglip,
    Towers, image,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn load(name: &str, towers: Towers) -> Siglip {
    let options = LoadOptions { precision: Precision::Q8, towers, ..LoadOptions::default() };
    Siglip::from_files(|file| fs::File::open(folder(name).join(file)), options).unwrap()
}

fn labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| label.to_string()).collect()
}

fn embedding(siglip: &mut Siglip) -> Vec<f32> {
    let file = fs::read(folder("www/samples/cat.jpg")).unwrap();
    siglip.image_embeds(&image::decode(&file).unwrap()).unwrap()
}

#[test]
fn known_labels_score_without_a_text_tower_and_new_ones_once_it_has_come() {
    let (known, new) = (labels(&["a cat", "a кот"]), labels(&["a cat", "a boat"]));
    let template = Template::default();
    let mut whole = load("www/models/tiny", Towers::Both);
    let image = embedding(&mut whole);
    let mut expected =
        |labels: &[String]| whole.scores(&image, labels, &template, ScoreFilter::default()).unwrap();
    let (of_known, of_new) = (expected(&known), expected(&new));

    let mut siglip = load("www/models/tiny", Towers::Image);
    siglip.expect_text();
    assert!(siglip.needs_text_tower(&known, &template).unwrap());
    for label in whole.known_labels(&known, &template).unwrap() {
        siglip.add_known_label(label);
    }
    assert!(!siglip.needs_text_tower(&known, &template).unwrap());
    assert!(!siglip.uses_label_sets(Some(&new), None), "its texts will be read");
    assert_eq!(siglip.scores(&image, &known, &template, ScoreFilter::default()).unwrap(), of_known);
    assert!(of_known.iter().any(|score| !score.unknown.is_empty()), "unknown words are known too");

    assert!(siglip.needs_text_tower(&new, &template).unwrap());
    assert!(siglip.needs_text_tower(&known, &Template::new("{}").unwrap()).unwrap(), "another text");
    siglip.add_text_tower(load("www/models/tiny", Towers::Text)).unwrap();
    assert!(!siglip.expects_text() && !siglip.needs_text_tower(&new, &template).unwrap());
    assert_eq!(siglip.scores(&image, &new, &template, ScoreFilter::default()).unwrap(), of_new);
    assert_eq!(siglip.engine().towers(), Towers::Both);
    assert_eq!(siglip.engine().bytes(), whole.engine().bytes());
}

#[test]
fn the_text_tower_of_another_model_is_refused() {
    let mut siglip = load("www/models/tiny", Towers::Image);
    for (other, towers) in [("tests/fixtures/random-small", Towers::Text), ("www/models/tiny", Towers::Image)]
    {
        let error = siglip.add_text_tower(load(other, towers)).unwrap_err();
        assert!(matches!(error, Error::BadWeights(_)), "{error}");
        assert_eq!(siglip.engine().towers(), Towers::Image);
    }
}

#[test]
fn an_embedding_of_another_width_is_left_out() {
    let template = Template::default();
    let known = labels(&["a cat"]);
    let mut whole = load("www/models/tiny", Towers::Both);
    let image = embedding(&mut whole);
    whole.scores(&image, &known, &template, ScoreFilter::default()).unwrap();
    let mut siglip = load("www/models/tiny", Towers::Image);
    siglip.expect_text();
    for mut label in whole.known_labels(&known, &template).unwrap() {
        label.embedding.pop();
        siglip.add_known_label(label);
    }
    assert!(siglip.needs_text_tower(&known, &template).unwrap());
}

#[test]
fn batches_tell_the_towers_that_need_them_and_are_left_out_by_the_other() {
    let read = |file: &str| fs::read_to_string(folder("tests/fixtures/random-small").join(file)).unwrap();
    let [config, preprocessor, tokenizer] = CheckpointFiles::NAMES.map(read);
    let files = CheckpointFiles { config, preprocessor, tokenizer, labels: None };
    let checkpoint = Checkpoint::parse(&files).unwrap();
    let loader = |towers| {
        let options = LoadOptions { precision: Precision::Q8, towers, ..LoadOptions::default() };
        checkpoint.loader::<Model>(options).unwrap()
    };
    let weights = fs::read(folder("tests/fixtures/random-small/model.safetensors")).unwrap();
    let mut both: ModelLoader = loader(Towers::Both);
    let mut packer = both.packer();
    let mut reader = WeightReader::new();
    let tower = |tensor: &TensorShape| tensor.name.split_once('.').map(|(tower, _)| tower.to_string());
    let (mut position, mut records) = (0, Vec::new());
    while position < weights.len() {
        // One byte at a time, until it is known where the next tower begins.
        let places = [Some("text_model"), Some("vision_model"), None];
        let next =
            places.iter().find_map(|place| reader.next_wanted(|tensor| tower(tensor).as_deref() != *place));
        let end = next.map_or(position + 1, |next| next as usize);
        reader.push(&weights[position..end], &mut packer).unwrap();
        records.push(packer.take());
        position = end;
    }
    records.retain(|record| !record.is_empty());
    let towers: Vec<Towers> = records.iter().map(|record| towers_of(both.inventory(), record)).collect();
    assert_eq!(towers, [Towers::Both, Towers::Text, Towers::Image], "the scale and bias come first");
    assert_eq!(towers_of(both.inventory(), &records.concat()), Towers::Both);
    assert_eq!(
        towers_of(both.inventory(), &records[1][..40]),
        Towers::Both,
        "what is cut short is left to the loader"
    );

    let mut bytes = Vec::new();
    for towers in [Towers::Image, Towers::Text, Towers::Both] {
        let mut loader = loader(towers);
        loader.push_packed(&records.concat()).unwrap();
        bytes.push(loader.finish().unwrap().bytes());
    }
    assert_eq!(bytes[0] + bytes[1], bytes[2]);
    let mut short = records.concat();
    short.pop();
    assert!(loader(Towers::Text).push_packed(&short).is_err(), "also in what is left out");
}
