//! Every published shape has a plan that every WebGPU device can run.

use std::collections::BTreeMap;

use siglip::model::packed_bytes;
use siglip::weights::tensors;
use siglip::{Config, LoadOptions, PRESETS, Precision, Towers};
use siglip_gpu::{
    Activation, Buffer, Count, Dispatch, Pipeline, Plan, Product, Program, Sizes, TowerPlan, Unsupported,
};

/// What tests/unit/tint.test.js makes plans of. `RECORD=1` writes it.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/presets.json");

/// WebGPU's default limits.
const MOST_BINDING: u64 = 128 << 20;
const MOST_STORAGE_BUFFERS: usize = 8;
const WORKGROUP_BYTES: u64 = 16 << 10;

fn plans() -> impl Iterator<Item = (Config, Precision, Plan)> {
    PRESETS.iter().flat_map(|name| {
        [Precision::Q8, Precision::F32].map(|precision| {
            let config = siglip::preset(name).unwrap();
            let plan = Plan::new(&config, Towers::Both, precision).unwrap();
            (config, precision, plan)
        })
    })
}

fn towers(plan: &Plan) -> [&TowerPlan; 2] {
    [plan.image.as_ref().unwrap(), plan.text.as_ref().unwrap()]
}

#[test]
fn bindings_stay_within_the_default_limits() {
    for (_, _, plan) in plans() {
        for tower in towers(&plan) {
            assert!(tower.weights.iter().all(|bytes| *bytes <= MOST_BINDING));
            for dispatch in tower.programs.iter().flat_map(|program| &program.dispatches) {
                assert!(dispatch.bindings.len() <= MOST_STORAGE_BUFFERS);
                for binding in &dispatch.bindings {
                    let end = binding.offset + binding.size.unwrap_or(0);
                    assert!(
                        binding.offset.is_multiple_of(256) && binding.size.unwrap_or(4).is_multiple_of(4)
                    );
                    match binding.buffer {
                        Buffer::Weights(block) => assert!(end <= tower.weights[block]),
                        Buffer::Activation(index) => assert!(index < tower.activations.len()),
                        Buffer::Positions => assert!(tower.has_positions),
                    }
                }
                let numbers: Vec<u32> = dispatch.bindings.iter().map(|binding| binding.binding).collect();
                assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            }
        }
    }
}

/// With the weights of both towers, the rows of one, and what is sent and read back of them.
#[test]
fn the_gpus_memory_is_at_most_a_fifth_more_than_the_weights_and_32_mb() {
    for (config, precision, plan) in plans() {
        let weights: u64 = towers(&plan).iter().flat_map(|tower| &tower.weights).sum();
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let packed = packed_bytes(&config, options);
        for tower in towers(&plan) {
            let floats: usize = tower.activations.iter().map(|activation| activation.floats_per_row).sum();
            let of_row = 4 * (floats + tower.input.stride + tower.hidden_stride) as u64;
            let positions = if tower.has_positions { 4 * tower.length * tower.hidden_stride } else { 0 };
            let bytes = weights + of_row * tower.most_rows as u64 + positions as u64;
            assert!(bytes <= packed + packed / 5 + (32 << 20), "{bytes} beside {packed} in {precision:?}");
            assert!(tower.most_rows.is_multiple_of(64));
            for Activation { floats_per_row, .. } in &tower.activations {
                assert!((4 * floats_per_row * tower.most_rows) as u64 <= MOST_BINDING);
            }
        }
    }
}

/// As many as are worth a pass, or nearly so.
#[test]
fn several_pictures_and_labels_run_at_once() {
    for (config, precision, plan) in plans() {
        let [image, text] = towers(&plan).map(|tower| tower.most_rows / tower.length);
        let name = (config.vision_config.num_patches(), precision);
        assert!(image >= 1 && text >= 8, "{name:?}: {image} pictures, {text} labels");
    }
    let config = siglip::preset("base-patch16-256").unwrap();
    let plan = Plan::new(&config, Towers::Both, Precision::Q8).unwrap();
    let [image, text] = towers(&plan).map(|tower| tower.most_rows / tower.length);
    assert!(image >= 8 && text >= 32, "{image} pictures, {text} labels");
}

/// A buffer that a dispatch writes is not bound a second time.
#[test]
fn no_dispatch_reads_what_it_writes() {
    for (_, _, plan) in plans() {
        for tower in towers(&plan) {
            for dispatch in tower.programs.iter().flat_map(|program| &program.dispatches) {
                let mut activations: Vec<_> = dispatch
                    .bindings
                    .iter()
                    .filter_map(|binding| match binding.buffer {
                        Buffer::Activation(index) => Some(index),
                        Buffer::Weights(_) | Buffer::Positions => None,
                    })
                    .collect();
                let count = activations.len();
                activations.sort_unstable();
                activations.dedup();
                assert_eq!(activations.len(), count);
            }
        }
    }
}

