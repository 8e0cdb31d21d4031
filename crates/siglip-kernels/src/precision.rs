/// How weights are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// Weights in 8 bits with one scale per output, activations in 12 bits or more with one scale per row.
    #[default]
    Q8,
}

impl Precision {
    /// Its name in lower case: `f32` or `q8`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Q8 => "q8",
        }
    }

    /// The precision that [`Precision::name`] calls `name`.
    pub fn from_name(name: &str) -> Option<Precision> {
        [Precision::F32, Precision::Q8].into_iter().find(|precision| precision.name() == name)
    }
}
