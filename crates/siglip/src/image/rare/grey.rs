//! Numbers that are no bytes, as levels of grey.

/// As Pillow's `f2l`: cut off, not rounded. What is no number is black.
pub fn from_f32(value: f32) -> u8 {
    value as u8
}

/// As Pillow's `i2rgb`.
pub fn from_i32(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// Of 16 bits, the upper ones; see docs/exactness.md.
pub fn from_u16(value: u16) -> u8 {
    (value >> 8) as u8
}
