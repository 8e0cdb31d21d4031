//! AVIF, as libavif decodes it for Pillow: of an animation the first picture. The container is read here, the picture in
//! it by `re_rav1d`.

mod av1;
mod boxes;
mod colour;
mod container;
mod frame;
mod meta;
mod properties;
mod sequence;
mod track;

use super::orientation::Orientation;
use super::{ImageError, RgbImage, rgb};
use av1::Effort;
use boxes::Fields;
use container::{Container, Item, Metadata};
use frame::Frame;
use properties::Property;

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let file = Container::parse(bytes)?;
    let picture = if file.shows_track { track::first_picture(&file)? } else { primary(&file)? };
    let Picture { colors, alpha, is_premultiplied, orientation, metadata } = picture;
    let form = |frame: &Frame| (frame.width, frame.height, frame.depth);
    if alpha.as_ref().is_some_and(|alpha| form(alpha) != form(&colors)) {
        return Err(broken("its alpha has other sides or depth than its colours"));
    }
    let image = colour::to_rgb(colors, alpha, is_premultiplied)?;
    Orientation::of_avif(orientation, metadata.exif.as_deref(), metadata.xmp.as_deref()).apply(image)
}

/// A decoded picture and what its container says of it.
struct Picture<'a> {
    colors: Frame,
    alpha: Option<Frame>,
    is_premultiplied: bool,
    /// As EXIF says it.
    orientation: u8,
    metadata: Metadata<'a>,
}

/// The item that is the picture.
fn primary<'a>(file: &Container<'a>) -> Result<Picture<'a>, ImageError> {
    let color = file.primary()?;
    let color_parts = Parts::of(file, color)?;
    let alpha_parts = alpha_parts(file, color, &color_parts)?;
    let metadata = file.metadata(Some(color))?;
    let mut effort = Effort::default();
    let mut colors = color_parts.decode(file, &mut effort)?;
    colors.colours = properties::stated_colours(file.properties(color)).unwrap_or(colors.colours);
    let alpha = alpha_parts.as_ref().map(|parts| parts.decode(file, &mut Effort::default())).transpose()?;
    let alpha_item = alpha_parts.and_then(|parts| parts.item);
    Ok(Picture {
        colors,
        alpha,
        is_premultiplied: alpha_item.is_some_and(|item| color.premultiplied_by == item.id),
        orientation: Transforms::of(file.properties(color)).orientation(),
        metadata,
    })
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
        file.check_shared(&self.parts)?;
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

    fn decode(&self, file: &Container<'_>, effort: &mut Effort) -> Result<Frame, ImageError> {
        let first = decode_part(file, self.parts[0], effort)?;
        let Some(grid) = self.grid else { return Ok(first) };
        grid.check(&first)?;
        let mut frame = Frame::new(grid.width, grid.height, first.depth, first.layout, first.colours)?;
        frame.put(&first, 0, 0)?;
        for (at, part) in (0..).zip(&self.parts).skip(1) {
            let (left, top) = (at % grid.columns * first.width, at / grid.columns * first.height);
            let part = decode_part(file, part, effort)?;
            if (part.width, part.height) != (first.width, first.height) {
                return Err(broken("the parts of its grid differ"));
            }
            frame.put(&part, left, top)?;
        }
        Ok(frame)
    }
}

fn decode_part(file: &Container<'_>, part: &Item, effort: &mut Effort) -> Result<Frame, ImageError> {
    let point = |property| if let Property::OperatingPoint(point) = property { Some(point) } else { None };
    let point = file.property(part, point).unwrap_or(0);
    let sides =
        file.sides(part).ok_or_else(|| broken(format!("item {} does not tell its sides", part.id)))?;
    av1::decode(&file.data(part)?, point, sides, effort)
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
        Transforms::of(file.properties(item)).check_alpha(&Transforms::of(file.properties(color)))?;
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

impl Transforms {
    /// By the first property of each kind.
    fn of(properties: impl Iterator<Item = Property>) -> Transforms {
        let mut transforms = Transforms::default();
        for property in properties {
            match property {
                Property::CleanAperture(cut) => transforms.cut = transforms.cut.or(Some(cut)),
                Property::Rotation(turns) => {
                    transforms.quarter_turns = transforms.quarter_turns.or(Some(turns));
                }
                Property::Mirror(axis) => transforms.mirror = transforms.mirror.or(Some(axis)),
                _ => {}
            }
        }
        transforms
    }

    /// Alpha may be cut and turned as its colours are, or not at all.
    fn check_alpha(&self, colors: &Transforms) -> Result<(), ImageError> {
        if *self != Transforms::default() && self != colors {
            return Err(unsupported("its alpha lies otherwise than its colours"));
        }
        Ok(())
    }

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
