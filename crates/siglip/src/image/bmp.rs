//! BMP, read as Pillow's `BmpImagePlugin` does.
//!
//! Writers disagree on nearly every field of this format, so what matters is which of them a reader believes: the
//! offset of the pixels, the number of colours and the masks are taken as Pillow takes them.

use super::reader::Reader;
use super::{ImageError, RgbImage, rgb};

/// Values of the field `biCompression`.
mod compression {
    pub const NONE: u32 = 0;
    pub const RLE8: u32 = 1;
    pub const RLE4: u32 = 2;
    pub const BITFIELDS: u32 = 3;
}

/// What the two headers and the colour table say.
struct Header {
    width: u32,
    height: u32,
    bottom_up: bool,
    bits: u16,
    compression: u32,
    masks: [u32; 4],
    colors: u64,
    /// Bytes of an entry of the colour table.
    color_bytes: u64,
}

/// How a pixel is stored.
enum Layout {
    /// An index of so many bits, and the colours.
    Indexed(u16, Box<[[u8; 3]; 256]>),
    /// 16 bits, of which green has so many.
    Packed(u32),
    /// Bytes a pixel, and where among them red, green and blue are.
    Bytes(usize, [usize; 3]),
}

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut reader = Reader::new(bytes);
    let file_header = reader.take(14).ok_or_else(cut_short)?;
    let pixels_at = u64::from(u32_at(file_header, 10));
    let header = header(&mut reader)?;
    picture(bytes, reader, &header, pixels_at).map(|(image, _)| image)
}

/// An icon's picture, which begins with the second header. A mask as high as the picture counts into its height.
///
/// Returns the place of its pixels too.
#[cfg(feature = "rare-formats")]
pub(super) fn decode_masked(bytes: &[u8], at: usize) -> Result<(RgbImage, usize), ImageError> {
    let mut reader = Reader::at(bytes, at);
    let mut header = header(&mut reader)?;
    rgb::check_sides(header.width, header.height)?;
    header.height /= 2;
    picture(bytes, reader, &header, 0)
}

/// What follows the headers, and the place of the pixels.
fn picture(
    bytes: &[u8],
    mut reader: Reader,
    header: &Header,
    mut pixels_at: u64,
) -> Result<(RgbImage, usize), ImageError> {
    rgb::check_sides(header.width, header.height)?;
    if pixels_at == reader.position() as u64 && header.bits <= 8 {
        pixels_at += header.color_bytes * header.colors;
    }
    let mut layout = layout(header)?;
    if let Layout::Indexed(bits, colors) = &mut layout {
        let table = reader.take_up_to((header.color_bytes * header.colors) as usize);
        let grey = read_colors(header, table, colors)?;
        let packed = matches!(header.compression, compression::RLE8 | compression::RLE4);
        match grey {
            // Pillow takes such a picture for one of black and white, whatever its depth.
            Some(Grey::BlackAndWhite) if !packed => *bits = 1,
            Some(Grey::Ramp) if !packed && *bits != 8 => {
                return Err(ImageError::unsupported("BMP", "a table of greys for less than 8 bits"));
            }
            _ => {}
        }
    }
    let start = if pixels_at == 0 { reader.position() } else { pixels_at.min(bytes.len() as u64) as usize };
    let pixels = match header.compression {
        compression::RLE8 | compression::RLE4 => {
            let Layout::Indexed(_, colors) = &layout else {
                return Err(ImageError::unsupported("BMP", "runs of pixels without a colour table"));
            };
            let indices = unpack_runs(bytes, start, header)?;
            let row = header.width as usize;
            rows(header, &indices, row, row, |pixels, index| colors[usize::from(pixels[index])])
        }
        _ => {
            let row = (u64::from(header.width) * u64::from(header.bits)).div_ceil(8) as usize;
            let stride = row.div_ceil(4) * 4;
            let data = &bytes[start..];
            match &layout {
                Layout::Indexed(bits, colors) => {
                    let (bits, mask) = (usize::from(*bits), (1u16 << bits) - 1);
                    let row = (header.width as usize * bits).div_ceil(8);
                    rows(header, data, row, stride, |pixels, x| {
                        let shift = 8 - bits - x * bits % 8;
                        let index = u16::from(pixels[x * bits / 8]) >> shift & mask;
                        colors[usize::from(index)]
                    })
                }
                Layout::Packed(green_bits) => rows(header, data, row, stride, |pixels, x| {
                    let pixel = u32::from(u16::from_le_bytes([pixels[2 * x], pixels[2 * x + 1]]));
                    let widen = |shift: u32, bits: u32| {
                        let largest = (1 << bits) - 1;
                        ((pixel >> shift & largest) * 255 / largest) as u8
                    };
                    [widen(5 + green_bits, 5), widen(5, *green_bits), widen(0, 5)]
                }),
                Layout::Bytes(size, places) => {
                    rows(header, data, row, stride, |pixels, x| places.map(|place| pixels[size * x + place]))
                }
            }
        }
    };
    Ok((RgbImage::from_rgb(header.width, header.height, pixels?)?, start))
}

