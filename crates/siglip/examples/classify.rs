//! Prints the probability of each label for an image.
//!
//! ```sh
//! cargo run --release --example classify -- CHECKPOINT IMAGE LABEL...
//! ```
//!
//! CHECKPOINT is a folder in the hub's layout, such as a download of `google/siglip-base-patch16-256`.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use siglip::text::Template;
use siglip::{LoadOptions, ScoreFilter, Siglip, image};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, file, labels @ ..] = &arguments[..] else {
        return Err("arguments: CHECKPOINT IMAGE LABEL...".into());
    };

    let open = |name: &str| File::open(Path::new(checkpoint).join(name));
    let mut siglip = Siglip::from_files(open, LoadOptions::default())?;
    let image = image::decode(&fs::read(file)?)?;
    // The default template is SigLIP's: "This is a photo of {}."
    for score in siglip.classify(&image, labels, &Template::default(), ScoreFilter::default())? {
        println!("{:5.1} %  {}", 100.0 * score.score, score.label);
    }
    Ok(())
}
