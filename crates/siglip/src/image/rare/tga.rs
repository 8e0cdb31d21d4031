//! TGA, read as Pillow's `TgaImagePlugin` and `TgaRleDecode.c` do.

use super::super::reader::Reader;
use super::super::{ImageError, RgbImage, rgb};

/// What the header says, which has been checked when the format was told.
struct Header {
    width: u32,
    height: u32,
    /// Bits of a pixel.
    depth: u8,
    is_packed: bool,
    from_top: bool,
    from_right: bool,
}

pub fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut reader = Reader::new(bytes);
    let fields = reader.take(18).ok_or_else(cut_short)?;
    let u16_at = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    let header = Header {
        width: u32::from(u16_at(12)),
        height: u32::from(u16_at(14)),
        depth: fields[16],
        is_packed: fields[2] & 8 != 0,
        from_top: fields[17] & 0x20 != 0,
        from_right: fields[17] & 0x10 != 0,
    };
    let kind = fields[2] & 7;
    rgb::check_sides(header.width, header.height)?;
    reader.take_up_to(usize::from(fields[0]));
    let colors = match fields[1] {
        1 => Some(read_colors(&mut reader, u16_at(3), u16_at(5), fields[7])?),
        _ => None,
    };
    let pixels = if header.is_packed { unpack(&mut reader, &header)? } else { stored(&mut reader, &header)? };
    let pixel = |row: &[u8], x: usize| -> [u8; 3] {
        match (kind, header.depth) {
            (3, 1) => [if row[x / 8] << (x % 8) & 0x80 == 0 { 0 } else { 255 }; 3],
            (2, 16) => color_of_15_bits([row[2 * x], row[2 * x + 1]]),
            (2, depth) => {
                let at = usize::from(depth / 8) * x;
                [row[at + 2], row[at + 1], row[at]]
            }
            (_, depth) => {
                let level = row[usize::from(depth / 8) * x];
                colors.as_ref().map_or([level; 3], |colors| colors[usize::from(level)])
            }
        }
    };
    let (width, row) = (header.width as usize, header.row());
    let mut data = rgb::buffer(header.width, header.height, 3)?;
    for (y, target) in data.chunks_exact_mut(3 * width).enumerate() {
        let y = if header.from_top { y } else { header.height as usize - 1 - y };
        let source = &pixels[y * row..][..row];
        for (x, target) in target.chunks_exact_mut(3).enumerate() {
            let x = if header.from_right { width - 1 - x } else { x };
            target.copy_from_slice(&pixel(source, x));
        }
    }
    RgbImage::from_rgb(header.width, header.height, data)
}

impl Header {
    /// Bytes of a row.
    fn row(&self) -> usize {
        (self.width as usize * usize::from(self.depth)).div_ceil(8)
    }
}

/// The colours from number `first` on. Others are black.
fn read_colors(
    reader: &mut Reader,
    first: u16,
    count: u16,
    depth: u8,
) -> Result<Box<[[u8; 3]; 256]>, ImageError> {
    let mut colors = Box::new([[0; 3]; 256]);
    let size = usize::from(depth / 8);
    let table = reader.take_up_to(size * usize::from(count));
    if usize::from(first) + table.len() / size > colors.len() {
        return Err(ImageError::broken("TGA", "it has more than 256 colours"));
    }
    for (color, entry) in colors[usize::from(first)..].iter_mut().zip(table.chunks_exact(size)) {
        *color = match *entry {
            [low, high] => color_of_15_bits([low, high]),
            [blue, green, red, ..] => [red, green, blue],
            _ => [0; 3],
        };
    }
    Ok(colors)
}

fn color_of_15_bits(bytes: [u8; 2]) -> [u8; 3] {
    let bits = u32::from(u16::from_le_bytes(bytes));
    [10, 5, 0].map(|shift| ((bits >> shift & 31) * 255 / 31) as u8)
}

fn stored<'a>(reader: &mut Reader<'a>, header: &Header) -> Result<std::borrow::Cow<'a, [u8]>, ImageError> {
    let len = header.row() * header.height as usize;
    reader.take(len).map(Into::into).ok_or_else(cut_short)
}

/// Rows out of runs and of pixels as they are. Only the latter may go on in the next row.
fn unpack(reader: &mut Reader, header: &Header) -> Result<std::borrow::Cow<'static, [u8]>, ImageError> {
    let size = usize::from(header.depth / 8);
    if size == 0 {
        return Err(ImageError::broken("TGA", "single bits do not come in runs"));
    }
    let row = header.row();
    let mut pixels = rgb::buffer(header.width, header.height, size)?;
    let mut at = 0;
    while at < pixels.len() {
        let code = reader.byte().ok_or_else(cut_short)?;
        let len = size * (usize::from(code & 0x7f) + 1);
        if code & 0x80 == 0 {
            let data = reader.take(len).ok_or_else(cut_short)?;
            let len = len.min(pixels.len() - at);
            pixels[at..at + len].copy_from_slice(&data[..len]);
            at += len;
            continue;
        }
        let pixel = reader.take(size).ok_or_else(cut_short)?;
        if at % row + len > row {
            return Err(ImageError::broken("TGA", "a run exceeds its row"));
        }
        for target in pixels[at..at + len].chunks_exact_mut(size) {
            target.copy_from_slice(pixel);
        }
        at += len;
    }
    Ok(pixels.into())
}

fn cut_short() -> ImageError {
    ImageError::broken("TGA", "it ends early")
}
