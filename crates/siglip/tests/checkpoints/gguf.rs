//! GGUF: what ggml stores as ggml reads it, files that `GgufWriter` lays out, and files that lie.

use std::collections::VecDeque;
use std::io::{self, Read};

use siglip::model::ModelLoader;
use siglip::weights::{Dtype, MatrixType, TensorShape};
use siglip::{Engine as _, Error, LoadOptions, PixelValues, Precision, Siglip};

use crate::support::weight_files::{self, Collect, cut, gguf, joined, message, read, read_chunks, rows_of};

/// `record_gguf.py` stores random blocks of every type beside what the `gguf` package makes of them, and weights that the package
/// has quantized, in the seven types that it can write.
#[test]
fn every_type_is_read_as_ggml_reads_it() {
    let file = include_bytes!("../../../../tests/fixtures/gguf-types.gguf");
    let tensors: std::collections::HashMap<String, Vec<f32>> =
        joined(rows_of(file).unwrap()).into_iter().collect();
    let types = tensors.keys().filter(|name| !name.ends_with(".values"));
    assert_eq!(types.clone().count(), 12 + 7);
    for name in types {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&tensors[name]), bits(&tensors[&format!("{name}.values")]), "{name}");
    }
}

/// A second opinion, on more blocks: candle's port of ggml.
#[test]
fn every_block_type_is_read_as_candle_reads_it() {
    use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml};
    let device = candle_core::Device::Cpu;
    let types = [
        (GgmlDType::Q4_0, 2, vec![0]),
        (GgmlDType::Q4_1, 3, vec![0, 2]),
        (GgmlDType::Q5_0, 6, vec![0]),
        (GgmlDType::Q5_1, 7, vec![0, 2]),
        (GgmlDType::Q8_0, 8, vec![0]),
        (GgmlDType::Q2K, 10, vec![80, 82]),
        (GgmlDType::Q3K, 11, vec![108]),
        (GgmlDType::Q4K, 12, vec![0, 2]),
        (GgmlDType::Q5K, 13, vec![0, 2]),
        (GgmlDType::Q6K, 14, vec![208]),
    ];
    let mut random = fastrand::Rng::with_seed(1);
    for (dtype, ggml_type, scales) in types {
        let len = 8192;
        let mut blocks = vec![0; len / dtype.block_size() * dtype.type_size()];
        random.fill(&mut blocks);
        for block in blocks.chunks_exact_mut(dtype.type_size()) {
            for &scale in &scales {
                // Any scale but an infinite one.
                block[scale + 1] &= 0b1011_1111;
            }
        }
        let expected = qtensor_from_ggml(dtype, &blocks, vec![len / 256, 256], &device).unwrap();
        let expected: Vec<f32> =
            expected.dequantize(&device).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let file = File::of(&[("blocks", &[256, len as u64 / 256], ggml_type, 0)]).with(&blocks);
        let [(_, values)] = &joined(rows_of(&file).unwrap())[..] else { panic!("one tensor") };
        let differ = values.iter().zip(&expected).filter(|(value, expected)| value != expected).count();
        assert_eq!((values.len(), differ), (len, 0), "{dtype:?}");
    }
}

/// A file that arrives in these chunks.
struct Chunks<'f>(VecDeque<&'f [u8]>);

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // An empty chunk would mean the end of the file.
        while self.0.front().is_some_and(|chunk| chunk.is_empty()) {
            self.0.pop_front();
        }
        match self.0.front_mut() {
            Some(chunk) => chunk.read(buffer),
            None => Ok(0),
        }
    }
}

fn load(chunks: Vec<&[u8]>) -> Result<Siglip, Error> {
    Siglip::from_gguf(Chunks(chunks.into()), LoadOptions::default())
}

