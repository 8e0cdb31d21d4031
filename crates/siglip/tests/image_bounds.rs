//! Every decoder of pictures has a bound of pixels, of time and of memory. This reaches each of them with a small file.
//!
//! The bound of time is one of work. Most decoders go through the file and the picture once; their row has a file that
//! repeats what says nothing, or lies about what comes, as often as a decoder that is slower than that would not end
//! with. The others may read a file or decode pixels many times; their row exceeds the number of times.

#[path = "support/image_files.rs"]
mod image_files;

use image_files::*;
use peak_alloc::PeakAlloc;
use siglip::image::{ImageError, decode};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A picture in `tests/fixtures/pictures/`.
fn picture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pictures/");
    std::fs::read([folder, name].concat()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What decoding comes to.
enum End {
    /// A picture of these sides.
    Picture(u32, u32),
    /// The error of a picture of these sides.
    TooLarge(u32, u32),
    /// An error that says so.
    Error(&'static str),
}

use End::{Error, Picture, TooLarge};

fn check(name: &str, file: &[u8], end: &End) {
    let found = decode(file).map(|image| (image.width(), image.height()));
    let is_right = match (end, &found) {
        (Picture(width, height), Ok(sides)) => sides == &(*width, *height),
        (TooLarge(width, height), Err(error)) => {
            error == &ImageError::TooLarge { width: *width, height: *height }
        }
        (Error(reason), Err(error)) => error.to_string().contains(reason),
        _ => false,
    };
    assert!(is_right, "{name}: {found:?}");
}

/// Decodes a picture and returns the most memory that this takes beside the file.
fn peak(name: &str, file: &[u8], end: &End) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    check(name, file, end);
    MEMORY.peak_usage() - before
}

/// What reaches the bounds of a decoder.
struct Row {
    name: &'static str,
    /// A picture of more pixels than are decoded.
    pixels: (Vec<u8>, End),
    /// As much work as files of this size can ask for, or more than is done.
    time: Vec<(Vec<u8>, End)>,
    /// A picture that takes the most memory for its pixels, beside the file: so many bytes for each.
    memory: (Vec<u8>, End, usize),
}

/// Bytes beside those for pixels: tables of codes, windows.
const SPARE_BYTES: usize = 1 << 20;
/// How often what says nothing is repeated: a decoder that read the rest of the file with each would take hours.
const OFTEN: usize = 400_000;
const LARGE: End = TooLarge(50_000, 50_000);

#[test]
fn every_decoder_has_bounds() {
    let rows = [
        png_row(),
        jpeg_row(),
        gif_row(),
        webp_row(),
        bmp_row(),
        tiff_row(),
        icon_row(),
        pnm_row(),
        qoi_row(),
        tga_row(),
        jxl_row(),
    ];
    #[cfg(feature = "avif")]
    let rows = rows.into_iter().chain([avif_row()]);
    for Row { name, pixels, time, memory } in rows {
        let (file, end) = pixels;
        let taken = peak(name, &file, &end);
        assert!(taken < SPARE_BYTES, "{name}: {taken} bytes for a picture that is too large");
        for (file, end) in time {
            let started = std::time::Instant::now();
            check(name, &file, &end);
            println!("{name}: {} bytes in {:?}", file.len(), started.elapsed());
        }
        let (file, end, bytes) = memory;
        let Picture(width, height) = end else { panic!("{name}: no picture") };
        let taken = peak(name, &file, &end);
        let pixels = (width * height) as usize;
        println!("{name}: {:.2} bytes a pixel", taken as f64 / pixels as f64);
        assert!(taken <= bytes * pixels + SPARE_BYTES, "{name}: {taken} bytes for {pixels} pixels");
    }
}

/// Pixels and their upright copy.
fn png_row() -> Row {
    let (start, pixels) = (png_start(64, 64), png_pixels(64, 64));
    let nothing = [png_chunk(b"IDAT", b""), png_chunk(b"tEXt", b"XML:com.adobe.xmp\0")].concat();
    let before = png_chunk(b"tEXt", b"XML:com.adobe.xmp\0").repeat(OFTEN);
    let packed = [&[0x78, 0x01][..], &[0, 0, 0, 0xff, 0xff].repeat(OFTEN), &[1, 0, 0, 0xff, 0xff]].concat();
    let large = [png_start(1000, 1000), png_chunk(b"eXIf", ON_ITS_SIDE), png_pixels(1000, 1000)].concat();
    Row {
        name: "PNG",
        pixels: ([png_start(50_000, 50_000), png_pixels(1, 1)].concat(), LARGE),
        time: vec![
            ([&start[..], &before, &pixels, &nothing.repeat(OFTEN)].concat(), Picture(64, 64)),
            ([start, png_chunk(b"IDAT", &packed)].concat(), Error("ends early")),
        ],
        memory: (large, Picture(1000, 1000), 6),
    }
}

/// Coefficients of two bytes and samples of each of four components.
fn jpeg_row() -> Row {
    // 4096 blocks, 1 << 22 of which are read in any picture; and samples of three components, each 100 times.
    Row {
        name: "JPEG",
        pixels: (jpeg(50_000, 50_000, BASELINE, 3, 1, true), LARGE),
        time: vec![
            (jpeg(512, 512, PROGRESSIVE, 1, 1024, true), Picture(512, 512)),
            (jpeg(512, 512, PROGRESSIVE, 1, 1025, true), Error("too many scans")),
            (jpeg(256, 256, LOSSLESS, 3, 101, false), Error("too many scans")),
        ],
        memory: (jpeg(1000, 1000, PROGRESSIVE, 4, 1, true), Picture(1000, 1000), 12),
    }
}

/// Indices of the frame and of the canvas, and the colours.
fn gif_row() -> Row {
    let extensions = b"!\xf9\x04\0\0\0\0\0!\xfe\x01 \0".repeat(OFTEN);
    let frames = gif(64, b"", &growing_codes(64 * 64));
    Row {
        name: "GIF",
        pixels: (gif(50_000, b"", b""), LARGE),
        time: vec![
            (gif(64, &extensions, &growing_codes(64 * 64)), Picture(64, 64)),
            // Frames that are not shown.
            ([&frames[..frames.len() - 1], &frames[19..].repeat(OFTEN / 400)].concat(), Picture(64, 64)),
            (gif(64, b"", &Bits::default().repeat(256, 9, OFTEN).bytes()), Error("ends early")),
        ],
        memory: (gif(1000, b"", &growing_codes(1_000_000)), Picture(1000, 1000), 5),
    }
}

/// Four bytes of the decoder's, and the colours.
fn webp_row() -> Row {
    const ANIMATION: u8 = 2;
    let pixels = webp_pixels(64, 64);
    let frame = webp_chunk(b"ANMF", &[&[0; 6][..], &[63, 0, 0, 63, 0, 0, 0, 0, 0, 0], &pixels].concat());
    let animation = [webp_chunk(b"ANIM", &[0; 6]), frame.repeat(OFTEN / 8)].concat();
    let unknown = [webp_chunk(b"NONE", b"").repeat(OFTEN), pixels].concat();
    let sets = |count: u16| webp(4, 4, 0, &webp_of_sets(count));
    Row {
        name: "WebP",
        pixels: (webp(16384, 16384, 0, &webp_pixels(1, 1)), TooLarge(16384, 16384)),
        time: vec![
            (webp(64, 64, 0, &unknown), Picture(64, 64)),
            (webp(64, 64, ANIMATION, &animation), Picture(64, 64)),
            (sets(4096), Picture(4, 4)),
            (sets(4097), Error("4097 sets of codes")),
        ],
        memory: (webp(1000, 1000, 0, &webp_pixels(1000, 1000)), Picture(1000, 1000), 7),
    }
}

/// Indices and colours.
fn bmp_row() -> Row {
    let row = [255, 7, 255, 7, 255, 7, 235, 7, 0, 0];
    // The end of a line that has not begun, and a step by nothing.
    let nothing = [0, 0, 0, 2, 0, 0].repeat(OFTEN);
    Row {
        name: "BMP",
        pixels: (bmp(50_000, 50_000, b""), LARGE),
        time: vec![(bmp(1000, 1, &[&nothing[..], &row].concat()), Picture(1000, 1))],
        memory: (bmp(1000, 1000, &row.repeat(1000)), Picture(1000, 1000), 4),
    }
}

/// Four samples of 16 bits in the strip, their upper bytes in the picture.
fn tiff_row() -> Row {
    const DEFLATE: u32 = 8;
    const PACKBITS: u32 = 32773;
    /// Strips of grey that share their data.
    fn strips(width: u32, rows: u32, count: u32, compression: u32, data: &[u8]) -> Vec<u8> {
        let shared = |value: u32| vec![value; count as usize];
        let tags: [(u16, &[u32]); 9] = [
            (256, &[width]),
            (257, &[rows * count]),
            (258, &[8]),
            (259, &[compression]),
            (262, &[1]),
            (273, &shared(0)),
            (277, &[1]),
            (278, &[rows]),
            (279, &shared(data.len() as u32)),
        ];
        tiff(&tags, data)
    }
    // A code that says nothing, again and again, and then a row.
    let nothing = [vec![0x80; OFTEN], vec![0x81, 5]].concat();
    let tiles = tiff(
        &[
            (256, &[8]),
            (257, &[8]),
            (258, &[8]),
            (259, &[DEFLATE]),
            (262, &[1]),
            (322, &[1 << 13]),
            (323, &[1 << 13]),
            (324, &[8]),
        ],
        b"",
    );
    let again = [0; 2 * 65];
    let again = tiff(
        &[(256, &[512]), (257, &[512]), (258, &[8]), (262, &[1]), (273, &again), (278, &[511])],
        &[0; 1 << 18],
    );
    let whole = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 8_000_000], 6);
    let length = [whole.len() as u32];
    let large: [(u16, &[u32]); 9] = [
        (256, &[1000]),
        (257, &[1000]),
        (258, &[16; 4]),
        (259, &[DEFLATE]),
        (262, &[5]),
        (273, &[0]),
        (274, &[6]),
        (277, &[4]),
        (279, &length),
    ];
    Row {
        name: "TIFF",
        pixels: (tiff(&[(256, &[50_000]), (257, &[50_000])], b""), LARGE),
        time: vec![
            (strips(128, 1, 128, PACKBITS, &nothing), Picture(128, 128)),
            (strips(128, 1, 256, PACKBITS, &nothing), Error("overlap")),
            (again, Error("overlap")),
            (tiles, Error("tiles of")),
        ],
        memory: (tiff(&large, &whole), Picture(1000, 1000), 12),
    }
}