fn header(reader: &mut Reader) -> Result<Header, ImageError> {
    let size = u32_at(reader.take(4).ok_or_else(cut_short)?, 0);
    // Those of 12, 16 and 64 bytes are OS/2's.
    if !matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124) {
        return Err(ImageError::unsupported("BMP", format!("a header of {size} bytes")));
    }
    let fields = reader.take(size as usize - 4).ok_or_else(cut_short)?;
    let mut header = Header {
        width: u32::from(u16_at(fields, 0)),
        height: u32::from(u16_at(fields, 2)),
        bottom_up: true,
        bits: u16_at(fields, 6),
        compression: compression::NONE,
        masks: [0; 4],
        colors: 0,
        color_bytes: 3,
    };
    if size > 12 {
        header.bottom_up = fields[7] != 0xff;
        header.width = u32_at(fields, 0);
        header.height = u32_at(fields, 4);
        if !header.bottom_up {
            header.height = header.height.wrapping_neg();
        }
        header.bits = u16_at(fields, 10);
        header.color_bytes = 4;
    }
    if size >= 40 {
        header.compression = u32_at(fields, 12);
        header.colors = u64::from(u32_at(fields, 28));
        if header.compression == compression::BITFIELDS {
            // Headers of 40 bytes have three masks behind them, longer ones hold them.
            let masks = match size {
                40 => reader.take(12).ok_or_else(cut_short)?,
                _ => &fields[36..],
            };
            for (mask, value) in header.masks.iter_mut().zip(masks.chunks_exact(4)) {
                *mask = u32_at(value, 0);
            }
        }
    }
    if header.colors == 0 {
        header.colors = 1 << header.bits.min(32);
    }
    Ok(header)
}

fn layout(header: &Header) -> Result<Layout, ImageError> {
    let masks = header.masks;
    let unsupported = || Err(ImageError::unsupported("BMP", format!("colour masks {masks:x?}")));
    match (header.compression, header.bits) {
        (compression::NONE | compression::RLE8 | compression::RLE4, 1 | 4 | 8) => {
            Ok(Layout::Indexed(header.bits, Box::new([[0; 3]; 256])))
        }
        (compression::NONE, 16) => Ok(Layout::Packed(5)),
        (compression::NONE, 24) => Ok(Layout::Bytes(3, [2, 1, 0])),
        (compression::NONE, 32) => Ok(Layout::Bytes(4, [2, 1, 0])),
        (compression::BITFIELDS, 16) => match masks {
            [0xf800, 0x7e0, 0x1f, _] => Ok(Layout::Packed(6)),
            [0x7c00, 0x3e0, 0x1f, _] => Ok(Layout::Packed(5)),
            _ => unsupported(),
        },
        (compression::BITFIELDS, 24) => match masks {
            [0xff_0000, 0xff00, 0xff, _] => Ok(Layout::Bytes(3, [2, 1, 0])),
            _ => unsupported(),
        },
        (compression::BITFIELDS, 32) => match masks {
            [0xff_0000, 0xff00, 0xff, 0 | 0xff00_0000] | [0, 0, 0, 0] => Ok(Layout::Bytes(4, [2, 1, 0])),
            [0xff00_0000, 0xff_0000, 0xff00, 0 | 0xff] => Ok(Layout::Bytes(4, [3, 2, 1])),
            [0xff00_0000, 0xff00, 0xff, 0 | 0xff_0000] => Ok(Layout::Bytes(4, [3, 1, 0])),
            [0xff, 0xff00, 0xff_0000, 0xff00_0000] => Ok(Layout::Bytes(4, [0, 1, 2])),
            _ => unsupported(),
        },
        (compression @ 0..=3, bits) => {
            Err(ImageError::unsupported("BMP", format!("{bits} bits a pixel, compression {compression}")))
        }
        (compression, _) => Err(ImageError::unsupported("BMP", format!("compression {compression}"))),
    }
}

