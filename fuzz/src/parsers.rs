//! Bytes of anybody, given to the parsers as they are.

use std::collections::BTreeSet;

use siglip::image::{Processor, RgbImage};
use siglip::index::{Index, IndexModel, IndexReader, NpyReader, QueryPart};
use siglip::model::memory_needed;
use siglip::text::Tokenizer;
use siglip::weights::{Inventory, TensorShape, TensorSink, WeightIndex, WeightReader};
use siglip::{Config, Error, LoadOptions};

/// An encoded picture.
pub fn image(data: &[u8]) {
    if let Ok(picture) = siglip::image::decode(data) {
        assert_eq!(picture.data().len(), 3 * picture.width() as usize * picture.height() as usize);
    }
}

/// config.json and preprocessor_config.json, with a zero byte between them, or an index of several weight files.
pub fn checkpoint(data: &[u8]) {
    if let Ok(index) = WeightIndex::parse(data) {
        assert!(index.files().all(|file| !file.contains('/')));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (config, preprocessor) = text.split_once('\0').unwrap_or((text, text));
    match Config::from_json(config) {
        Ok(config) => {
            assert!(memory_needed(&config, LoadOptions::default()) > 0);
            let _ = Inventory::new(&config).begin(&[]).unwrap_err();
        }
        Err(error) => assert!(matches!(error, Error::UnsupportedModel { .. })),
    }
    let picture = RgbImage::from_rgb(3, 2, vec![7; 18]).unwrap();
    if let Ok(processor) = Processor::from_json(preprocessor)
        && let Ok(pixel_values) = processor.pixel_values(&picture)
    {
        let (width, height) = processor.sides(&picture);
        assert_eq!(pixel_values.len(), 3 * width as usize * height as usize);
    }
}

/// A tokenizer.json and, behind a zero byte, a text.
pub fn tokenizer(data: &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (json, text) = data.split_at(at);
    let text = String::from_utf8_lossy(text);
    if let Ok(tokenizer) = Tokenizer::from_bytes(json, 16, 1)
        && let Ok(input_ids) = tokenizer.encode(&text)
    {
        assert_eq!(input_ids.len(), 16);
    }
}

/// A weight file of either format, in chunks: whole or cut, it reads the same.
pub fn weights(data: &[u8]) {
    let Some((&step, file)) = data.split_first() else { return };
    let whole = Tensors::read(std::iter::once(file));
    let cut = Tensors::read(file.chunks(usize::from(step) + 1));
    assert_eq!(whole, cut);
}

/// An ONNX in chunks, as [`weights`], and then as the file with its own data, if it says that they are in another.
pub fn onnx(data: &[u8]) {
    weights(data);
    let (mut reader, mut tensors) = (WeightReader::new(), Tensors::default());
    let file = data.get(1..).unwrap_or_default();
    if reader.push(file, &mut tensors).is_ok()
        && let Ok(Some((name, mut reader))) = reader.into_data_file()
    {
        assert!(!name.contains('/'));
        let _ = reader.push(file, &mut tensors).and_then(|()| reader.finish());
    }
}

/// The file of a search index, as it is and with the checksum that belongs to it, and an array of NumPy.
pub fn index(data: &[u8]) {
    let summed = [data, &crc32fast::hash(data).to_le_bytes()].concat();
    for file in [data, &summed] {
        let Ok(index) = Index::parse(file) else { continue };
        assert_eq!(index.to_bytes(), file);
        let embedding = vec![1.0; index.model().embedding_size];
        let query = index.query(&[QueryPart { embedding, weight: 1.0 }]).unwrap();
        assert_eq!(index.search(&query, 3).len(), index.len().min(3));
        let groups = index.duplicates(0.9);
        assert!(groups.iter().map(Vec::len).sum::<usize>() <= index.len());
        // Also in pieces.
        let mut reader = IndexReader::new(file.len() as u64);
        file.chunks(5).try_for_each(|piece| reader.push(piece)).unwrap();
        assert_eq!(reader.finish().unwrap(), index);
        // Scales of zero leave no direction, so the array may be refused.
        let names: Vec<String> = index.entries().map(|entry| entry.name.to_string()).collect();
        let array: Vec<u8> = index.npy_chunks().flatten().collect();
        let mut reader = NpyReader::new(index.model().clone(), names, array.len() as u64);
        let read = array.chunks(100).try_for_each(|piece| reader.push(piece)).and_then(|()| reader.finish());
        assert!(read.is_err() || read.is_ok_and(|read| read.len() == index.len()));
    }
    let model = IndexModel { name: String::new(), embedding_size: 3, logit_scale: 1.0, logit_bias: 0.0 };
    let mut reader = NpyReader::new(model, vec!["a".into(), "b".into()], data.len() as u64);
    let read = data.chunks(9).try_for_each(|piece| reader.push(piece)).and_then(|()| reader.finish());
    assert!(read.is_err() || read.is_ok_and(|index| index.len() == 2));
}

/// Takes whatever a file holds: tensors by name, as bits, so that a NaN equals itself.
#[derive(Default, PartialEq, Debug)]
pub struct Tensors(pub Vec<(String, Vec<u32>)>);

impl TensorSink for Tensors {
    fn begin(&mut self, _: &[TensorShape]) -> Result<(), Error> {
        Ok(())
    }

    fn begin_named(&mut self, _: &BTreeSet<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&mut self, tensor: &TensorShape, _: usize, values: &[f32]) -> Result<(), Error> {
        let bits = values.iter().map(|value| value.to_bits());
        match self.0.last_mut() {
            Some((name, kept)) if *name == tensor.name => kept.extend(bits),
            _ => self.0.push((tensor.name.clone(), bits.collect())),
        }
        Ok(())
    }
}

impl Tensors {
    /// Reads a file in chunks.
    pub fn read<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Result<Tensors, String> {
        let (mut reader, mut tensors) = (WeightReader::new(), Tensors::default());
        for chunk in chunks {
            reader.push(chunk, &mut tensors).map_err(told)?;
        }
        reader.finish().map_err(told)?;
        Ok(tensors)
    }
}

/// An error's message. What stands in place of weights is told by as many of its bytes as have arrived, so the message
/// depends on the chunks.
fn told(error: Error) -> String {
    let message = error.to_string();
    let is_impostor = message.contains("begins with") || message.contains("neither a safetensors file nor");
    if is_impostor { "no weights".into() } else { message }
}
