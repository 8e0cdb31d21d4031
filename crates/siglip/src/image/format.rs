use super::ImageError;

/// The formats decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Bmp,
    Gif,
    Jpeg,
    Png,
    WebP,
}

/// First bytes of formats that are known but not decoded here.
const ELSEWHERE: [(&[u8], &str); 20] = [
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\x01\0", "an icon file (ICO)"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"%PDF", "PDF"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"P1", "a PNM file"),
    (b"P2", "a PNM file"),
    (b"P3", "a PNM file"),
    (b"P4", "a PNM file"),
    (b"P5", "a PNM file"),
    (b"P6", "a PNM file"),
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
        } else {
            Err(ImageError::UnsupportedFormat { format: elsewhere(bytes) })
        }
    }
}

fn elsewhere(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(match bytes.get(8..12) {
            Some(b"avif" | b"avis") => "AVIF",
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
        assert_eq!(named(b"\0\0\0\x20ftypavif\0\0\0\0"), Some("AVIF"));
        assert_eq!(named(b"\0\0\0\x18ftypheic"), Some("HEIC"));
        assert_eq!(named(b"\n<svg xmlns='http://www.w3.org/2000/svg'/>"), Some("SVG"));
        assert_eq!(named(b"II*\0\x08\0\0\0"), Some("TIFF"));
        assert_eq!(named(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(named(b"hello"), None);
        assert_eq!(Format::of(b""), Err(ImageError::Empty));
        let heic = Format::of(b"\0\0\0\x18ftypheic").unwrap_err().to_string();
        assert!(heic.contains("save or share it as JPEG"), "{heic}");
    }
}