/// The picture in it may be a PNG.
fn icon_row() -> Row {
    let png = |side: u32, more: &[u8]| [&png_start(side, side)[..], more, &png_pixels(side, side)].concat();
    Row {
        name: "ICO",
        pixels: (icon(1, &[png_start(50_000, 50_000), png_pixels(1, 1)].concat()), LARGE),
        time: vec![(icon(u16::MAX, &png(1000, b"")), Picture(1000, 1000))],
        memory: (icon(1, &png(1000, b"")), Picture(1000, 1000), 3),
    }
}

/// Plain numbers, whose count is not known beforehand: a list that grows.
fn pnm_row() -> Row {
    let comments = b"P3 #\n 64 #\n 64 255 ".to_vec();
    let number = [&b" \t#.\n".repeat(OFTEN / 6400)[..], b"7 "].concat();
    Row {
        name: "PNM",
        pixels: (b"P6 50000 50000 255 ".to_vec(), LARGE),
        time: vec![([&comments[..], &number.repeat(3 * 64 * 64)].concat(), Picture(64, 64))],
        memory: ([b"P3 1000 1000 255 ", &b"7 ".repeat(3_000_000)[..]].concat(), Picture(1000, 1000), 9),
    }
}

fn qoi_row() -> Row {
    Row {
        name: "QOI",
        pixels: (qoi(50_000, 50_000, b""), LARGE),
        // A pixel that was seen before.
        time: vec![(qoi(1000, 1000, &[0; 1_000_000]), Picture(1000, 1000))],
        // Runs of 62 pixels.
        memory: (qoi(1000, 1000, &[0xfd; 1_000_000 / 62 + 1]), Picture(1000, 1000), 3),
    }
}

