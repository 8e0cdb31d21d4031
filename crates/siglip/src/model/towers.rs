use super::Model;
use super::text::TextTower;
use super::vision::VisionTower;
use crate::Error;

/// Which of its two towers a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Towers {
    /// The one for pictures.
    Image,
    /// The one for texts.
    Text,
    /// Both.
    #[default]
    Both,
}

impl Towers {
    /// Its name in lower case: `image`, `text` or `both`.
    pub const fn name(self) -> &'static str {
        match self {
            Towers::Image => "image",
            Towers::Text => "text",
            Towers::Both => "both",
        }
    }

    /// Whether the one for pictures is there.
    pub fn has_image(self) -> bool {
        self != Towers::Text
    }

    /// Whether the one for texts is there.
    pub fn has_text(self) -> bool {
        self != Towers::Image
    }

    /// Whether a tensor belongs to a tower that is there, or to neither.
    pub(super) fn need(self, tensor: &str) -> bool {
        match tensor.split_once('.') {
            Some(("text_model", _)) => self.has_text(),
            Some(("vision_model", _)) => self.has_image(),
            _ => true,
        }
    }

    /// The choice that [`Towers::name`] calls `name`.
    pub fn from_name(name: &str) -> Option<Towers> {
        [Towers::Image, Towers::Text, Towers::Both].into_iter().find(|towers| towers.name() == name)
    }
}

impl Model {
    pub(super) fn towers(&self) -> Towers {
        match (&self.vision, &self.text) {
            (Some(_), None) => Towers::Image,
            (None, Some(_)) => Towers::Text,
            _ => Towers::Both,
        }
    }

    pub(super) fn vision(&self) -> Result<&VisionTower, Error> {
        self.vision.as_ref().ok_or_else(|| missing_tower("image"))
    }

    pub(super) fn text(&self) -> Result<&TextTower, Error> {
        self.text.as_ref().ok_or_else(|| missing_tower("text"))
    }
}

/// What is asked of a tower that is not there comes to.
pub(crate) fn missing_tower(tower: &str) -> Error {
    Error::BadInput(format!("the model was loaded without its {tower} tower; load it with both"))
}
