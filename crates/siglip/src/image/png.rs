use std::io::Cursor;

use png::{ColorType, Decoder, DecodingError, Info, Limits, Transformations};

use super::orientation::Orientation;
use super::{ImageError, RgbImage, rgb};

/// ImageMagick's place for EXIF before PNG had one: hexadecimal, after a line of its own, the kind and the length.
const RAW_EXIF: &str = "Raw profile type exif";
const XMP: &str = "XML:com.adobe.xmp";
/// More than any metadata needs; what unpacks to more is ignored.
const METADATA_BYTES: usize = 1 << 20;

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 1 << 30 });
    // The high byte of 16-bit samples, as Pillow reads those of colour pictures.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = (header.width, header.height);
    rgb::check_sides(width, height)?;
    let mut reader = decoder.read_info().map_err(error)?;
    let channels = reader.output_color_type().0.samples();
    let mut data = rgb::buffer(width, height, channels)?;
    let frame = reader.next_frame(&mut data).map_err(error)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(ImageError::broken("PNG", "its first frame does not fill it"));
    }
    // EXIF may follow the pixels. They are complete by now, so what is wrong behind them does not matter.
    let _ = reader.finish();
    let image = match frame.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => {
            RgbImage::from_pixels(width, height, data.chunks_exact(channels).map(|pixel| [pixel[0]; 3]))?
        }
        ColorType::Rgb => RgbImage::from_rgb(width, height, data)?,
        ColorType::Rgba => RgbImage::from_rgba(width, height, &data)?,
        ColorType::Indexed => return Err(ImageError::broken("PNG", "it has no palette")),
    };
    orientation(reader.info()).apply(image)
}

fn orientation(info: &Info<'_>) -> Orientation {
    let raw_exif = || {
        let mut plain = info.uncompressed_latin1_text.iter();
        let plain = plain.find(|chunk| chunk.keyword == RAW_EXIF).map(|chunk| chunk.text.clone());
        let packed = || {
            let chunk = info.compressed_latin1_text.iter().find(|chunk| chunk.keyword == RAW_EXIF)?;
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(METADATA_BYTES).ok()?;
            chunk.get_text().ok()
        };
        unhex(&plain.or_else(packed)?)
    };
    let xmp = info.utf8_text.iter().find(|chunk| chunk.keyword == XMP).and_then(|chunk| {
        let mut chunk = chunk.clone();
        chunk.decompress_text_with_limit(METADATA_BYTES).ok()?;
        chunk.get_text().ok()
    });
    let exif = info.exif_metadata.as_deref().map(<[u8]>::to_vec).or_else(raw_exif);
    Orientation::of(exif.as_deref(), xmp.as_deref().map(str::as_bytes))
}

/// The bytes that all but the first three lines spell.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut digits =
        text.split('\n').skip(3).flat_map(str::chars).filter(|character| !character.is_whitespace());
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        bytes.push((high.to_digit(16)? << 4 | digits.next()?.to_digit(16)?) as u8);
    }
    Some(bytes)
}

fn error(error: DecodingError) -> ImageError {
    ImageError::broken("PNG", plain(&error.to_string()))
}

/// The decoder's message, which spells a chunk's name out with all its flags, with the name alone.
fn plain(message: &str) -> String {
    let without_flags = || {
        let (before, chunk) = message.split_once("ChunkType { type: ")?;
        let (name, flags) = chunk.split_once(", critical: ")?;
        let (_, after) = flags.split_once(" }")?;
        Some(format!("{before}{name}{after}"))
    };
    without_flags().unwrap_or_else(|| message.into())
}