#[test]
fn a_written_file_is_read_back() {
    let original = joined(rows_of(&weight_files::safetensors(&weight_files::config(), Dtype::F32)).unwrap());
    for (matrices, error_of_matrices) in [
        (MatrixType::F32, 0.0),
        (MatrixType::F16, 1.0 / 2048.0),
        (MatrixType::Q8_0, 0.5 / 127.0 + 1.0 / 2048.0),
        (MatrixType::Q8, 0.51 / 127.0),
    ] {
        let mut sink = Collect::default();
        read(&gguf(matrices), &mut sink).unwrap();
        assert_eq!(sink.metadata.unwrap().into_files().unwrap(), weight_files::files());
        let read = joined(sink.rows);
        assert_eq!(read.len(), original.len());
        for ((name, values), (original_name, original)) in read.iter().zip(&original) {
            assert_eq!(name, original_name);
            let largest = original.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let error = values.iter().zip(original).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let small = name.ends_with("bias") || name.contains("norm") || name.contains("position");
            let in_half = matrices == MatrixType::Q8 && name.starts_with("vision_model.embeddings.position");
            let allowed = if small && !in_half { 0.0 } else { error_of_matrices * largest };
            assert!(error <= allowed, "{name} in {matrices:?}: {error} of {largest}");
        }
    }
}

#[test]
fn every_chunking_gives_the_same_model() {
    for matrices in [MatrixType::F32, MatrixType::Q8_0, MatrixType::Q8] {
        let file = gguf(matrices);
        let embed = |chunks: Vec<&[u8]>| {
            let mut siglip = load(chunks).unwrap();
            let pixels = (0..3 * 21 * 21).map(|i| (i as f32 * 0.37).sin()).collect();
            let pixels = PixelValues::new(pixels, 21);
            let mut embeddings = siglip.engine_mut().image_embeds(vec![pixels]).unwrap();
            embeddings.extend(siglip.text_embeds(&["a label".into()]).unwrap().concat());
            embeddings
        };
        let whole = embed(vec![&file]);
        assert!(whole.iter().all(|value| value.is_finite()));
        assert_eq!(embed(file.chunks(1).collect()), whole);
        for seed in 0..20 {
            assert_eq!(embed(cut(&file, seed)), whole, "cut with seed {seed}");
        }
    }
}

/// The engine's own rows: nothing is quantized a second time. The pooling head's projections, which the engine folds in floats,
/// are quantized in the file.
#[test]
fn a_file_of_8_bit_rows_is_quantized_once() {
    let source = weight_files::safetensors(&weight_files::config(), Dtype::F32);
    for precision in [Precision::Q8, Precision::Q8Exact] {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let loader = ModelLoader::new(weight_files::config(), options).unwrap();
        let mut original = crate::support::checkpoints::load(loader, [&source[..]]).unwrap();
        let pixels =
            || vec![PixelValues::new((0..3 * 21 * 21).map(|i| (i as f32 * 0.37).sin()).collect(), 21)];
        let exact = original.image_embeds(pixels()).unwrap();
        let cosine_of = |matrices| {
            let mut model = Siglip::from_gguf(&gguf(matrices)[..], options).unwrap();
            siglip_kernels::dot(&model.engine_mut().image_embeds(pixels()).unwrap(), &exact)
        };
        let (once, twice) = (cosine_of(MatrixType::Q8), cosine_of(MatrixType::Q8_0));
        assert!(once > twice && once > 0.9998, "{once}, {twice}");
        let mut written = Siglip::from_gguf(&gguf(MatrixType::Q8)[..], options).unwrap();
        let ids = written.input_ids(&["a label".into()]).unwrap();
        assert_eq!(
            written.engine_mut().text_embeds(ids.clone()).unwrap(),
            original.text_embeds(ids).unwrap()
        );
    }
    assert!(gguf(MatrixType::Q8).len() < gguf(MatrixType::Q8_0).len());
}

