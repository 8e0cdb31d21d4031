//! A decoded picture before its colours are converted.

use super::super::{ImageError, rgb};
use super::broken;
use super::properties::Colours;

/// Which samples of colour a picture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// None: 4:0:0.
    Grey,
    /// One in four: 4:2:0.
    Half,
    /// Every other one: 4:2:2.
    HalfWidth,
    /// All: 4:4:4.
    Full,
}

impl Layout {
    /// Whether width and height of the planes of colour are half of the picture's.
    pub fn halves(self) -> (bool, bool) {
        (matches!(self, Layout::Half | Layout::HalfWidth), self == Layout::Half)
    }
}

/// Samples, row by row.
pub struct Plane {
    pub width: usize,
    pub samples: Vec<u16>,
}

/// One plane of grey, or Y and two planes of colour.
pub struct Frame {
    pub width: u32,
    pub height: u32,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u8,
    pub layout: Layout,
    pub colours: Colours,
    pub planes: Vec<Plane>,
}

impl Frame {
    /// One of zeros.
    ///
    /// # Errors
    /// Where the picture is too large.
    pub fn new(
        width: u32,
        height: u32,
        depth: u8,
        layout: Layout,
        colours: Colours,
    ) -> Result<Frame, ImageError> {
        rgb::check_sides(width, height)?;
        let (half_width, half_height) = layout.halves();
        let half = |side: u32, is_half: bool| if is_half { side.div_ceil(2) } else { side } as usize;
        let mut sides = vec![(width as usize, height as usize)];
        if layout != Layout::Grey {
            sides.extend([(half(width, half_width), half(height, half_height)); 2]);
        }
        let plane = |(plane_width, plane_height): (usize, usize)| {
            let mut samples = Vec::new();
            let len = plane_width * plane_height;
            samples.try_reserve_exact(len).map_err(|_| ImageError::TooLarge { width, height })?;
            samples.resize(len, 0);
            Ok(Plane { width: plane_width, samples })
        };
        let planes = sides.into_iter().map(plane).collect::<Result<_, ImageError>>()?;
        Ok(Frame { width, height, depth, layout, colours, planes })
    }

    /// Puts a part at its place, as far as it lies in the picture.
    ///
    /// # Errors
    /// Where the part is stored in another way.
    pub fn put(&mut self, part: &Frame, left: u32, top: u32) -> Result<(), ImageError> {
        if (part.depth, part.layout, part.colours) != (self.depth, self.layout, self.colours) {
            return Err(broken("the parts of its grid differ"));
        }
        let (half_width, half_height) = self.layout.halves();
        for (at, (to, from)) in self.planes.iter_mut().zip(&part.planes).enumerate() {
            let left = left as usize / if at > 0 && half_width { 2 } else { 1 };
            let top = top as usize / if at > 0 && half_height { 2 } else { 1 };
            let len = from.width.min(to.width.saturating_sub(left));
            let rows = to.samples.chunks_exact_mut(to.width).skip(top);
            for (row, source) in rows.zip(from.samples.chunks_exact(from.width)) {
                row[left..left + len].copy_from_slice(&source[..len]);
            }
        }
        Ok(())
    }
}
