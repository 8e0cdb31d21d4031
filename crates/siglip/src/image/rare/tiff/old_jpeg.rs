//! The JPEG of the first TIFF standard: libtiff's `tif_ojpeg.c`.
//!
//! A JPEG may lie anywhere in the file, or its first segments stand in the first strip, or the directory says where its
//! tables are. Strips follow each other without the markers between them. Here all becomes a usual JPEG.

use super::super::super::{ImageError, RgbImage, jpeg, rgb};
use super::directory::{Directory, tag};
use super::layout::{Color, Layout};
use super::ycbcr::YCbCrToRgb;
use super::{broken, cut_short, unsupported};

/// Y, Cb and Cr.
const COMPONENTS: usize = 3;

/// Markers.
const FRAME: u8 = 0xc0;
const HUFFMAN_TABLES: u8 = 0xc4;
const RESTART: u8 = 0xd0;
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const QUANTIZATION_TABLES: u8 = 0xdb;
const RESTART_INTERVAL: u8 = 0xdd;

pub fn read(
    bytes: &[u8],
    directory: &Directory,
    layout: &Layout,
    width: u32,
    height: u32,
) -> Result<RgbImage, ImageError> {
    // Which Pillow does not read either.
    if layout.color != Color::YCbCr || layout.is_planar {
        return Err(unsupported("JPEG of the first TIFF standard in grey or planes"));
    }
    let parts = Parts::of(directory, width, height)?;
    let source = Source::new(bytes, directory, &parts)?;
    let mut header = Header::read(&source.bytes)?;
    if header.frame.is_empty() {
        header.make(bytes, directory, parts.width, parts.total_height)?;
    }
    let (across, down) = header.sampling()?;
    if width < across || height < down {
        return Err(broken("its Cb and Cr are of more pixels than it has"));
    }
    if parts.height < height && header.interval.is_none() {
        if !parts.height.is_multiple_of(8 * down) {
            return Err(unsupported("strips that are no whole rows of JPEG blocks"));
        }
        let blocks = parts.width.div_ceil(8 * across).wrapping_mul(parts.height / (8 * down));
        header.interval = Some(blocks as u16);
    }
    let interval = match header.interval {
        Some(interval) => interval,
        None => directory.number_or(tag::JPEG_RESTART_INTERVAL, 0)? as u16,
    };
    // Y, Cb and Cr as they are.
    let image = jpeg::decode_part(
        &source.jpeg(&header, interval),
        jpeg::Colors::Rgb,
        jpeg::Chroma::Repeated,
        &mut jpeg::Effort::default(),
    )?;
    if image.width() != parts.width || image.height() < height {
        return Err(broken("its JPEG has other sides than it says"));
    }
    let mut samples = rgb::buffer(width, height, 3)?;
    let rows = image.data().chunks_exact(3 * parts.width as usize);
    for (target, row) in samples.chunks_exact_mut(3 * width as usize).zip(rows) {
        target.copy_from_slice(&row[..target.len()]);
    }
    YCbCrToRgb::new(directory)?.convert_image(&RgbImage::from_rgb(width, height, samples)?)
}

/// The strips, or tiles below each other.
struct Parts {
    width: u32,
    height: u32,
    /// Of all, of which tiles exceed the picture.
    total_height: u32,
    is_tiled: bool,
}

impl Parts {
    fn of(directory: &Directory, width: u32, height: u32) -> Result<Parts, ImageError> {
        let side = |side: i64| match u32::try_from(side) {
            Ok(side @ 1..) => Ok(side),
            _ => Err(broken("a strip or tile without pixels")),
        };
        let Some(tile_width) = directory.number(tag::TILE_WIDTH)? else {
            let rows = directory.number_or(tag::ROWS_PER_STRIP, i64::from(height))?;
            return Ok(Parts {
                width,
                height: side(rows)?.min(height),
                total_height: height,
                is_tiled: false,
            });
        };
        let (tile_width, tile_height) = (side(tile_width)?, side(directory.number_or(tag::TILE_HEIGHT, 0)?)?);
        if tile_width < width {
            return Err(unsupported("JPEG of the first TIFF standard in tiles beside each other"));
        }
        let total_height = height.checked_next_multiple_of(tile_height);
        let total_height = total_height.ok_or_else(|| broken("its tiles are too high"))?;
        Ok(Parts { width: tile_width, height: tile_height, total_height, is_tiled: true })
    }
}

