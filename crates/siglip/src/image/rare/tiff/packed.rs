//! Compressed pictures, which Pillow has libtiff read.

use std::borrow::Cow;

use super::super::super::{ImageError, RgbImage, jpeg};
use super::canvas::{Canvas, Place};
use super::directory::{Directory, tag};
use super::layout::{Color, Layout, Sample};
use super::ycbcr::{Subsampling, YCbCrToRgb};
use super::{broken, codec, cut_short, fax, unsupported};

/// Bytes that several strips or tiles may share, beyond the file's length: as many as whole files of equal tiles need.
const MOST_SHARED: usize = 64 << 20;

/// The strips or tiles.
struct Grid {
    width: usize,
    height: usize,
    across: usize,
    down: usize,
    planes: usize,
    is_tiled: bool,
    offsets: Vec<i64>,
    lengths: Option<Vec<i64>>,
}

impl Grid {
    fn new(directory: &Directory, layout: &Layout, canvas: &Canvas) -> Result<Grid, ImageError> {
        let is_tiled = directory.number(tag::TILE_WIDTH)?.is_some();
        let positive = |number: Option<i64>| match number.map(usize::try_from) {
            Some(Ok(number @ 1..)) => Ok(number),
            _ => Err(broken("a strip or tile without pixels")),
        };
        let (width, height) = if is_tiled {
            (positive(directory.number(tag::TILE_WIDTH)?)?, positive(directory.number(tag::TILE_HEIGHT)?)?)
        } else {
            let rows = directory.number_or(tag::ROWS_PER_STRIP, canvas.height as i64)?;
            (canvas.width, positive(Some(rows))?.min(canvas.height))
        };
        let (offsets, lengths) = match directory.numbers(tag::TILE_OFFSETS)? {
            Some(offsets) if is_tiled => (Some(offsets), directory.numbers(tag::TILE_BYTE_COUNTS)?),
            _ => {
                let lengths = directory.numbers(tag::STRIP_BYTE_COUNTS)?;
                (directory.numbers(tag::STRIP_OFFSETS)?, lengths)
            }
        };
        let offsets = offsets.ok_or_else(|| broken("it does not say where its pixels are"))?;
        let (across, down) = (canvas.width.div_ceil(width), canvas.height.div_ceil(height));
        let planes = if layout.is_planar { layout.samples } else { 1 };
        let pixels = [width, height, across, down].into_iter().try_fold(1usize, usize::checked_mul);
        if pixels.is_none_or(|pixels| pixels > canvas.most_pixels()) {
            return Err(unsupported(format!("tiles of {width} x {height} pixels")));
        }
        if lengths.is_none() && across * down > 1 {
            return Err(broken("it does not say how long its strips are"));
        }
        Ok(Grid { width, height, across, down, planes, is_tiled, offsets, lengths })
    }

    /// Refuses parts that share so much data that reading them takes long: compressed data may be of any length and
    /// say nothing.
    fn check_shared(&self, bytes: &[u8]) -> Result<(), ImageError> {
        let most = MOST_SHARED.saturating_add(bytes.len().saturating_mul(self.planes));
        let mut sum = 0usize;
        for part in self.parts(bytes) {
            let (.., data) = part?;
            sum = sum.saturating_add(data.len());
            if sum > most {
                return Err(broken("its strips overlap"));
            }
        }
        Ok(())
    }

    /// Plane, left and top of each part, and its bytes in the file.
    fn parts<'a>(
        &self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<(usize, usize, usize, &'a [u8]), ImageError>> {
        let count = self.across * self.down;
        (0..count * self.planes).map(move |at| {
            let (plane, place) = (at / count, at % count);
            let offset = self.offsets.get(at).and_then(|&offset| usize::try_from(offset).ok());
            let data = offset.and_then(|offset| bytes.get(offset..)).ok_or_else(cut_short)?;
            // libtiff guesses a length that is missing; what is read ends with the pixels.
            let length = match self.lengths.as_ref().map(|lengths| lengths.get(at)) {
                None => data.len(),
                Some(Some(0)) if count == 1 => data.len(),
                Some(length) => {
                    length.and_then(|&length| usize::try_from(length).ok()).ok_or_else(cut_short)?
                }
            };
            let data = data.get(..length).ok_or_else(cut_short)?;
            Ok((plane, place % self.across * self.width, place / self.across * self.height, data))
        })
    }
}

