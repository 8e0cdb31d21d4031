//! Loads weights while they arrive, as from a download. Each matrix is quantised as soon as its bytes are there, so the
//! weight file is never in memory as a whole.
//!
//! ```sh
//! cargo run --release --example stream_weights -- CHECKPOINT < model.safetensors
//! ```
//!
//! CHECKPOINT is a folder with the small files: `config.json`, `preprocessor_config.json`, `tokenizer.json`.

use std::error::Error;
use std::io::Read;
use std::path::Path;

use siglip::model::Model;
use siglip::weights::WeightReader;
use siglip::{Checkpoint, CheckpointFiles, Engine, EngineLoader, LoadOptions, Siglip};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("argument: CHECKPOINT; the weights on standard input")?;

    // The small files say which tensors to expect, and how much memory they take.
    let read = |name| Ok::<_, Box<dyn Error>>(std::fs::read_to_string(Path::new(&folder).join(name))?);
    let files = CheckpointFiles::read(read)?;
    let checkpoint = Checkpoint::parse(&files)?;
    let options = LoadOptions::default();
    println!("needs {} MB of memory", Model::memory_needed(&checkpoint.config, options) / 1_000_000);

    let mut loader = checkpoint.loader::<Model>(options)?;
    let mut reader = WeightReader::new();
    let mut source = std::io::stdin().lock();
    let mut chunk = vec![0; 1 << 16];
    let (mut arrived, mut printed) = (0, 0);
    loop {
        let length = source.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        // A wrong file is refused as soon as it can be told, which is often at its header.
        reader.push(&chunk[..length], &mut loader)?;
        arrived += length as u64;
        let Some(total) = reader.total_bytes() else { continue };
        let quarters = 4 * arrived / total;
        if quarters > printed {
            printed = quarters;
            println!("{} % loaded", 25 * quarters);
        }
    }
    reader.finish()?;

    let mut siglip = Siglip::new(checkpoint, loader.finish()?);
    let text_embeds = siglip.text_embeds(&["a cat".to_string()])?.remove(0);
    println!("an embedding has {} numbers", text_embeds.len());
    Ok(())
}
