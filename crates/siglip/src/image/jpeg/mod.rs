//! JPEG: every kind that Pillow opens, with Pillow's pixels.
//!
//! Pillow decodes with libjpeg-turbo at its defaults: the accurate integer IDCT, chroma weighted from its neighbours,
//! and guesses for what a progressive file lacks. Which damaged files it shows, and how, follows from the order in
//! which libjpeg reads; so this decoder reads in the same order. It is written after libjpeg-turbo's source, which is
//! based in part on the work of the Independent JPEG Group.

mod arithmetic;
mod block;
mod entropy;
mod frame;
mod header;
mod huffman;
mod idct;
mod lossless;
mod markers;
mod output;
mod planes;
mod progressive;
mod sequential;
mod smooth;
mod source;

use std::cell::RefCell;

use frame::{Coding, Frame, Scan, Tables};
use header::Header;
use markers::{Found, Markers};
use output::Upsampling;
pub(super) use output::{Chroma, Colors};
use planes::{Coefficients, Plane, Progress};
use smooth::Smoother;
use source::Fault;

use super::orientation::Orientation;
use super::{Decoded, ImageError, RgbImage, rgb};

/// How often on average a block may be read before a file with more and more scans is refused, and how often at least
/// all blocks of a small file.
const SCANS: usize = 100;
const SPARE_BLOCKS: usize = 1 << 22;

/// What has been read of a picture in several scans, of all its parts if it has some.
#[derive(Default)]
pub(super) struct Effort(usize);

impl Effort {
    /// Every sample of the largest lossless picture of three components, and every block of the largest other one as
    /// often as 16 scans visit it. Scans of a usual progressive picture visit its blocks six times.
    const MOST: usize = 1 << 29;
    /// What a block counts where a sample of a lossless picture counts 1.
    const OF_BLOCK: usize = 4;

    /// Refuses what would take minutes, whatever the picture's size.
    fn spend(&mut self, visits: usize, lossless: bool) -> source::Decoded<()> {
        self.0 += visits * if lossless { 1 } else { Effort::OF_BLOCK };
        if self.0 > Effort::MOST { Err(TOO_MANY_SCANS) } else { Ok(()) }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, ImageError> {
    let header = Header::read(bytes)?;
    let (image, damage) = decode_as_stored(bytes, &header, None, Chroma::Weighted, &mut Effort::default())?;
    let image = Orientation::of(header.exif.as_deref(), header.xmp).apply(image)?;
    Ok(Decoded { image, damage })
}

/// A strip or tile of a TIFF, whose directory says what its components are.
#[cfg(feature = "rare-formats")]
pub(super) fn decode_part(
    bytes: &[u8],
    colors: Colors,
    chroma: Chroma,
    effort: &mut Effort,
) -> Result<RgbImage, ImageError> {
    let header = Header::read(bytes)?;
    decode_as_stored(bytes, &header, Some(colors), chroma, effort).map(|(image, _)| image)
}

/// The picture as it lies, and what is wrong with its file. `colors` are the file's unless they are given.
fn decode_as_stored(
    bytes: &[u8],
    header: &Header,
    given: Option<Colors>,
    chroma: Chroma,
    effort: &mut Effort,
) -> Result<(RgbImage, Option<&'static str>), ImageError> {
    rgb::check_sides(header.width, header.height)?;
    let mut reading = Reading { markers: Markers::new(bytes), visits: 0, effort };
    let (planes, colors) = reading.picture().map_err(|fault| match fault {
        Fault::CutShort => ImageError::broken("JPEG", "it ends early"),
        Fault::Broken(reason) => ImageError::broken("JPEG", reason),
        Fault::Memory => ImageError::TooLarge { width: header.width, height: header.height },
    })?;
    let Markers { frame: Some(frame), source, .. } = &reading.markers else {
        return Err(ImageError::broken("JPEG", "there is no frame in it"));
    };
    if (frame.width, frame.height) != (header.width as usize, header.height as usize) {
        return Err(ImageError::broken("JPEG", "its headers differ in width and height"));
    }
    let colors = given.unwrap_or(colors);
    if colors.components() != planes.len() {
        return Err(ImageError::broken(
            "JPEG",
            "it has another number of components than its container says",
        ));
    }
    let image = output::render(frame, &planes, colors, chroma)?;
    Ok((image, source.damage))
}

/// A file that is being read.
struct Reading<'a> {
    markers: Markers<'a>,
    /// Blocks read so far, those of every scan counted.
    visits: usize,
    effort: &'a mut Effort,
}

impl Reading<'_> {
    /// The samples of every component, and what they are.
    fn picture(&mut self) -> source::Decoded<(Vec<Plane>, Colors)> {
        let no_picture = Fault::Broken("there is no picture in it");
        let Found::Scan(scan) = self.markers.read()? else { return Err(no_picture) };
        let Markers { frame: Some(frame), has_jfif, adobe, .. } = &self.markers else {
            return Err(no_picture);
        };
        let colors = Colors::of(frame, *has_jfif, *adobe)?;
        for component in &frame.components {
            Upsampling::of(frame, component)?;
        }
        let is_whole = scan.components.len() == frame.components.len();
        let planes = match frame.coding {
            Coding { lossless: true, arithmetic: true, .. } => {
                return Err(Fault::Broken("it is both lossless and arithmetic-coded"));
            }
            Coding { lossless: true, .. } => self.lossless(scan, is_whole)?,
            Coding { progressive: false, .. } if is_whole => self.one_scan(&scan)?,
            _ => self.several_scans(scan)?,
        };
        Ok((planes, colors))
    }

