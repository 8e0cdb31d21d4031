//! The box `meta`: which items there are, where their data lies, and what belongs to them.

use super::super::ImageError;
use super::boxes::{Entry, Fields, Name};
use super::container::{Container, Item};
use super::properties::Property;
use super::{broken, unsupported};

/// Most items of a file: twice as many as the largest grid has tiles.
const MOST_ITEMS: usize = 1 << 17;
/// Most lists that say which items have which properties: two versions, each with two sizes of numbers.
const MOST_ASSOCIATION_LISTS: usize = 4;

impl<'a> Container<'a> {
    /// Reads the box `meta`.
    pub(super) fn parse_meta(&mut self, body: &'a [u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        fields.version_0()?;
        let first = fields.entry()?;
        if &first.name != b"hdlr" || &handler(first.body)? != b"pict" {
            return Err(broken("its items are no pictures"));
        }
        let mut seen = Vec::new();
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            if matches!(&name, b"hdlr" | b"iloc" | b"pitm" | b"idat" | b"iprp" | b"iinf" | b"iref" | b"grpl")
            {
                if &name == b"hdlr" || seen.contains(&name) {
                    return Err(broken("a box is there twice"));
                }
                seen.push(name);
            }
            match &name {
                b"iloc" => self.parse_locations(body)?,
                b"pitm" => {
                    let mut fields = Fields::new(body);
                    let wide = fields.version()?.0 > 0;
                    self.primary = id(&mut fields, wide)?;
                }
                b"idat" if body.is_empty() => return Err(broken("its item data is empty")),
                b"idat" => self.item_data = body,
                b"iprp" => self.parse_properties(body)?,
                b"iinf" => self.parse_infos(body)?,
                b"iref" => self.parse_references(body)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The item of this id, a new one if there is none yet.
    fn item(&mut self, id: u32) -> Result<&mut Item, ImageError> {
        if id == 0 {
            return Err(broken("an item has the id 0"));
        }
        let next = self.items.len();
        let at = *self.by_id.entry(id).or_insert(next);
        if at == next {
            if next == MOST_ITEMS {
                return Err(unsupported(format!("more than {MOST_ITEMS} items")));
            }
            self.items.push(Item { id, ..Item::default() });
        }
        Ok(&mut self.items[at])
    }

    fn parse_locations(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let (version, _) = fields.version()?;
        if version > 2 {
            return Err(broken(format!("its list of locations has version {version}")));
        }
        let sizes = fields.u16()?;
        let [offset_size, length_size, base_size, index_size] =
            [12, 8, 4, 0].map(|shift| usize::from(sizes >> shift & 15));
        let index_size = if version == 0 { 0 } else { index_size };
        if [offset_size, length_size, base_size, index_size].iter().any(|size| !matches!(size, 0 | 4 | 8)) {
            return Err(broken("its locations have an odd size"));
        }
        for _ in 0..id(&mut fields, version == 2)? {
            let id = id(&mut fields, version == 2)?;
            let item = self.item(id)?;
            if !item.extents.is_empty() {
                return Err(broken(format!("item {id} has two locations")));
            }
            if version > 0 {
                item.in_item_data = match fields.u16()? {
                    0 => item.in_item_data,
                    1 => true,
                    method => return Err(broken(format!("item {id} is stored by method {method}"))),
                };
            }
            let _data_reference = fields.u16()?;
            let base = fields.uint(base_size)?;
            for _ in 0..fields.u16()? {
                fields.take(index_size)?;
                let offset = base.checked_add(fields.uint(offset_size)?);
                let len = fields.uint(length_size)?;
                let size = item.size.checked_add(len);
                let (Some(offset), Some(size)) = (offset, size) else {
                    return Err(broken(format!("item {id} lies beyond every file")));
                };
                item.extents.push((offset, len));
                item.size = size;
            }
        }
        Ok(())
    }

    fn parse_infos(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let (version, _) = fields.version()?;
        if version > 1 {
            return Err(broken(format!("its list of items has version {version}")));
        }
        for _ in 0..id(&mut fields, version == 1)? {
            let Entry { name, body, .. } = fields.entry()?;
            if &name != b"infe" {
                return Err(broken("its list of items holds another thing"));
            }
            let mut fields = Fields::new(body);
            let (version, _) = fields.version()?;
            if !matches!(version, 2 | 3) {
                return Err(broken(format!("an item has version {version}")));
            }
            let id = id(&mut fields, version == 3)?;
            let _protection = fields.u16()?;
            let kind = fields.name()?;
            let _name = fields.text()?;
            let content_type = if &kind == b"mime" { fields.text()?.to_vec() } else { Vec::new() };
            let item = self.item(id)?;
            (item.kind, item.content_type) = (kind, content_type);
        }
        Ok(())
    }

    fn parse_properties(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let list = fields.entry()?;
        if &list.name != b"ipco" {
            return Err(broken("its properties are missing"));
        }
        let mut listed = Fields::new(list.body);
        while !listed.is_empty() {
            let Entry { name, body, .. } = listed.entry()?;
            self.properties.push(Property::parse(name, body)?);
        }
        let mut seen = Vec::new();
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            let mut fields = Fields::new(body);
            let version = fields.version()?;
            if &name != b"ipma" || seen.contains(&version) {
                return Err(broken("its properties hold another thing"));
            }
            // libavif's bound. With more, looking each up among the others would take long.
            if seen.len() == MOST_ASSOCIATION_LISTS {
                return Err(broken("it has too many lists of properties"));
            }
            seen.push(version);
            self.parse_associations(&mut fields, version)?;
        }
        Ok(())
    }

    fn parse_associations(&mut self, fields: &mut Fields<'_>, version: (u8, u32)) -> Result<(), ImageError> {
        let index_size = if version.1 & 1 == 0 { 1 } else { 2 };
        let essential_bit = 0x80 << (8 * (index_size - 1));
        let mut before = 0;
        for _ in 0..fields.u32()? {
            let id = id(fields, version.0 > 0)?;
            if id <= before {
                return Err(broken("its properties are out of order"));
            }
            before = id;
            let mut indexes = Vec::new();
            let mut has_unknown_essential = false;
            for _ in 0..fields.u8()? {
                let value = fields.uint(index_size)?;
                let (essential, index) = (value & essential_bit != 0, value & !essential_bit);
                if index == 0 && !essential {
                    continue;
                }
                let property = (index as usize).checked_sub(1).and_then(|at| self.properties.get(at));
                match property.ok_or_else(|| broken(format!("item {id} has a property that is missing")))? {
                    Property::Unknown => has_unknown_essential |= essential,
                    Property::LayerSizes if essential => {
                        return Err(broken("the sizes of layers are marked as essential"));
                    }
                    known if known.must_be_essential() && !essential => {
                        return Err(broken(format!("item {id} has a property not marked as essential")));
                    }
                    _ => indexes.push(index as u16 - 1),
                }
            }
            let item = self.item(id)?;
            if item.has_associations {
                return Err(broken(format!("item {id} has two lists of properties")));
            }
            item.has_associations = true;
            item.has_unknown_essential |= has_unknown_essential;
            item.properties = indexes;
        }
        Ok(())
    }

    fn parse_references(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let mut fields = Fields::new(body);
        let (version, _) = fields.version()?;
        if version > 1 {
            return Ok(());
        }
        while !fields.is_empty() {
            let Entry { name, body, .. } = fields.entry()?;
            let mut fields = Fields::new(body);
            let from = id(&mut fields, version == 1)?;
            let item = self.item(from)?;
            if &name == b"dimg" && std::mem::replace(&mut item.has_parts, true) {
                return Err(broken(format!("item {from} has two lists of parts")));
            }
            for part in 0..fields.u16()? {
                let to = id(&mut fields, version == 1)?;
                if to == 0 {
                    return Err(broken("an item has the id 0"));
                }
                match &name {
                    b"dimg" => {
                        let item = self.item(to)?;
                        if item.part_of != 0 {
                            return Err(unsupported(format!("item {to} is a part twice")));
                        }
                        (item.part_of, item.part) = (from, part);
                    }
                    b"thmb" => self.item(from)?.is_thumbnail = true,
                    b"auxl" => self.item(from)?.auxiliary_of = to,
                    b"cdsc" => self.item(from)?.describes = to,
                    b"prem" => self.item(from)?.premultiplied_by = to,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// An item's id or a number of items: 2 or 4 bytes.
fn id(fields: &mut Fields<'_>, wide: bool) -> Result<u32, ImageError> {
    if wide { fields.u32() } else { fields.u16().map(u32::from) }
}

/// What the things are that a box `hdlr` stands beside.
pub fn handler(body: &[u8]) -> Result<Name, ImageError> {
    let mut fields = Fields::new(body);
    fields.version_0()?;
    if fields.u32()? != 0 {
        return Err(broken("it does not say what it holds"));
    }
    let handler = fields.name()?;
    fields.take(12)?;
    fields.text()?;
    Ok(handler)
}
