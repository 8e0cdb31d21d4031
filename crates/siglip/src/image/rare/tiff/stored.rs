//! Pictures that are not compressed, which Pillow reads itself.

use super::super::super::ImageError;
use super::canvas::{Canvas, Place};
use super::directory::{Directory, tag};
use super::layout::Layout;
use super::{broken, cut_short, unsupported};

/// A strip or tile and where it lies in the picture.
struct Part {
    offset: usize,
    x: usize,
    y: usize,
    columns: usize,
    rows: usize,
    plane: Option<usize>,
}

pub fn read(
    bytes: &[u8],
    directory: &Directory,
    layout: &Layout,
    canvas: &mut Canvas,
) -> Result<(), ImageError> {
    let (width, height) = (canvas.width, canvas.height);
    let positive = |number: i64| match usize::try_from(number) {
        Ok(number @ 1..) => Ok(number),
        _ => Err(broken("a strip or tile without pixels")),
    };
    let (mut offsets, part_width, part_height) = match directory.numbers(tag::STRIP_OFFSETS)? {
        Some(offsets) => {
            (offsets, width, positive(directory.number_or(tag::ROWS_PER_STRIP, height as i64)?)?)
        }
        None => {
            let offsets = directory.numbers(tag::TILE_OFFSETS)?;
            let side = |tag: u16| positive(directory.number_or(tag, 0)?);
            let offsets = offsets.ok_or_else(|| broken("it does not say where its pixels are"))?;
            (offsets, side(tag::TILE_WIDTH)?, side(tag::TILE_HEIGHT)?)
        }
    };
    if (part_width, part_height) == (width, height) && !layout.is_planar {
        offsets.drain(..offsets.len().saturating_sub(1));
    }
    let mut parts = Vec::with_capacity(offsets.len());
    let (mut x, mut y, mut layer) = (0, 0, 0);
    // A part may be stored again and again.
    let mut pixels_left = canvas.most_pixels() * if layout.is_planar { layout.samples } else { 1 };
    for offset in offsets {
        let offset = usize::try_from(offset).map_err(|_| cut_short())?;
        let (columns, rows) = (part_width.min(width - x), part_height.min(height - y));
        if layout.is_planar && layer >= layout.samples {
            return Err(broken("it has more planes than it says"));
        }
        pixels_left =
            (pixels_left.checked_sub(columns * rows)).ok_or_else(|| broken("its strips overlap"))?;
        parts.push(Part { offset, x, y, columns, rows, plane: layout.is_planar.then_some(layer) });
        x += part_width;
        if x >= width {
            (x, y) = (0, y.saturating_add(part_height));
            if y >= height {
                (y, layer) = (0, layer + 1);
            }
        }
    }
    // As they lie in the file; of several in one place the last.
    parts.sort_by_key(|part| part.offset);
    let is_same = |a: &Part, b: &Part| (a.x, a.y, a.plane) == (b.x, b.y, b.plane);
    for at in 0..parts.len() {
        let part = &parts[at];
        if parts.get(at + 1).is_some_and(|next| is_same(part, next)) {
            continue;
        }
        let row = (part.columns * layout.bits()).div_ceil(8);
        // Only a tile that exceeds the picture has longer rows than are shown.
        let stride = if part.x + part_width > width { part_width * layout.bits() / 8 } else { row };
        if stride < row {
            return Err(unsupported("tiles whose rows are no whole bytes"));
        }
        let data = bytes.get(part.offset..).ok_or_else(cut_short)?;
        if data.len() < (part.rows - 1) * stride + row {
            return Err(cut_short());
        }
        for line in 0..part.rows {
            let place = Place { x: part.x, y: part.y + line, len: part.columns, plane: part.plane };
            canvas.put(&data[line * stride..][..row], layout, place);
        }
    }
    Ok(())
}
