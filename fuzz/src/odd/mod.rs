//! Files that are valid but odd, made of a fuzzer's bytes: the parsers have to take them, and what they read is known.

mod jpeg;
mod png;
mod tokenizer;
mod weights;

use arbitrary::{Result, Unstructured};

/// A PNG or a JPEG: it decodes, a PNG to the very pixels.
pub fn pictures(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let _ = match source.arbitrary() {
        Ok(true) => png::check(&mut source),
        _ => jpeg::check(&mut source),
    };
}

/// A safetensors file or a GGUF: every tensor is read with its values, in any chunks.
pub fn weights(data: &[u8]) {
    let _ = weights::check(&mut Unstructured::new(data));
}

/// A tokenizer.json and a text: it is taken, and gives ids of the vocabulary, or the text is refused.
pub fn tokenizers(data: &[u8]) {
    let _ = tokenizer::check(&mut Unstructured::new(data));
}

/// So many bytes; zeros where the source has ended.
fn bytes(source: &mut Unstructured, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let _ = source.fill_buffer(&mut bytes);
    bytes
}

/// One of a few.
fn pick<T: Copy>(source: &mut Unstructured, choices: &[T]) -> Result<T> {
    source.choose(choices).copied()
}
