/// Which of the two towers a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Towers {
    /// The image tower alone.
    Image,
    /// The text tower alone.
    Text,
    /// Both towers.
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

    /// The choice that [`Towers::name`] calls `name`.
    pub fn from_name(name: &str) -> Option<Towers> {
        [Towers::Image, Towers::Text, Towers::Both].into_iter().find(|towers| towers.name() == name)
    }

    /// Whether the image tower is loaded.
    pub fn has_image(self) -> bool {
        self != Towers::Text
    }

    /// Whether the text tower is loaded.
    pub fn has_text(self) -> bool {
        self != Towers::Image
    }

    /// Whether a tensor belongs to a loaded tower, or to neither tower.
    pub fn need(self, tensor: &str) -> bool {
        match tensor.split_once('.') {
            Some(("text_model", _)) => self.has_text(),
            Some(("vision_model", _)) => self.has_image(),
            _ => true,
        }
    }
}
