//! AVIF, as libavif decodes it for Pillow. The container is read here, the picture in it by `re_rav1d`.

mod av1;
mod boxes;
mod colour;
mod container;
mod frame;
mod meta;
mod properties;
mod sequence;

use super::orientation::Orientation;
use super::{ImageError, RgbImage, rgb};
use boxes::Fields;
use container::{Container, Item};
use frame::Frame;
use properties::Property;

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let file = Container::parse(bytes)?;
    let color = file.primary()?;
    let color_parts = Parts::of(&file, color)?;
    let alpha_parts = alpha_parts(&file, color, &color_parts)?;
    let transforms = transforms(&file, color);
    let metadata = file.metadata(color)?;
    let mut frame = color_parts.decode(&file)?;
    let stated = |property| if let Property::Colours(colours) = property { Some(colours) } else { None };
    frame.colours = file.property(color, stated).unwrap_or(frame.colours);
    let alpha = match &alpha_parts {
        Some(parts) => {
            let alpha = parts.decode(&file)?;
            if (alpha.width, alpha.height, alpha.depth) != (frame.width, frame.height, frame.depth) {
                return Err(broken("its alpha has other sides or depth than its colours"));
            }
            Some(alpha)
        }
        None => None,
    };
    let is_premultiplied =
        alpha_parts.is_some_and(|parts| parts.item.is_some_and(|item| color.premultiplied_by == item.id));
    let image = colour::to_rgb(frame, alpha, is_premultiplied)?;
    let (exif, xmp) = (metadata.exif.as_deref(), metadata.xmp.as_deref());
    Orientation::of_avif(transforms.orientation(), exif, xmp).apply(image)
}

/// The coded pictures that an item is made of.
struct Parts<'f> {
    /// None for the alpha of a grid that is stored with its parts.
    item: Option<&'f Item>,
    parts: Vec<&'f Item>,
    grid: Option<Grid>,
}

/// How the parts of a grid lie.
#[derive(Clone, Copy)]
struct Grid {
    rows: u32,
    columns: u32,
    width: u32,
    height: u32,
}

impl<'f> Parts<'f> {
    fn of(file: &'f Container<'_>, item: &'f Item) -> Result<Parts<'f>, ImageError> {
        let (parts, grid) = if item.is_grid() {
            let (parts, grid) = (file.parts(item), Grid::parse(&file.data(item)?)?);
            if parts.len() != (grid.rows * grid.columns) as usize {
                return Err(broken("its grid has too few or too many parts"));
            }
            if file.sides(item) != Some((grid.width, grid.height)) {
                return Err(broken("its grid has other sides than stated"));
            }
            (parts, Some(grid))
        } else {
            (vec![item], None)
        };
        let parts = Parts { item: Some(item), parts, grid };
        parts.check(file)?;
        Ok(parts)
    }

    /// Refuses parts that cannot be decoded or differ from each other.
    fn check(&self, file: &Container<'_>) -> Result<(), ImageError> {
        let config = |item| {
            file.property(item, |property| match property {
                Property::Config(profile, samples) => Some((profile, samples)),
                _ => None,
            })
        };
        let first = config(self.parts[0]).ok_or_else(|| broken("its decoder configuration is missing"))?;
        for part in &self.parts {
            if !part.is_av1() {
                return Err(unsupported(format!("item {} of its grid is no AV1 picture", part.id)));
            }
            if config(part) != Some(first) {
                return Err(broken("the parts of its grid differ"));
            }
            let layer = |property| if let Property::Layer(layer) = property { Some(layer) } else { None };
            if file.property(part, layer).is_some_and(|layer| layer != 0xffff) {
                return Err(unsupported("a chosen layer of several"));
            }
        }
        let depth = match first.1 >> 5 & 3 {
            0 => 8,
            2 => 10,
            _ => 12,
        };
        let stated = |property| if let Property::Depth(depth) = property { Some(depth) } else { None };
        match self.item.and_then(|item| file.property(item, stated)) {
            Some(stated) if stated != depth => Err(broken("it states two depths")),
            _ => Ok(()),
        }
    }

    fn decode(&self, file: &Container<'_>) -> Result<Frame, ImageError> {
        let Some(grid) = self.grid else { return self.decode_part(file, self.parts[0]) };
        let first = self.decode_part(file, self.parts[0])?;
        grid.check(&first)?;
        let mut frame = Frame::new(grid.width, grid.height, first.depth, first.layout, first.colours)?;
        frame.put(&first, 0, 0)?;
        for (at, part) in (0..).zip(&self.parts).skip(1) {
            let (left, top) = (at % grid.columns * first.width, at / grid.columns * first.height);
            let part = self.decode_part(file, part)?;
            if (part.width, part.height) != (first.width, first.height) {
                return Err(broken("the parts of its grid differ"));
            }
            frame.put(&part, left, top)?;
        }
        Ok(frame)
    }

    fn decode_part(&self, file: &Container<'_>, part: &Item) -> Result<Frame, ImageError> {
        let point =
            |property| if let Property::OperatingPoint(point) = property { Some(point) } else { None };
        let frame = av1::decode(&file.data(part)?, file.property(part, point).unwrap_or(0))?;
        if file.sides(part).is_some_and(|sides| sides != (frame.width, frame.height)) {
            return Err(unsupported("a picture that is scaled to its stated sides"));
        }
        Ok(frame)
    }
}

impl Grid {
    fn parse(data: &[u8]) -> Result<Grid, ImageError> {
        let mut fields = Fields::new(data);
        let (version, flags) = (fields.u8()?, fields.u8()?);
        if version != 0 {
            return Err(unsupported(format!("a grid of version {version}")));
        }
        let (rows, columns) = (1 + u32::from(fields.u8()?), 1 + u32::from(fields.u8()?));
        let side = if flags & 1 == 0 { 2 } else { 4 };
        let (width, height) = (fields.uint(side)? as u32, fields.uint(side)? as u32);
        rgb::check_sides(width, height)?;
        if !fields.is_empty() {
            return Err(broken("its grid says more than it should"));
        }
        Ok(Grid { rows, columns, width, height })
    }

