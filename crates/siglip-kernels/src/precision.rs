/// How weights are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// Weights in 8 bits with one scale per output; activations in 8 bits with one scale and one zero point per row, where the
    /// processor multiplies bytes and the row has no outliers. Other rows, and attention, are as with [`Precision::Q8Exact`].
    #[default]
    Q8,
    /// Weights in 8 bits with one scale per output, activations in 12 bits or more with one scale per row. Integer sums are the
    /// same on every processor and with any number of workers.
    Q8Exact,
}

impl Precision {
    const ALL: [Precision; 3] = [Precision::F32, Precision::Q8, Precision::Q8Exact];

    /// Its name in lower case: `f32`, `q8` or `q8-exact`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Q8 => "q8",
            Precision::Q8Exact => "q8-exact",
        }
    }

    /// The precision that [`Precision::name`] calls `name`.
    pub fn from_name(name: &str) -> Option<Precision> {
        Precision::ALL.into_iter().find(|precision| precision.name() == name)
    }

    /// Whether weights are stored in 8 bits.
    pub const fn is_quantized(self) -> bool {
        matches!(self, Precision::Q8 | Precision::Q8Exact)
    }

    /// This precision without rows of bytes, for rows whose rounding errors nothing averages out.
    pub const fn exact(self) -> Precision {
        match self {
            Precision::F32 => Precision::F32,
            Precision::Q8 | Precision::Q8Exact => Precision::Q8Exact,
        }
    }
}
