//! What the sequence header of AV1 data says of its colours (AV1 Bitstream & Decoding Process Specification, 5.5).

use super::properties::Colours;

/// Reads bits from the highest on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// As many zeros as there are bits after the one behind them.
    fn variable(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        self.take(if zeros < 32 { zeros } else { 0 })
    }
}

/// The colours of a sequence header. None if it ends early.
pub fn colours(header: &[u8]) -> Option<Colours> {
    let mut bits = Bits { bytes: header, at: 0 };
    let profile = bits.take(3)?;
    let _still_picture = bits.flag()?;
    let is_reduced = bits.flag()?;
    if is_reduced {
        let _level = bits.take(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.take(4)? as usize + 1, bits.take(4)? as usize + 1);
    bits.take(width_bits)?;
    bits.take(height_bits)?;
    skip_tools(&mut bits, is_reduced)?;
    color_config(&mut bits, profile)
}

/// The rest of a header that is not reduced: timing and operating points.
fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            bits.variable()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? as usize + 1);
            bits.take(32)?;
            bits.take(5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        let level = bits.take(5)?;
        if level > 7 {
            bits.take(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.take(delay_bits)?;
            bits.take(delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

/// What the coder may use.
fn skip_tools(bits: &mut Bits<'_>, is_reduced: bool) -> Option<()> {
    // Frames have numbers.
    if !is_reduced && bits.flag()? {
        bits.take(4 + 3)?;
    }
    // Large blocks, intra prediction by filters, intra edge filter.
    bits.take(3)?;
    if !is_reduced {
        // Four ways of prediction between frames.
        bits.take(4)?;
        let has_order = bits.flag()?;
        if has_order {
            bits.take(2)?;
        }
        let chooses_screen_content = bits.flag()?;
        let has_screen_content = chooses_screen_content || bits.flag()?;
        if has_screen_content && !bits.flag()? {
            bits.take(1)?;
        }
        if has_order {
            bits.take(3)?;
        }
    }
    // Superresolution, CDEF, loop restoration.
    bits.take(3)?;
    Some(())
}

fn color_config(bits: &mut Bits<'_>, profile: u32) -> Option<Colours> {
    let is_deep = bits.flag()?;
    if profile == 2 && is_deep {
        bits.take(1)?;
    }
    let is_grey = profile != 1 && bits.flag()?;
    let (primaries, transfer, matrix) = match bits.flag()? {
        true => (bits.take(8)?, bits.take(8)?, bits.take(8)?),
        false => (2, 2, 2),
    };
    // sRGB, stored as it is, has no flag of its range.
    let is_rgb = !is_grey && (primaries, transfer, matrix) == (1, 13, 0);
    let full_range = is_rgb || bits.flag()?;
    Some(Colours { primaries: primaries as u16, matrix: matrix as u16, full_range })
}
