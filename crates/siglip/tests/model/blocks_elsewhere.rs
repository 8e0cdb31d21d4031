//! A model whose blocks something else runs: here, its own first block, of models that have only one.

use siglip::model::{Model, ModelLoader, Pass, Pooling, Step, packed_bytes};
use siglip::weights::Dtype;
use siglip::{Engine as _, Error, LoadOptions, PixelValues, Precision, Shard, Towers};

use crate::support::checkpoints::{RANDOM_SMALL, TINY, config, load, model, shard};

/// A model of random weights with one block in each tower.
fn one_block(shard: Shard) -> Model {
    let mut config = config(RANDOM_SMALL);
    config.vision_config.num_hidden_layers = 1;
    config.text_config.num_hidden_layers = 1;
    let mut weights = Vec::new();
    siglip::random_weights(&config, Dtype::F32, 7, |bytes| {
        weights.extend_from_slice(bytes);
        Ok::<(), Error>(())
    })
    .unwrap();
    let options = LoadOptions { precision: Precision::F32, shard, ..LoadOptions::default() };
    load(ModelLoader::new(config, options).unwrap(), [&weights[..]]).unwrap()
}

/// Runs a pass, with the first block in the place of all.
fn embed(model: &mut Model, tower: Towers, sequences: usize, [mut pass, mut again]: [Pass; 2]) -> Vec<f32> {
    assert_eq!(model.step(&mut pass), Step::Blocks);
    let patches = model.patches(&pass).to_vec();
    assert_eq!(patches.is_empty(), tower == Towers::Text);
    let first = match tower {
        Towers::Text => model.hidden_states().to_vec(),
        _ => model.positions(&pass).repeat(sequences),
    };
    let results = model.first_block(tower, &first, &patches, sequences).unwrap();
    // The head runs here, or elsewhere too.
    let pooled = model.head(tower, &results, sequences).unwrap();
    model.set_hidden_states(&pass, &results).unwrap();
    assert_eq!(model.step(&mut pass), Step::Done);
    let embeddings = pass.into_embeddings();
    assert!(again.ends_with_head());
    assert_eq!(model.step(&mut again), Step::Blocks);
    model.set_embeddings(&mut again, pooled).unwrap();
    assert_eq!(model.step(&mut again), Step::Done);
    assert_eq!(again.into_embeddings(), embeddings);
    embeddings
}

fn close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        assert!((actual - expected).abs() < 1e-6, "{actual} in place of {expected}");
    }
}

#[test]
fn blocks_run_elsewhere_give_the_same_embeddings() {
    let mut whole = one_block(Shard::WHOLE);
    let mut without = one_block(Shard::BLOCKS_ELSEWHERE);
    let side = whole.config().vision_config.image_size;
    let values: Vec<f32> = (0..3 * side * side).map(|i| ((i * 7919) % 256) as f32 / 128.0 - 1.0).collect();
    let image = PixelValues::new(values, side);
    let pass = [(); 2].map(|()| without.begin_image(image.clone()).unwrap());
    close(&embed(&mut without, Towers::Image, 1, pass), &whole.image_embeds(vec![image.clone()]).unwrap());

    let inverse = PixelValues::new(image.values.iter().map(|value| -value).collect(), side);
    let images = vec![inverse, image];
    let pass = [(); 2].map(|()| without.begin_images(images.clone()).unwrap());
    assert_eq!((pass[0].sequences(), pass[0].patch_grid()), (2, Some((3, 3))));
    close(&embed(&mut without, Towers::Image, 2, pass), &whole.image_embeds(images).unwrap());

    let text = &whole.config().text_config;
    let ids: Vec<u32> =
        (0..3 * text.max_position_embeddings).map(|i| (i * 31 % text.vocab_size) as u32).collect();
    let pass = [(); 2].map(|()| without.begin_texts(ids.clone(), true).unwrap());
    let embedded = embed(&mut without, Towers::Text, 3, pass);
    close(&embedded, &whole.text_embeds(ids).unwrap());
}

#[test]
fn a_model_without_its_blocks_takes_their_memory_less() {
    for precision in [Precision::F32, Precision::Q8] {
        let without = shard(TINY, precision, Shard::BLOCKS_ELSEWHERE);
        let options = LoadOptions { precision, shard: Shard::BLOCKS_ELSEWHERE, ..LoadOptions::default() };
        assert_eq!(without.bytes() as u64, packed_bytes(&config(TINY), options));
        assert!(without.bytes() < model(TINY, precision).bytes());
    }
}

#[test]
fn misuse_is_an_error() {
    let mut model = shard(RANDOM_SMALL, Precision::Q8, Shard::BLOCKS_ELSEWHERE);
    let length = model.config().text_config.max_position_embeddings;
    let ids = vec![1; length];
    assert!(matches!(model.text_embeds(ids.clone()), Err(Error::BadInput(_))));
    let mut pass = model.begin_texts(ids, true).unwrap();
    assert_eq!(model.step(&mut pass), Step::Blocks);
    assert!(matches!(model.set_hidden_states(&pass, &[0.0; 5]), Err(Error::BadInput(_))));
    assert!(matches!(model.set_embeddings(&mut pass, vec![0.0; 5]), Err(Error::BadInput(_))));
    assert!(matches!(model.head(Towers::Text, &[0.0; 5], 1), Err(Error::BadInput(_))));
    assert!(matches!(model.first_block(Towers::Image, &[0.0; 5], &[], 1), Err(Error::BadInput(_))));
    assert!(matches!(model.first_block(Towers::Image, &[], &[], 0), Err(Error::BadInput(_))));
    let side = model.config().vision_config.image_size;
    let image = PixelValues::new(vec![0.0; 3 * side * side], side);
    let mut patches = model.begin_image_for(image, Pooling::Patches, true).unwrap();
    let embedding = vec![0.0; model.config().embedding_size()];
    for embedding in [embedding, vec![]] {
        assert!(matches!(model.set_embeddings(&mut patches, embedding), Err(Error::BadInput(_))));
    }
    let row = vec![0.0; model.config().vision_config.hidden_size];
    assert!(matches!(model.first_block(Towers::Image, &row, &[0.0; 5], 1), Err(Error::BadInput(_))));
    assert!(matches!(model.first_block(Towers::Image, &row, &[], 0), Err(Error::BadInput(_))));
}
