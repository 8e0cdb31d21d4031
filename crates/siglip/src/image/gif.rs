//! GIF's first frame, read as Pillow's `GifImagePlugin` and `GifDecode.c` do.

use super::reader::Reader;
use super::{ImageError, RgbImage, rgb};

const EXTENSION: u8 = b'!';
const IMAGE: u8 = b',';
const TRAILER: u8 = b';';
const GRAPHIC_CONTROL: u8 = 0xf9;

/// None without a colour table, or with one that holds grey 0, grey 1 and so on.
type Palette = Option<Box<[[u8; 3]; 256]>>;

/// The first frame and what lies before it.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    interlaced: bool,
    /// None where it is grey.
    palette: Palette,
    transparent: Option<u8>,
    code_bits: u8,
    /// Where the codes begin.
    data: usize,
}

/// The first frame on the canvas. Around a frame that is smaller lies, in Pillow, the transparent colour or else
/// colour 0; a frame that is larger widens the canvas.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut reader = Reader::new(bytes);
    let screen = reader.take(13).ok_or_else(cut_short)?;
    let global = palette(&mut reader, screen[10])?;
    let frame = frame(&mut reader, global)?;
    let width = usize::from(u16_at(screen, 6)).max(frame.left + frame.width);
    let height = usize::from(u16_at(screen, 8)).max(frame.top + frame.height);
    let mut canvas = rgb::buffer(width as u32, height as u32, 1)?;
    canvas.fill(frame.transparent.unwrap_or(0));
    if frame.width == 0 || frame.height == 0 {
        return Err(broken("its first frame is empty"));
    }
    let mut indices = rgb::buffer(frame.width as u32, frame.height as u32, 1)?;
    decompress(bytes, &frame, &mut indices)?;
    let rows = canvas.chunks_exact_mut(width).skip(frame.top);
    for (row, indices) in rows.zip(indices.chunks_exact(frame.width)) {
        row[frame.left..frame.left + frame.width].copy_from_slice(indices);
    }
    let pixels = canvas.iter().map(|&index| match &frame.palette {
        Some(palette) => palette[usize::from(index)],
        None => [index; 3],
    });
    RgbImage::from_pixels(width as u32, height as u32, pixels)
}

/// The colour table behind a descriptor with these flags. Colours that a short table lacks are black.
fn palette(reader: &mut Reader, flags: u8) -> Result<Palette, ImageError> {
    if flags & 0x80 == 0 {
        return Ok(None);
    }
    let table = reader.take(3 << (1 + (flags & 7))).ok_or_else(cut_short)?;
    if table.chunks_exact(3).enumerate().all(|(index, color)| color == [index as u8; 3]) {
        return Ok(None);
    }
    let mut palette = Box::new([[0; 3]; 256]);
    for (entry, color) in palette.iter_mut().zip(table.chunks_exact(3)) {
        entry.copy_from_slice(color);
    }
    Ok(Some(palette))
}

/// Extensions of every kind may stand before the frame, and any other bytes.
fn frame(reader: &mut Reader, global: Palette) -> Result<Frame, ImageError> {
    let mut transparent = None;
    loop {
        match reader.byte() {
            None | Some(TRAILER) => return Err(broken("there is no frame in it")),
            Some(EXTENSION) => {
                let label = reader.byte().ok_or_else(cut_short)?;
                let mut block = block(reader);
                if let (GRAPHIC_CONTROL, Some(control)) = (label, block) {
                    if control.len() < if control[0] & 1 == 0 { 3 } else { 4 } {
                        return Err(broken("its control extension is too short"));
                    }
                    transparent = (control[0] & 1 != 0).then(|| control[3]).or(transparent);
                    // Whatever its length says, the blocks behind belong to it.
                    block = Some(control);
                }
                while block.is_some() {
                    block = self::block(reader);
                }
            }
            Some(IMAGE) => {
                let descriptor = reader.take(9).ok_or_else(cut_short)?;
                let local = palette(reader, descriptor[8])?;
                let code_bits = reader.byte().ok_or_else(cut_short)?;
                return Ok(Frame {
                    left: usize::from(u16_at(descriptor, 0)),
                    top: usize::from(u16_at(descriptor, 2)),
                    width: usize::from(u16_at(descriptor, 4)),
                    height: usize::from(u16_at(descriptor, 6)),
                    interlaced: descriptor[8] & 0x40 != 0,
                    // Pillow takes a frame's own greys for the lack of a table.
                    palette: local.or(global),
                    transparent,
                    code_bits,
                    data: reader.position(),
                });
            }
            Some(_) => {}
        }
    }
}

/// The next block of an extension, unless it is the empty one that ends it.
fn block<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = reader.byte().filter(|&len| len > 0)?;
    Some(reader.take_up_to(usize::from(len))).filter(|block| !block.is_empty())
}

/// Codes have at most so many bits.
const LARGEST_CODE_BITS: u32 = 12;
const CODES: usize = 1 << LARGEST_CODE_BITS;
/// Pillow reads so many bytes at a time. A code for the end before the frame is complete is passed over where more
/// follow, and otherwise an error.
const READ: usize = 65536;

