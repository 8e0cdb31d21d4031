//! `siglip convert` and what the other commands make of its files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn siglip(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_siglip")).args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = siglip(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn convert(source: &Path, target: &Path, to: &str) {
    json(&["convert", source.to_str().unwrap(), target.to_str().unwrap(), "--to", to]);
}

/// Embeddings of a picture and a text by the embedded model, or another.
fn embeddings(model: Option<&Path>, precision: &str) -> Vec<Vec<f64>> {
    let picture = repository("www/samples/boat.jpg");
    let mut arguments = vec!["embed", "--json", "--precision", precision, "--text", "a boat", "--image"];
    arguments.push(picture.to_str().unwrap());
    if let Some(model) = model {
        arguments.extend(["--model", model.to_str().unwrap()]);
    }
    let numbers = |line: Value| {
        line["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    json(&arguments).into_iter().map(numbers).collect()
}

fn least_cosine(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let cosine = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    a.iter().zip(b).map(cosine).fold(1.0, f64::min)
}

#[test]
fn a_converted_model_gives_its_sources_scores() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = repository("www/models/tiny");
    let exact = embeddings(None, "f32");
    let rounded = embeddings(None, "q8");
    for to in ["f32", "f16"] {
        let file = folder.path().join(format!("{to}.gguf"));
        convert(&tiny, &file, to);
        // The source is of half precision, so neither loses anything.
        assert_eq!(embeddings(Some(&file), "f32"), exact, "{to}");
        assert_eq!(embeddings(Some(&file), "q8"), rounded, "{to}");
    }
    let file = folder.path().join("q8_0.gguf");
    convert(&tiny, &file, "q8_0");
    let (once, twice) = (embeddings(Some(&file), "f32"), embeddings(Some(&file), "q8"));
    assert!(least_cosine(&once, &exact) > 0.9999, "{}", least_cosine(&once, &exact));
    assert!(least_cosine(&twice, &exact) > 0.9995, "{}", least_cosine(&twice, &exact));

    // From one GGUF to another: what is lost is lost, what is kept stays.
    let again = folder.path().join("again.gguf");
    convert(&file, &again, "f32");
    assert_eq!(embeddings(Some(&again), "f32"), once);
    convert(&folder.path().join("f16.gguf"), &again, "f32");
    assert_eq!(embeddings(Some(&again), "f32"), exact);
}

#[test]
fn a_conversion_that_rounds_tells_its_loss() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("q4_k.gguf");
    let (tiny, samples) = (repository("www/models/tiny"), repository("www/samples"));
    let told = |to: &str, more: &[&str]| {
        let paths = [tiny.to_str().unwrap(), file.to_str().unwrap()];
        let output = siglip(&[&["convert", paths[0], paths[1], "--to", to], more].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), !text.contains("holds no pictures"), "{text}");
        text
    };
    let least = |text: &str| {
        let number = |part: &str| part[..7].parse::<f64>().unwrap();
        text.split("least ").skip(1).map(number).fold(1.0, f64::min)
    };
    let pictures = ["--pictures", samples.to_str().unwrap()];
    let (rough, fine) = (told("q4_k", &pictures), told("q8_0", &pictures));
    assert!(rough.contains("of 5 pictures have another best label") && rough.contains("of 16. "), "{rough}");
    assert!(least(&rough) > 0.9 && least(&rough) < least(&fine) && least(&fine) > 0.999, "{rough}{fine}");
    assert!(told("q8_0", &[]).contains("of 8 pictures have another best label"));
    for (to, more) in [("f16", &[][..]), ("q8_0", &["--no-loss"])] {
        assert!(!told(to, more).contains("Cosine"), "{to}");
    }
    assert!(told("q8_0", &["--pictures", folder.path().to_str().unwrap()]).contains("holds no pictures"));
}

#[test]
fn info_prints_towers_dtypes_and_memory_of_a_converted_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Tiny.GGUF");
    convert(&repository("www/models/tiny"), &file, "q8_0");
    let info = json(&["info", "--json", "--model", file.to_str().unwrap()]).remove(0);
    let source = json(&["info", "--json"]).remove(0);
    for same in
        ["imageSize", "embeddingSize", "contextLength", "logitScale", "logitBias", "bytes", "memoryNeeded"]
    {
        assert_eq!(info[same], source[same], "{same}");
    }
    let count = |kinds: &Value, of: &str| -> u64 {
        kinds.as_object().unwrap().values().map(|kind| kind[of].as_u64().unwrap()).sum()
    };
    for part in ["towers", "dtypes"] {
        assert_eq!(count(&info[part], "parameters"), count(&source[part], "parameters"));
        assert_eq!(count(&info[part], "tensors"), 152);
    }
    // Blocks of 32 numbers, each with a scale of two bytes.
    let rounded = &info["dtypes"]["Q8_0"];
    assert_eq!(rounded["bytes"].as_u64().unwrap(), rounded["parameters"].as_u64().unwrap() / 32 * 34);
    let bytes = std::fs::metadata(&file).unwrap().len();
    assert!((count(&info["dtypes"], "bytes")..=bytes).contains(&count(&info["towers"], "bytes")));
    assert!(info["memoryNeeded"]["q8"].as_u64() >= info["bytes"].as_u64());
}