/// The JPEG that lies in the file, if one does, and the strips behind each other.
struct Source {
    bytes: Vec<u8>,
    /// Where a strip ends and another one begins.
    joints: Vec<usize>,
}

impl Source {
    fn new(file: &[u8], directory: &Directory, parts: &Parts) -> Result<Source, ImageError> {
        let part = |offset: i64, len: i64| {
            let data = file.get(usize::try_from(offset).ok().filter(|&offset| offset > 0)?..)?;
            let len = usize::try_from(len).ok().filter(|&len| len > 0).unwrap_or(data.len());
            Some(&data[..len.min(data.len())])
        };
        let jpeg = part(directory.number_or(tag::JPEG_OFFSET, 0)?, directory.number_or(tag::JPEG_LENGTH, 0)?);
        let mut source = Source { bytes: jpeg.unwrap_or_default().to_vec(), joints: Vec::new() };
        let (lengths, offsets) = if parts.is_tiled {
            (tag::TILE_BYTE_COUNTS, tag::TILE_OFFSETS)
        } else {
            (tag::STRIP_BYTE_COUNTS, tag::STRIP_OFFSETS)
        };
        let lengths = directory.numbers(lengths)?.unwrap_or_default();
        let offsets = directory.numbers(offsets)?.unwrap_or_default();
        let count = parts.total_height.div_ceil(parts.height) as usize;
        for (at, offset) in offsets.into_iter().take(count).enumerate() {
            let Some(data) = part(offset, lengths.get(at).copied().unwrap_or(0)) else { continue };
            // Strips that overlap so much are a bomb.
            if source.bytes.len() + data.len() > 3 * file.len() {
                return Err(broken("its strips overlap"));
            }
            if at > 0 {
                source.joints.push(source.bytes.len());
            }
            source.bytes.extend(data);
        }
        Ok(source)
    }

    /// The whole JPEG, with the restarts that stand for the joints of strips.
    fn jpeg(&self, header: &Header, interval: u16) -> Vec<u8> {
        let mut jpeg = vec![0xff, START];
        jpeg.extend(&header.tables);
        if interval > 0 {
            push_segment(&mut jpeg, RESTART_INTERVAL, &interval.to_be_bytes());
        }
        jpeg.extend(&header.frame);
        jpeg.extend(&header.scan);
        let mut at = header.len;
        let joints = self.joints.iter().filter(|&&joint| joint > header.len);
        for (&joint, number) in joints.zip((0..8).cycle()) {
            jpeg.extend(&self.bytes[at..joint]);
            jpeg.extend([0xff, RESTART + number]);
            at = joint;
        }
        jpeg.extend(&self.bytes[at..]);
        jpeg.extend([0xff, END]);
        jpeg
    }
}

/// The segments before the first scan's data.
#[derive(Default)]
struct Header {
    tables: Vec<u8>,
    interval: Option<u16>,
    frame: Vec<u8>,
    scan: Vec<u8>,
    /// Bytes that they take.
    len: usize,
}

impl Header {
    /// Empty where there are none.
    fn read(bytes: &[u8]) -> Result<Header, ImageError> {
        let mut header = Header::default();
        while header.scan.is_empty() && *bytes.get(header.len).ok_or_else(cut_short)? == 0xff {
            let fill = bytes[header.len..].iter().take_while(|&&byte| byte == 0xff).count();
            header.len += fill;
            let marker = *bytes.get(header.len).ok_or_else(cut_short)?;
            header.len += 1;
            if marker == START {
                continue;
            }
            let segment = &bytes[header.len..];
            let len = segment.first_chunk().map(|&len| usize::from(u16::from_be_bytes(len)));
            let len = len.filter(|&len| len >= 2).ok_or_else(cut_short)?;
            let segment = segment.get(2..len).ok_or_else(cut_short)?;
            header.len += len;
            match marker {
                QUANTIZATION_TABLES | HUFFMAN_TABLES => push_segment(&mut header.tables, marker, segment),
                RESTART_INTERVAL => {
                    let interval = segment.try_into().map_err(|_| broken("its restarts make no sense"))?;
                    header.interval = Some(u16::from_be_bytes(interval));
                }
                0xc0 | 0xc1 | 0xc3 if header.frame.is_empty() => {
                    push_segment(&mut header.frame, marker, segment);
                }
                SCAN => push_segment(&mut header.scan, marker, segment),
                // Comments and what applications add.
                0xe0..=0xef | 0xfe => {}
                _ => return Err(broken("an unknown marker stands in its JPEG")),
            }
        }
        Ok(header)
    }

