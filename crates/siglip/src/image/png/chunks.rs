use super::super::ImageError;
use super::super::reader::Reader;
use super::{broken, cut_short};

/// Pillow reads so much of a chunk of pixels at a time.
const READ: usize = 65536;

/// What the header says, and the frame of an animation that the first pixels are of.
#[derive(Clone)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    pub bits: u8,
    pub color: Color,
    pub is_interlaced: bool,
    /// Colours of an indexed picture; those that a short palette lacks are black.
    pub palette: Box<[[u8; 3]; 256]>,
    /// Left, top, width and height of the pixels.
    pub frame: [u32; 4],
}

/// What a pixel's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Grey,
    Rgb,
    Indexed,
    GreyAlpha,
    Rgba,
}

/// A text and its name.
#[derive(Clone)]
pub struct Text<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub is_packed: bool,
}

/// The chunks of a file, in order.
#[derive(Clone)]
pub struct Chunks<'a> {
    reader: Reader<'a>,
    header: Option<Header>,
    color: Option<Color>,
    sides: [u32; 2],
    /// How many frames the file says that it has.
    frames: Option<u32>,
    is_animated: bool,
    /// Number of the last part of an animation.
    sequence: Option<u32>,
    /// Bytes left of the chunk of pixels that is being read, and their checksum so far.
    left: usize,
    checksum: crc32fast::Hasher,
    pub has_wrong_checksum: bool,
    pub exif: Option<&'a [u8]>,
    pub texts: Vec<Text<'a>>,
}

impl<'a> Chunks<'a> {
    pub fn new(bytes: &'a [u8]) -> Chunks<'a> {
        const SIGNATURE: usize = 8;
        Chunks {
            reader: Reader::at(bytes, SIGNATURE),
            header: None,
            color: None,
            sides: [0; 2],
            frames: None,
            is_animated: false,
            sequence: None,
            left: 0,
            checksum: crc32fast::Hasher::new(),
            has_wrong_checksum: false,
            exif: None,
            texts: Vec::new(),
        }
    }

    /// Length and name of the next chunk.
    fn begin(&mut self) -> Option<Result<(usize, [u8; 4]), ImageError>> {
        let head = self.reader.take(8)?;
        let (length, name) = (u32_at(head, 0), [head[4], head[5], head[6], head[7]]);
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return Some(Err(broken("a chunk has no name")));
        }
        Some(Ok((length as usize, name)))
    }

    /// Reads to the first pixels.
    pub fn header(&mut self) -> Result<Header, ImageError> {
        loop {
            let (length, name) = self.begin().ok_or_else(cut_short)??;
            match &name {
                // Without a header, Pillow takes pixels for an unknown chunk.
                b"IDAT" if self.header.is_some() => return self.begin_data(length, name),
                b"fdAT" if self.header.is_some() => {
                    let length = self.frame_data(length)?;
                    return self.begin_data(length, name);
                }
                b"IEND" => return Err(broken("there are no pixels in it")),
                _ => {
                    let body = self.reader.take(length).ok_or_else(cut_short)?;
                    self.heed(&name, body)?;
                    let checksum = self.reader.take(4).ok_or_else(cut_short)?;
                    let mut found = crc32fast::Hasher::new();
                    found.update(&name);
                    found.update(body);
                    if found.finalize() != u32_at(checksum, 0) {
                        return Err(broken("a checksum is wrong"));
                    }
                }
            }
        }
    }

    fn begin_data(&mut self, length: usize, name: [u8; 4]) -> Result<Header, ImageError> {
        self.left = length;
        self.checksum.update(&name);
        // A picture before the frames is one more.
        self.is_animated = self.frames.is_some_and(|frames| frames > 1 || self.sequence.is_none());
        self.header.take().ok_or_else(|| broken("it has no header"))
    }

    /// The number before the pixels of a later frame, which Pillow checks. The length without it.
    fn frame_data(&mut self, length: usize) -> Result<usize, ImageError> {
        let number = self.reader.take(4).filter(|_| length >= 4).ok_or_else(cut_short)?;
        let last = self.sequence.ok_or_else(|| broken("a frame of its animation has no header"))?;
        self.count(u32_at(number, 0), last.wrapping_add(1))?;
        Ok(length - 4)
    }

    fn count(&mut self, number: u32, expected: u32) -> Result<(), ImageError> {
        if number != expected {
            return Err(broken("the parts of its animation are out of order"));
        }
        self.sequence = Some(number);
        Ok(())
    }

