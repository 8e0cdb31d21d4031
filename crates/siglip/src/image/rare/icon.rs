//! ICO, read as Pillow's `IcoImagePlugin` does: the largest picture, of several that large the one of fewest colours.

use super::super::reader::Reader;
use super::super::{Decoded, ImageError, bmp, png};

/// An entry of the directory, as far as it matters.
struct Entry {
    /// Pixels it says it has.
    pixels: u32,
    bits: u16,
    /// Bits of its colours, where it says so.
    depth: u32,
    len: usize,
    at: usize,
}

impl Entry {
    fn new(bytes: &[u8]) -> Entry {
        let side = |at: usize| if bytes[at] == 0 { 256 } else { u32::from(bytes[at]) };
        let bits = u16::from_le_bytes([bytes[6], bytes[7]]);
        let colors = bytes[2];
        let depth = match (bits, colors) {
            (0, 0 | 1) => 256,
            (0, colors) => u32::from(colors).next_power_of_two().ilog2(),
            (bits, _) => u32::from(bits),
        };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Entry { pixels: side(0) * side(1), bits, depth, len: u32_at(8) as usize, at: u32_at(12) as usize }
    }
}

pub fn decode(bytes: &[u8]) -> Result<Decoded, ImageError> {
    let mut reader = Reader::at(bytes, 4);
    let count = reader.take(2).ok_or_else(cut_short)?;
    let count = u16::from_le_bytes([count[0], count[1]]);
    let mut entries = (0..count)
        .map(|_| reader.take(16).map(Entry::new))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(cut_short)?;
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.pixels), entry.depth));
    let entry = entries.first().ok_or(ImageError::Empty)?;
    let picture = bytes.get(entry.at..).ok_or_else(cut_short)?;
    if picture.starts_with(b"\x89PNG\r\n\x1a\n") {
        return png::decode_as_stored(picture).map(|(decoded, _)| decoded);
    }
    let (image, pixels_at) = bmp::decode_masked(bytes, entry.at)?;
    // The mask does not matter, as alpha is dropped; but Pillow wants it to be there.
    let (width, height) = (image.width() as usize, image.height() as usize);
    let is_complete = if entry.bits == 32 {
        bytes.len().saturating_sub(pixels_at) >= 4 * width * height
    } else {
        let mask = width.next_multiple_of(32) / 8 * height;
        let start = (entry.at.saturating_add(entry.len)).checked_sub(mask);
        start.is_some_and(|start| start.saturating_add(mask) <= bytes.len())
    };
    if is_complete { Ok(image.into()) } else { Err(cut_short()) }
}

fn cut_short() -> ImageError {
    ImageError::broken("ICO", "it ends early")
}
