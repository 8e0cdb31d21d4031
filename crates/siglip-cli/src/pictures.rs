//! The embeddings of many pictures.

use siglip::Engine as _;
use siglip::image::RgbImage;

use crate::engine::Siglip;
use crate::error::Error;

/// How many pictures are embedded at once.
pub fn at_once(siglip: &Siglip) -> usize {
    siglip.engine().images_per_pass()
}

/// The embedding of each picture that was read, in their order. One that fails does not fail the others.
pub fn embed(
    siglip: &mut Siglip,
    pictures: impl IntoIterator<Item = Result<RgbImage, Error>>,
) -> Vec<Result<Vec<f32>, Error>> {
    let (mut images, mut results) = (Vec::new(), Vec::new());
    for picture in pictures {
        results.push(picture.map(|image| images.push(image)).map(|()| Vec::new()));
    }
    let embedded: Vec<_> = match siglip.images_embeds(&images) {
        Ok(embeddings) => embeddings.into_iter().map(Ok).collect(),
        Err(error) if images.len() == 1 => vec![Err(error.into())],
        Err(_) => images.iter().map(|image| Ok(siglip.image_embeds(image)?)).collect(),
    };
    let mut embedded = embedded.into_iter();
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        if let Some(embedding) = embedded.next() {
            *result = embedding;
        }
    }
    results
}
