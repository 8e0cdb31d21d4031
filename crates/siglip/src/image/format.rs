use super::ImageError;

/// The formats decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    #[cfg(feature = "avif")]
    Avif,
    Bmp,
    Gif,
    Jpeg,
    Png,
    WebP,
    /// Decoded with the feature `rare-formats` alone.
    Rare(Rare),
}

/// The formats that few files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rare {
    Icon,
    JpegXl,
    Pnm,
    Qoi,
    Tga,
    Tiff,
}

impl Rare {
    #[cfg(not(feature = "rare-formats"))]
    pub fn name(self) -> &'static str {
        match self {
            Rare::Icon => "ICO",
            Rare::JpegXl => "JPEG XL",
            Rare::Pnm => "PNM",
            Rare::Qoi => "QOI",
            Rare::Tga => "TGA",
            Rare::Tiff => "TIFF",
        }
    }

    fn of(bytes: &[u8]) -> Option<Rare> {
        // The last four of TIFF break the standard, and Pillow reads them. The standard's BigTIFF is among them.
        const TIFF: [&[u8; 4]; 6] = [b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+"];
        match bytes {
            [0, 0, 1, 0, ..] => Some(Rare::Icon),
            // A codestream, or one in a container.
            [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some(Rare::JpegXl),
            [b'q', b'o', b'i', b'f', ..] => Some(Rare::Qoi),
            [b'P', b'1'..=b'6' | b'f', b' ' | b'\t'..=b'\r', ..] => Some(Rare::Pnm),
            _ if TIFF.iter().any(|start| bytes.starts_with(*start)) => Some(Rare::Tiff),
            _ if is_tga(bytes) => Some(Rare::Tga),
            _ => None,
        }
    }
}

/// TGA has no first bytes of its own: it is known by a header in which every field makes sense.
fn is_tga(bytes: &[u8]) -> bool {
    let &[_, map, kind, _, _, _, _, map_depth, _, _, _, _, w0, w1, h0, h1, depth, flags, ..] = bytes else {
        return false;
    };
    map <= 1
        && matches!((kind & !8, depth), (1, 8) | (2, 16 | 24 | 32) | (3, 1 | 8 | 16))
        && (kind & 7 != 1 || map == 1)
        && (map == 0 || matches!(map_depth, 16 | 24 | 32))
        && flags & 0xc0 == 0
        && [w0, w1] != [0, 0]
        && [h0, h1] != [0, 0]
}

/// First bytes of formats that are known but not decoded here.
const ELSEWHERE: [(&[u8], &str); 7] = [
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"%PDF", "PDF"),
    (b"DDS ", "DDS"),
    (b"P7", "PAM"),
    (b"\x1a\x45\xdf\xa3", "a video (WebM or Matroska)"),
];

impl Format {
    /// The format that the first bytes tell; a file's name and media type are often wrong.
    pub fn of(bytes: &[u8]) -> Result<Format, ImageError> {
        if bytes.is_empty() {
            Err(ImageError::Empty)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Format::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Ok(Format::Jpeg)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Ok(Format::Gif)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Ok(Format::WebP)
        } else if bytes.starts_with(b"BM") {
            Ok(Format::Bmp)
        } else if is_avif(bytes) {
            avif()
        } else if let Some(rare) = Rare::of(bytes) {
            Ok(Format::Rare(rare))
        } else {
            Err(ImageError::UnsupportedFormat { format: elsewhere(bytes) })
        }
    }
}

#[cfg(feature = "avif")]
fn avif() -> Result<Format, ImageError> {
    Ok(Format::Avif)
}

#[cfg(not(feature = "avif"))]
fn avif() -> Result<Format, ImageError> {
    Err(ImageError::UnsupportedFormat { format: Some("AVIF") })
}

/// Whether a file in a container of pictures says that it holds AV1.
fn is_avif(bytes: &[u8]) -> bool {
    let &[l0, l1, l2, l3, b'f', b't', b'y', b'p', ref rest @ ..] = bytes else { return false };
    let len = (u32::from_be_bytes([l0, l1, l2, l3]) as usize).saturating_sub(8);
    let brands = &rest[..len.min(rest.len())];
    match brands.get(..4) {
        Some(b"avif" | b"avis") => true,
        Some(b"mif1" | b"msf1") => {
            brands.chunks_exact(4).skip(2).any(|brand| matches!(brand, b"avif" | b"avis"))
        }
        _ => false,
    }
}

fn elsewhere(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(match bytes.get(8..12) {
            Some(b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1") => "HEIC",
            _ => "a video (MP4)",
        });
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"<svg") || text.starts_with(b"<?xml") {
        return Some("SVG");
    }
    ELSEWHERE.iter().find(|(start, _)| bytes.starts_with(start)).map(|&(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_does_not_decode() {
        let named = |bytes: &[u8]| match Format::of(bytes) {
            Err(ImageError::UnsupportedFormat { format }) => format,
            other => panic!("{other:?}"),
        };
        assert_eq!(named(b"\0\0\0\x18ftypheic"), Some("HEIC"));
        assert_eq!(named(b"\n<svg xmlns='http://www.w3.org/2000/svg'/>"), Some("SVG"));
        assert_eq!(named(b"P7\nWIDTH 1"), Some("PAM"));
        assert_eq!(named(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(named(b"hello"), None);
        assert_eq!(Format::of(b""), Err(ImageError::Empty));
        let heic = Format::of(b"\0\0\0\x18ftypheic").unwrap_err().to_string();
        assert!(heic.contains("save or share it as JPEG"), "{heic}");
    }

    #[test]
    fn knows_avif_by_its_brands() {
        for avif in [&b"\0\0\0\x10ftypavif\0\0\0\0"[..], b"\0\0\0\x18ftypmif1\0\0\0\0miafavif"] {
            #[cfg(feature = "avif")]
            assert_eq!(Format::of(avif), Ok(Format::Avif));
            #[cfg(not(feature = "avif"))]
            assert_eq!(Format::of(avif), Err(ImageError::UnsupportedFormat { format: Some("AVIF") }));
        }
        let heic = b"\0\0\0\x14ftypmif1\0\0\0\0heicavif";
        assert_eq!(Format::of(heic), Err(ImageError::UnsupportedFormat { format: Some("HEIC") }));
    }

    #[test]
    fn knows_rare_formats() {
        let tga = b"\0\0\x02\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x18\0\x01\x02\x03";
        for (start, rare) in [
            (&b"II*\0\x08\0\0\0"[..], Rare::Tiff),
            (b"MM\0+", Rare::Tiff),
            (b"\0\0\x01\0\x01\0", Rare::Icon),
            (b"P5\n1 1 255 ", Rare::Pnm),
            (b"Pf 1 1 -1 ", Rare::Pnm),
            (b"qoif", Rare::Qoi),
            (b"\xff\x0a", Rare::JpegXl),
            (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", Rare::JpegXl),
            (tga, Rare::Tga),
        ] {
            assert_eq!(Format::of(start), Ok(Format::Rare(rare)));
        }
        for other in [&b"P5"[..], b"Pa 1 1", b"\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x01\0\x18\0", &[0; 64]] {
            assert_eq!(Format::of(other), Err(ImageError::UnsupportedFormat { format: None }));
        }
    }
}
