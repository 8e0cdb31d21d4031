//! Reads a file's segments as libjpeg's `jdmarker.c` does.

use super::frame::{Coding, Component, Conditioning, Frame, NATURAL_ORDER, Scan, Tables};
use super::huffman::Definition;
use super::source::{Decoded, Fault, Source};

/// What is found at the end of a run of segments.
pub enum Found {
    /// The data of a scan follows.
    Scan(Scan),
    /// The end of the picture.
    End,
}

/// The segments read so far.
pub struct Markers<'a> {
    pub source: Source<'a>,
    pub tables: Tables,
    /// None before its header.
    pub frame: Option<Frame>,
    pub has_jfif: bool,
    /// The colour transform of an Adobe segment.
    pub adobe: Option<u8>,
    is_started: bool,
    scans: usize,
}

impl<'a> Markers<'a> {
    pub fn new(bytes: &'a [u8]) -> Markers<'a> {
        Markers {
            source: Source::new(bytes),
            tables: Tables::default(),
            frame: None,
            has_jfif: false,
            adobe: None,
            is_started: false,
            scans: 0,
        }
    }

    /// Reads on to the next scan or to the end.
    pub fn read(&mut self) -> Decoded<Found> {
        loop {
            if self.source.marker == 0 {
                if self.is_started {
                    self.source.next_marker()?;
                } else {
                    if (self.source.byte()?, self.source.byte()?) != (0xff, 0xd8) {
                        return Err(Fault::Broken("it does not begin as one"));
                    }
                    self.source.marker = 0xd8;
                }
            }
            let marker = std::mem::take(&mut self.source.marker);
            let coding = |progressive, arithmetic, lossless| Coding { progressive, arithmetic, lossless };
            match marker {
                0xd8 => self.start()?,
                0xc0 | 0xc1 => self.frame(coding(false, false, false))?,
                0xc2 => self.frame(coding(true, false, false))?,
                0xc3 => self.frame(coding(false, false, true))?,
                0xc9 => self.frame(coding(false, true, false))?,
                0xca => self.frame(coding(true, true, false))?,
                0xcb => self.frame(coding(false, true, true))?,
                0xc5..=0xc8 | 0xcd..=0xcf => {
                    return Err(Fault::Broken("hierarchical coding is not decoded"));
                }
                0xda => return self.scan().map(Found::Scan),
                0xd9 => match self.frame {
                    Some(_) if self.scans == 0 => return Err(Fault::Broken("there is no picture in it")),
                    Some(_) => return Ok(Found::End),
                    // Tables alone; a picture that uses them may follow.
                    None => self.is_started = false,
                },
                0xc4 => self.huffman_codes()?,
                0xcc => self.conditioning()?,
                0xdb => self.quantizers()?,
                0xdd => {
                    if self.source.u16()? != 4 {
                        return Err(WRONG_LENGTH);
                    }
                    self.tables.restart_interval = usize::from(self.source.u16()?);
                }
                0xe0 | 0xee => self.application(marker)?,
                0xe1..=0xef | 0xfe | 0xdc => {
                    let len = self.length()?;
                    self.source.skip(len)?;
                }
                0x01 | 0xd0..=0xd7 => {}
                _ => return Err(Fault::Broken("an unknown marker stands in it")),
            }
        }
    }

    fn start(&mut self) -> Decoded<()> {
        if self.is_started {
            return Err(Fault::Broken("it begins twice"));
        }
        self.is_started = true;
        self.has_jfif = false;
        self.adobe = None;
        self.tables.conditioning = Conditioning::default();
        self.tables.restart_interval = 0;
        Ok(())
    }

    /// Bytes of a segment behind its length.
    fn length(&mut self) -> Decoded<usize> {
        Ok(usize::from(self.source.u16()?).saturating_sub(2))
    }

    /// The same of a segment that may not be shorter than that.
    fn table_length(&mut self) -> Decoded<usize> {
        usize::from(self.source.u16()?).checked_sub(2).ok_or(WRONG_LENGTH)
    }

    fn frame(&mut self, coding: Coding) -> Decoded<()> {
        let len = self.length()?;
        let precision = self.source.byte()?;
        let height = usize::from(self.source.u16()?);
        let width = usize::from(self.source.u16()?);
        let count = usize::from(self.source.byte()?);
        if self.frame.is_some() {
            return Err(Fault::Broken("it has two frames"));
        }
        if width == 0 || height == 0 || count == 0 {
            return Err(Fault::Broken("it has no pixels"));
        }
        if len != 6 + 3 * count {
            return Err(WRONG_LENGTH);
        }
        if precision != 8 {
            return Err(Fault::Broken("it has not 8 bits a sample"));
        }
        let mut components = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, sampling, quantization) =
                (self.source.byte()?, self.source.byte()?, self.source.byte()?);
            components.push(Component {
                id,
                h: usize::from(sampling >> 4),
                v: usize::from(sampling & 15),
                quantization: usize::from(quantization),
                width: 0,
                height: 0,
                block_columns: 0,
                block_rows: 0,
                dc_code: 0,
                ac_code: 0,
                quantizer: None,
            });
        }
        self.frame = Some(Frame::new(coding, width, height, components)?);
        Ok(())
    }

    fn scan(&mut self) -> Decoded<Scan> {
        let Some(frame) = &mut self.frame else {
            return Err(Fault::Broken("pixels come before the frame's header"));
        };
        let len = usize::from(self.source.u16()?);
        let count = usize::from(self.source.byte()?);
        if len != 6 + 2 * count || !(1..=4).contains(&count) {
            return Err(WRONG_LENGTH);
        }
        let mut components: Vec<usize> = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, codes) = (self.source.byte()?, self.source.byte()?);
            // Of components with the same number, those count that come after the ones named so far.
            let found = frame
                .components
                .iter()
                .enumerate()
                .take(4)
                .position(|(place, component)| component.id == id && place >= components.len());
            let found = found.filter(|place| !components.contains(place));
            let Some(place) = found else { return Err(Fault::Broken("a scan has an unknown component")) };
            components.push(place);
            frame.components[place].dc_code = usize::from(codes >> 4);
            frame.components[place].ac_code = usize::from(codes & 15);
        }
        let (first, last) = (usize::from(self.source.byte()?), usize::from(self.source.byte()?));
        let approximation = self.source.byte()?;
        self.scans += 1;
        Ok(Scan {
            components,
            first,
            last,
            high: u32::from(approximation >> 4),
            low: u32::from(approximation & 15),
            number: self.scans,
        })
    }

    fn huffman_codes(&mut self) -> Decoded<()> {
        let mut len = self.table_length()?;
        while len > 16 {
            let class = self.source.byte()?;
            let mut definition = Definition { lengths: [0; 16], symbols: [0; 256] };
            for count in &mut definition.lengths {
                *count = self.source.byte()?;
            }
            len -= 17;
            let count = definition.lengths.iter().map(|&count| usize::from(count)).sum();
            if count > 256 || count > len {
                return Err(Fault::Broken("a Huffman code makes no sense"));
            }
            for symbol in &mut definition.symbols[..count] {
                *symbol = self.source.byte()?;
            }
            len -= count;
            let codes = if class & 0x10 == 0 { &mut self.tables.dc_codes } else { &mut self.tables.ac_codes };
            let place = codes.get_mut(usize::from(class & !0x10));
            *place.ok_or(Fault::Broken("a Huffman code has an unknown number"))? = Some(definition);
        }
        if len == 0 { Ok(()) } else { Err(WRONG_LENGTH) }
    }

    fn quantizers(&mut self) -> Decoded<()> {
        let mut len = self.table_length()?;
        while len > 0 {
            let kind = self.source.byte()?;
            let wide = kind >> 4 != 0;
            let place = self.tables.quantizers.get_mut(usize::from(kind & 15));
            let place = place.ok_or(Fault::Broken("a quantization table has an unknown number"))?;
            let mut quantizer = [0; 64];
            for &at in &NATURAL_ORDER[..64] {
                quantizer[usize::from(at)] =
                    if wide { self.source.u16()? } else { u16::from(self.source.byte()?) };
            }
            *place = Some(quantizer);
            len = len.checked_sub(if wide { 129 } else { 65 }).ok_or(WRONG_LENGTH)?;
        }
        Ok(())
    }

    fn conditioning(&mut self) -> Decoded<()> {
        let mut len = self.table_length()?;
        while len > 0 {
            let (index, value) = (usize::from(self.source.byte()?), self.source.byte()?);
            len = len.checked_sub(2).ok_or(WRONG_LENGTH)?;
            let wrong = Fault::Broken("arithmetic coding's parameters make no sense");
            let conditioning = &mut self.tables.conditioning;
            if let Some(index) = index.checked_sub(16) {
                *conditioning.ac.get_mut(index).ok_or(wrong)? = value;
            } else {
                (conditioning.dc_low[index], conditioning.dc_high[index]) = (value & 15, value >> 4);
                if value & 15 > value >> 4 {
                    return Err(wrong);
                }
            }
        }
        Ok(())
    }

    /// Of JFIF and Adobe segments, what they say about colours.
    fn application(&mut self, marker: u8) -> Decoded<()> {
        let len = self.length()?;
        let mut start = [0; 14];
        let read = len.min(start.len());
        for byte in &mut start[..read] {
            *byte = self.source.byte()?;
        }
        match marker {
            0xe0 if read >= 14 && start.starts_with(b"JFIF\0") => self.has_jfif = true,
            0xee if read >= 12 && start.starts_with(b"Adobe") => self.adobe = Some(start[11]),
            _ => {}
        }
        self.source.skip(len - read)
    }
}

const WRONG_LENGTH: Fault = Fault::Broken("a segment has a wrong length");
