//! One contender of `cargo xtask bench --native`: answers each line of standard input, `image` or `text`, with the milliseconds
//! of one pass.
//!
//! ```sh
//! cargo run --release --example contender -- PRECISION THREADS CHECKPOINT PIXEL_VALUES INPUT_IDS
//! ```
//!
//! The last two are files of float32 and of uint32, an image's values and the ids of some texts. First comes a line of JSON
//! with the embeddings.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use siglip::model::join_thread_pool;
use siglip::{Engine, LoadOptions, PixelValues, Precision, Siglip};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [precision, threads, checkpoint, pixel_values, input_ids] = &arguments[..] else {
        return Err("arguments: PRECISION THREADS CHECKPOINT PIXEL_VALUES INPUT_IDS".into());
    };
    let precision = Precision::from_name(precision).ok_or("there is no such precision")?;
    // This thread computes, too.
    for _ in 1..threads.parse()? {
        std::thread::spawn(|| join_thread_pool());
    }

    let options = LoadOptions { precision, ..LoadOptions::default() };
    let mut siglip = Siglip::from_files(|name| File::open(Path::new(checkpoint).join(name)), options)?;
    let model = siglip.engine_mut();
    let side = model.config().vision_config.image_size;
    let image = PixelValues::new(numbers(pixel_values, f32::from_le_bytes)?, side);
    let ids = numbers(input_ids, u32::from_le_bytes)?;
    let embeddings = json!({
        "version": siglip::model::backend(),
        "image": model.image_embeds(vec![image.clone()])?,
        "text": model.text_embeds(ids.clone())?,
    });
    println!("{embeddings}");

    for line in io::stdin().lines() {
        let start = Instant::now();
        if line? == "image" {
            model.image_embeds(vec![image.clone()])?;
        } else {
            model.text_embeds(ids.clone())?;
        }
        println!("{}", 1e3 * start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn numbers<T>(file: &str, number: fn([u8; 4]) -> T) -> io::Result<Vec<T>> {
    Ok(fs::read(file)?.as_chunks().0.iter().copied().map(number).collect())
}