    /// The parts cover the grid, and none lies outside.
    fn check(self, part: &Frame) -> Result<(), ImageError> {
        let fits = |part: u32, count: u32, whole: u32| {
            let (part, count, whole) = (u64::from(part), u64::from(count), u64::from(whole));
            part * count >= whole && part * (count - 1) < whole
        };
        let (half_width, half_height) = part.layout.halves();
        let is_even = (!half_width || (self.width | part.width).is_multiple_of(2))
            && (!half_height || (self.height | part.height).is_multiple_of(2));
        let fits = fits(part.width, self.columns, self.width) && fits(part.height, self.rows, self.height);
        if fits && is_even && part.width >= 64 && part.height >= 64 {
            Ok(())
        } else {
            Err(broken("the parts of its grid do not fit"))
        }
    }
}

/// The pictures that hold a picture's alpha, if it has any.
fn alpha_parts<'f>(
    file: &'f Container<'_>,
    color: &Item,
    color_parts: &Parts<'_>,
) -> Result<Option<Parts<'f>>, ImageError> {
    if let Some(item) = file.alpha_of(color) {
        let (of_alpha, of_color) = (transforms(file, item), transforms(file, color));
        if of_alpha != Transforms::default() && of_alpha != of_color {
            return Err(unsupported("its alpha lies otherwise than its colours"));
        }
        return Parts::of(file, item).map(Some);
    }
    let Some(grid) = color_parts.grid else { return Ok(None) };
    let Some(items) = file.alpha_of_parts(&color_parts.parts)? else { return Ok(None) };
    let parts = Parts { item: None, parts: items, grid: Some(grid) };
    parts.check(file)?;
    Ok(Some(parts))
}

/// How a picture is to be cut and turned.
#[derive(PartialEq, Default)]
struct Transforms {
    cut: Option<[u8; 32]>,
    quarter_turns: Option<u8>,
    mirror: Option<u8>,
}

fn transforms(file: &Container<'_>, item: &Item) -> Transforms {
    let cut = |property| if let Property::CleanAperture(cut) = property { Some(cut) } else { None };
    let turns = |property| if let Property::Rotation(turns) = property { Some(turns) } else { None };
    let mirror = |property| if let Property::Mirror(axis) = property { Some(axis) } else { None };
    Transforms {
        cut: file.property(item, cut),
        quarter_turns: file.property(item, turns),
        mirror: file.property(item, mirror),
    }
}

impl Transforms {
    /// The same as EXIF says it. Pillow does not cut.
    fn orientation(&self) -> u8 {
        match (self.quarter_turns.unwrap_or(0), self.mirror) {
            (0, None) => 1,
            (0, Some(0)) => 4,
            (0, Some(_)) => 2,
            (1, None) => 8,
            (1, Some(0)) => 5,
            (1, Some(_)) => 7,
            (2, None) => 3,
            (2, Some(0)) => 2,
            (2, Some(_)) => 4,
            (_, None) => 6,
            (_, Some(0)) => 7,
            (_, Some(_)) => 5,
        }
    }
}

fn broken(reason: impl ToString) -> ImageError {
    ImageError::broken("AVIF", reason)
}

fn unsupported(reason: impl ToString) -> ImageError {
    ImageError::unsupported("AVIF", reason)
}