/// Pixels of four bytes, and the colours.
fn tga_row() -> Row {
    let run = |pixels: u8| [0x80 | (pixels - 1), 1, 2, 3, 4];
    Row {
        name: "TGA",
        pixels: (tga(50_000, 50_000, b""), LARGE),
        time: vec![(tga(1000, 1000, &run(1).repeat(1_000_000)), Picture(1000, 1000))],
        memory: (tga(1000, 1000, &run(125).repeat(8000)), Picture(1000, 1000), 7),
    }
}

fn jxl_row() -> Row {
    // A large picture: a height less 1 of 30 bits, a square, default metadata and transform.
    let mut bomb = Bits::default();
    bomb.put(3 << 1, 3).put(49_999, 30).put(1, 3).put(3, 2);
    let small = [0xff, 0x0a, 0x41, 0x06];
    let frames =
        |count: usize| [&small[..], &hidden_frame(18_688, 18_688).repeat(count), &[1, 4, 0, 0]].concat();
    Row {
        name: "JPEG XL",
        pixels: ([&[0xff, 0x0a][..], &bomb.bytes(), &[0; 64]].concat(), LARGE),
        time: vec![
            (frames(2), Error("3 frames, patches or splines")),
            (jxl_of_spline(0, 1_000_000), Picture(8, 8)),
            // More steps than are taken, and a step that never arrives.
            (jxl_of_spline(0, 4_000_000), Error("1 frames, patches or splines")),
            (jxl_of_spline(1 << 25, 1000), Error("1 frames, patches or splines")),
        ],
        memory: (picture("jxl/photo.jxl"), Picture(96, 96), 96 + (64 << 20) / (96 * 96)),
    }
}

