//! The container of an AVIF: its items, how they belong together, and where their data lies. It is read, and refused,
//! as by libavif with Pillow's settings. Every size is checked against the file before it is used.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::ImageError;
use super::boxes::{Fields, Name};
use super::properties::Property;
use super::track::Track;
use super::{broken, unsupported};
use crate::image::rgb;

/// The content type of an XMP packet.
const XMP: &[u8] = b"application/rdf+xml";
/// Bytes that several items may share, beyond the file's length. Without a bound, many items that are each the whole
/// file would take hours to read.
const MOST_SHARED: u64 = 64 << 20;

/// A part of the file, by offset and length.
type Extent = (u64, u64);

/// Something that the container holds: a picture, a grid of pictures, metadata.
#[derive(Default)]
pub struct Item {
    pub id: u32,
    pub(super) kind: Name,
    pub(super) content_type: Vec<u8>,
    /// The sum of its extents.
    pub(super) size: u64,
    pub(super) extents: Vec<Extent>,
    pub(super) in_item_data: bool,
    pub(super) properties: Vec<u16>,
    pub(super) has_associations: bool,
    pub(super) has_unknown_essential: bool,
    pub(super) is_thumbnail: bool,
    /// Whose auxiliary picture it is, 0 for none; and so on.
    pub(super) auxiliary_of: u32,
    pub(super) describes: u32,
    pub(super) part_of: u32,
    pub(super) part: u16,
    pub(super) has_parts: bool,
    pub premultiplied_by: u32,
}

/// Metadata of a picture.
pub struct Metadata<'a> {
    /// The block, without the offset before it.
    pub exif: Option<Cow<'a, [u8]>>,
    /// The packet.
    pub xmp: Option<Cow<'a, [u8]>>,
}

/// A parsed container.
pub struct Container<'a> {
    pub(super) file: &'a [u8],
    pub(super) item_data: &'a [u8],
    pub(super) properties: Vec<Property>,
    /// In the order in which the file mentions them.
    pub(super) items: Vec<Item>,
    pub(super) by_id: HashMap<u32, usize>,
    pub(super) primary: u32,
    /// In the file's order.
    pub tracks: Vec<Track<'a>>,
    /// Whether the picture is a track's first one, instead of an item.
    pub shows_track: bool,
}