/// Fills the frame with palette indices. Data that goes on behind the last pixel is ignored.
fn decompress(bytes: &[u8], frame: &Frame, indices: &mut [u8]) -> Result<(), ImageError> {
    if u32::from(frame.code_bits) > LARGEST_CODE_BITS {
        return Err(broken("its codes are too long"));
    }
    let clear = 1usize << frame.code_bits;
    let end = clear + 1;
    let mut table = vec![(0u8, 0u16); CODES];
    let mut next = clear + 2;
    let mut code_bits = u32::from(frame.code_bits) + 1;
    let mut last: Option<(usize, u8)> = None;
    let mut string = Vec::with_capacity(CODES);
    let mut pixels = Pixels::new(frame, indices);
    let mut codes = Codes { bytes, position: frame.data, block: 0, buffer: 0, bits: 0 };
    loop {
        let code = codes.next(code_bits).ok_or_else(cut_short)?;
        if code == clear {
            next = clear + 2;
            code_bits = u32::from(frame.code_bits) + 1;
            last = None;
            continue;
        }
        if code == end {
            let read = (codes.position - frame.data).max(1).div_ceil(READ);
            if frame.data + read * READ >= bytes.len() {
                return Err(cut_short());
            }
            continue;
        }
        let Some((last_code, last_byte)) = last else {
            if code > clear {
                return Err(broken("its first code is of no colour"));
            }
            last = Some((code, code as u8));
            if pixels.put(&[code as u8]) {
                return Ok(());
            }
            continue;
        };
        if code > next {
            return Err(broken("it has a code that is not yet defined"));
        }
        // The string of a code, last byte first.
        string.clear();
        let mut prefix = code;
        if code == next {
            string.push(last_byte);
            prefix = last_code;
        }
        while prefix >= clear {
            if string.len() >= CODES || prefix >= CODES {
                return Err(broken("its codes go in a circle"));
            }
            let (byte, before) = table[prefix];
            string.push(byte);
            prefix = usize::from(before);
        }
        let first = prefix as u8;
        string.push(first);
        string.reverse();
        if next < CODES {
            table[next] = (first, last_code as u16);
            if next == (1 << code_bits) - 1 && code_bits < LARGEST_CODE_BITS {
                code_bits += 1;
            }
            next += 1;
        }
        last = Some((code, first));
        if pixels.put(&string) {
            return Ok(());
        }
    }
}

/// Reads codes, the lowest bits first, out of blocks of at most 255 bytes. An empty block is passed over.
struct Codes<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Bytes left of this block.
    block: usize,
    buffer: u32,
    bits: u32,
}

impl Codes<'_> {
    fn next(&mut self, bits: u32) -> Option<usize> {
        while self.bits < bits {
            let byte = *self.bytes.get(self.position)?;
            self.position += 1;
            if self.block > 0 {
                self.block -= 1;
                self.buffer |= u32::from(byte) << self.bits;
                self.bits += 8;
            } else {
                self.block = usize::from(byte);
                // A block is decoded only once all of it is there.
                if self.bytes.len() - self.position < self.block {
                    return None;
                }
            }
        }
        let code = self.buffer & ((1 << bits) - 1);
        self.buffer >>= bits;
        self.bits -= bits;
        Some(code as usize)
    }
}

/// Puts indices where they belong: row by row, or in the four passes of an interlaced frame.
struct Pixels<'a> {
    indices: &'a mut [u8],
    width: usize,
    height: usize,
    x: usize,
    y: usize,
    /// Rows from one to the next of this pass, and where the passes begin that are still to come.
    step: usize,
    passes: &'static [(usize, usize)],
}

impl<'a> Pixels<'a> {
    fn new(frame: &Frame, indices: &'a mut [u8]) -> Pixels<'a> {
        let (step, passes): (usize, &'static [(usize, usize)]) =
            if frame.interlaced { (8, &[(4, 8), (2, 4), (1, 2)]) } else { (1, &[]) };
        Pixels { indices, width: frame.width, height: frame.height, x: 0, y: 0, step, passes }
    }

    /// True once the frame is complete.
    fn put(&mut self, mut string: &[u8]) -> bool {
        while !string.is_empty() {
            let len = string.len().min(self.width - self.x);
            let at = self.y * self.width + self.x;
            self.indices[at..at + len].copy_from_slice(&string[..len]);
            string = &string[len..];
            self.x += len;
            if self.x < self.width {
                return false;
            }
            self.x = 0;
            self.y += self.step;
            while self.y >= self.height {
                let Some((&(y, step), rest)) = self.passes.split_first() else { return true };
                (self.y, self.step, self.passes) = (y, step, rest);
            }
        }
        false
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn cut_short() -> ImageError {
    broken("it ends early")
}

fn broken(reason: &str) -> ImageError {
    ImageError::broken("GIF", reason)
}
