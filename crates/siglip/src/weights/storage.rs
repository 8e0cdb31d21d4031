use super::Dtype;
use super::blocks::{self, BLOCK, SUPER_BLOCK};

/// How a file stores a tensor: number by number, or in ggml's blocks, whose numbers share scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Numbers(Dtype),
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl Storage {
    pub const F32: Storage = Storage::Numbers(Dtype::F32);
    pub const F16: Storage = Storage::Numbers(Dtype::F16);

    const ALL: [Storage; 13] = [
        Storage::F32,
        Storage::F16,
        Storage::Numbers(Dtype::Bf16),
        Storage::Q4_0,
        Storage::Q4_1,
        Storage::Q5_0,
        Storage::Q5_1,
        Storage::Q8_0,
        Storage::Q2K,
        Storage::Q3K,
        Storage::Q4K,
        Storage::Q5K,
        Storage::Q6K,
    ];

    /// Name, `ggml_type`, numbers of a block and its bytes.
    fn facts(self) -> (&'static str, u32, usize, usize) {
        match self {
            Storage::Numbers(dtype @ Dtype::F32) => (dtype.name(), 0, 1, dtype.size()),
            Storage::Numbers(dtype @ Dtype::F16) => (dtype.name(), 1, 1, dtype.size()),
            Storage::Numbers(dtype @ Dtype::Bf16) => (dtype.name(), 30, 1, dtype.size()),
            Storage::Q4_0 => ("Q4_0", 2, BLOCK, size_of::<blocks::Q4_0>()),
            Storage::Q4_1 => ("Q4_1", 3, BLOCK, size_of::<blocks::Q4_1>()),
            Storage::Q5_0 => ("Q5_0", 6, BLOCK, size_of::<blocks::Q5_0>()),
            Storage::Q5_1 => ("Q5_1", 7, BLOCK, size_of::<blocks::Q5_1>()),
            Storage::Q8_0 => ("Q8_0", 8, BLOCK, size_of::<blocks::Q8_0>()),
            Storage::Q2K => ("Q2_K", 10, SUPER_BLOCK, size_of::<blocks::Q2K>()),
            Storage::Q3K => ("Q3_K", 11, SUPER_BLOCK, size_of::<blocks::Q3K>()),
            Storage::Q4K => ("Q4_K", 12, SUPER_BLOCK, size_of::<blocks::Q4K>()),
            Storage::Q5K => ("Q5_K", 13, SUPER_BLOCK, size_of::<blocks::Q5K>()),
            Storage::Q6K => ("Q6_K", 14, SUPER_BLOCK, size_of::<blocks::Q6K>()),
        }
    }

    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Its number in a GGUF.
    pub fn ggml_type(self) -> u32 {
        self.facts().1
    }

    pub fn from_ggml_type(number: u32) -> Option<Storage> {
        Storage::ALL.into_iter().find(|storage| storage.ggml_type() == number)
    }

    /// Numbers that are stored together; the innermost dimension holds whole blocks.
    pub fn block_len(self) -> usize {
        self.facts().2
    }

    /// Bytes of `len` numbers, a whole number of blocks; `None` where 64 bits do not hold the figure.
    pub fn bytes(self, len: u64) -> Option<u64> {
        let (_, _, block_len, block_bytes) = self.facts();
        (len / block_len as u64).checked_mul(block_bytes as u64)
    }

    /// Appends `bytes`, a whole number of blocks, to `values` as f32.
    pub fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Storage::Numbers(dtype) => dtype.widen(bytes, values),
            Storage::Q4_0 => blocks::decode(bytes, blocks::q4_0, values),
            Storage::Q4_1 => blocks::decode(bytes, blocks::q4_1, values),
            Storage::Q5_0 => blocks::decode(bytes, blocks::q5_0, values),
            Storage::Q5_1 => blocks::decode(bytes, blocks::q5_1, values),
            Storage::Q8_0 => blocks::decode(bytes, blocks::q8_0, values),
            Storage::Q2K => blocks::decode(bytes, blocks::q2_k, values),
            Storage::Q3K => blocks::decode(bytes, blocks::q3_k, values),
            Storage::Q4K => blocks::decode(bytes, blocks::q4_k, values),
            Storage::Q5K => blocks::decode(bytes, blocks::q5_k, values),
            Storage::Q6K => blocks::decode(bytes, blocks::q6_k, values),
        }
    }
}
