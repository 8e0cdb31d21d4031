use super::RgbImage;

/// A picture and what was wrong with its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The picture, as much of it as could be read.
    pub image: RgbImage,
    /// Of a damaged file of which Pillow shows a picture, and so this one does: what is wrong with it.
    pub damage: Option<&'static str>,
}

impl From<RgbImage> for Decoded {
    fn from(image: RgbImage) -> Decoded {
        Decoded { image, damage: None }
    }
}