/// A colour table that holds nothing but greys.
enum Grey {
    /// Black and white, or black alone.
    BlackAndWhite,
    /// Grey 0, grey 1 and so on.
    Ramp,
}

/// Fills `colors` with the table's. Colours that a short table lacks are black.
fn read_colors(
    header: &Header,
    table: &[u8],
    colors: &mut [[u8; 3]; 256],
) -> Result<Option<Grey>, ImageError> {
    if header.colors > 65536 {
        return Err(ImageError::unsupported("BMP", format!("{} colours", header.colors)));
    }
    let size = header.color_bytes as usize;
    for (color, entry) in colors.iter_mut().zip(table.chunks_exact(size)) {
        *color = [entry[2], entry[1], entry[0]];
    }
    let is_grey = (0..header.colors as usize).all(|index| {
        let level = if header.colors == 2 { (255 * index) as u8 } else { index as u8 };
        table.get(size * index..size * index + 3) == Some(&[level; 3])
    });
    if !is_grey && table.len() / size > colors.len() {
        return Err(ImageError::unsupported("BMP", format!("{} colours", header.colors)));
    }
    if !is_grey {
        return Ok(None);
    }
    *colors = std::array::from_fn(|index| [index as u8; 3]);
    if header.colors > 2 {
        return Ok(Some(Grey::Ramp));
    }
    colors[1] = [255; 3];
    Ok(Some(Grey::BlackAndWhite))
}

/// An index a pixel in the order of the file, out of runs. Pixels that are skipped have index 0.
fn unpack_runs(bytes: &[u8], start: usize, header: &Header) -> Result<Vec<u8>, ImageError> {
    let width = header.width as usize;
    let mut indices = rgb::buffer(header.width, header.height, 1)?;
    let len = indices.len();
    let four_bits = header.compression == compression::RLE4;
    let nibble = |byte: u8, at: usize| match (four_bits, at % 2) {
        (false, _) => byte,
        (true, 0) => byte >> 4,
        (true, _) => byte & 0x0f,
    };
    let mut reader = Reader::at(bytes, start);
    let (mut at, mut x) = (0, 0);
    while at < len {
        let Some(&[count, value]) = reader.take(2) else { break };
        match (count, value) {
            (0, 0) => {
                at = at.next_multiple_of(width);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let Some(&[right, up]) = reader.take(2) else { break };
                at = len.min(at + usize::from(right) + usize::from(up) * width);
                x = at % width;
            }
            (0, count) => {
                let pixels = (len - at).min(usize::from(count));
                let stored = if four_bits { pixels.div_ceil(2) } else { pixels };
                let data = reader.take_up_to(stored);
                let found = if four_bits { pixels.min(2 * data.len()) } else { data.len() };
                for place in 0..found {
                    let byte = data[if four_bits { place / 2 } else { place }];
                    indices[at + place] = nibble(byte, place);
                }
                at += found;
                if data.len() < stored {
                    break;
                }
                x += usize::from(count);
                // The next code lies at an even offset of the file.
                reader.skip(reader.position() % 2);
            }
            (count, value) => {
                let pixels = usize::from(count).min(width.saturating_sub(x)).min(len - at);
                for place in 0..pixels {
                    indices[at + place] = nibble(value, place);
                }
                at += pixels;
                x += pixels;
            }
        }
    }
    if at < len { Err(cut_short()) } else { Ok(indices) }
}

/// R G B of every pixel, rows from the top. Of the last row, the padding may be missing.
fn rows(
    header: &Header,
    data: &[u8],
    row: usize,
    stride: usize,
    pixel: impl Fn(&[u8], usize) -> [u8; 3],
) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (header.width as usize, header.height as usize);
    if data.len() < (height - 1) * stride + row {
        return Err(cut_short());
    }
    let mut pixels = rgb::buffer(header.width, header.height, 3)?;
    for (y, target) in pixels.chunks_exact_mut(3 * width).enumerate() {
        let y = if header.bottom_up { height - 1 - y } else { y };
        let source = &data[y * stride..y * stride + row];
        for (x, target) in target.chunks_exact_mut(3).enumerate() {
            target.copy_from_slice(&pixel(source, x));
        }
    }
    Ok(pixels)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn cut_short() -> ImageError {
    ImageError::broken("BMP", "it ends early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_os2_header_of_16_bytes() {
        let mut file = b"BM\0\0\0\0\0\0\0\0\x1e\0\0\0\x10\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
        file.extend([1, 2, 3, 4, 5, 6]);
        assert_eq!(decode(&file).unwrap().data(), [3, 2, 1, 6, 5, 4]);
    }
}
