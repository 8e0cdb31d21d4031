use crate::tile::WideStep;

/// Buffers the kernels work in, kept from call to call: once they have grown to the largest shape, no call allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Activations, or the keys and values of a head, in f32.
    pub(crate) panels: Vec<[f32; 4]>,
    /// The same in 16 bits.
    pub(crate) levels: Vec<[[i16; 2]; 4]>,
    /// What the levels of a row, or a column, are worth.
    pub(crate) scales: Vec<f32>,
    /// Queries and scores of a strip.
    pub(crate) strip: Vec<[f32; 8]>,
    /// Weights of a strip, or queries and softmax weights, in 16 bits.
    pub(crate) wide: Vec<WideStep>,
}

/// The first `len` elements of `buffer`, which grows where it is too short.
pub(crate) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
