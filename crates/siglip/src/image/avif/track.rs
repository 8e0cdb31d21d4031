//! The box `moov`: tracks, which are sequences of pictures. They are read, and refused, as by libavif.

use super::super::{ImageError, rgb};
use super::av1::{self, Effort};
use super::boxes::{Entry, Fields, Name};
use super::container::Container;
use super::frame::Frame;
use super::meta;
use super::properties::{self, Property};
use super::{Picture, Transforms, broken};

/// libavif's bound on the pictures of a track: 12 hours of 60 a second.
const MOST_PICTURES: u64 = 12 * 3600 * 60;
/// Bytes of an entry of `stsd` before its properties.
const SAMPLE_ENTRY: usize = 78;

/// A sequence of pictures.
pub struct Track<'a> {
    id: u32,
    handler: Name,
    width: u32,
    height: u32,
    /// Whose alpha it is, 0 for none; and by which one its colours are multiplied.
    auxiliary_of: u32,
    premultiplied_by: u32,
    has_endless_duration: bool,
    duration: u64,
    /// What an edit list that repeats says of the length of what is repeated.
    repeats: Option<u64>,
    table: Option<Table>,
    /// Items that describe the track.
    items: Container<'a>,
}

/// Where a track's pictures lie.
#[derive(Default)]
struct Table {
    /// Of the first description that is AV1's.
    properties: Option<Vec<Property>>,
    /// Places of runs of pictures.
    chunks: Vec<u64>,
    /// From which run on, counted from 1, a run has how many pictures.
    pictures: Vec<(u32, u32)>,
    /// The size of every picture, or 0.
    size: u32,
    sizes: Vec<u32>,
}

impl<'a> Container<'a> {
    /// Reads the box `moov`.
    pub(super) fn parse_tracks(&mut self, body: &'a [u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            if &name == b"trak" {
                self.tracks.push(Track::parse(self.file, body)?);
            }
        }
        if self.tracks.is_empty() { Err(broken("it has no tracks")) } else { Ok(()) }
    }
}