    /// The next piece of compressed pixels, which is not empty; None behind the last.
    pub fn data(&mut self) -> Result<Option<&'a [u8]>, ImageError> {
        while self.left == 0 {
            let found = std::mem::take(&mut self.checksum).finalize();
            if self.reader.take_up_to(4).first_chunk().is_some_and(|sum| u32::from_be_bytes(*sum) != found) {
                self.has_wrong_checksum = true;
            }
            let Some(next) = self.begin() else { return Ok(None) };
            let (length, name) = next?;
            self.left = match &name {
                b"IDAT" | b"DDAT" => length,
                b"fdAT" => self.frame_data(length)?,
                _ => return Ok(None),
            };
            self.checksum.update(&name);
        }
        let data = self.reader.take_up_to(self.left.min(READ));
        self.left -= data.len();
        self.checksum.update(data);
        Ok(Some(data).filter(|data| !data.is_empty()))
    }

    /// Reads what follows the pixels, which may end anywhere but within a chunk.
    pub fn rest(&mut self) -> Result<(), ImageError> {
        self.reader.skip(self.left);
        loop {
            self.reader.skip(4);
            let Some(Ok((length, name))) = self.begin() else { return Ok(()) };
            if &name == b"IEND" {
                return Ok(());
            }
            // The next frame.
            if &name == b"fcTL" && self.is_animated {
                return Ok(());
            }
            let length = if &name == b"fdAT" { self.frame_data(length)? } else { length };
            let body = self.reader.take(length).ok_or_else(cut_short)?;
            self.heed(&name, body)?;
        }
    }

    /// Takes from a chunk what matters, and checks of it what Pillow does.
    fn heed(&mut self, name: &[u8; 4], body: &'a [u8]) -> Result<(), ImageError> {
        let at_least = |length: usize| if body.len() < length { Err(cut_short()) } else { Ok(()) };
        match name {
            b"IHDR" => {
                at_least(13)?;
                let header = header(body)?;
                self.color = Some(header.color);
                self.sides = [header.width, header.height];
                self.header = Some(header);
            }
            b"PLTE" => {
                if let Some(Header { color: Color::Indexed, palette, .. }) = &mut self.header {
                    if body.len() > 768 {
                        return Err(broken("its palette is too long"));
                    }
                    **palette = [[0; 3]; 256];
                    for (color, entry) in palette.iter_mut().zip(body.chunks_exact(3)) {
                        color.copy_from_slice(entry);
                    }
                }
            }
            b"tRNS" => match self.color {
                Some(Color::Grey) => at_least(2)?,
                Some(Color::Rgb) => at_least(6)?,
                _ => {}
            },
            b"gAMA" => at_least(4)?,
            b"cHRM" => at_least(32)?,
            b"sRGB" => at_least(1)?,
            b"pHYs" => at_least(9)?,
            b"acTL" => {
                at_least(8)?;
                // A second one makes neither count.
                let is_first = self.frames.is_none();
                self.frames =
                    Some(u32_at(body, 0)).filter(|frames| is_first && (1..=1 << 31).contains(frames));
            }
            b"fcTL" => {
                at_least(26)?;
                let expected = self.sequence.map_or(0, |last| last.wrapping_add(1));
                self.count(u32_at(body, 0), expected)?;
                let [width, height, left, top] = [4, 8, 12, 16].map(|at| u32_at(body, at));
                let fits = |start: u32, length: u32, side: u32| {
                    u64::from(start) + u64::from(length) <= u64::from(side)
                };
                if !fits(left, width, self.sides[0]) || !fits(top, height, self.sides[1]) {
                    return Err(broken("a frame of its animation exceeds it"));
                }
                if let Some(header) = &mut self.header {
                    header.frame = [left, top, width, height];
                }
            }
            b"iCCP" => {
                let end = body.iter().position(|&byte| byte == 0).ok_or_else(cut_short)?;
                if body.get(end + 1) != Some(&0) {
                    return Err(broken("its colour profile is packed in an unknown way"));
                }
            }
            b"eXIf" => self.exif = Some(body),
            b"tEXt" => self.texts.extend(text(body, false)),
            b"zTXt" => {
                let text = text(body, true);
                if let Some(Text { value: [method, ..], .. }) = text
                    && *method != 0
                {
                    return Err(broken("a text is packed in an unknown way"));
                }
                self.texts
                    .extend(text.map(|text| Text { value: text.value.get(1..).unwrap_or_default(), ..text }));
            }
            b"iTXt" => self.texts.extend(international_text(body)),
            _ => {}
        }
        Ok(())
    }
}

fn header(body: &[u8]) -> Result<Header, ImageError> {
    let (width, height) = (u32_at(body, 0), u32_at(body, 4));
    let color = match (body[9], body[8]) {
        (0, 1 | 2 | 4 | 8 | 16) => Color::Grey,
        (2, 8 | 16) => Color::Rgb,
        (3, 1 | 2 | 4 | 8) => Color::Indexed,
        (4, 8 | 16) => Color::GreyAlpha,
        (6, 8 | 16) => Color::Rgba,
        (color, bits) => {
            return Err(ImageError::unsupported("PNG", format!("colours of kind {color} with {bits} bits")));
        }
    };
    if body[11] != 0 {
        return Err(ImageError::unsupported("PNG", "an unknown filter method"));
    }
    Ok(Header {
        width,
        height,
        bits: body[8],
        color,
        is_interlaced: body[12] != 0,
        palette: Box::new([[0; 3]; 256]),
        frame: [0, 0, width, height],
    })
}

/// A name, a zero and a text.
fn text(body: &[u8], is_packed: bool) -> Option<Text<'_>> {
    let end = body.iter().position(|&byte| byte == 0)?;
    Some(Text { key: &body[..end], value: &body[end + 1..], is_packed })
}

/// The same with a flag and a method of packing, and language and translated name before the text.
fn international_text(body: &[u8]) -> Option<Text<'_>> {
    let Text { key, value, .. } = text(body, false)?;
    let (&[flag, method], rest) = value.split_first_chunk()?;
    let text = text(text(rest, false)?.value, false)?;
    (flag == 0 || method == 0).then_some(Text { key, value: text.value, is_packed: flag != 0 })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