#[test]
fn a_failed_conversion_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("broken"), folder.path().join("model.gguf"));
    std::fs::create_dir(&source).unwrap();
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        std::fs::copy(repository("www/models/tiny").join(file), source.join(file)).unwrap();
    }
    let weights = std::fs::read(repository("www/models/tiny/model.safetensors")).unwrap();
    std::fs::write(source.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    std::fs::write(&target, "kept").unwrap();
    let output = siglip(&["convert", source.to_str().unwrap(), target.to_str().unwrap(), "--to", "q8_0"]);
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the file ends after"), "{message}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    // Nothing half written stays behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn info_fails_on_a_file_that_was_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("model.gguf");
    convert(&repository("www/models/tiny"), &gguf, "q8_0");
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(repository("www/models/tiny").join(file), source.join(file)).unwrap();
    }
    let safetensors = source.join("model.safetensors");
    for (model, file) in [(&gguf, &gguf), (&source, &safetensors)] {
        let whole = std::fs::read(file).unwrap();
        json(&["info", "--json", "--model", model.to_str().unwrap()]);
        for length in [0, 7, 100, 5000, whole.len() / 2, whole.len() - 1000] {
            std::fs::write(file, &whole[..length]).unwrap();
            let output = siglip(&["info", "--model", model.to_str().unwrap()]);
            assert!(!output.status.success() && output.stdout.is_empty(), "{length}");
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(message.contains("cut short") && message.contains(&format!("{length} ")), "{message}");
        }
        std::fs::write(file, [&whole[..], b"more"].concat()).unwrap();
        let output = siglip(&["info", "--model", model.to_str().unwrap()]);
        assert!(String::from_utf8(output.stderr).unwrap().contains("4 bytes follow the last tensor"));
    }
}

/// A file by itself, as it is downloaded: not what it is called, or cut short.
/// As trainings leave it: weights in a pickle of any name, beside pickles that are no weights.
#[test]
fn a_folder_with_nothing_but_pickled_weights_is_refused_with_the_lines_that_convert_them() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        let file = repository(&format!("tests/fixtures/random-small/{name}"));
        std::fs::copy(file, folder.path().join(name)).unwrap();
    }
    let pickle = b"PK\x03\x04 archive/data.pkl";
    std::fs::write(folder.path().join("optimizer.pt"), pickle).unwrap();
    let model = folder.path().to_str().unwrap();
    let target = folder.path().join("target.gguf");
    let commands = [
        &["info", "--model", model][..],
        &["classify", "www/samples/cat.jpg", "--label", "a cat", "--model", model],
        &["convert", model, target.to_str().unwrap(), "--to", "q8"],
    ];
    for (name, named) in
        [("", "model.safetensors"), ("epoch_5.pt", "epoch_5.pt"), ("pytorch_model.bin", "pytorch_model.bin")]
    {
        if !name.is_empty() {
            std::fs::write(folder.path().join(name), pickle).unwrap();
        }
        for command in commands {
            let output = siglip(command);
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{command:?}");
            assert!(message.contains(named), "{command:?}: {message}");
            let tells = message.contains("a pickle is a program") && message.contains("save_file");
            assert_eq!(tells, !name.is_empty(), "{command:?}: {message}");
        }
    }
}