impl<'a> Track<'a> {
    fn parse(file: &'a [u8], body: &'a [u8]) -> Result<Track<'a>, ImageError> {
        let mut track = Track {
            id: 0,
            handler: [0; 4],
            width: 0,
            height: 0,
            auxiliary_of: 0,
            premultiplied_by: 0,
            has_endless_duration: false,
            duration: 0,
            repeats: None,
            table: None,
            items: Container::new(file),
        };
        let (mut has_header, mut has_edits) = (false, false);
        let mut fields = Fields::new(body);
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            match &name {
                b"tkhd" if has_header => return Err(broken("a track has two headers")),
                b"tkhd" => {
                    track.parse_header(body)?;
                    has_header = true;
                }
                b"meta" => track.items.parse_meta(body)?,
                b"mdia" => track.parse_media(body)?,
                b"tref" => track.parse_references(body)?,
                b"edts" if has_edits => return Err(broken("a track has two edits")),
                b"edts" => {
                    track.parse_edits(body)?;
                    has_edits = true;
                }
                _ => {}
            }
        }
        if !has_header {
            return Err(broken("a track has no header"));
        }
        if track.repeats.is_some() && !track.has_endless_duration && track.duration == 0 {
            return Err(broken("a track that repeats takes no time"));
        }
        if matches!(&track.handler, b"pict" | b"vide" | b"auxv") {
            if track.width == 0 || track.height == 0 {
                return Err(broken(format!("track {} has no pixels", track.id)));
            }
            rgb::check_sides(track.width, track.height)?;
        }
        Ok(track)
    }

    fn parse_header(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let wide = match fields.version()?.0 {
            0 => false,
            1 => true,
            version => return Err(broken(format!("a track has version {version}"))),
        };
        let size = if wide { 8 } else { 4 };
        // When it was made and changed.
        fields.take(2 * size)?;
        self.id = fields.u32()?;
        fields.take(4)?;
        self.duration = fields.uint(size)?;
        self.has_endless_duration = self.duration == if wide { u64::MAX } else { u64::from(u32::MAX) };
        // Layer, group, volume and matrix.
        fields.take(52)?;
        // 16 bits before the point, 16 behind.
        (self.width, self.height) = (fields.u32()? >> 16, fields.u32()? >> 16);
        Ok(())
    }

    fn parse_media(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            match &name {
                b"mdhd" => check_media_header(body)?,
                b"hdlr" => self.handler = meta::handler(body)?,
                b"minf" => {
                    let mut fields = Fields::new(body);
                    while !fields.is_empty() {
                        let Entry { name, body, .. } = fields.entry()?;
                        if &name == b"stbl" && self.table.replace(Table::parse(body)?).is_some() {
                            return Err(broken("a track has two tables of pictures"));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Of several tracks that a reference names, the first counts.
    fn parse_references(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            match &name {
                b"auxl" => self.auxiliary_of = Fields::new(body).u32()?,
                b"prem" => self.premultiplied_by = Fields::new(body).u32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn parse_edits(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let mut has_list = false;
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            if &name != b"elst" {
                continue;
            }
            if std::mem::replace(&mut has_list, true) {
                return Err(broken("a track has two lists of edits"));
            }
            let mut fields = Fields::new(body);
            let (version, flags) = fields.version()?;
            if flags & 1 == 0 {
                continue;
            }
            let count = fields.u32()?;
            let size = if version == 0 { 4 } else { 8 };
            if count != 1 || version > 1 {
                return Err(broken("a track repeats in an unknown way"));
            }
            match fields.uint(size)? {
                0 => return Err(broken("what a track repeats takes no time")),
                duration => self.repeats = Some(duration),
            }
        }
        if has_list { Ok(()) } else { Err(broken("a track's edits are missing")) }
    }

    /// Its table and the properties of its pictures, if it has pictures in AV1.
    fn pictures(&self) -> Option<(&Table, &[Property])> {
        let table = self.table.as_ref().filter(|table| self.id != 0 && !table.chunks.is_empty())?;
        table.properties.as_deref().map(|properties| (table, properties))
    }

    fn decode(&self, table: &Table) -> Result<Frame, ImageError> {
        let data = table.first(self.items.file)?;
        av1::decode(data, 0, (self.width, self.height), &mut Effort::default())
    }
}

impl Table {
    fn parse(body: &[u8]) -> Result<Table, ImageError> {
        let mut table = Table::default();
        let mut fields = Fields::new(body);
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            let mut fields = Fields::new(body);
            match &name {
                b"stco" | b"co64" => {
                    let size = if &name == b"stco" { 4 } else { 8 };
                    fields.version_0()?;
                    for _ in 0..fields.u32()? {
                        table.chunks.push(fields.uint(size)?);
                    }
                }
                b"stsc" => table.parse_pictures(&mut fields)?,
                b"stsz" => {
                    fields.version_0()?;
                    let (size, count) = (fields.u32()?, fields.u32()?);
                    if size > 0 {
                        table.size = size;
                    } else {
                        for _ in 0..count {
                            table.sizes.push(fields.u32()?);
                        }
                    }
                }
                b"stss" => skip_list(&mut fields, 4)?,
                b"stts" => skip_list(&mut fields, 8)?,
                b"stsd" => table.parse_descriptions(&mut fields)?,
                _ => {}
            }
        }
        Ok(table)
    }

    fn parse_pictures(&mut self, fields: &mut Fields<'_>) -> Result<(), ImageError> {
        fields.version_0()?;
        let mut before = 0;
        for entry in 0..fields.u32()? {
            let (first, count, _description) = (fields.u32()?, fields.u32()?, fields.u32()?);
            if entry == 0 && first != 1 || first <= before {
                return Err(broken("the runs of a track are out of order"));
            }
            before = first;
            self.pictures.push((first, count));
        }
        Ok(())
    }

    fn parse_descriptions(&mut self, fields: &mut Fields<'_>) -> Result<(), ImageError> {
        if fields.version()?.0 > 1 {
            return Err(broken("the descriptions of a track have an unknown version"));
        }
        for _ in 0..fields.u32()? {
            let Entry { name, body, .. } = fields.entry()?;
            if &name != b"av01" {
                continue;
            }
            let mut listed = Fields::new(body);
            listed.take(SAMPLE_ENTRY)?;
            let mut properties = Vec::new();
            while !listed.is_empty() {
                let Entry { name, body, .. } = listed.entry()?;
                // Tracks have another name for it.
                let name = match &name {
                    b"auxi" => b"auxC",
                    b"auxC" => b"skip",
                    _ => &name,
                };
                properties.push(Property::parse(*name, body)?);
            }
            self.properties.get_or_insert(properties);
        }
        Ok(())
    }

    /// The data of the first picture. All of the table has to make sense.
    fn first<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], ImageError> {
        let mut first = None;
        let (mut pictures, mut sizes) = (self.pictures.iter().peekable(), self.sizes.iter());
        let (mut in_run, mut total) = (0, 0);
        for (run, &start) in (1..).zip(&self.chunks) {
            while let Some(&(_, count)) = pictures.next_if(|(first, _)| *first <= run) {
                in_run = count;
            }
            total += u64::from(in_run);
            if in_run == 0 || total > MOST_PICTURES {
                return Err(broken("a track has no or too many pictures"));
            }
            let mut at = start;
            for _ in 0..in_run {
                let size = match self.size {
                    0 => *sizes.next().ok_or_else(|| broken("the size of a picture is missing"))?,
                    size => size,
                };
                let end = at.checked_add(u64::from(size)).filter(|&end| end <= file.len() as u64);
                let end =
                    end.filter(|_| size > 0).ok_or_else(|| broken("a picture of a track is missing"))?;
                first.get_or_insert(&file[at as usize..end as usize]);
                at = end;
            }
        }
        first.ok_or_else(|| broken("a track has no pictures"))
    }
}

fn check_media_header(body: &[u8]) -> Result<(), ImageError> {
    let mut fields = Fields::new(body);
    let len = match fields.version()?.0 {
        0 => 16,
        1 => 28,
        version => return Err(broken(format!("a track's media have version {version}"))),
    };
    fields.take(len).map(drop)
}

/// Passes over entries of `size` bytes, all of which have to be there.
fn skip_list(fields: &mut Fields<'_>, size: usize) -> Result<(), ImageError> {
    fields.version_0()?;
    let count = fields.u32()? as usize;
    fields.take(count.saturating_mul(size)).map(drop)
}

/// The first picture of the first track that is no other one's alpha.
pub fn first_picture<'a>(file: &Container<'a>) -> Result<Picture<'a>, ImageError> {
    let with_pictures = || file.tracks.iter().filter_map(|track| Some((track, track.pictures()?)));
    let (color, (color_table, color_properties)) = with_pictures()
        .find(|(track, _)| track.auxiliary_of == 0)
        .ok_or_else(|| broken("it has no picture"))?;
    let metadata = color.items.metadata(None)?;
    // Older writers do not say that it is alpha.
    let may_be_alpha = |properties: &[Property]| {
        let stated = properties.iter().find_map(|property| match property {
            Property::Auxiliary { is_alpha } => Some(*is_alpha),
            _ => None,
        });
        stated != Some(false)
    };
    let alpha = with_pictures()
        .find(|(track, (_, properties))| track.auxiliary_of == color.id && may_be_alpha(properties));
    let transforms = Transforms::of(color_properties.iter().copied());
    if !color_properties.iter().any(|property| matches!(property, Property::Config(..))) {
        return Err(broken("its decoder configuration is missing"));
    }
    let mut colors = color.decode(color_table)?;
    colors.colours = properties::stated_colours(color_properties.iter().copied()).unwrap_or(colors.colours);
    let mut alpha_frame = None;
    let mut is_premultiplied = false;
    if let Some((track, (table, properties))) = alpha {
        Transforms::of(properties.iter().copied()).check_alpha(&transforms)?;
        alpha_frame = Some(track.decode(table)?);
        is_premultiplied = color.premultiplied_by == track.id;
    }
    Ok(Picture {
        colors,
        alpha: alpha_frame,
        is_premultiplied,
        orientation: transforms.orientation(),
        metadata,
    })
}
