//! What an AVIF says of its items beside their data.

use super::super::ImageError;
use super::boxes::{Fields, Name};
use super::{broken, unsupported};

/// Names of auxiliary pictures that hold alpha.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

/// Numbers of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    pub primaries: u16,
    pub matrix: u16,
    pub full_range: bool,
}

/// A property of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// ispe: width and height.
    Sides(u32, u32),
    /// auxC: whether the item holds alpha.
    Auxiliary { is_alpha: bool },
    /// colr of the kind nclx.
    Colours(Colours),
    /// colr of another kind.
    ColourProfile,
    /// av1C: the two bytes that tell how samples are stored.
    Config(u8, u8),
    /// clap, which Pillow does not apply.
    CleanAperture([u8; 32]),
    /// irot: quarter turns, anticlockwise.
    Rotation(u8),
    /// imir: the axis, 0 for top and bottom, 1 for left and right.
    Mirror(u8),
    /// pixi: bits of a sample.
    Depth(u8),
    /// a1op.
    OperatingPoint(u8),
    /// lsel: which layer is shown; 0xffff is the last one.
    Layer(u16),
    /// a1lx, the sizes of layers.
    LayerSizes,
    /// pasp and clli, which change no pixel.
    Aside,
    /// Anything else.
    Unknown,
}

/// The colours that the first property of this kind states.
pub fn stated_colours(mut properties: impl Iterator<Item = Property>) -> Option<Colours> {
    properties.find_map(|property| match property {
        Property::Colours(colours) => Some(colours),
        _ => None,
    })
}

impl Property {
    pub fn parse(name: Name, body: &[u8]) -> Result<Property, ImageError> {
        let mut fields = Fields::new(body);
        Ok(match &name {
            b"ispe" => {
                fields.version_0()?;
                Property::Sides(fields.u32()?, fields.u32()?)
            }
            b"auxC" => {
                fields.version_0()?;
                Property::Auxiliary { is_alpha: ALPHA.contains(&fields.text()?) }
            }
            b"colr" => colours(&mut fields)?,
            b"av1C" => {
                let config = fields.take(4)?;
                if config[0] != 0x81 {
                    return Err(broken("its decoder configuration has another version"));
                }
                Property::Config(config[1], config[2])
            }
            b"clap" => Property::CleanAperture(fields.take(32)?.try_into().expect("32 bytes")),
            b"irot" => Property::Rotation(small(&mut fields, 3)?),
            b"imir" => Property::Mirror(small(&mut fields, 1)?),
            b"pixi" => depth(&mut fields)?,
            b"a1op" => Property::OperatingPoint(small(&mut fields, 31)?),
            b"lsel" => match fields.u16()? {
                layer @ (0..4 | 0xffff) => Property::Layer(layer),
                layer => return Err(broken(format!("it shows layer {layer}"))),
            },
            b"a1lx" => {
                let width = 2 + 2 * usize::from(small(&mut fields, 1)?);
                fields.take(3 * width).map(|_| Property::LayerSizes)?
            }
            b"pasp" => fields.take(8).map(|_| Property::Aside)?,
            b"clli" => fields.take(4).map(|_| Property::Aside)?,
            _ => Property::Unknown,
        })
    }

    /// Whether an item that has it must say that it is essential.
    pub fn must_be_essential(self) -> bool {
        matches!(
            self,
            Property::OperatingPoint(_)
                | Property::Layer(_)
                | Property::CleanAperture(_)
                | Property::Rotation(_)
                | Property::Mirror(_)
        )
    }
}

/// A byte with reserved bits above `largest`.
fn small(fields: &mut Fields<'_>, largest: u8) -> Result<u8, ImageError> {
    match fields.u8()? {
        value if value <= largest => Ok(value),
        _ => Err(broken("a property has reserved bits")),
    }
}

fn colours(fields: &mut Fields<'_>) -> Result<Property, ImageError> {
    match &fields.name()? {
        b"nclx" => {
            let (primaries, _transfer, matrix) = (fields.u16()?, fields.u16()?, fields.u16()?);
            let range = fields.u8()?;
            if range & 0x7f != 0 {
                return Err(broken("its colours have reserved bits"));
            }
            Ok(Property::Colours(Colours { primaries, matrix, full_range: range != 0 }))
        }
        b"rICC" | b"prof" if fields.is_empty() => Err(broken("its colour profile is empty")),
        b"rICC" | b"prof" => Ok(Property::ColourProfile),
        _ => Ok(Property::Aside),
    }
}

fn depth(fields: &mut Fields<'_>) -> Result<Property, ImageError> {
    fields.version_0()?;
    let channels = fields.u8()?;
    if !(1..=4).contains(&channels) {
        return Err(unsupported(format!("{channels} channels")));
    }
    let depths = fields.take(usize::from(channels))?;
    if depths[0] == 0 || depths[0] > 16 || depths.iter().any(|&depth| depth != depths[0]) {
        return Err(unsupported(format!("channels of {depths:?} bits")));
    }
    Ok(Property::Depth(depths[0]))
}
