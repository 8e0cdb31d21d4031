use super::{ImageError, RgbImage, rgb};

/// Which way up a picture is, numbered as in EXIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// EXIF's tag Orientation, 0x0112.
const ORIENTATION: u16 = 274;
/// Pixels on a side of the squares in which a picture is turned, so that a square's rows and columns stay cached.
const TILE: usize = 32;

impl Orientation {
    const UPRIGHT: Orientation = Orientation(1);

    /// By the EXIF block or else by the XMP packet, in Pillow's order. What is broken or missing counts as upright.
    pub fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
        let value = exif.and_then(exif_orientation).or_else(|| xmp.and_then(xmp_orientation));
        value
            .filter(|value| (2..=8).contains(value))
            .map_or(Orientation::UPRIGHT, |value| Orientation(value as u8))
    }

    /// By a TIFF's own tag or else by the XMP packet.
    #[cfg(feature = "rare-formats")]
    pub fn of_tiff(value: Option<i64>, xmp: Option<&[u8]>) -> Orientation {
        let value = value
            .or_else(|| xmp.and_then(xmp_orientation).map(i64::from))
            .filter(|value| (2..=8).contains(value));
        value.map_or(Orientation::UPRIGHT, |value| Orientation(value as u8))
    }

    /// By what an AVIF's container says. Pillow puts this into the EXIF block, over what is there.
    #[cfg(feature = "avif")]
    pub fn of_avif(stated: u8, exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
        if stated != 1 || exif.and_then(exif_orientation).is_some() {
            return Orientation(stated);
        }
        Orientation::of(None, xmp)
    }

    /// The picture upright, as `ImageOps.exif_transpose` makes it.
    pub fn apply(self, image: RgbImage) -> Result<RgbImage, ImageError> {
        if self == Orientation::UPRIGHT {
            return Ok(image);
        }
        let (source_width, source_height) = (image.width() as usize, image.height() as usize);
        let turned = self.0 >= 5;
        let (width, height) =
            if turned { (source_height, source_width) } else { (source_width, source_height) };
        let mirrored_x = matches!(self.0, 2 | 3 | 7 | 8);
        let mirrored_y = matches!(self.0, 3 | 4 | 6 | 7);
        let mut data = rgb::buffer(width as u32, height as u32, 3)?;
        for (top, left) in
            (0..height).step_by(TILE).flat_map(|y| (0..width).step_by(TILE).map(move |x| (y, x)))
        {
            for y in top..height.min(top + TILE) {
                for x in left..width.min(left + TILE) {
                    let (x0, y0) = if turned { (y, x) } else { (x, y) };
                    let x0 = if mirrored_x { source_width - 1 - x0 } else { x0 };
                    let y0 = if mirrored_y { source_height - 1 - y0 } else { y0 };
                    let (from, to) = (3 * (y0 * source_width + x0), 3 * (y * width + x));
                    data[to..to + 3].copy_from_slice(&image.data()[from..from + 3]);
                }
            }
        }
        RgbImage::from_rgb(width as u32, height as u32, data)
    }
}

/// The tag's value in the first directory of a TIFF structure, which an EXIF block is, with or without its marker.
fn exif_orientation(mut block: &[u8]) -> Option<u32> {
    while let Some(rest) = block.strip_prefix(b"Exif\0\0") {
        block = rest;
    }
    let little_endian = match block.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = u32_at(4)? as usize;
    let entries =
        (0..usize::from(u16_at(directory)?)).map_while(|entry| directory.checked_add(2 + 12 * entry));
    for entry in entries {
        if u16_at(entry)? != ORIENTATION {
            continue;
        }
        // A SHORT by the standard, a LONG by some writers.
        return match (u16_at(entry + 2)?, u32_at(entry + 4)?) {
            (3 | 8, 1) => u16_at(entry + 8).map(u32::from),
            (4 | 9, 1) => u32_at(entry + 8),
            _ => None,
        };
    }
    None
}

/// The digit after `tiff:Orientation="` or `<tiff:Orientation>`.
fn xmp_orientation(packet: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    packet.windows(NAME.len()).enumerate().filter(|&(_, window)| window == NAME).find_map(|(at, _)| {
        let rest = &packet[at + NAME.len()..];
        let rest = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        rest.first().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(little_endian: bool, kind: u16, value: u32) -> Vec<u8> {
        let mut block = if little_endian { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        let mut put = |value: u32, len: usize| match little_endian {
            true => block.extend(&value.to_le_bytes()[..len]),
            false => block.extend(&value.to_be_bytes()[4 - len..]),
        };
        put(8, 4);
        put(1, 2);
        put(u32::from(ORIENTATION), 2);
        put(u32::from(kind), 2);
        put(1, 4);
        if kind == 3 {
            put(value, 2);
            put(0, 2);
        } else {
            put(value, 4);
        }
        put(0, 4);
        block
    }

    #[test]
    fn reads_both_byte_orders_and_types() {
        for (little_endian, kind) in [(true, 3), (false, 3), (true, 4), (false, 4)] {
            let block = exif(little_endian, kind, 6);
            assert_eq!(Orientation::of(Some(&block), None), Orientation(6), "{little_endian} {kind}");
            let marked = [b"Exif\0\0", &block[..]].concat();
            assert_eq!(Orientation::of(Some(&marked), None), Orientation(6));
        }
    }

    #[test]
    fn ignores_what_is_broken() {
        let block = exif(true, 3, 6);
        for len in 0..20 {
            assert_eq!(Orientation::of(Some(&block[..len]), None), Orientation::UPRIGHT, "{len}");
        }
        for value in [0, 1, 9, 65535] {
            assert_eq!(Orientation::of(Some(&exif(false, 3, value)), None), Orientation::UPRIGHT);
        }
        let far = b"II*\0\xff\xff\xff\xff\x01\0";
        assert_eq!(Orientation::of(Some(far), None), Orientation::UPRIGHT);
    }

    #[test]
    fn asks_xmp_where_exif_says_nothing() {
        let attribute = br#"<rdf:Description tiff:Orientation="8" />"#;
        let element = b"<tiff:Orientation>3</tiff:Orientation>";
        assert_eq!(Orientation::of(None, Some(attribute)), Orientation(8));
        assert_eq!(Orientation::of(None, Some(element)), Orientation(3));
        assert_eq!(Orientation::of(Some(&exif(true, 3, 6)), Some(attribute)), Orientation(6));
        assert_eq!(Orientation::of(None, Some(b"tiff:Orientation")), Orientation::UPRIGHT);
    }

    #[test]
    fn turns_clockwise_for_6() {
        let image = RgbImage::from_rgb(2, 1, vec![1, 1, 1, 2, 2, 2]).unwrap();
        let turned = Orientation(6).apply(image).unwrap();
        assert_eq!((turned.width(), turned.height(), turned.data()), (1, 2, &[1, 1, 1, 2, 2, 2][..]));
    }
}