    /// All components in one scan: blocks become samples as they come.
    fn one_scan(&mut self, scan: &Scan) -> source::Decoded<Vec<Plane>> {
        let Reading { markers: Markers { source, frame, tables, .. }, .. } = self;
        let frame = frame.as_mut().ok_or(NO_FRAME)?;
        fix_quantizers(frame, scan, tables)?;
        let mut planes =
            frame.components.iter().map(|c| Plane::new(c, 8)).collect::<source::Decoded<Vec<_>>>()?;
        let quantizers: Vec<[u16; 64]> =
            frame.components.iter().map(|c| c.quantizer.unwrap_or([0; 64])).collect();
        entropy::read_scan(
            source,
            frame,
            scan,
            tables,
            |block, _, _, _| *block = [0; 64],
            |block, component, row, column| planes[component].put(block, &quantizers[component], row, column),
        )?;
        self.finish()?;
        Ok(planes)
    }

    /// Coefficients are kept until the end of the file, which has to be there.
    fn several_scans(&mut self, mut scan: Scan) -> source::Decoded<Vec<Plane>> {
        let frame = self.markers.frame.as_ref().ok_or(NO_FRAME)?;
        let mut progress = Progress::new(frame);
        let mut coefficients =
            frame.components.iter().map(Coefficients::new).collect::<source::Decoded<Vec<_>>>()?;
        let (last_good_row, scans) = loop {
            self.count_visits(&scan)?;
            let Markers { source, frame, tables, .. } = &mut self.markers;
            let frame = frame.as_mut().ok_or(NO_FRAME)?;
            fix_quantizers(frame, &scan, tables)?;
            if frame.coding.progressive {
                scan.check_progressive()?;
                progress.begin(&scan);
            }
            let shared = RefCell::new(&mut coefficients);
            let last_good_row = entropy::read_scan(
                source,
                frame,
                &scan,
                tables,
                |block, component, row, column| {
                    *block = *shared.borrow()[component].block(row, column);
                },
                |block, component, row, column| {
                    *shared.borrow_mut()[component].block_mut(row, column) = *block;
                },
            )?;
            match self.markers.read()? {
                Found::Scan(next) => scan = next,
                Found::End => break (last_good_row, scan.number),
            }
        };
        let Markers { source, frame, .. } = &mut self.markers;
        let frame = frame.as_ref().ok_or(NO_FRAME)?;
        let is_smoothed = frame.coding.progressive && smooth::is_useful(frame, &progress);
        if is_smoothed {
            source.damage.get_or_insert("its last scans are missing");
        }
        let mut planes = Vec::new();
        for (place, (component, coefficients)) in frame.components.iter().zip(&coefficients).enumerate() {
            let mut plane = Plane::new(component, 8)?;
            let smoother = Smoother::new(frame, place, coefficients, &progress, scans, last_good_row);
            let quantizer = component.quantizer.unwrap_or([0; 64]);
            for row in 0..component.block_rows {
                for column in 0..component.block_columns {
                    if is_smoothed {
                        plane.put(&smoother.block(row, column), &quantizer, row, column);
                    } else {
                        plane.put(coefficients.block(row, column), &quantizer, row, column);
                    }
                }
            }
            planes.push(plane);
        }
        Ok(planes)
    }