#[test]
fn a_block_takes_seven_dispatches_and_a_picture_at_most_90() {
    for (config, _, plan) in plans() {
        let blocks = [config.vision_config.num_hidden_layers, config.text_config.num_hidden_layers];
        for (tower, blocks) in towers(&plan).into_iter().zip(blocks) {
            let (before, head) = if tower.has_positions { (2, 4) } else { (1, 1) };
            for Program { dispatches, first_block, last_block, .. } in &tower.programs {
                assert_eq!(
                    (tower.blocks, *first_block, *last_block),
                    (blocks, 7 + before, 7 * blocks + before)
                );
                assert_eq!(dispatches.len(), last_block + head);
                assert!(blocks > 12 || dispatches.len() <= 90);
            }
            assert!(tower.pipelines.len() <= 27, "{} pipelines", tower.pipelines.len());
            // Any number of rows has a program.
            assert_eq!(tower.programs.last().unwrap().most_rows, None);
        }
    }
}

/// A tile covers outputs that there are, and no part of the inputs is cut.
#[test]
fn tiles_divide_their_products() {
    for (_, _, plan) in plans() {
        for tower in towers(&plan) {
            let products = tower.pipelines.iter().filter(|pipeline| pipeline.label.contains(" product"));
            for Pipeline { label, wgsl } in products {
                let constant = |name| constant(wgsl, name);
                let split = constant("SPLIT");
                assert!(constant("K").is_multiple_of(split), "{label}");
                assert!(split.is_multiple_of(constant("K_VECTORS")), "{label}");
            }
            for program in &tower.programs {
                for Dispatch { pipeline, workgroups, .. } in &program.dispatches {
                    let Pipeline { label, wgsl } = &tower.pipelines[*pipeline];
                    if let (true, Count::Fixed(columns)) = (label.contains(" product"), workgroups[0]) {
                        let outputs = columns as u64 * 4 * constant(wgsl, "W_VECTORS");
                        assert!(outputs.is_multiple_of(64) && outputs <= 3 * tower.hidden_stride as u64 * 4);
                    }
                }
            }
        }
    }
}

/// The bytes of the arrays in a shader's workgroup memory, by the constants at its start.
#[test]
fn workgroup_memory_stays_within_16_kib() {
    let mut seen = 0;
    for (_, _, plan) in plans() {
        for pipeline in towers(&plan).iter().flat_map(|tower| &tower.pipelines) {
            let bytes = workgroup_bytes(&pipeline.wgsl);
            assert!((1..=WORKGROUP_BYTES).contains(&bytes), "{}: {bytes}", pipeline.label);
            seen += 1;
        }
    }
    assert!(seen > 100);
}

fn constant(wgsl: &str, name: &str) -> u64 {
    let text = wgsl.lines().find_map(|line| line.strip_prefix(&format!("const {name} = "))).unwrap();
    text.trim_end_matches(';').trim_end_matches('u').parse().unwrap()
}

fn workgroup_bytes(wgsl: &str) -> u64 {
    let constant = |name: &str| match name {
        "STRIDE" => constant(wgsl, "DIM") / 2 * 2 + 1,
        name => constant(wgsl, name),
    };
    let arrays = wgsl.lines().filter_map(|line| line.strip_prefix("var<workgroup> "));
    let bytes = arrays.map(|array| {
        let (element, length) = array.split_once(": array<").unwrap().1.rsplit_once(", ").unwrap();
        let factors = length.trim_end_matches(">;").split(" * ");
        let length: u64 = factors.map(|name| name.parse().unwrap_or_else(|_| constant(name))).product();
        length
            * match element {
                "vec4<f32>" => 16,
                _ => 4,
            }
    });
    bytes.sum()
}

#[test]
fn the_recorded_sizes_are_those_of_all_presets() {
    let mut presets = BTreeMap::new();
    for name in PRESETS {
        for precision in [Precision::Q8, Precision::F32] {
            let sizes = Sizes::new(&siglip::preset(name).unwrap(), Towers::Both, precision).unwrap();
            // Kernels do not depend on the tensors.
            let text = Sizes { tensors: Vec::new(), ..sizes }.to_text();
            presets.insert(format!("{name} in {}", precision.name()), text);
        }
    }
    if std::env::var_os("RECORD").is_some() {
        std::fs::write(RECORDED, serde_json::to_string_pretty(&presets).unwrap() + "\n").unwrap();
    }
    let recorded = std::fs::read_to_string(RECORDED).unwrap();
    let recorded: BTreeMap<String, String> = serde_json::from_str(&recorded).unwrap();
    assert!(recorded.keys().eq(presets.keys()));
    for (name, text) in presets {
        let split = |text: &str| {
            let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
            (numbers.remove(1), numbers)
        };
        let ((bytes, sizes), (least, expected)) = (split(&text), split(&recorded[&name]));
        assert_eq!(sizes, expected, "{name}");
        // Where the processor has wide vectors, panels have sixteen outputs, and in 8 bits the sum of each output's weights.
        let most = least + least / if name.ends_with("q8") { 100 } else { 5000 };
        assert!((least..=most).contains(&bytes), "{name}: {bytes} bytes, recorded {least}");
    }
}

