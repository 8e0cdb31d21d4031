//! The pictures in an AVIF, which are AV1: by `re_rav1d`, dav1d in Rust.

use re_rav1d::dav1d::{Decoder, Error, Picture, PixelLayout, PlanarImageComponent, Settings};

use super::super::{ImageError, rgb};
use super::frame::{Frame, Layout, Plane};
use super::properties::Colours;
use super::sequence;
use super::{broken, unsupported};

/// Most frames in the data of one picture. One is usual, a layered picture has up to 4. The decoder decodes those that
/// are not shown as well.
const MOST_FRAMES: usize = 16;

/// What has been decoded of a picture, of all its parts.
#[derive(Default)]
pub struct Effort {
    frame_pixels: u64,
}

impl Effort {
    /// Refuses what would take too long.
    fn spend(&mut self, frames: usize, (width, height): (u32, u32)) -> Result<(), ImageError> {
        self.frame_pixels += frames as u64 * u64::from(width) * u64::from(height);
        if frames > MOST_FRAMES || self.frame_pixels > rgb::MOST_DECODED_PIXELS {
            return Err(unsupported(format!("a picture made of {frames} frames")));
        }
        Ok(())
    }
}

/// Decodes the first frame that is shown, which has these sides.
pub fn decode(
    data: &[u8],
    operating_point: u8,
    sides: (u32, u32),
    effort: &mut Effort,
) -> Result<Frame, ImageError> {
    rgb::check_sides(sides.0, sides.1)?;
    let frames = units(data).filter(|unit| matches!(unit.kind, FRAME_HEADER | FRAME)).count();
    effort.spend(frames, sides)?;
    // `re_rav1d` panics where it is asked for colours whose numbers are reserved.
    let sequence = units(data).find(|unit| unit.kind == SEQUENCE_HEADER);
    let colours = sequence.and_then(|unit| sequence::colours(unit.body));
    let colours = colours.ok_or_else(|| broken("its data does not say how it is coded"))?;
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(sides.0 * sides.1);
    settings.set_operating_point(u32::from(operating_point));
    settings.set_all_layers(false);
    let mut decoder = Decoder::with_settings(&settings).map_err(refused)?;
    let mut sent = decoder.send_data(data.to_vec(), None, None, None);
    let picture = loop {
        let is_pending = match sent {
            Ok(()) => false,
            Err(Error::Again) => true,
            Err(error) => return Err(refused(error)),
        };
        match decoder.get_picture() {
            Ok(picture) => break picture,
            Err(Error::Again) if is_pending => sent = decoder.send_pending_data(),
            Err(Error::Again) => return Err(broken("its data holds no picture")),
            Err(error) => return Err(refused(error)),
        }
    };
    // What follows has to be in order as well.
    loop {
        match decoder.get_picture() {
            Ok(_) => {}
            Err(Error::Again) => break,
            Err(error) => return Err(refused(error)),
        }
    }
    if (picture.width(), picture.height()) != sides {
        return Err(scaled());
    }
    frame(&picture, colours)
}

/// Kinds of units.
const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// A unit of AV1 data (OBU).
struct Unit<'a> {
    kind: u8,
    body: &'a [u8],
}

/// The units of the data, up to one that does not fit.
fn units(mut data: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    std::iter::from_fn(move || {
        let (&head, rest) = data.split_first()?;
        let kind = head >> 3 & 15;
        let rest = if head & 4 == 0 { rest } else { rest.get(1..)? };
        if head & 2 == 0 {
            // Without a length, it is the last one.
            data = &[];
            return Some(Unit { kind, body: rest });
        }
        // 7 bits of the length in a byte, the lowest first. The highest bit says that there are more.
        let bytes = 1 + rest.iter().take(8).position(|byte| byte & 0x80 == 0)?;
        let len = rest[..bytes].iter().rev().fold(0, |len, byte| len << 7 | u64::from(byte & 0x7f));
        let body = rest[bytes..].get(..usize::try_from(len).ok()?)?;
        data = &rest[bytes + body.len()..];
        Some(Unit { kind, body })
    })
}

fn frame(picture: &Picture, colours: Colours) -> Result<Frame, ImageError> {
    let (width, height, depth) = (picture.width(), picture.height(), picture.bit_depth() as u8);
    let layout = match picture.pixel_layout() {
        PixelLayout::I400 => Layout::Grey,
        PixelLayout::I420 => Layout::Half,
        PixelLayout::I422 => Layout::HalfWidth,
        PixelLayout::I444 => Layout::Full,
    };
    let mut frame = Frame::new(width, height, depth, layout, colours)?;
    let components = [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];
    for (plane, component) in frame.planes.iter_mut().zip(components) {
        let stride = picture.stride(component) as usize;
        copy(plane, &picture.plane(component), stride, depth > 8)?;
    }
    Ok(frame)
}

/// Copies samples of 1 or 2 bytes, in rows of `stride` bytes.
fn copy(plane: &mut Plane, bytes: &[u8], stride: usize, wide: bool) -> Result<(), ImageError> {
    let row_len = plane.width * if wide { 2 } else { 1 };
    for (y, row) in plane.samples.chunks_exact_mut(plane.width).enumerate() {
        let source = bytes.get(y * stride..).and_then(|rest| rest.get(..row_len));
        let source = source.ok_or_else(|| broken("its decoder gave too few samples"))?;
        if wide {
            for (sample, pair) in row.iter_mut().zip(source.chunks_exact(2)) {
                *sample = u16::from_ne_bytes([pair[0], pair[1]]);
            }
        } else {
            for (sample, &byte) in row.iter_mut().zip(source) {
                *sample = u16::from(byte);
            }
        }
    }
    Ok(())
}

fn refused(error: Error) -> ImageError {
    match error {
        Error::UnsupportedBitstream => unsupported("its AV1 data"),
        // The only one of these is that a frame exceeds the limit.
        Error::UnknownError(_) => scaled(),
        error => broken(error),
    }
}

fn scaled() -> ImageError {
    unsupported("a picture that is scaled to its stated sides")
}