#[cfg(feature = "avif")]
fn avif_row() -> Row {
    let file = picture("avif/white_1x1.avif");
    // The picture's sides, and its data in front of which `frames` stand, each of which is a frame that is not shown.
    let changed = |side: u32, frames: usize| {
        let frames = [0x32, 0x01, 0x00].repeat(frames);
        let sides = file.windows(4).position(|bytes| bytes == b"ispe").unwrap() + 8;
        let data = file.windows(4).position(|bytes| bytes == b"mdat").unwrap() + 4;
        let stated = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let extent = file.windows(4).position(|bytes| stated(bytes) == (file.len() - data) as u32).unwrap();
        let mut changed = [&file[..data], &frames, &file[data..]].concat();
        let length = ((file.len() - data + frames.len()) as u32).to_be_bytes();
        changed[extent..extent + 4].copy_from_slice(&length);
        changed[sides..sides + 8].copy_from_slice(&[side.to_be_bytes(); 2].concat());
        changed
    };
    Row {
        name: "AVIF",
        pixels: (changed(50_000, 0), LARGE),
        time: vec![(changed(1, 16), Error("17 frames")), (changed(13_000, 2), Error("3 frames"))],
        memory: (picture("avif/large.avif"), Picture(4096, 4096), 16),
    }
}
