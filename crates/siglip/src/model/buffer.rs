//! Buffers that grow to the largest pass.

/// The first `len` values of `buffer`, which grows if it is shorter.
pub(crate) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
