use super::super::ImageError;
use super::super::rgb;
use super::broken;
use super::chunks::{Color, Header};

/// First column and row, and steps between columns and rows, of the passes of an interlaced picture.
const PASSES: [[usize; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/// Makes pixels of unpacked data, which comes in pieces: each row filtered, behind a byte that says how.
pub struct Pixels<'a> {
    header: &'a Header,
    rgb: Vec<u8>,
    /// The passes that are to come, and the place of the row that is being read.
    passes: std::slice::Iter<'static, [usize; 4]>,
    pass: [usize; 4],
    y: usize,
    /// The row so far, with its first byte, and the row above.
    row: Vec<u8>,
    above: Vec<u8>,
    filled: usize,
    /// Bytes of the row, and from one pixel to the next.
    length: usize,
    step: usize,
    is_complete: bool,
}

const ONE_PASS: [[usize; 4]; 1] = [[0, 0, 1, 1]];

impl<'a> Pixels<'a> {
    /// `rgb` is black.
    pub fn new(header: &'a Header, mut rgb: Vec<u8>) -> Result<Pixels<'a>, ImageError> {
        let [_, _, width, height] = header.frame;
        let samples = match header.color {
            Color::Grey | Color::Indexed => 1,
            Color::GreyAlpha => 2,
            Color::Rgb => 3,
            Color::Rgba => 4,
        };
        if width == 0 || height == 0 {
            return Err(broken("its first frame is empty"));
        }
        if header.color == Color::Indexed && header.palette[0] != [0; 3] {
            rgb.as_chunks_mut().0.fill(header.palette[0]);
        }
        let bits = samples * usize::from(header.bits);
        let longest = (width as usize * bits).div_ceil(8) as u32;
        let mut pixels = Pixels {
            header,
            rgb,
            passes: if header.is_interlaced { PASSES.iter() } else { ONE_PASS.iter() },
            pass: [0; 4],
            y: 0,
            row: rgb::buffer(longest + 1, 1, 1)?,
            above: rgb::buffer(longest + 1, 1, 1)?,
            filled: 0,
            length: 0,
            step: bits.div_ceil(8),
            is_complete: false,
        };
        pixels.begin_pass();
        Ok(pixels)
    }

    pub fn are_complete(&self) -> bool {
        self.is_complete
    }

    pub fn is_between_rows(&self) -> bool {
        self.filled == 0
    }

    /// How many bytes the row lacks.
    pub fn left_in_row(&self) -> usize {
        if self.is_complete { 0 } else { self.length + 1 - self.filled }
    }

    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// Returns how many bytes were left when the last row was complete.
    pub fn take(&mut self, mut data: &[u8]) -> Result<usize, ImageError> {
        while !self.is_complete && !data.is_empty() {
            let wanted = self.length + 1 - self.filled;
            let (taken, rest) = data.split_at(wanted.min(data.len()));
            self.row[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            data = rest;
            if taken.len() == wanted {
                self.finish_row()?;
            }
        }
        Ok(data.len())
    }

    /// Passes without a pixel are left out.
    fn begin_pass(&mut self) {
        let [_, _, width, height] = self.header.frame.map(|side| side as usize);
        loop {
            let Some(&pass) = self.passes.next() else {
                self.is_complete = true;
                return;
            };
            let [left, top, step, _] = pass;
            if left < width && top < height {
                let pixels = (width - left).div_ceil(step);
                self.pass = pass;
                self.y = top;
                self.length = (pixels * self.bits()).div_ceil(8);
                self.above.fill(0);
                return;
            }
        }
    }

    /// Bits of a pixel.
    fn bits(&self) -> usize {
        match self.header.bits {
            bits @ 1..8 => usize::from(bits),
            _ => 8 * self.step,
        }
    }

    fn finish_row(&mut self) -> Result<(), ImageError> {
        let filter = self.row[0];
        unfilter(filter, &mut self.row[1..=self.length], &self.above[1..=self.length], self.step)?;
        self.convert();
        std::mem::swap(&mut self.row, &mut self.above);
        self.filled = 0;
        self.y += self.pass[3];
        if self.y >= self.header.frame[3] as usize {
            self.begin_pass();
        }
        Ok(())
    }

    /// Writes the row's pixels to their places. Of samples of 16 bits, the high byte counts.
    fn convert(&mut self) {
        let Header { frame, color, bits, palette, is_interlaced, .. } = self.header;
        let [left, top, width, _] = frame.map(|side| side as usize);
        // Pillow puts the pixels of an interlaced frame at the picture's corner.
        let (left, top) = if *is_interlaced { (0, 0) } else { (left, top) };
        let start = 3 * ((top + self.y) * self.header.width as usize + left);
        let target = &mut self.rgb[start..start + 3 * width];
        let [first, _, step, _] = self.pass;
        let targets = target[3 * first..].chunks_mut(3 * step);
        let row = &self.row[1..=self.length];
        match (color, bits) {
            (Color::Rgb | Color::Rgba, bits) => {
                let bytes = usize::from(bits / 8);
                for (target, pixel) in targets.zip(row.chunks_exact(self.step)) {
                    target[..3].copy_from_slice(&[pixel[0], pixel[bytes], pixel[2 * bytes]]);
                }
            }
            (Color::GreyAlpha, _) | (Color::Grey, 8 | 16) => {
                for (target, pixel) in targets.zip(row.chunks_exact(self.step)) {
                    target[..3].fill(pixel[0]);
                }
            }
            _ => {
                let bits = usize::from(*bits);
                let largest = (1u16 << bits) - 1;
                for (x, target) in targets.enumerate() {
                    let value = u16::from(row[x * bits / 8]) >> (8 - bits - x * bits % 8) & largest;
                    let pixel = match color {
                        Color::Indexed => palette[usize::from(value)],
                        _ => [(value * (255 / largest)) as u8; 3],
                    };
                    target[..3].copy_from_slice(&pixel);
                }
            }
        }
    }
}

/// Undoes one of the five filters. `step` is from one pixel to the next, at least 1.
fn unfilter(filter: u8, row: &mut [u8], above: &[u8], step: usize) -> Result<(), ImageError> {
    match filter {
        0 => {}
        1 => {
            for x in step..row.len() {
                row[x] = row[x].wrapping_add(row[x - step]);
            }
        }
        2 => {
            for (byte, above) in row.iter_mut().zip(above) {
                *byte = byte.wrapping_add(*above);
            }
        }
        3 => {
            for x in 0..row.len() {
                let left = x.checked_sub(step).map_or(0, |left| u16::from(row[left]));
                row[x] = row[x].wrapping_add(((left + u16::from(above[x])) / 2) as u8);
            }
        }
        4 => {
            for x in 0..row.len().min(step) {
                row[x] = row[x].wrapping_add(above[x]);
            }
            for x in step..row.len() {
                let predicted = paeth(row[x - step], above[x], above[x - step]);
                row[x] = row[x].wrapping_add(predicted);
            }
        }
        _ => return Err(broken("a row is filtered in an unknown way")),
    }
    Ok(())
}

#[inline(always)]
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(above), i16::from(corner));
    let (to_left, to_above, to_corner) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}