    fn lossless(&mut self, mut scan: Scan, is_whole: bool) -> source::Decoded<Vec<Plane>> {
        let frame = self.markers.frame.as_ref().ok_or(NO_FRAME)?;
        let mut planes =
            frame.components.iter().map(|c| Plane::new(c, 1)).collect::<source::Decoded<Vec<_>>>()?;
        loop {
            self.count_visits(&scan)?;
            let Markers { source, frame, tables, .. } = &mut self.markers;
            lossless::read_scan(source, frame.as_ref().ok_or(NO_FRAME)?, &scan, tables, &mut planes)?;
            if is_whole {
                self.finish()?;
                return Ok(planes);
            }
            match self.markers.read()? {
                Found::Scan(next) => scan = next,
                Found::End => return Ok(planes),
            }
        }
    }

    /// The picture is complete: its end may be missing, but what has been read of the file has to make sense.
    fn finish(&mut self) -> source::Decoded<()> {
        self.markers.source.end_here();
        match self.markers.read() {
            Ok(Found::Scan(_)) => Err(Fault::Broken("it goes on behind its last scan")),
            Ok(Found::End) | Err(Fault::CutShort) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Refuses files of many scans over many blocks, which would take minutes.
    fn count_visits(&mut self, scan: &Scan) -> source::Decoded<()> {
        let frame = self.markers.frame.as_ref().ok_or(NO_FRAME)?;
        let blocks = |places: &mut dyn Iterator<Item = usize>| -> usize {
            places
                .map(|place| frame.components[place].block_columns * frame.components[place].block_rows)
                .sum()
        };
        let visits = blocks(&mut scan.components.iter().copied());
        self.visits += visits;
        if self.visits > SPARE_BLOCKS.max(SCANS * blocks(&mut (0..frame.components.len()))) {
            return Err(TOO_MANY_SCANS);
        }
        self.effort.spend(visits, frame.coding.lossless)
    }
}

const TOO_MANY_SCANS: Fault = Fault::Broken("it has too many scans");
const NO_FRAME: Fault = Fault::Broken("there is no frame in it");

/// A component's quantization table is the one that is defined when its first scan begins.
fn fix_quantizers(frame: &mut Frame, scan: &Scan, tables: &Tables) -> source::Decoded<()> {
    for &component in &scan.components {
        let component = &mut frame.components[component];
        if component.quantizer.is_none() {
            let defined = tables.quantizers.get(component.quantization).copied().flatten();
            component.quantizer = Some(defined.ok_or(Fault::Broken("a quantization table is missing"))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reaching it takes seconds.
    #[test]
    fn scans_of_the_largest_pictures_are_bounded() {
        let samples = 3 * crate::image::MAX_PIXELS as usize;
        let mut effort = Effort::default();
        assert_eq!(effort.spend(samples, true), Ok(()));
        assert_eq!(effort.spend(3, true), Err(TOO_MANY_SCANS));
        let mut effort = Effort::default();
        assert!((0..16).all(|_| effort.spend(samples / 64, false).is_ok()));
        assert_eq!(effort.spend(samples / 64, false), Err(TOO_MANY_SCANS));
    }
}