#[test]
fn a_bare_file_that_holds_something_else_is_named_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &str| std::fs::read(repository(path)).unwrap();
    let gguf = folder.path().join("whole.gguf");
    convert(&repository("tests/fixtures/random-small"), &gguf, "q8_0");
    let whole = [
        ("model.safetensors", read("tests/fixtures/random-small/model.safetensors")),
        ("model.gguf", std::fs::read(gguf).unwrap()),
        ("model.onnx", read("tests/fixtures/onnx/raw/model_quantized.onnx")),
    ];
    for (name, whole) in whole {
        let path = folder.path().join(name);
        let model = path.to_str().unwrap();
        let target = folder.path().join("target.gguf");
        for (content, named) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 812\n"[..], "git lfs pull"),
            (b"<!doctype html>\n<title>Sign in</title>", "an HTML page"),
            (b"{\"error\": \"Repository not found\"}", "this is JSON"),
            (b"PK\x03\x04 archive/data.pkl", "pickled"),
            (&whole[..whole.len() / 2], "cut short"),
            (&whole[..3], "cut short"),
        ] {
            std::fs::write(&path, content).unwrap();
            for command in [
                &["info", "--model", model][..],
                &["classify", "www/samples/cat.jpg", "--label", "a cat", "--model", model],
                &["convert", model, target.to_str().unwrap(), "--to", "q8"],
            ] {
                let output = siglip(command);
                let message = String::from_utf8(output.stderr).unwrap();
                assert!(!output.status.success() && output.stdout.is_empty(), "{command:?}");
                assert!(message.contains(named) && message.contains(model), "{command:?}: {message}");
                assert!(!target.exists());
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_folder_can_be_given_by_its_weights() {
    let weights = repository("tests/fixtures/random-small/model.safetensors");
    let of_folder = json(&["info", "--json", "--model", weights.parent().unwrap().to_str().unwrap()]);
    assert_eq!(json(&["info", "--json", "--model", weights.to_str().unwrap()]), of_folder);
    // The folder has these weights under another name.
    let other = weights.with_file_name("model.f16.safetensors");
    let output = siglip(&["info", "--model", other.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("weights without their model"), "{message}");
    let output = siglip(&["info", "--model", "no-such-file.safetensors"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-file.safetensors: No such file"));
}

#[test]
fn a_sharded_folder_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        std::fs::copy(repository("www/models/tiny").join(file), path.join(file)).unwrap();
    }
    let weights = std::fs::read(repository("www/models/tiny/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&weights[8..8 + length]).unwrap();
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    let mut shards = [(serde_json::Map::new(), Vec::new()), Default::default()];
    let mut weight_map = serde_json::Map::new();
    for (at, (name, mut tensor)) in tensors.enumerate() {
        let (entries, data): &mut (serde_json::Map<_, _>, Vec<u8>) = &mut shards[at % 2];
        let offset = |at: usize| tensor["data_offsets"][at].as_u64().unwrap() as usize + 8 + length;
        let bytes = &weights[offset(0)..offset(1)];
        tensor["data_offsets"] = serde_json::json!([data.len(), data.len() + bytes.len()]);
        data.extend_from_slice(bytes);
        weight_map.insert(name.clone(), format!("model-{}-of-2.safetensors", at % 2).into());
        entries.insert(name, tensor);
    }
    for (at, (entries, data)) in shards.into_iter().enumerate() {
        let header = Value::Object(entries).to_string();
        let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
        std::fs::write(path.join(format!("model-{at}-of-2.safetensors")), file).unwrap();
    }
    let index = serde_json::json!({"weight_map": weight_map}).to_string();
    std::fs::write(path.join("model.safetensors.index.json"), index).unwrap();

    assert_eq!(embeddings(Some(path), "f32"), embeddings(None, "f32"));
    let file = path.join("model.gguf");
    convert(path, &file, "f16");
    assert_eq!(embeddings(Some(&file), "f32"), embeddings(None, "f32"));
    let info = json(&["info", "--json", "--model", path.to_str().unwrap()]).remove(0);
    assert_eq!(info["logitScale"], json(&["info", "--json"]).remove(0)["logitScale"]);
}

#[test]
fn checkpoints_of_siglip_2_run() {
    for (name, grid) in [("random-siglip2", 20), ("random-giant", 20), ("random-naflex", 16)] {
        let folder = repository("tests/fixtures").join(name);
        let numbers = embeddings(Some(&folder), "f32");
        assert!(numbers.iter().flatten().all(|number| number.is_finite()));
        let info = json(&["info", "--json", "--model", folder.to_str().unwrap()]).remove(0);
        assert_eq!(info["imageSize"], grid, "{name}");
    }
}

#[test]
fn k_quants_are_smaller_and_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = u64::MAX;
    for kind in ["q8_0", "q6_k", "q5_k", "q4_k"] {
        let file = folder.path().join(format!("{kind}.gguf"));
        convert(&repository("www/models/tiny"), &file, kind);
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert!(bytes < before, "{kind}: {bytes} bytes, not fewer than {before}");
        before = bytes;
        let output = siglip(&["embed", "--model", file.to_str().unwrap(), "--text", "a cat", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_pictures_use_is_kept_where_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let (tiny, samples) = (repository("www/models/tiny"), repository("www/samples"));
    let told = |to: &str, pictures: &Path| {
        let paths = [&tiny, &file, pictures].map(|path: &Path| path.to_str().unwrap());
        let arguments = ["convert", paths[0], paths[1], "--to", to, "--calibrate", paths[2]];
        let output = siglip(&arguments);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_written, text) = told("q4_k", &samples);
    assert!(is_written, "{text}");
    let means: Vec<f64> =
        text.split("embeddings of pictures: mean ").skip(1).map(|part| part[..7].parse().unwrap()).collect();
    let [equally, by_pictures] = means[..] else { panic!("{text}") };
    // Of five pictures three tell what counts.
    assert!(text.contains("by 3 pictures") && text.contains("of 2. "), "{text}");
    assert_eq!(text.contains("Kept: by the pictures."), by_pictures > equally, "{text}");
    let cosine = least_cosine(&embeddings(Some(&file), "f32"), &embeddings(None, "f32"));
    assert!(cosine > 0.99, "{cosine}");

    let (is_written, text) = told("q8_0", &samples);
    assert!(!is_written && text.contains("--calibrate is for --to q6_k, q5_k and q4_k"), "{text}");
    let one = folder.path().join("one");
    std::fs::create_dir(&one).unwrap();
    std::fs::copy(samples.join("cat.jpg"), one.join("cat.jpg")).unwrap();
    let (is_written, text) = told("q4_k", &one);
    assert!(!is_written && text.contains("holds one picture"), "{text}");
    // Nothing half written stays behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