impl<'a> Container<'a> {
    /// One without items and tracks.
    pub fn new(file: &'a [u8]) -> Container<'a> {
        Container {
            file,
            item_data: &[],
            properties: Vec::new(),
            items: Vec::new(),
            by_id: HashMap::new(),
            primary: 0,
            tracks: Vec::new(),
            shows_track: false,
        }
    }

    /// # Errors
    /// Of a file that lacks what its brands announce, and of items and tracks that contradict each other.
    pub fn parse(file: &'a [u8]) -> Result<Container<'a>, ImageError> {
        let mut container = Container::new(file);
        let (mut brands, mut meta_seen, mut movie_seen) = (None, false, false);
        let mut fields = Fields::new(file);
        while !fields.is_empty() {
            let entry = fields.top_entry()?;
            match &entry.name {
                b"ftyp" if brands.is_none() => brands = Some(Brands::parse(entry.body)?),
                b"ftyp" => return Err(broken("it says twice what it is")),
                b"meta" | b"moov" | b"free" | b"skip" | b"mdat" if brands.is_none() => {
                    return Err(broken("it does not begin with what it is"));
                }
                b"meta" if meta_seen => return Err(broken("it has two lists of items")),
                b"meta" => {
                    container.parse_meta(entry.body)?;
                    meta_seen = true;
                }
                b"moov" if movie_seen => return Err(broken("it has two lists of tracks")),
                b"moov" => {
                    container.parse_tracks(entry.body)?;
                    movie_seen = true;
                }
                _ if entry.is_open => break,
                _ => {}
            }
            if let Some(brands) = &brands
                && brands.have_all(meta_seen, movie_seen)
            {
                container.check_sides()?;
                container.shows_track = match brands.major {
                    b"avis" => true,
                    b"avif" => false,
                    _ => movie_seen,
                };
                return Ok(container);
            }
        }
        Err(broken("it ends early"))
    }

    /// Pictures have to tell their sides, which are bounded.
    fn check_sides(&self) -> Result<(), ImageError> {
        for item in self.items.iter().filter(|item| item.is_shown()) {
            match self.sides(item) {
                Some((0, _) | (_, 0)) => return Err(broken(format!("item {} has no pixels", item.id))),
                Some((width, height)) => rgb::check_sides(width, height)?,
                None => return Err(broken(format!("item {} does not tell its sides", item.id))),
            }
        }
        Ok(())
    }

    /// The item that is the picture.
    pub fn primary(&self) -> Result<&Item, ImageError> {
        let item = self.by_id.get(&self.primary).map(|&at| &self.items[at]);
        item.filter(|item| item.is_shown()).ok_or_else(|| match item {
            Some(item) if item.is_heif() => {
                unsupported(format!("a picture of the kind {}", item.kind_name()))
            }
            _ => broken("it has no picture"),
        })
    }

    /// The picture that holds the alpha of another one.
    pub fn alpha_of(&self, color: &Item) -> Option<&Item> {
        let mut shown = self.items.iter().filter(|item| item.is_shown());
        shown.find(|item| item.auxiliary_of == color.id && self.is_alpha(item))
    }

    /// The pictures that hold the alpha of a grid's parts, in the parts' order. None if a part has no alpha.
    pub fn alpha_of_parts(&self, parts: &[&Item]) -> Result<Option<Vec<&Item>>, ImageError> {
        let mut alpha_of = HashMap::new();
        for item in self.items.iter().filter(|item| item.auxiliary_of != 0 && self.is_alpha(item)) {
            if alpha_of.insert(item.auxiliary_of, item).is_some() || item.part_of != 0 {
                return Err(broken(format!("the alpha of item {} is not clear", item.auxiliary_of)));
            }
        }
        Ok(parts.iter().map(|part| alpha_of.get(&part.id).copied()).collect())
    }

    /// The parts of a grid, in their order.
    pub fn parts(&self, grid: &Item) -> Vec<&Item> {
        let mut parts: Vec<&Item> = self.items.iter().filter(|item| item.part_of == grid.id).collect();
        parts.sort_by_key(|item| item.part);
        parts
    }

    /// The metadata that describes a picture. All that there is describes the picture of a track that holds it.
    pub fn metadata(&self, of: Option<&Item>) -> Result<Metadata<'a>, ImageError> {
        let describes = |item: &&Item| {
            of.is_none_or(|of| item.describes == of.id)
                && item.size > 0
                && !item.has_unknown_essential
                && (&item.kind == b"Exif" || &item.kind == b"mime" && item.content_type == XMP)
        };
        let items: Vec<&Item> = self.items.iter().filter(describes).collect();
        self.check_shared(&items)?;
        let mut metadata = Metadata { exif: None, xmp: None };
        for item in items {
            if &item.kind == b"Exif" {
                metadata.exif = Some(exif_block(self.data(item)?)?);
            } else {
                metadata.xmp = Some(self.data(item)?);
            }
        }
        Ok(metadata)
    }

    /// Refuses items that share so much data that reading them takes long.
    pub fn check_shared(&self, items: &[&Item]) -> Result<(), ImageError> {
        let most = MOST_SHARED + self.file.len() as u64;
        match items.iter().try_fold(0_u64, |sum, item| sum.checked_add(item.size)) {
            Some(sum) if sum <= most => Ok(()),
            _ => Err(broken("its items share too much data")),
        }
    }

    /// The properties of an item.
    pub fn properties(&self, item: &Item) -> impl Iterator<Item = Property> {
        item.properties.iter().map(|&at| self.properties[usize::from(at)])
    }

    /// The first property of an item that `pick` takes.
    pub fn property<T>(&self, item: &Item, pick: impl FnMut(Property) -> Option<T>) -> Option<T> {
        self.properties(item).find_map(pick)
    }

    /// Width and height of an item.
    pub fn sides(&self, item: &Item) -> Option<(u32, u32)> {
        self.property(item, |property| match property {
            Property::Sides(width, height) => Some((width, height)),
            _ => None,
        })
    }

    fn is_alpha(&self, item: &Item) -> bool {
        let auxiliary = |property| match property {
            Property::Auxiliary { is_alpha } => Some(is_alpha),
            _ => None,
        };
        self.property(item, auxiliary) == Some(true)
    }

    /// An item's data, put together from its extents.
    pub fn data(&self, item: &Item) -> Result<Cow<'a, [u8]>, ImageError> {
        let source = if item.in_item_data { self.item_data } else { self.file };
        let extent = |&(offset, len): &Extent| {
            let start = usize::try_from(offset).ok()?;
            source.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        };
        let cut_short = || broken(format!("the data of item {} ends early", item.id));
        // Extents may lie over each other: so many bytes as the file has, and no more.
        if item.size == 0 || item.size > self.file.len() as u64 {
            return Err(cut_short());
        }
        match &item.extents[..] {
            [one] => extent(one).map(Cow::Borrowed).ok_or_else(cut_short),
            several => {
                let parts: Option<Vec<&[u8]>> = several.iter().map(extent).collect();
                parts.map(|parts| Cow::Owned(parts.concat())).ok_or_else(cut_short)
            }
        }
    }
}