pub fn read(
    bytes: &[u8],
    directory: &Directory,
    layout: &Layout,
    canvas: &mut Canvas,
) -> Result<(), ImageError> {
    let grid = Grid::new(directory, layout, canvas)?;
    grid.check_shared(bytes)?;
    let row = (grid.width * layout.bits()).div_ceil(8);
    let ycbcr = YCbCrParts::of(directory, layout, canvas)?;
    let too_large = |_| ImageError::TooLarge { width: canvas.width as u32, height: canvas.height as u32 };
    let mut pixels: Vec<u8> = Vec::new();
    let bytes_of = |rows: usize| match &ycbcr {
        Some(ycbcr) => ycbcr.sampling.bytes(grid.width, rows),
        None => row.saturating_mul(rows),
    };
    pixels.try_reserve_exact(bytes_of(grid.height)).map_err(too_large)?;
    // A part of a fax that ends early has the rows of the part before.
    pixels.resize(bytes_of(grid.height), 0);
    let mut fax =
        fax_coding(directory, layout)?.map(|coding| fax::Decoder::new(grid.width, coding)).transpose()?;
    let predictor = Predictor::of(directory, layout)?;
    // libtiff turns the bits of compressed bytes, and gives numbers in the machine's order.
    let decoded = Layout { reversed: false, little_endian: true, ..*layout };
    for part in grid.parts(bytes) {
        let (plane, x, y, data) = part?;
        let data = if layout.reversed {
            Cow::Owned(data.iter().map(|byte| byte.reverse_bits()).collect())
        } else {
            Cow::Borrowed(data)
        };
        let rows = if grid.is_tiled { grid.height } else { grid.height.min(canvas.height - y) };
        let pixels = &mut pixels[..bytes_of(rows)];
        match (layout.compression, &mut fax) {
            (_, Some(fax)) => fax.decode(&data, pixels)?,
            (codec::LZW, _) => codec::lzw(&data, pixels)?,
            (codec::DEFLATE | codec::OLD_DEFLATE, _) => codec::deflate(&data, pixels)?,
            (codec::PACKBITS, _) => codec::packbits(&data, pixels)?,
            (codec::LZMA, _) => codec::lzma(&data, pixels)?,
            (codec::ZSTANDARD, _) => codec::zstandard(&data, pixels)?,
            (compression, _) => return Err(unsupported(codec::name(compression))),
        }
        predictor.undo(pixels, row, layout);
        if let Some(ycbcr) = &ycbcr {
            canvas.put_rgb(&ycbcr.sampling.part(pixels, grid.width, rows, &ycbcr.colors)?, x, y);
            continue;
        }
        // Planes that are not shown have been checked.
        let plane = layout.is_planar.then_some(plane);
        let len = grid.width.min(canvas.width - x);
        for (pixels, y) in pixels.chunks_exact(row).zip(y..canvas.height) {
            canvas.put(pixels, &decoded, Place { x, y, len, plane });
        }
    }
    Ok(())
}

/// None where the compression is not one of fax machines.
fn fax_coding(directory: &Directory, layout: &Layout) -> Result<Option<fax::Coding>, ImageError> {
    let coding = match layout.compression {
        codec::HUFFMAN => fax::Coding::Bytes,
        codec::GROUP_3 => {
            fax::Coding::Group3 { two_dimensional: directory.number_or(tag::T4_OPTIONS, 0)? & 1 == 1 }
        }
        codec::GROUP_4 => fax::Coding::Group4,
        _ => return Ok(None),
    };
    if (layout.sample, layout.samples) != (Sample::Bits(1), 1) {
        return Err(broken("a fax of other colours than black and white"));
    }
    Ok(Some(coding))
}

/// Each strip or tile is a JPEG whose tables may stand in the directory.
pub fn read_jpeg(
    bytes: &[u8],
    directory: &Directory,
    layout: &Layout,
    canvas: &mut Canvas,
) -> Result<(), ImageError> {
    let colors = match layout.color {
        Color::Grey { inverted: false } if layout.samples == 1 => jpeg::Colors::Grey,
        Color::Rgb if layout.samples == 3 => jpeg::Colors::Rgb,
        Color::YCbCr => jpeg::Colors::YCbCr,
        Color::Cmyk if layout.samples == 4 => jpeg::Colors::Ink,
        _ => return Err(unsupported("JPEG of other samples than grey, RGB, YCbCr or CMYK")),
    };
    if layout.is_planar || layout.sample != Sample::Bits(8) {
        return Err(unsupported("JPEG in planes"));
    }
    let tables = directory.bytes(tag::JPEG_TABLES).unwrap_or(b"\xff\xd8\xff\xd9");
    let tables = tables.strip_suffix(b"\xff\xd9").unwrap_or(tables);
    let grid = Grid::new(directory, layout, canvas)?;
    grid.check_shared(bytes)?;
    let mut effort = jpeg::Effort::default();
    for part in grid.parts(bytes) {
        let (_, x, y, data) = part?;
        let data = data.strip_prefix(b"\xff\xd8").ok_or_else(|| broken("a part in JPEG is none"))?;
        let part = [tables, data].concat();
        let image: RgbImage = jpeg::decode_part(&part, colors, jpeg::Chroma::Weighted, &mut effort)?;
        let (width, height) = (image.width() as usize, image.height() as usize);
        // A last strip may be as high as the others.
        if width > grid.width || height > grid.height {
            return Err(broken("a part in JPEG is larger than it should be"));
        }
        canvas.put_rgb(&image, x, y);
    }
    Ok(())
}