/// What a template leaves would be a syntax error.
#[test]
fn shaders_are_complete() {
    for (_, _, plan) in plans() {
        for pipeline in towers(&plan).iter().flat_map(|tower| &tower.pipelines) {
            let left = pipeline.wgsl.lines().find(|line| line.contains('$') || line.starts_with(['?', '*']));
            assert_eq!(left, None, "{}", pipeline.label);
            assert!(pipeline.wgsl.lines().count() < 200, "{}", pipeline.label);
        }
    }
}

/// Every value of every tensor of the blocks and heads has a place of its own in the buffer.
#[test]
fn places_do_not_overlap() {
    for name in ["so400m-patch14-384", "siglip2-giant-opt-patch16-256", "base-patch16-256"] {
        let config = siglip::preset(name).unwrap();
        check_places(&config);
    }
    // Heads of 9 values, which are padded to 12.
    let mut config = siglip::preset("base-patch16-256").unwrap();
    let vision = &mut config.vision_config;
    (vision.hidden_size, vision.num_attention_heads, vision.intermediate_size) = (36, 4, 70);
    check_places(&config);
}

fn is_elsewhere(tensor: &str) -> bool {
    let here = [".encoder.layers.", ".patch_embedding.", "_layernorm.", "final_layer_norm.", "_model.head."];
    here.iter().any(|part| tensor.contains(part)) && !tensor.ends_with("head.probe")
}

fn check_places(config: &Config) {
    for precision in [Precision::Q8, Precision::F32] {
        let plan = Plan::new(config, Towers::Both, precision).unwrap();
        let tensors = tensors(config);
        let in_blocks = tensors.iter().filter(|tensor| is_elsewhere(&tensor.name)).count();
        // One for the pooling head's queries, which no tensor holds.
        assert_eq!(plan.places.len(), in_blocks + 1);
        let image = plan.image.as_ref().unwrap();
        for buffer in [0, image.blocks + 1] {
            check_places_of(buffer, &plan, config);
        }
    }
}

fn check_places_of(buffer: usize, plan: &Plan, config: &Config) {
    let tensors = tensors(config);
    let mut used = vec![false; plan.image.as_ref().unwrap().weights[buffer] as usize / 4];
    let mut take = |from: u64, bytes: u64| {
        assert!(from.is_multiple_of(4));
        for word in from / 4..(from + bytes).div_ceil(4) {
            assert!(!std::mem::replace(&mut used[word as usize], true), "word {word} is taken twice");
        }
    };
    for place in plan.places.iter().filter(|place| place.tower == "image" && place.block == buffer) {
        let vision = &config.vision_config;
        let (rows, row_len) = match tensors.get(place.tensor) {
            Some(tensor) => (tensor.rows(), tensor.row_len()),
            None => (vision.num_attention_heads, vision.hidden_size),
        };
        assert_eq!((place.columns, plan.row_lengths[place.tensor]), (row_len, row_len));
        let element = if place.scales.is_some() { 1 } else { 4 };
        let end = place.column_group.stored(place.columns - 1) as u64 + 1;
        for row in 0..rows - place.first_row {
            let stored = place.row_group.stored(row) as u64;
            assert!(end * element <= place.stride);
            take(place.offset + stored * place.stride, place.stride);
            if let Some(scales) = place.scales {
                take(scales + 4 * stored, 4);
            }
        }
    }
}

#[test]
fn what_the_kernels_do_not_do_is_refused() {
    let mut config = siglip::preset("base-patch16-256").unwrap();
    let plan = |config: &Config, precision| Plan::new(config, Towers::Both, precision).map(|_| ());
    assert_eq!(plan(&config, Precision::Q8Exact), Err(Unsupported::Exact));
    config.vision_config.num_attention_heads = 4;
    assert_eq!(plan(&config, Precision::Q8), Err(Unsupported::HeadDim(192, 128)));
    let vision = &mut config.vision_config;
    (vision.num_attention_heads, vision.intermediate_size) = (12, 32768);
    let unsupported = plan(&config, Precision::F32).unwrap_err();
    assert!(matches!(unsupported, Unsupported::BlockBytes(..)));
    let reason = unsupported.to_string();
    assert!(
        reason.ends_with(" bytes of one block's weights are more than a GPU binds, 134217728"),
        "{reason}"
    );
    assert_eq!(
        siglip_gpu::error_json(&Unsupported::HeadDim(192, 128).to_string()),
        r#"{"error":"attention heads of 192 values are too wide for the GPU's kernels; 128 is the most"}"#
    );
}

