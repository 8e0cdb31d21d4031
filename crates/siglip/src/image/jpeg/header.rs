//! What Pillow's `JpegImagePlugin` reads of a file before libjpeg does.

use super::super::ImageError;
use super::super::reader::Reader;

pub struct Header<'a> {
    pub width: u32,
    pub height: u32,
    /// All EXIF segments in a row.
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Follows the segments to the first scan.
    pub fn read(bytes: &'a [u8]) -> Result<Header<'a>, ImageError> {
        let mut header = Header { width: 0, height: 0, exif: None, xmp: None };
        // Behind the marker with which every file begins but for its last byte.
        let mut reader = Reader::at(bytes, 3);
        let mut byte = 0xff;
        let cut_short = || ImageError::broken("JPEG", "it ends early");
        loop {
            if byte != 0xff {
                byte = reader.byte().ok_or_else(cut_short)?;
                continue;
            }
            let marker = reader.byte().ok_or_else(cut_short)?;
            match marker {
                0xff => continue,
                // Skipped without a length: fill bytes, restarts, reserved markers.
                0x00 | 0xc8 | 0xd0..=0xd9 | 0xf0..=0xfd => {}
                0x01..=0xbf => return Err(ImageError::broken("JPEG", "an unknown marker stands in it")),
                _ => {
                    let len = reader.take(2).ok_or_else(cut_short)?;
                    let len = usize::from(u16::from_be_bytes([len[0], len[1]])).saturating_sub(2);
                    let segment = reader.take(len).ok_or_else(cut_short)?;
                    header.take_segment(marker, segment)?;
                    if marker == 0xda {
                        return Ok(header);
                    }
                }
            }
            byte = reader.byte().ok_or_else(cut_short)?;
        }
    }

    fn take_segment(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), ImageError> {
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xde => {
                let &[bits, h1, h0, w1, w0, components, ..] = segment else {
                    return Err(ImageError::broken("JPEG", "its header is too short"));
                };
                self.width = u32::from(u16::from_be_bytes([w1, w0]));
                self.height = u32::from(u16::from_be_bytes([h1, h0]));
                if bits != 8 {
                    return Err(ImageError::unsupported("JPEG", format!("{bits} bits a sample")));
                }
                if !matches!(components, 1 | 3 | 4) {
                    return Err(ImageError::unsupported("JPEG", format!("{components} components")));
                }
            }
            0xe1 if segment.starts_with(b"Exif\0\0") => match &mut self.exif {
                Some(exif) => exif.extend(&segment[6..]),
                None => self.exif = Some(segment.to_vec()),
            },
            0xe1 => {
                if let Some(xmp) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                    self.xmp = Some(xmp);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
