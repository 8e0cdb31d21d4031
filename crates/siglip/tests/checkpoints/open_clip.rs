//! Folders of open_clip's: their configuration, their tensors, their way with texts.

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};
use siglip::text::{Template, Tokenizer, canonicalize};
use siglip::weights::{OPEN_CLIP_WEIGHTS, WeightReader};
use siglip::{Checkpoint, CheckpointFiles, Config, Error, LoadOptions, Precision, Shard, Siglip, Towers};

use crate::support::checkpoints::{config, load, read, repository, siglip, whole};
use crate::support::reference::recording;

const FOLDER: &str = "tests/fixtures/random-open-clip";

/// `tests/parity/open-clip-configs.json`, which `record_open_clip.py` recorded.
#[derive(Deserialize)]
struct Recording {
    models: Vec<Model>,
    canonicalized: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    model_cfg: Value,
    vision: (usize, usize, usize, usize, usize, usize, String),
    text: (usize, usize, usize, usize, usize, usize, String, bool),
    epsilons: [f32; 2],
}

fn recorded() -> Recording {
    recording("open-clip-configs")
}

/// The configuration that is made of an `open_clip_config.json` with this model.
fn converted(model_cfg: &Value) -> Result<Config, Error> {
    let preprocess_cfg = json!({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"});
    let json = json!({"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}).to_string();
    let files = CheckpointFiles::from_open_clip(&json, String::new())?;
    Ok(Checkpoint::parse(&files)?.config)
}

#[test]
fn every_configuration_of_the_package_has_the_sizes_that_it_builds() {
    let models = recorded().models;
    assert_eq!(models.len(), 26);
    for Model { name, model_cfg, vision, text, epsilons } in models {
        let Config { vision_config: v, text_config: t, .. } = converted(&model_cfg).unwrap();
        let built = (
            v.hidden_size,
            v.intermediate_size,
            v.num_hidden_layers,
            v.num_attention_heads,
            v.image_size,
            v.patch_size,
            v.hidden_act.clone(),
        );
        assert_eq!(built, vision, "{name}");
        let built = (
            t.hidden_size,
            t.intermediate_size,
            t.num_hidden_layers,
            t.num_attention_heads,
            t.vocab_size,
            t.max_position_embeddings,
            t.hidden_act.clone(),
            t.use_head,
        );
        assert_eq!(built, text, "{name}");
        assert_eq!([v.layer_norm_eps, t.layer_norm_eps], epsilons, "{name}");
        assert!(t.canonicalize, "{name}");
    }
}

#[test]
fn another_model_of_open_clips_is_refused_by_the_field_that_tells() {
    let siglip = recorded().models[0].model_cfg.clone();
    let changes = [
        ("/vision_cfg/timm_model_name", json!("vit_base_patch16_clip_224"), "vision_cfg.timm_model_name"),
        (
            "/vision_cfg/timm_model_name",
            json!("vit_base_patch16_siglip_gap_224"),
            "vision_cfg.timm_model_name",
        ),
        ("/vision_cfg/timm_model_name", json!("naflexvit_base_patch16_siglip"), "vision_cfg.timm_model_name"),
        ("/vision_cfg/timm_model_name", Value::Null, "vision_cfg.timm_model_name"),
        ("/vision_cfg/timm_pool", json!("avg"), "vision_cfg.timm_pool"),
        ("/vision_cfg/timm_proj", json!("linear"), "vision_cfg.timm_proj"),
        ("/vision_cfg/image_size", json!([224, 256]), "vision_cfg.image_size"),
        ("/vision_cfg/image_size", json!("224"), "vision_cfg.image_size"),
        ("/text_cfg/pool_type", json!("argmax"), "text_cfg.pool_type"),
        ("/text_cfg/no_causal_mask", json!(false), "text_cfg.no_causal_mask"),
        ("/text_cfg/proj_bias", json!(false), "text_cfg.proj_bias"),
        ("/text_cfg/width", json!(0), "text_config.hidden_size"),
        ("/text_cfg/mlp_ratio", json!(1e300), "text_config.intermediate_size"),
        ("/text_cfg/layers", json!(-1), "model_cfg.text_cfg.layers"),
        ("/embed_dim", json!(512), "text_config.projection_size"),
    ];
    for (place, value, expected) in changes {
        let mut model = siglip.clone();
        let (parent, field) = place.rsplit_once('/').unwrap();
        model.pointer_mut(parent).unwrap()[field] = value;
        match converted(&model) {
            Err(Error::UnsupportedModel { field, .. }) => assert_eq!(field, expected, "{place}"),
            other => panic!("{place}: {other:?}"),
        }
    }
    let mut with_bert = siglip;
    with_bert["text_cfg"]["hf_model_name"] = json!("bert-base");
    assert!(converted(&with_bert).unwrap_err().to_string().contains("hf_model_name"));
}

#[test]
fn pictures_are_resized_as_the_file_says() {
    let model_cfg = &recorded().models[0].model_cfg;
    let convert = |preprocess_cfg: Value| {
        let json = json!({"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}).to_string();
        CheckpointFiles::from_open_clip(&json, String::new()).map(|files| files.preprocessor)
    };
    let resample = |preprocess_cfg| {
        let json: Value = serde_json::from_str(&convert(preprocess_cfg).unwrap()).unwrap();
        json["resample"].clone()
    };
    assert_eq!(resample(json!({"interpolation": "bicubic", "resize_mode": "squash"})), json!(3));
    assert_eq!(resample(json!({"interpolation": "bilinear"})), json!(2));
    assert_eq!(resample(json!({})), json!(3));
    for (wrong, field) in [
        (json!({"resize_mode": "shortest"}), "preprocess_cfg.resize_mode"),
        (json!({"interpolation": "random"}), "preprocess_cfg.interpolation"),
    ] {
        assert!(convert(wrong).unwrap_err().to_string().contains(field));
    }
}

#[test]
fn texts_are_canonicalized_as_the_package_does() {
    let canonicalized = recorded().canonicalized;
    assert!(canonicalized.len() > 10);
    for (text, expected) in canonicalized {
        assert_eq!(canonicalize(&text), expected, "{text:?}");
    }
}

/// `canonicalize` and `verbatim` beside the templates overrule what the files say.
#[test]
fn templates_say_whether_their_sentences_are_canonicalized() {
    let ids = |folder: &str, label: &str, templates: &[&str]| {
        let siglip = siglip(&repository(folder), Precision::F32);
        let prompts = siglip::prompts(&[label.into()], &Template::of(templates)?)?;
        siglip.input_ids(&prompts)
    };
    let (given, canonical) = ("a_B, c", "a b c");
    let google = "tests/fixtures/random-i18n";
    for (folder, templates, read_as) in [
        (FOLDER, &["{}"][..], canonical),
        (FOLDER, &["{}", "canonicalize"], canonical),
        (google, &["{}", "canonicalize"], canonical),
        (google, &["{}"], given),
        (google, &["{}", "verbatim"], given),
        (FOLDER, &["{}", "verbatim"], given),
    ] {
        let text_config = config(folder).text_config;
        let tokenizer = read(&repository(folder).join("tokenizer.json"));
        let (length, pad) = (text_config.max_position_embeddings, text_config.pad_token_id);
        let plain = Tokenizer::from_bytes(&tokenizer, length, pad).unwrap();
        let expected = plain.encode(read_as).unwrap();
        assert_eq!(ids(folder, given, templates).unwrap(), expected, "{folder} {templates:?}");
        assert_ne!(plain.encode(given).unwrap(), plain.encode(canonical).unwrap());
    }
    let nothing_left = ids(google, "...", &["a {}", "canonicalize"]).unwrap_err().to_string();
    assert!(nothing_left.contains("leave canonicalize out"), "{nothing_left}");
}

#[test]
fn a_text_of_punctuation_alone_is_unknown() {
    let siglip =
        Siglip::from_files(|name| std::fs::File::open(repository(FOLDER).join(name)), LoadOptions::default())
            .unwrap();
    let unknown = |text: &str| siglip.unknown_words(text).unwrap();
    assert_eq!(unknown("..."), ["..."]);
    assert_eq!(unknown("a cat!"), Vec::<String>::new());
}

#[test]
fn a_shard_of_an_open_clip_model_holds_its_part_of_the_fused_tensors() {
    let file = read(&repository(FOLDER).join(OPEN_CLIP_WEIGHTS));
    let shards: Vec<_> = (0..2)
        .map(|index| {
            let options = LoadOptions { shard: Shard::new(index, 2).unwrap(), ..whole(Precision::Q8) };
            let loader = siglip::model::ModelLoader::new(config(FOLDER), options).unwrap();
            // Chunks that end inside rows and between the three parts of a fused tensor.
            load(loader, file.chunks(1001)).unwrap()
        })
        .collect();
    assert_eq!(shards.len(), 2);
}

#[test]
fn the_image_tower_alone_skips_the_text_towers_tensors() {
    let file = read(&repository(FOLDER).join(OPEN_CLIP_WEIGHTS));
    let mut reader = WeightReader::new();
    let options = LoadOptions { towers: Towers::Image, ..whole(Precision::F32) };
    let mut loader = siglip::model::ModelLoader::new(config(FOLDER), options).unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    reader.push(&file[..header], &mut loader).unwrap();
    let mut skipped = 0;
    let mut at = header;
    while at < file.len() {
        match reader.next_wanted(|tensor| !tensor.name.starts_with("text_model.")) {
            Some(next) => {
                skipped += next as usize - at;
                at = next as usize;
                reader.seek(next).unwrap();
            }
            None => {
                reader.push(&file[at..=at], &mut loader).unwrap();
                at += 1;
            }
        }
    }
    assert!(skipped > file.len() / 4, "{skipped} of {} bytes", file.len());
    siglip::EngineLoader::finish(loader).unwrap();
}

#[test]
fn fused_tensors_that_are_no_three_parts_are_refused() {
    let file = read(&repository(FOLDER).join(OPEN_CLIP_WEIGHTS));
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(file[8..8 + length].to_vec()).unwrap();
    // The same number of values, in rows that three does not divide.
    let (from, to) = (
        "\"visual.trunk.blocks.0.attn.qkv.weight\":{\"dtype\":\"F32\",\"shape\":[96,32]",
        "\"visual.trunk.blocks.0.attn.qkv.weight\":{\"dtype\":\"F32\",\"shape\":[32,96]",
    );
    assert!(header.contains(from));
    let hostile = header.replace(from, to);
    let bytes = [&file[..8], hostile.as_bytes(), &file[8 + length..]].concat();
    let loader = siglip::model::ModelLoader::new(config(FOLDER), whole(Precision::F32)).unwrap();
    let error = load(loader, [&bytes[..]]).unwrap_err().to_string();
    assert!(error.contains("blocks.0.attn.qkv.weight") && error.contains("3 equal parts"), "{error}");
}

#[test]
fn pickled_weights_are_refused_with_the_lines_that_convert_them() {
    let open = |name: &str| match name {
        "open_clip_pytorch_model.bin" => Ok(&b"\x80\x02}q\x00."[..]),
        "model.safetensors" | OPEN_CLIP_WEIGHTS => Err(io::Error::from(io::ErrorKind::NotFound)),
        name if name.ends_with(".json") && !name.contains("index") => {
            Ok(Vec::leak(std::fs::read(repository(FOLDER).join(name))?) as &[u8])
        }
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let error = Siglip::from_files(open, LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("open_clip_pytorch_model.bin") && error.contains("save_file"), "{error}");
}