#[test]
fn one_tower_alone_has_no_places_of_the_other() {
    let config = siglip::preset("base-patch16-256").unwrap();
    let plan = Plan::new(&config, Towers::Text, Precision::Q8).unwrap();
    assert!(plan.image.is_none() && plan.text.is_some());
    assert!(plan.places.iter().all(|place| place.tower == "text"));
}

/// The executor reads the plan as JSON.
#[test]
fn a_plan_is_json() {
    let config = siglip::preset("base-patch16-256").unwrap();
    let plan = Plan::new(&config, Towers::Image, Precision::Q8).unwrap();
    let json: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
    let (image, tower) = (plan.image.as_ref().unwrap(), &json["image"]);
    assert_eq!(tower["hiddenSize"], 768);
    assert_eq!(tower["pipelines"][1]["wgsl"], image.pipelines[1].wgsl);
    let (few, program) = (&image.programs[0], &tower["programs"][0]);
    assert_eq!(program["mostRows"], few.most_rows.unwrap());
    assert_eq!(program["dispatches"].as_array().unwrap().len(), few.dispatches.len());
    assert!(tower["programs"][3].get("mostRows").is_none());
    assert_eq!(tower["input"], serde_json::json!({"size": 768, "stride": 768, "activation": 3}));
    assert_eq!(tower["embeddings"], serde_json::json!({"size": 768, "stride": 768, "activation": 2}));
    assert_eq!((&tower["hasPositions"], &tower["blocks"]), (&true.into(), &12.into()));
    assert_eq!((&program["firstBlock"], &program["lastBlock"]), (&9.into(), &86.into()));
    assert_eq!(program["dispatches"][0]["bindings"][4]["buffer"], "positions");
    let dispatch = &program["dispatches"][2];
    assert_eq!(dispatch["workgroups"], serde_json::json!([{"fixed": 36}, {"rows": 32}, {"fixed": 1}]));
    assert_eq!(dispatch["bindings"][0]["buffer"], serde_json::json!({"activation": 1}));
    assert_eq!(dispatch["bindings"][1]["size"], few.dispatches[2].bindings[1].size.unwrap());
    assert_eq!(program["dispatches"][3]["workgroups"][2], "sequences");
    assert_eq!(json["places"].as_array().unwrap().len(), plan.places.len());
    assert_eq!(json["places"][4]["rowGroup"], serde_json::json!({"size": 64, "stride": 64}));
    assert_eq!(json["rowLengths"].as_array().unwrap().len(), tensors(&config).len() + 1);
    assert!(json.get("text").is_none());
}

/// A page's engine sends them to the module that makes plans.
#[test]
fn sizes_are_text() {
    for (config, precision, plan) in plans() {
        for towers in [Towers::Both, Towers::Image, Towers::Text] {
            let sizes = Sizes::new(&config, towers, precision).unwrap();
            assert_eq!(Sizes::from_text(&sizes.to_text()).as_ref(), Some(&sizes));
            assert_eq!(sizes.image.is_some(), towers.has_image());
        }
        let sizes = Sizes::new(&config, Towers::Both, precision).unwrap();
        assert!(Plan::of(&sizes).unwrap() == plan);
    }
    let text = Sizes::new(&siglip::preset("base-patch16-256").unwrap(), Towers::Image, Precision::Q8);
    let text = text.unwrap().to_text();
    assert!(text.starts_with("1\n"), "{text}");
    for (from, to) in [
        ("\n0\nlogit_scale", "\nlogit_scale"),
        ("\n768\n", "\n"),
        ("\n768", "\n768\n1"),
        ("768", "-768"),
        ("768", ""),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text);
        assert_eq!(Sizes::from_text(&other), None, "{from:?} replaced by {to:?}");
    }
    assert_eq!(Sizes::from_text(""), None);
    assert_eq!(Sizes::from_text(text.trim_end()), None);
}

#[test]
fn products_of_all_tiles_have_wgsl() {
    use siglip_gpu::{Epilogue, Tile};
    for tile in Tile::ALL {
        let epilogue = Epilogue::Partials(4);
        let wgsl =
            siglip_gpu::product(&Product { inputs: 128, outputs: 128, quantized: true, tile, epilogue });
        assert!(workgroup_bytes(&wgsl) <= WORKGROUP_BYTES);
    }
}