/// How parts of YCbCr become colours.
struct YCbCrParts {
    sampling: Subsampling,
    colors: YCbCrToRgb,
}

impl YCbCrParts {
    /// None where the picture has other colours.
    fn of(directory: &Directory, layout: &Layout, canvas: &Canvas) -> Result<Option<YCbCrParts>, ImageError> {
        if layout.color != Color::YCbCr {
            return Ok(None);
        }
        let sampling = Subsampling::of(directory)?;
        if canvas.width < sampling.across || canvas.height < sampling.down {
            return Err(broken("its Cb and Cr are of more pixels than it has"));
        }
        // libtiff's differences count samples, not groups.
        let is_predicted = directory.number_or(tag::PREDICTOR, 1)? != 1;
        if layout.is_planar || is_predicted && (sampling.across, sampling.down) != (1, 1) {
            return Err(unsupported("YCbCr in planes or as differences"));
        }
        Ok(Some(YCbCrParts { sampling, colors: YCbCrToRgb::new(directory)? }))
    }
}

/// What compressed samples are differences to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Predictor {
    None,
    /// The pixel to the left.
    Left,
    /// The byte to the left, in rows of the samples' first bytes, second bytes and so on.
    FloatLeft,
}

impl Predictor {
    fn of(directory: &Directory, layout: &Layout) -> Result<Predictor, ImageError> {
        let has_predictor = matches!(
            layout.compression,
            codec::LZW | codec::DEFLATE | codec::OLD_DEFLATE | codec::LZMA | codec::ZSTANDARD
        );
        if !has_predictor {
            return Ok(Predictor::None);
        }
        match (directory.number_or(tag::PREDICTOR, 1)?, layout.sample.bits()) {
            (1, _) => Ok(Predictor::None),
            (2, 8 | 16 | 32) => Ok(Predictor::Left),
            (3, 32) if layout.sample == Sample::Float32 => Ok(Predictor::FloatLeft),
            (predictor, bits) => Err(unsupported(format!("predictor {predictor} of {bits} bits"))),
        }
    }

    /// Undoes the differences, and puts the bytes of each number into order from the lowest on.
    fn undo(self, pixels: &mut [u8], row: usize, layout: &Layout) {
        let size = layout.sample.bits() / 8;
        let stride = if layout.is_planar { 1 } else { layout.samples };
        if self == Predictor::FloatLeft {
            let mut numbers = vec![0; row];
            for pixels in pixels.chunks_exact_mut(row) {
                for at in stride..row {
                    pixels[at] = pixels[at].wrapping_add(pixels[at - stride]);
                }
                let count = row / size;
                for (at, number) in numbers.chunks_exact_mut(size).enumerate() {
                    for (byte, target) in number.iter_mut().rev().enumerate() {
                        *target = pixels[byte * count + at];
                    }
                }
                pixels.copy_from_slice(&numbers);
            }
            return;
        }
        if size > 1 && !layout.little_endian {
            pixels.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self == Predictor::Left {
            for pixels in pixels.chunks_exact_mut(row) {
                match size {
                    1 => add_left::<1>(pixels, stride, |a, b| [a[0].wrapping_add(b[0])]),
                    2 => add_left::<2>(pixels, stride, |a, b| {
                        u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes()
                    }),
                    _ => add_left::<4>(pixels, stride, |a, b| {
                        u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes()
                    }),
                }
            }
        }
    }
}

fn add_left<const N: usize>(row: &mut [u8], stride: usize, add: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let (numbers, _) = row.as_chunks_mut::<N>();
    for at in stride..numbers.len() {
        numbers[at] = add(numbers[at], numbers[at - stride]);
    }
}