    /// From the directory, which says where the tables are.
    fn make(
        &mut self,
        file: &[u8],
        directory: &Directory,
        width: u32,
        height: u32,
    ) -> Result<(), ImageError> {
        let missing = || broken("the tables of its JPEG are missing");
        let side = |side: u32| u16::try_from(side).map_err(|_| broken("it is too large for a JPEG"));
        let places = |tag: u16| {
            let places = directory.numbers(tag)?.filter(|places| places.len() >= COMPONENTS);
            let places: Option<Vec<usize>> =
                places.map(|places| places.into_iter().filter_map(|place| place.try_into().ok()).collect());
            places.filter(|places| places.len() >= COMPONENTS).ok_or_else(missing)
        };
        let (quantizers, dc, ac) =
            (places(tag::JPEG_QUANTIZERS)?, places(tag::JPEG_DC_TABLES)?, places(tag::JPEG_AC_TABLES)?);
        let sampling = match directory.numbers(tag::YCBCR_SUBSAMPLING)?.as_deref() {
            Some(&[across @ 1..=4, down @ 1..=4]) => (across << 4 | down) as u8,
            Some(_) => return Err(broken("its sampling makes no sense")),
            None => 0x22,
        };
        let mut frame = vec![8];
        frame.extend([side(height)?.to_be_bytes(), side(width)?.to_be_bytes()].concat());
        frame.push(COMPONENTS as u8);
        let mut scan = vec![COMPONENTS as u8];
        for component in 0..COMPONENTS {
            let number = component as u8;
            let quantizer = file.get(quantizers[component]..).and_then(|table| table.get(..64));
            let quantizer = [&[number], quantizer.ok_or_else(missing)?].concat();
            push_segment(&mut self.tables, QUANTIZATION_TABLES, &quantizer);
            for (place, kind) in [(dc[component], 0), (ac[component], 0x10)] {
                let table = file.get(place..).ok_or_else(missing)?;
                let counts = table.get(..16).ok_or_else(missing)?;
                let len = 16 + counts.iter().map(|&count| usize::from(count)).sum::<usize>();
                let table = [&[kind | number], table.get(..len).ok_or_else(missing)?].concat();
                push_segment(&mut self.tables, HUFFMAN_TABLES, &table);
            }
            frame.extend([number, if component == 0 { sampling } else { 0x11 }, number]);
            scan.extend([number, number << 4 | number]);
        }
        scan.extend([0, 63, 0]);
        push_segment(&mut self.frame, FRAME, &frame);
        push_segment(&mut self.scan, SCAN, &scan);
        Ok(())
    }

    /// How many pixels beside and below each other share their Cb and Cr.
    fn sampling(&self) -> Result<(u32, u32), ImageError> {
        // Behind marker, length, bits, height, width and number of components: id, factors and table of each.
        let found = self.frame.get(10..).unwrap_or_default().chunks_exact(3).map(|component| component[1]);
        let factors: Vec<u8> = found.collect();
        if factors.len() != COMPONENTS {
            return Err(broken("its JPEG has another number of components than it says"));
        }
        let (across, down) = (factors[0] >> 4, factors[0] & 15);
        let is_known = matches!((across, down), (1 | 2 | 4, 1 | 2 | 4));
        if !is_known || factors[1..].iter().any(|&factors| factors != 0x11) {
            return Err(unsupported(format!("JPEG of the sampling factors {factors:x?}")));
        }
        Ok((across.into(), down.into()))
    }
}

fn push_segment(jpeg: &mut Vec<u8>, marker: u8, segment: &[u8]) {
    jpeg.extend([0xff, marker]);
    jpeg.extend((segment.len() as u16 + 2).to_be_bytes());
    jpeg.extend(segment);
}
