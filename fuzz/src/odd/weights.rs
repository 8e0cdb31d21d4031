//! safetensors files and GGUFs: names, shapes and types of every kind, metadata of every kind, headers in any order.

use arbitrary::{Result, Unstructured};
use half::{bf16, f16};

use super::super::parsers::Tensors;
use super::{bytes, pick};

/// A tensor to be: name, shape, type and the values' bits.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    kind: Kind,
    values: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    F32,
    F16,
    BF16,
}

impl Kind {
    /// The nearest value that it can hold, and its bytes.
    fn store(self, value: f32) -> (f32, Vec<u8>) {
        match self {
            Kind::F32 => (value, value.to_le_bytes().into()),
            Kind::F16 => (f16::from_f32(value).to_f32(), f16::from_f32(value).to_le_bytes().into()),
            Kind::BF16 => (bf16::from_f32(value).to_f32(), bf16::from_f32(value).to_le_bytes().into()),
        }
    }

    /// What ggml calls it.
    fn ggml(self) -> u32 {
        match self {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::BF16 => 30,
        }
    }
}

/// Makes one of either and reads it.
pub fn check(source: &mut Unstructured) -> Result<()> {
    let mut tensors = Vec::new();
    for index in 0..source.int_in_range(1..=5)? {
        let shape: Vec<usize> =
            (0..source.int_in_range(1..=4)?).map(|_| source.int_in_range(1..=4)).collect::<Result<_>>()?;
        let kind = pick(source, &[Kind::F32, Kind::F16, Kind::BF16])?;
        let values = bytes(source, shape.iter().product()).into_iter().map(|byte| f32::from(byte) - 100.5);
        let odd = pick(source, &["weight", "a.b", "ä ö", "\u{1f600}", "\\\"", "/", "x\ty"])?;
        tensors.push(Tensor { name: format!("{odd}{index}"), kind, values: values.collect(), shape });
    }
    let file = if source.arbitrary()? { safetensors(source, &tensors)? } else { gguf(source, &tensors)? };
    let expected = tensors.iter().map(|Tensor { name, kind, values, .. }| {
        (name.clone(), values.iter().map(|&value| kind.store(value).0.to_bits()).collect())
    });
    let expected = Ok(Tensors(expected.collect()));
    assert_eq!(Tensors::read(std::iter::once(&file[..])), expected);
    let step = source.int_in_range(1..=64)?;
    assert_eq!(Tensors::read(file.chunks(step)), expected, "in chunks of {step}");
    Ok(())
}

/// The tensors' bytes, one after another, each at a multiple of `alignment`; where each begins.
fn data(tensors: &[Tensor], alignment: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut data, mut starts) = (Vec::new(), Vec::new());
    for Tensor { kind, values, .. } in tensors {
        data.resize(data.len().next_multiple_of(alignment), 0);
        starts.push(data.len());
        data.extend(values.iter().flat_map(|&value| kind.store(value).1));
    }
    (data, starts)
}

fn safetensors(source: &mut Unstructured, tensors: &[Tensor]) -> Result<Vec<u8>> {
    let (data, starts) = data(tensors, 1);
    let space = |source: &mut Unstructured| pick(source, &["", "", " ", "\n\t "]);
    let mut entries = Vec::new();
    for (Tensor { name, shape, kind, values }, start) in tensors.iter().zip(starts) {
        let end = start + values.len() * kind.store(0.0).1.len();
        let mut fields = [
            format!("\"dtype\":\"{kind:?}\""),
            format!("\"shape\":{shape:?}"),
            format!("\"data_offsets\":[{start},{}{end}]", space(source)?),
        ];
        fields.rotate_left(source.int_in_range(0..=2)?);
        // The name with its characters escaped, or as they are.
        let name = match source.arbitrary()? {
            true => format!(
                "\"{}\"",
                name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
            ),
            false => serde_json::to_string(name).expect("a string"),
        };
        entries.push(format!("{name}{}:{{{}}}", space(source)?, fields.join(",")));
    }
    if source.arbitrary()? {
        entries.push(r#""__metadata__":{"format":"pt","ü":""}"#.into());
    }
    // The order in the header is not that of the bytes.
    let turn = source.int_in_range(0..=entries.len() - 1)?;
    entries.rotate_left(turn);
    let padding = " ".repeat(source.int_in_range(0..=9)?);
    let header = format!("{{{}{}}}{padding}", space(source)?, entries.join(","));
    Ok([&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat())
}

fn gguf(source: &mut Unstructured, tensors: &[Tensor]) -> Result<Vec<u8>> {
    let alignment = pick(source, &[8usize, 32, 64, 256])?;
    let mut pairs = vec![pair("general.alignment", 4, &(alignment as u32).to_le_bytes())];
    for index in 0..source.int_in_range(0..=6)? {
        let key = format!("odd.{index}");
        let kind = source.int_in_range(0..=12u32)?;
        let value = match kind {
            0 | 1 => bytes(source, 1),
            7 => vec![source.arbitrary::<bool>()?.into()],
            2 | 3 => bytes(source, 2),
            4..=6 => bytes(source, 4),
            10..=12 => bytes(source, 8),
            8 => string(pick(source, &["", "text", "ä\u{1f600}"])?),
            // An array of strings, or one of arrays of bytes.
            _ => match source.arbitrary()? {
                true => [&8u32.to_le_bytes()[..], &2u64.to_le_bytes(), &string("a"), &string("")].concat(),
                false => {
                    let inner = [&0u32.to_le_bytes()[..], &3u64.to_le_bytes(), &[1, 2, 3]].concat();
                    [&9u32.to_le_bytes()[..], &1u64.to_le_bytes(), &inner].concat()
                }
            },
        };
        pairs.push(pair(&key, kind, &value));
    }
    let turn = source.int_in_range(0..=pairs.len() - 1)?;
    pairs.rotate_left(turn);
    let (data, starts) = data(tensors, alignment);
    let mut file = [&b"GGUF"[..], &pick(source, &[2u32, 3])?.to_le_bytes()].concat();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((pairs.len() as u64).to_le_bytes());
    file.extend(pairs.concat());
    for (Tensor { name, shape, kind, .. }, start) in tensors.iter().zip(starts) {
        file.extend(string(name));
        file.extend((shape.len() as u32).to_le_bytes());
        // ggml's order: the innermost dimension first.
        file.extend(shape.iter().rev().flat_map(|&side| (side as u64).to_le_bytes()));
        file.extend(kind.ggml().to_le_bytes());
        file.extend((start as u64).to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(alignment), 0);
    file.extend(data);
    // The last tensor is padded too, or not.
    if source.arbitrary()? {
        file.resize(file.len().next_multiple_of(alignment), 0);
    }
    Ok(file)
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&string(key)[..], &kind.to_le_bytes(), value].concat()
}
