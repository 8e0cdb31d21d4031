use gif::{DecodeOptions, DecodingError};

use super::{ImageError, RgbImage, rgb};

/// The first frame on the canvas. Around a frame that is smaller lies, in Pillow, the transparent colour or else
/// colour 0; a frame that is larger widens the canvas.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut decoder = DecodeOptions::new().read_info(bytes).map_err(error)?;
    let (screen_width, screen_height) = (decoder.width(), decoder.height());
    let Some(frame) = decoder.next_frame_info().map_err(error)?.cloned() else {
        return Err(ImageError::broken("GIF", "there is no frame in it"));
    };
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let width = usize::from(screen_width).max(left + frame_width);
    let height = usize::from(screen_height).max(top + frame_height);
    let mut canvas = rgb::buffer(width as u32, height as u32, 1)?;
    canvas.fill(frame.transparent.unwrap_or(0));
    if frame_width > 0 && frame_height > 0 {
        let mut indices = rgb::buffer(u32::from(frame.width), u32::from(frame.height), 1)?;
        decoder.read_into_buffer(&mut indices).map_err(error)?;
        for (row, indices) in canvas.chunks_exact_mut(width).skip(top).zip(indices.chunks_exact(frame_width))
        {
            row[left..left + frame_width].copy_from_slice(indices);
        }
    }
    let palette = palette(frame.palette.as_deref().or(decoder.global_palette()).unwrap_or_default());
    RgbImage::from_pixels(
        width as u32,
        height as u32,
        canvas.iter().map(|&index| palette[usize::from(index)]),
    )
}

/// All 256 colours: those that a short palette lacks are black.
fn palette(colours: &[u8]) -> [[u8; 3]; 256] {
    let mut palette = [[0; 3]; 256];
    for (entry, colour) in palette.iter_mut().zip(colours.chunks_exact(3)) {
        entry.copy_from_slice(colour);
    }
    palette
}

fn error(error: DecodingError) -> ImageError {
    ImageError::broken("GIF", error)
}
