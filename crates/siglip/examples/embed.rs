//! Ranks images by how well a sentence fits them. Embeddings are computed once and can be compared any number of times.
//!
//! ```sh
//! cargo run --release --example embed -- CHECKPOINT SENTENCE IMAGE...
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use siglip::{LoadOptions, Precision, Siglip, image};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, sentence, files @ ..] = &arguments[..] else {
        return Err("arguments: CHECKPOINT SENTENCE IMAGE...".into());
    };

    // Embeddings that are kept are worth the exact weights.
    let options = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
    let mut siglip = Siglip::from_files(|name| File::open(Path::new(checkpoint).join(name)), options)?;
    let text_embeds = siglip.text_embeds(std::slice::from_ref(sentence))?.remove(0);
    let mut ranked = Vec::new();
    for file in files {
        let image_embeds = siglip.image_embeds(&image::decode(&fs::read(file)?)?)?;
        // Both have L2 norm 1, so their dot product is the cosine.
        let cosine: f32 = text_embeds.iter().zip(&image_embeds).map(|(a, b)| a * b).sum();
        ranked.push((cosine, file));
    }
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    for (cosine, file) in ranked {
        println!("{cosine:.4}  {file}");
    }
    Ok(())
}
