//! Boxes of the ISO base media file format (ISO/IEC 14496-12), as libavif reads them.

use super::super::ImageError;
use super::super::reader::Reader;
use super::broken;

/// A box's name.
pub type Name = [u8; 4];

/// A box: its name and what is in it.
pub struct Entry<'a> {
    pub name: Name,
    pub body: &'a [u8],
    /// Whether it ends where the file does, instead of at a stated size.
    pub is_open: bool,
}

/// Reads the boxes in a box, or the fields of one, from the beginning on.
pub struct Fields<'a> {
    reader: Reader<'a>,
    len: usize,
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { reader: Reader::new(bytes), len: bytes.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.reader.position() == self.len
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], ImageError> {
        self.reader.take(len).ok_or_else(|| broken("a box ends early"))
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.reader.take_up_to(usize::MAX)
    }

    pub fn u8(&mut self) -> Result<u8, ImageError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Result<u16, ImageError> {
        self.uint(2).map(|value| value as u16)
    }

    pub fn u32(&mut self) -> Result<u32, ImageError> {
        self.uint(4).map(|value| value as u32)
    }

    /// A number of up to 8 bytes. One of no bytes is 0.
    pub fn uint(&mut self, len: usize) -> Result<u64, ImageError> {
        Ok(self.take(len)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    pub fn name(&mut self) -> Result<Name, ImageError> {
        self.take(4).map(|bytes| bytes.try_into().expect("4 bytes"))
    }

    /// A text, which a zero byte ends.
    pub fn text(&mut self) -> Result<&'a [u8], ImageError> {
        let mut ahead = self.reader.clone();
        let end = ahead.take_up_to(usize::MAX).iter().position(|&byte| byte == 0);
        let text = self.take(end.ok_or_else(|| broken("a text in a box does not end"))?)?;
        self.take(1)?;
        Ok(text)
    }

    /// Version and flags, with which many boxes begin.
    pub fn version(&mut self) -> Result<(u8, u32), ImageError> {
        let value = self.u32()?;
        Ok(((value >> 24) as u8, value & 0xff_ffff))
    }

    /// Version and flags of a box that has one version alone.
    pub fn version_0(&mut self) -> Result<u32, ImageError> {
        match self.version()? {
            (0, flags) => Ok(flags),
            (version, _) => Err(broken(format!("a box has version {version} instead of 0"))),
        }
    }

    /// The next box, which lies in a box.
    pub fn entry(&mut self) -> Result<Entry<'a>, ImageError> {
        match self.header()? {
            (name, Some(len)) => Ok(Entry { name, body: self.take(len)?, is_open: false }),
            (_, None) => Err(broken("a box in a box has no size")),
        }
    }

    /// The next box of a file. It may end where the file does.
    pub fn top_entry(&mut self) -> Result<Entry<'a>, ImageError> {
        match self.header()? {
            // Data at the end may be missing: what is read of it decides.
            (name, Some(len)) if matches!(&name, b"ftyp" | b"meta" | b"moov") => {
                Ok(Entry { name, body: self.take(len)?, is_open: false })
            }
            (name, Some(len)) => Ok(Entry { name, body: self.reader.take_up_to(len), is_open: false }),
            (name, None) => Ok(Entry { name, body: self.rest(), is_open: true }),
        }
    }

    /// A box's name and the length of what follows, unless it is all of the rest.
    fn header(&mut self) -> Result<(Name, Option<usize>), ImageError> {
        let start = self.reader.position();
        let (short, name) = (self.u32()?, self.name()?);
        let size = if short == 1 { self.uint(8)? } else { u64::from(short) };
        if &name == b"uuid" {
            self.take(16)?;
        }
        if short == 0 {
            return Ok((name, None));
        }
        let head = (self.reader.position() - start) as u64;
        let len = size.checked_sub(head).ok_or_else(|| broken("a box is smaller than its header"))?;
        Ok((name, Some(usize::try_from(len).unwrap_or(usize::MAX))))
    }
}
