use crate::dispatch::bf16;

/// How weights are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// Weights and activations of products as bfloat16, with 8 bits of mantissa, and sums in 32-bit floats, where the processor
    /// multiplies such numbers; elsewhere as [`Precision::F32`]. Attention is that of [`Precision::Q8Exact`], which is more exact.
    Bf16,
    /// Weights in 8 bits with one scale per output; activations in 8 bits with one scale and one zero point per row, where the
    /// processor multiplies bytes and the row has no outliers. Other rows, and attention, are as with [`Precision::Q8Exact`].
    #[default]
    Q8,
    /// Weights in 8 bits with one scale per output, activations in 12 bits or more with one scale per row. Integer sums are the
    /// same on every processor and with any number of workers.
    Q8Exact,
}

impl Precision {
    const ALL: [Precision; 4] = [Precision::F32, Precision::Bf16, Precision::Q8, Precision::Q8Exact];

    /// Its name in lower case: `f32`, `bf16`, `q8` or `q8-exact`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
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

    /// What stands in for this precision where the processor lacks its instructions: [`Precision::F32`] for
    /// [`Precision::Bf16`].
    pub fn available(self) -> Precision {
        match self {
            Precision::Bf16 if bf16().is_none() => Precision::F32,
            precision => precision,
        }
    }

    /// This precision without rows of bytes or bfloat16, for rows whose rounding errors nothing averages out.
    pub const fn exact(self) -> Precision {
        match self {
            Precision::F32 | Precision::Bf16 => Precision::F32,
            Precision::Q8 | Precision::Q8Exact => Precision::Q8Exact,
        }
    }
}
