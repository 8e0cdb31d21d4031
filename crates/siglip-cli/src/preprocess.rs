//! `siglip preprocess`: what the model sees of images.

use std::path::PathBuf;

use siglip::Checkpoint;

use crate::answers::tell_damage;
use crate::error::Error;
use crate::{ModelArgs, checkpoint, npy};

/// The pixel_values that a model sees of images, or the decoded image, for comparing pipelines.
#[derive(clap::Args)]
pub struct Preprocess {
    /// Images: PNG, JPEG, GIF, WebP, BMP, TIFF, ICO, PNM, QOI, TGA, JPEG XL or AVIF.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Where to write pixel_values: [images, 3, height, width], float32.
    #[arg(long, value_name = "OUT", required_unless_present = "rgb")]
    npy: Option<PathBuf>,
    /// Where to write the decoded image: [height, width, 3], uint8. For one image alone.
    #[arg(long, value_name = "OUT")]
    rgb: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

impl Preprocess {
    /// Writes the files. The weights are not read.
    pub fn run(self) -> Result<(), Error> {
        if self.rgb.is_some() && self.images.len() > 1 {
            return Err(Error::Usage("--rgb takes one image, since several differ in their sides".into()));
        }
        let source = self.model.source()?;
        let resolution = self.model.resolution();
        let checkpoint = Checkpoint::parse(&source.files()?).and_then(|read| read.at(resolution));
        let processor = checkpoint.map_err(Error::checkpoint(source.name()))?.processor;
        let mut pixel_values = Vec::new();
        let mut shape = None;
        for path in &self.images {
            let decoded = checkpoint::image(path).map_err(|error| match error {
                Error::Picture(source) => Error::file(path)(source),
                Error::Siglip(source) => Error::checkpoint(path)(source),
                error => error,
            })?;
            let image = decoded.image;
            if let Some(damage) = decoded.damage {
                tell_damage(&path.display().to_string(), damage);
            }
            let sides = processor.sides(&image);
            if *shape.get_or_insert(sides) != sides {
                let reason = "this model resizes each image to sides of its own; give one image at a time";
                return Err(Error::Usage(reason.into()));
            }
            let values = processor.pixel_values(&image)?;
            pixel_values.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            if let Some(rgb) = &self.rgb {
                let shape = [image.height() as usize, image.width() as usize, 3];
                npy::write(rgb, "|u1", &shape, image.data())?;
            }
        }
        let (width, height) = shape.unwrap_or_default();
        let shape = [self.images.len(), 3, height as usize, width as usize];
        self.npy.map_or(Ok(()), |path| npy::write(&path, "<f4", &shape, &pixel_values))
    }
}
