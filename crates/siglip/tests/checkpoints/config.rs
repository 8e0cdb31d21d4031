//! `config.json`: what published files leave out is filled in, and what does not run here is named.

use crate::support::checkpoints::{TINY, files};
use serde_json::{Value, json};
use siglip::model::Model;
use siglip::{
    Checkpoint, CheckpointFiles, Config, Error, LoadOptions, TextConfig, Towers, VisionConfig, preset,
};

/// What the published files of each checkpoint say beyond their defaults: text tower, vision tower.
fn published() -> Vec<(&'static str, Value, Value)> {
    let large = json!({
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    });
    let so400m = json!({
        "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    });
    let base = json!({});
    vec![
        ("base-patch16-224", base.clone(), base.clone()),
        ("base-patch16-256", base.clone(), json!({"image_size": 256})),
        ("base-patch16-384", base.clone(), json!({"image_size": 384})),
        ("base-patch16-512", base.clone(), json!({"image_size": 512})),
        ("base-patch16-256-multilingual", json!({"vocab_size": 250_000}), json!({"image_size": 256})),
        ("large-patch16-256", large.clone(), with(&large, json!({"image_size": 256}))),
        ("large-patch16-384", large.clone(), with(&large, json!({"image_size": 384}))),
        (
            "so400m-patch14-224",
            with(&so400m, json!({"max_position_embeddings": 16})),
            with(&so400m, json!({"patch_size": 14})),
        ),
        ("so400m-patch14-384", so400m.clone(), with(&so400m, json!({"image_size": 384, "patch_size": 14}))),
        (
            "so400m-patch16-256-i18n",
            with(&so400m, json!({"vocab_size": 250_000})),
            with(&so400m, json!({"image_size": 256})),
        ),
    ]
}

/// `value` with the fields of `more`.
fn with(value: &Value, more: Value) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

#[test]
fn what_published_files_leave_out_is_filled_in() {
    let published = published();
    assert_eq!(published.len(), 10);
    for (name, text, vision) in published {
        // With what every such file holds besides.
        let config = json!({
            "architectures": ["SiglipModel"], "initializer_factor": 1.0, "model_type": "siglip",
            "torch_dtype": "float32", "transformers_version": "4.37.0.dev0",
            "text_config": with(&text, json!({"model_type": "siglip_text_model"})),
            "vision_config": with(&vision, json!({"model_type": "siglip_vision_model"})),
        });
        assert_eq!(Config::from_json(&config.to_string()).unwrap(), preset(name).unwrap(), "{name}");
    }
}

#[test]
fn the_defaults_are_the_references() {
    let config = Config::from_json(r#"{"model_type": "siglip"}"#).unwrap();
    let TextConfig {
        vocab_size,
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        max_position_embeddings,
        layer_norm_eps,
        hidden_act,
        pad_token_id,
        projection_size,
        use_head,
        canonicalize,
    } = config.text_config;
    assert_eq!((vocab_size, max_position_embeddings, pad_token_id), (32_000, 64, 1));
    assert_eq!((hidden_size, intermediate_size, num_hidden_layers, num_attention_heads), (768, 3072, 12, 12));
    assert_eq!((layer_norm_eps, hidden_act.as_str(), projection_size), (1e-6, "gelu_pytorch_tanh", None));
    assert_eq!((use_head, canonicalize), (true, false));
    let vision = config.vision_config;
    let VisionConfig { hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, .. } = vision;
    assert_eq!((hidden_size, intermediate_size, num_hidden_layers, num_attention_heads), (768, 3072, 12, 12));
    assert_eq!((vision.num_channels, vision.image_size, vision.patch_size), (3, 224, 16));
    assert_eq!((vision.layer_norm_eps, vision.hidden_act.as_str()), (1e-6, "gelu_pytorch_tanh"));
    assert!(vision.vision_use_head);
}

/// transformers 5.23 takes `null` for a tower's configuration, the padding and the projection, and for nothing else.
#[test]
fn null_is_accepted_where_transformers_accepts_it() {
    let parse = |config: Value| Config::from_json(&config.to_string()).unwrap();
    let towers = [json!(null), json!({}), json!({"pad_token_id": null}), json!({"projection_size": null})];
    for model_type in ["siglip", "siglip2"] {
        let expected = parse(json!({"model_type": model_type}));
        assert_eq!(expected.text_config.pad_token_id, 1);
        for text in &towers {
            for vision in [json!(null), json!({})] {
                let config = json!({"model_type": model_type, "text_config": text, "vision_config": vision});
                assert_eq!(parse(config), expected, "{text} {vision}");
            }
            assert_eq!(parse(json!({"model_type": model_type, "text_config": text})), expected, "{text}");
        }
    }
    for field in ["hidden_size", "vocab_size", "layer_norm_eps", "hidden_act"] {
        let config = json!({"model_type": "siglip", "text_config": {field: null}});
        assert_eq!(refused(&config.to_string()), format!("text_config.{field}"));
    }
}

#[test]
fn an_html_page_or_lfs_pointer_in_place_of_a_file_is_named() {
    for (file, expected) in [
        ("<!doctype html><title>Sign in</title>", "HTML page"),
        ("\n <html>", "HTML page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3\n", "git lfs pull"),
    ] {
        let message = Config::from_json(file).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_written_configuration_is_read_back() {
    for (name, ..) in published() {
        let config = preset(name).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(Config::from_json(&json).unwrap(), config, "{name}");
    }
}

/// The field that the error names.
#[track_caller]
fn refused(json: &str) -> String {
    match Config::from_json(json) {
        Err(Error::UnsupportedModel { field, reason }) => {
            assert!(!reason.is_empty());
            field
        }
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn an_unsupported_value_is_named() {
    let cases = [
        ("text_config", "hidden_act", json!("relu")),
        ("vision_config", "hidden_act", json!("quick_gelu")),
        ("text_config", "hidden_size", json!(0)),
        ("text_config", "hidden_size", json!(1_000_000)),
        ("vision_config", "intermediate_size", json!(1u64 << 40)),
        ("vision_config", "num_hidden_layers", json!(0)),
        ("text_config", "num_hidden_layers", json!(100_000)),
        ("text_config", "num_attention_heads", json!(0)),
        ("text_config", "num_attention_heads", json!(5)),
        ("vision_config", "num_attention_heads", json!(769)),
        ("text_config", "vocab_size", json!(0)),
        ("text_config", "vocab_size", json!(1u64 << 32)),
        ("text_config", "max_position_embeddings", json!(0)),
        ("text_config", "pad_token_id", json!(32_000)),
        ("text_config", "layer_norm_eps", json!(0)),
        ("vision_config", "layer_norm_eps", json!(-1e-6)),
        ("vision_config", "layer_norm_eps", json!(1)),
        ("vision_config", "num_channels", json!(1)),
        ("vision_config", "patch_size", json!(0)),
        ("vision_config", "image_size", json!(15)),
        ("vision_config", "image_size", json!(100_000)),
        ("vision_config", "vision_use_head", json!(false)),
        // Of the wrong type.
        ("text_config", "hidden_size", json!("768")),
        ("text_config", "hidden_size", json!(-768)),
        ("text_config", "hidden_size", json!(76.8)),
        ("vision_config", "image_size", json!([224, 112])),
        ("vision_config", "hidden_act", json!(1)),
        ("text_config", "pad_token_id", json!(1u64 << 32)),
    ];
    for (tower, field, value) in cases {
        let json = json!({"model_type": "siglip", tower: {field: value}}).to_string();
        assert_eq!(refused(&json), format!("{tower}.{field}"), "{json}");
    }
}

#[test]
fn embeddings_of_different_widths_are_refused() {
    let config = |text: Value, vision: Value| {
        json!({"model_type": "siglip", "text_config": text, "vision_config": vision}).to_string()
    };
    let field = "text_config.projection_size";
    assert_eq!(refused(&config(json!({"hidden_size": 384}), json!({}))), field);
    assert_eq!(refused(&config(json!({}), json!({"hidden_size": 384}))), field);
    assert_eq!(refused(&config(json!({"projection_size": 769}), json!({}))), field);
    let projected = config(json!({"hidden_size": 384, "projection_size": 768}), json!({}));
    assert_eq!(Config::from_json(&projected).unwrap().embedding_size(), 768);
}

#[test]
fn another_model_type_is_named() {
    for model_type in ["clip", "siglip_vision", "SIGLIP", ""] {
        assert_eq!(refused(&json!({"model_type": model_type}).to_string()), "model_type");
    }
    assert_eq!(refused("{}"), "model_type");
    assert_eq!(refused(r#"{"model_type": 7}"#), "model_type");
}

#[test]
fn a_broken_file_is_refused() {
    for json in ["", "{", "null", "7", "\"siglip\"", "<!doctype html>", r#"{"model_type": "siglip"} x"#] {
        assert_eq!(refused(json), "config.json", "{json}");
    }
    refused("[]");
    refused(r#"{"model_type": "siglip", "text_config": {"vocab_size": 1, "vocab_size": 2}}"#);
}

#[test]
fn a_preprocessor_that_is_malformed_or_contradicts_config_json_is_refused() {
    let parse = |preprocessor: &str| {
        Checkpoint::parse(&CheckpointFiles { preprocessor: preprocessor.into(), ..files(TINY) })
    };
    for broken in ["", "{", "7", "{} x"] {
        let error = parse(broken).unwrap_err().to_string();
        assert!(error.contains("preprocessor_config.json"), "{error}");
    }
    for size in [json!({"height": 224, "width": 224}), json!({"height": 70, "width": 69}), json!(71)] {
        match parse(&json!({"size": size}).to_string()) {
            Err(Error::UnsupportedModel { field, reason }) => {
                assert!(field.contains("size") && reason.contains("70"), "{field}: {reason}");
            }
            other => panic!("{size}: {:?}", other.map(|_| "a checkpoint")),
        }
    }
}

#[test]
fn without_a_tokenizer_only_the_image_tower_loads() {
    let checkpoint = Checkpoint::parse(&CheckpointFiles { tokenizer: String::new(), ..files(TINY) }).unwrap();
    let loader = |towers| checkpoint.loader::<Model>(LoadOptions { towers, ..LoadOptions::default() });
    assert!(loader(Towers::Image).is_ok());
    for towers in [Towers::Both, Towers::Text] {
        match loader(towers) {
            Err(Error::UnsupportedModel { field, .. }) => assert_eq!(field, "tokenizer.json"),
            other => panic!("{:?}", other.map(|_| "a loader")),
        }
    }
}
