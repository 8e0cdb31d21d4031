//! The bytes of a file, markers among them, and the bits of entropy-coded data.

/// Why decoding ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The file ends before what is being read does.
    CutShort,
    /// Nothing can be made of it.
    Broken(&'static str),
    /// More pixels than memory holds.
    Memory,
}

pub type Decoded<T> = Result<T, Fault>;

/// Pillow reads so many bytes at a time and has libjpeg stop and begin anew at each end. What a bit reader holds in
/// advance depends on that, and with it whether the last bytes of a cut file are enough.
const READ: usize = 65536;

/// Position in a file.
pub struct Source<'a> {
    bytes: &'a [u8],
    pub position: usize,
    /// Bytes up to here have been read from the file.
    available: usize,
    /// A marker that has been passed but not yet heeded, or 0.
    pub marker: u8,
    /// What was wrong with the data, of which a picture was made nevertheless.
    pub damage: Option<&'static str>,
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes, position: 0, available: 0, marker: 0, damage: None }
    }

    /// Reads on, unless the file ends here.
    pub fn read_on(&mut self) -> Decoded<()> {
        if self.available == self.bytes.len() {
            return Err(Fault::CutShort);
        }
        self.available = self.bytes.len().min(self.available + READ);
        Ok(())
    }

    /// Takes what has been read from the file for all of it.
    pub fn end_here(&mut self) {
        self.bytes = &self.bytes[..self.available];
    }

    /// Bytes that have been read from the file and not yet used.
    fn left(&self) -> usize {
        self.available.saturating_sub(self.position)
    }

    pub fn byte(&mut self) -> Decoded<u8> {
        while self.position >= self.available {
            self.read_on()?;
        }
        self.position += 1;
        Ok(self.bytes[self.position - 1])
    }

    pub fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    pub fn skip(&mut self, len: usize) -> Decoded<()> {
        self.position = self.position.saturating_add(len);
        while self.position > self.available {
            self.read_on()?;
        }
        Ok(())
    }

    /// Passes bytes until there is a marker, and keeps it in `marker`.
    pub fn next_marker(&mut self) -> Decoded<()> {
        loop {
            while self.byte()? != 0xff {}
            let marker = loop {
                match self.byte()? {
                    0xff => {}
                    byte => break byte,
                }
            };
            if marker != 0 {
                self.marker = marker;
                return Ok(());
            }
        }
    }

    /// Passes the restart marker of number `expected`. Where another one stands there, either reading goes on until a
    /// later one, or the interval is left empty.
    pub fn restart_marker(&mut self, expected: &mut u8) -> Decoded<()> {
        const SOF0: u8 = 0xc0;
        const RST0: u8 = 0xd0;
        if self.marker == 0 {
            self.next_marker()?;
        }
        let number = |ahead: u8| RST0 + ((*expected + ahead) & 7);
        if self.marker == number(0) {
            self.marker = 0;
        } else {
            self.damage = Some("restart markers are missing");
            loop {
                let marker = self.marker;
                if !(SOF0..=RST0 + 7).contains(&marker) && marker >= SOF0
                    || (SOF0..RST0).contains(&marker)
                    || marker == number(1)
                    || marker == number(2)
                {
                    break;
                }
                if marker < SOF0 || marker == number(7) || marker == number(6) {
                    self.next_marker()?;
                } else {
                    self.marker = 0;
                    break;
                }
            }
        }
        *expected = (*expected + 1) & 7;
        Ok(())
    }
}

/// Bits that are wanted in advance: a symbol of a Huffman code is looked up by so many.
pub const LOOKAHEAD: u32 = 8;
/// A buffer of 64 bits takes another byte below this.
const FULL: u32 = 57;

/// Reads bits of entropy-coded data, the highest first. Behind the end of a segment there are zeros.
pub struct Bits<'s, 'a> {
    pub source: &'s mut Source<'a>,
    buffer: u64,
    left: u32,
    /// A bit behind the end of the segment has been read.
    pub exhausted: bool,
}

/// Where a [`Bits`] was.
#[derive(Clone, Copy)]
pub struct Place {
    position: usize,
    marker: u8,
    buffer: u64,
    left: u32,
}

impl<'s, 'a> Bits<'s, 'a> {
    pub fn new(source: &'s mut Source<'a>) -> Bits<'s, 'a> {
        Bits { source, buffer: 0, left: 0, exhausted: false }
    }

    pub fn place(&self) -> Place {
        let Source { position, marker, .. } = *self.source;
        Place { position, marker, buffer: self.buffer, left: self.left }
    }