impl Item {
    /// Whether libavif looks at it as a picture.
    fn is_shown(&self) -> bool {
        self.size > 0
            && !self.has_unknown_essential
            && !self.is_thumbnail
            && matches!(&self.kind, b"av01" | b"grid")
    }

    /// Whether it is a coded picture that can be decoded.
    pub fn is_av1(&self) -> bool {
        &self.kind == b"av01" && !self.has_unknown_essential
    }

    pub fn is_grid(&self) -> bool {
        &self.kind == b"grid"
    }

    /// Whether it is a picture in another code.
    fn is_heif(&self) -> bool {
        matches!(&self.kind, b"hvc1" | b"hev1" | b"avc1" | b"jpeg" | b"iovl" | b"iden" | b"tmap")
    }

    fn kind_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.kind)
    }
}

/// What the file says it is.
struct Brands<'a> {
    major: &'a [u8],
    compatible: &'a [u8],
}

impl<'a> Brands<'a> {
    fn parse(body: &'a [u8]) -> Result<Brands<'a>, ImageError> {
        let mut fields = Fields::new(body);
        let (major, _version, compatible) = (fields.take(4)?, fields.take(4)?, fields.rest());
        let brands = Brands { major, compatible };
        if compatible.len() % 4 != 0 {
            return Err(broken("its brands end early"));
        }
        if !brands.has(b"avif") && !brands.has(b"avis") {
            return Err(unsupported("a HEIF file that is no AVIF"));
        }
        Ok(brands)
    }

    fn has(&self, brand: &Name) -> bool {
        self.major == brand || self.compatible.chunks_exact(4).any(|found| found == brand)
    }

    /// Whether all is there that the brands ask for. libavif reads no further.
    fn have_all(&self, meta: bool, movie: bool) -> bool {
        (meta || !(self.has(b"avif") || self.has(b"tmap"))) && (movie || !self.has(b"avis"))
    }
}

/// An EXIF block: the offset of its TIFF header, which has to be right, and what follows.
fn exif_block(data: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, ImageError> {
    let stated = data.get(..4).map(|bytes| u32::from_be_bytes(bytes.try_into().expect("4 bytes")));
    let block = data.get(4..).unwrap_or_default();
    let found = block.windows(4).position(|bytes| matches!(bytes, b"II*\0" | b"MM\0*"));
    if stated.is_none() || stated.map(|at| at as usize) != found {
        return Err(broken("its EXIF block does not begin where it says"));
    }
    Ok(match data {
        Cow::Borrowed(data) => Cow::Borrowed(&data[4..]),
        Cow::Owned(mut data) => Cow::Owned(data.split_off(4)),
    })
}