#[test]
fn wrong_8_bit_rows_are_refused() {
    const I8: u32 = 24;
    let file = File::of(&[("rows", &[36, 2], I8, 0)]);
    let row = |scale: f32, first: u8| [&scale.to_le_bytes()[..], &[first], &[1; 31]].concat();
    let data = |a: Vec<u8>, b: Vec<u8>| file.with(&[a, b, vec![0; 24]].concat());
    let read = joined(rows_of(&data(row(0.5, 0x81), row(2.0, 127))).unwrap());
    assert_eq!(read[0].1[..2], [-63.5, 0.5]);
    assert_eq!(read[0].1[32..34], [254.0, 2.0]);
    assert!(message(rows_of(&data(row(0.5, 0x80), row(2.0, 127)))).contains("holds -128"));
    for sides in [&[4u64, 2][..], &[0, 2], &[3, 2], &[36], &[36, 2, 1]] {
        let reason = message(rows_of(&File::of(&[("rows", sides, I8, 0)]).with(&[0; 256])));
        assert!(reason.contains("\"rows\""), "{reason}");
    }
    // A scale that is not finite, in a model.
    let good = gguf(MatrixType::Q8);
    let mut bad = good.clone();
    let scale = good.len() - 4 * 64 - 64 * (96 + 4);
    bad[scale..scale + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(load(vec![&good]).is_ok());
    assert!(message(load(vec![&bad])).contains("not finite"));
}

#[test]
fn truncated_files_are_refused_with_their_length() {
    let file = gguf(MatrixType::F32);
    for length in [0, 3, 4, 23, 24, 100, 5000, file.len() / 2, file.len() - 100] {
        let reason = message(load(vec![&file[..length]]));
        assert!(reason.contains(&format!("ends after {length} ")), "{reason}");
    }
    let reason = message(rows_of(&[&file[..], &[0]].concat()));
    assert!(reason.contains("follow the last tensor"), "{reason}");
    // The padding behind the last tensor may be missing.
    let mut padding = 0;
    while rows_of(&file[..file.len() - padding - 1]).is_ok() {
        padding += 1;
    }
    assert!(padding < 32);
}

#[test]
fn a_value_beyond_the_dtype_is_not_stored() {
    let tensor = TensorShape { name: "text_model.head.weight".into(), shape: vec![64, 64] };
    let plan = |to| siglip::weights::GgufWriter::new(&weight_files::files(), "", to).unwrap();
    let mut values = vec![1.0; 64];
    values[5] = -1e30;
    for to in [MatrixType::F16, MatrixType::Q8_0] {
        let reason = message(plan(to).encode(&tensor, 0, &values, &mut Vec::new()));
        assert!(reason.contains("text_model.head.weight"), "{reason}");
    }
    assert!(plan(MatrixType::F32).encode(&tensor, 0, &values, &mut Vec::new()).is_ok());
}

/// A header, written field by field so that it can lie.
#[derive(Clone)]
struct File {
    version: u32,
    tensor_count: Option<u64>,
    pair_count: Option<u64>,
    pairs: Vec<(String, u32, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, u32, u64)>,
}

impl File {
    /// Name, dimensions from the innermost on, type and offset of each tensor.
    fn of(tensors: &[(&str, &[u64], u32, u64)]) -> File {
        let tensors = tensors
            .iter()
            .map(|&(name, sides, kind, offset)| (name.to_string(), sides.to_vec(), kind, offset));
        File { version: 3, tensor_count: None, pair_count: None, pairs: vec![], tensors: tensors.collect() }
    }

    fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> File {
        self.pairs.push((key.into(), kind, value.to_vec()));
        self
    }

    fn header(&self) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        file.extend(self.pair_count.unwrap_or(self.pairs.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.pairs {
            file.extend([text(key), kind.to_le_bytes().to_vec(), value.clone()].concat());
        }
        for (name, sides, kind, offset) in &self.tensors {
            file.extend(text(name));
            file.extend((sides.len() as u32).to_le_bytes());
            file.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend(offset.to_le_bytes());
        }
        file
    }

    fn with(&self, data: &[u8]) -> Vec<u8> {
        let mut file = self.header();
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file
    }
}

const F32: u32 = 0;
const Q8_0: u32 = 8;
const I64: u32 = 27;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

fn array(kind: u32, len: u64, elements: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &len.to_le_bytes(), elements].concat()
}

#[test]
fn foreign_metadata_is_ignored() {
    let nested = array(ARRAY, 2, &[array(STRING, 1, &text(b"x")), array(5, 2, &[0; 8])].concat());
    let file = File::of(&[("a", &[2], F32, 0)])
        .pair("general.name", STRING, &text("Ünïcode".as_bytes()))
        .pair("general.tags", ARRAY, &array(STRING, 3, &[text(b"a"), text(b""), text(b"ccc")].concat()))
        .pair("tokenizer.ggml.tokens", ARRAY, &array(STRING, 500, &text(b"token").repeat(500)))
        .pair("tokenizer.ggml.scores", ARRAY, &array(6, 500, &[0; 2000]))
        .pair("other.nested", ARRAY, &nested)
        .pair("other.empty", ARRAY, &array(STRING, 0, &[]))
        .pair("other.flag", 7, &[1])
        .pair("other.long", 10, &[0; 8])
        .pair("other.text", STRING, &text(b"\xff not UTF-8, not looked at"))
        .with(&[0; 32]);
    for chunks in [vec![&file[..]], file.chunks(1).collect(), file.chunks(7).collect()] {
        let mut sink = Collect::default();
        read_chunks(chunks, &mut sink).unwrap();
        let metadata = sink.metadata.unwrap();
        assert_eq!(metadata.get("general.name"), Some("Ünïcode"));
        assert_eq!(metadata.get("other.text"), None);
        assert_eq!(sink.rows[0].values, [0.0, 0.0]);
        let reason = metadata.into_files().unwrap_err().to_string();
        assert!(reason.contains("siglip.config_json"), "{reason}");
    }
}

#[test]
fn buffers_beside_the_weights_are_ignored() {
    let name = "text_model.embeddings.position_ids";
    let file = File::of(&[("a", &[1], F32, 0), (name, &[3, 1], I64, 32), ("b", &[1], F32, 64)]);
    let data = [&2.5f32.to_le_bytes()[..], &[0; 28], &[9; 24], &[0; 8], &3.5f32.to_le_bytes()].concat();
    let read = joined(rows_of(&file.with(&data)).unwrap());
    assert_eq!(read, [("a".into(), vec![2.5]), ("b".into(), vec![3.5])]);
}

#[test]
fn blocks_may_span_the_rows_of_a_vector() {
    let mut data = vec![0; 68];
    data[0..2].copy_from_slice(&[0, 0x3c]);
    data[34..36].copy_from_slice(&[0, 0x40]);
    data[2..34].fill(3);
    data[36..68].fill(0xff);
    let read = joined(rows_of(&File::of(&[("bias", &[64], Q8_0, 0)]).with(&data)).unwrap());
    assert_eq!(read, [("bias".into(), [[3.0; 32], [-2.0; 32]].concat())]);
}

#[test]
fn alignment_is_the_files_own() {
    let file = File::of(&[("a", &[1], F32, 0), ("b", &[1], F32, 64)]).pair(
        "general.alignment",
        4,
        &64u32.to_le_bytes(),
    );
    let mut bytes = file.header();
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes.extend([&1f32.to_le_bytes()[..], &[0; 60], &2f32.to_le_bytes()].concat());
    assert_eq!(joined(rows_of(&bytes).unwrap()), [("a".into(), vec![1.0]), ("b".into(), vec![2.0])]);
}

/// What is wrong with the header, and what the error has to say.
#[test]
fn wrong_headers_are_refused_with_the_reason() {
    let one = || File::of(&[("weight", &[32], F32, 0)]);
    let with = |change: fn(&mut File)| {
        let mut file = one();
        change(&mut file);
        file
    };
    let long = u64::MAX.to_le_bytes();
    let lies: Vec<(File, &str)> = vec![
        (with(|file| file.version = 1), "version 1"),
        (with(|file| file.version = 3u32.swap_bytes()), "version 3 in big-endian order"),
        (with(|file| file.tensor_count = Some(1 << 40)), "tensors"),
        (with(|file| file.pair_count = Some(u64::MAX)), "keys"),
        (one().pair("", 4, &[0; 4]), "a key of 0 bytes"),
        (one().pair(&"k".repeat(2000), 4, &[0; 4]), "a key of 2000 bytes"),
        (one().pair("key", 13, &[0; 4]), "\"key\" is of unknown type 13"),
        (one().pair("key", 4, &[0; 4]).pair("key", 4, &[0; 4]), "\"key\" occurs twice"),
        (one().pair("key", STRING, &long), "does not end within"),
        (one().pair("siglip.config_json", STRING, &long), "does not end within"),
        (one().pair("general.name", STRING, &text(b"\xff")), "\"general.name\" is not UTF-8"),
        (one().pair("key", ARRAY, &array(STRING, u64::MAX, &long)), "does not end within"),
        (one().pair("key", ARRAY, &array(12, u64::MAX, &[])), "does not end within"),
        (one().pair("key", ARRAY, &array(99, 1, &[])), "unknown type 99"),
        (
            one().pair(
                "key",
                ARRAY,
                &array(ARRAY, 1, &array(ARRAY, 1, &array(ARRAY, 1, &array(ARRAY, 1, &array(ARRAY, 1, &[]))))),
            ),
            "nested too deeply",
        ),
        (one().pair("general.alignment", 4, &33u32.to_le_bytes()), "general.alignment"),
        (one().pair("general.alignment", 4, &[0; 4]), "general.alignment"),
        (one().pair("general.alignment", 10, &[32, 0, 0, 0, 0, 0, 0, 0]), "general.alignment"),
        (with(|file| file.tensors[0].0 = "n".repeat(65)), "name of 65 bytes"),
        (with(|file| file.tensors[0].0 = String::new()), "name of 0 bytes"),
        (with(|file| file.tensors[0].1 = vec![]), "\"weight\" has 0 dimensions"),
        (with(|file| file.tensors[0].1 = vec![1; 5]), "\"weight\" has 5 dimensions"),
        (with(|file| file.tensors[0].1 = vec![0]), "\"weight\": shape [0]"),
        (with(|file| file.tensors[0].1 = vec![1 << 40; 4]), "\"weight\""),
        (with(|file| file.tensors[0].1 = vec![1 << 62]), "\"weight\""),
        (with(|file| file.tensors[0].2 = 16), "\"weight\" is of ggml type 16"),
        (with(|file| file.tensors[0].2 = I64), "\"weight\" is of ggml type 27"),
        (
            with(|file| (file.tensors[0].1, file.tensors[0].2) = (vec![16, 2], Q8_0)),
            "\"weight\": Q8_0 has blocks",
        ),
        (with(|file| file.tensors[0].3 = 32), "\"weight\" starts at byte 32, not at 0"),
        (File::of(&[("a", &[16], F32, 0), ("b", &[16], F32, 0)]), "\"b\" starts at byte 0, not at 64"),
        (File::of(&[("a", &[9], F32, 0), ("b", &[16], F32, 36)]), "\"b\" starts at byte 36, not at 64"),
        (File::of(&[("a", &[16], F32, 0), ("b", &[16], F32, u64::MAX - 5)]), "\"b\" starts at"),
        (File::of(&[("a", &[16], F32, 0), ("a", &[16], F32, 64)]), "\"a\" occurs twice"),
        (File::of(&[("text_model.embeddings.position_ids", &[16], F32, 0)]), "holds no integers"),
    ];
    for (file, expected) in lies {
        let reason = message(rows_of(&file.with(&[0; 256])));
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(reason.len() < 300, "{reason}");
    }
}

/// Any damage ends in an error or, where it hit a weight, in other weights: never in a panic.
#[test]
fn damaged_files_do_not_panic() {
    for matrices in [MatrixType::Q8_0, MatrixType::Q8] {
        damage(&gguf(matrices));
    }
}

fn damage(file: &[u8]) {
    let header = file.windows(8).rposition(|window| window == b"mlp.fc2.").unwrap() + 100;
    let mut random = fastrand::Rng::with_seed(3);
    let mut refused = 0;
    for _ in 0..2000 {
        let mut damaged = file.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(4..header);
            damaged[at] = if random.bool() { random.u8(..) } else { damaged[at] ^ 1 << random.u8(0..8) };
        }
        match load(cut(&damaged, random.u64(..))) {
            Ok(_) => {}
            Err(Error::BadWeights(_) | Error::UnsupportedModel { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 1000, "{refused} of 2000 refused");
}