    pub fn go_back(&mut self, place: Place) {
        self.source.position = place.position;
        self.source.marker = place.marker;
        self.buffer = place.buffer;
        self.left = place.left;
    }

    /// Passes the restart marker of number `expected`.
    pub fn restart(&mut self, expected: &mut u8) -> Decoded<()> {
        self.left = 0;
        self.source.restart_marker(expected)?;
        // Directly before another marker, the interval is empty.
        if self.source.marker == 0 {
            self.exhausted = false;
        }
        Ok(())
    }

    /// Whether so many blocks can be read by the `fast_` functions: neither a marker nor the end of what has been
    /// read is near.
    pub fn is_ample(&self, blocks: usize) -> bool {
        // No block has more bytes.
        const BLOCK: usize = 512;
        self.source.marker == 0 && self.source.left() >= BLOCK * blocks
    }

    /// As many bits as the buffer takes, at least `wanted`.
    fn fill(&mut self, wanted: u32) -> Decoded<()> {
        if self.source.marker == 0 {
            while self.left < FULL {
                let byte = match self.next()? {
                    0xff => loop {
                        match self.next()? {
                            0xff => {}
                            0 => break 0xff,
                            marker => {
                                self.source.marker = marker;
                                self.exhaust(wanted);
                                return Ok(());
                            }
                        }
                    },
                    byte => byte,
                };
                self.buffer = self.buffer << 8 | u64::from(byte);
                self.left += 8;
            }
        } else {
            self.exhaust(wanted);
        }
        Ok(())
    }

    fn next(&mut self) -> Decoded<u8> {
        if self.source.position >= self.source.available {
            return Err(Fault::CutShort);
        }
        self.source.position += 1;
        Ok(self.source.bytes[self.source.position - 1])
    }

    fn exhaust(&mut self, wanted: u32) {
        if wanted > self.left {
            self.exhausted = true;
            self.source.damage = Some("its data ends early");
            self.buffer <<= FULL - self.left;
            self.left = FULL;
        }
    }

    /// The next bits without passing them, or None where less are left of the segment.
    pub fn peek(&mut self) -> Decoded<Option<usize>> {
        if self.left < LOOKAHEAD {
            self.fill(0)?;
            if self.left < LOOKAHEAD {
                return Ok(None);
            }
        }
        Ok(Some(self.look()))
    }

    fn look(&self) -> usize {
        (self.buffer >> (self.left - LOOKAHEAD)) as usize & ((1 << LOOKAHEAD) - 1)
    }

    pub fn pass(&mut self, count: u32) {
        self.left -= count;
    }

    /// The next `count` bits, at most 16.
    pub fn take(&mut self, count: u32) -> Decoded<u32> {
        if self.left < count {
            self.fill(count)?;
        }
        Ok(self.fast_take(count))
    }

    /// What [`Bits::peek`] gives, where [`Bits::is_ample`] has said so. At a marker there are zeros.
    #[inline(always)]
    pub fn fast_peek(&mut self) -> usize {
        self.fast_fill();
        self.look()
    }

    /// Takes six bytes, as libjpeg-turbo does, once 16 bits or less are left.
    #[inline(always)]
    pub fn fast_fill(&mut self) {
        if self.left > 16 {
            return;
        }
        let at = self.source.position;
        if let Some(&next) = self.source.bytes[at..].first_chunk::<8>() {
            let word = u64::from_be_bytes(next) >> 16;
            // A byte of ones becomes zero, and only then borrows.
            let inverted = !word & 0xffff_ffff_ffff;
            if inverted.wrapping_sub(0x0101_0101_0101) & !inverted & 0x8080_8080_8080 == 0 {
                self.buffer = self.buffer << 48 | word;
                self.left += 48;
                self.source.position += 6;
                return;
            }
        }
        self.fast_fill_bytes();
    }

    #[cold]
    fn fast_fill_bytes(&mut self) {
        for _ in 0..6 {
            let at = self.source.position;
            let (byte, next) = match self.source.bytes.get(at..at + 2) {
                Some(&[byte, next]) => (byte, next),
                _ => (0xff, 0xd9),
            };
            self.left += 8;
            self.buffer <<= 8;
            if byte != 0xff {
                self.buffer |= u64::from(byte);
                self.source.position += 1;
            } else if next == 0 {
                self.buffer |= 0xff;
                self.source.position += 2;
            } else {
                self.source.marker = next;
            }
        }
    }

    /// The next `count` bits, which the buffer holds.
    #[inline(always)]
    pub fn fast_take(&mut self, count: u32) -> u32 {
        self.left -= count;
        (self.buffer >> self.left) as u32 & ((1 << count) - 1)
    }
}
