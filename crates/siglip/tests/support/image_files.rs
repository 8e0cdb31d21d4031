//! Small picture files, written byte by byte, that state much more than they hold.

/// Bits of a file, the lowest of each byte first.
#[derive(Default)]
pub struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    /// Adds the lowest `count` bits of `value`.
    pub fn put(&mut self, value: u64, count: usize) -> &mut Bits {
        self.bits.extend((0..count).map(|at| value >> at & 1 == 1));
        self
    }

    /// Adds the same bits so many times.
    pub fn repeat(&mut self, value: u64, count: usize, times: usize) -> &mut Bits {
        (0..times).for_each(|_| _ = self.put(value, count));
        self
    }

    pub fn align(&mut self) -> &mut Bits {
        self.bits.resize(self.bits.len().next_multiple_of(8), false);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.bits.chunks(8).map(byte).collect()
    }
}

/// An EXIF block that says that the picture lies on its side.
pub const ON_ITS_SIDE: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

pub fn png_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    let sum = crc32fast::hash(&named).to_be_bytes();
    [&(body.len() as u32).to_be_bytes()[..], &named, &sum].concat()
}

/// The signature and header of a PNG of 16 bits a sample and alpha.
pub fn png_start(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &png_chunk(b"IHDR", &header)[..]].concat()
}

/// The pixels of such a PNG, all of them 0.
pub fn png_pixels(width: u32, height: u32) -> Vec<u8> {
    let rows = vec![0; (1 + 8 * width as usize) * height as usize];
    png_chunk(b"IDAT", &miniz_oxide::deflate::compress_to_vec_zlib(&rows, 6))
}

/// A segment of a JPEG.
pub fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
}

/// A JPEG of `components`, each of which is in every scan, or of several scans in one of its own. Scans hold no data.
/// `frame` is the marker of its coding.
pub fn jpeg(width: u16, height: u16, frame: u8, components: u8, scans: usize, interleaved: bool) -> Vec<u8> {
    let mut header = vec![8];
    header.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
    header.push(components);
    header.extend((0..components).flat_map(|place| [b"RGBK"[usize::from(place)], 0x11, 0]));
    let predictor = u8::from(frame == LOSSLESS);
    let scan = |ids: &[u8]| {
        let codes = ids.iter().flat_map(|&id| [id, 0]);
        let body: Vec<u8> = [ids.len() as u8].into_iter().chain(codes).chain([predictor, 0, 0]).collect();
        segment(0xda, &body)
    };
    let ids = &b"RGBK"[..usize::from(components)];
    let scan = if interleaved { scan(ids) } else { ids.chunks(1).flat_map(scan).collect() };
    [
        vec![0xff, 0xd8],
        segment(0xe1, &[b"Exif\0\0", ON_ITS_SIDE].concat()),
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(frame, &header),
        // One code, of one bit.
        segment(0xc4, &[&[0, 1][..], &[0; 15], &[0]].concat()),
        scan.repeat(scans),
        vec![0xff, 0xd9],
    ]
    .concat()
}

/// Markers of frames.
pub const BASELINE: u8 = 0xc0;
pub const PROGRESSIVE: u8 = 0xc2;
pub const LOSSLESS: u8 = 0xc3;

/// A chunk of a WebP.
pub fn webp_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len() % 2];
    [&name[..], &(body.len() as u32).to_le_bytes(), body, &padding].concat()
}

/// A WebP of these sides: `flags` say which chunks there are.
pub fn webp(width: u32, height: u32, flags: u8, chunks: &[u8]) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let head = [vec![flags, 0, 0, 0], side(width), side(height)].concat();
    let body = [b"WEBP", &webp_chunk(b"VP8X", &head)[..], chunks].concat();
    webp_chunk(b"RIFF", &body)
}

/// The chunk `VP8L` of a picture, black and transparent.
pub fn webp_pixels(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let pixels = vec![0; 4 * (width * height) as usize];
    let encoder = image_webp::WebPEncoder::new(&mut file);
    encoder.encode(&pixels, width, height, image_webp::ColorType::Rgba8).unwrap();
    file.split_off(12)
}

/// The chunk `VP8L` of a picture of 4 x 4 pixels that defines so many sets of codes, with large tables each, and uses the
/// last.
pub fn webp_of_sets(sets: u16) -> Vec<u8> {
    let mut bits = Bits::default();
    // The signature, sides less 1, no alpha, version 0; no transform, no cache for colours.
    bits.put(0x2f, 8).put(3, 14).put(3, 14).put(0, 4).put(0, 1).put(0, 1);
    // An entropy image of one pixel for 4 x 4, whose red and green are the last set's number.
    bits.put(1, 1).put(0, 3).put(0, 1);
    let one_symbol = |bits: &mut Bits, symbol: u8| _ = bits.put(0b101, 3).put(symbol.into(), 8);
    let [red, green] = (sets - 1).to_be_bytes();
    [green, red, 0, 0, 0].into_iter().for_each(|symbol| one_symbol(&mut bits, symbol));
    for _ in 1..sets {
        // 256 greens and 24 lengths; and 256 values of each other channel.
        for symbols in [280, 256, 256, 256] {
            long_codes(&mut bits, symbols);
        }
        one_symbol(&mut bits, 0);
    }
    (0..5).for_each(|_| one_symbol(&mut bits, 0));
    webp_chunk(b"VP8L", &bits.align().bytes())
}

/// A complete prefix code of a lossless WebP: five codes of 1 to 5 bits, and the others as long as their number makes them.
fn long_codes(bits: &mut Bits, symbols: u32) {
    // The lengths themselves have codes of four bits: 1 to 15, and 16, which repeats the last length.
    const STORED_ORDER: [u64; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    bits.put(0, 1).put(15, 4);
    for length in STORED_ORDER {
        bits.put(if (1..17).contains(&length) { 4 } else { 0 }, 3);
    }
    bits.put(0, 1);
    let put = |bits: &mut Bits, length: u32| _ = bits.put(u64::from((length - 1).reverse_bits() >> 28), 4);
    (1..=5).for_each(|length| put(bits, length));
    let others = symbols - 5;
    let longest = 5 + others.next_power_of_two().ilog2();
    let shorter = others.next_power_of_two() - others;
    for (length, mut times) in [(longest - 1, shorter), (longest, others - shorter)] {
        put(bits, length);
        times -= 1;
        while times > 0 {
            let repeated = times.min(6);
            if repeated < 3 {
                put(bits, length);
                times -= 1;
                continue;
            }
            put(bits, 16);
            bits.put(u64::from(repeated) - 3, 2);
            times -= repeated;
        }
    }
}
/// A BMP of 256 colours in runs.
pub fn bmp(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let numbers =
        |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let file_header = numbers(&[0, 0, 14 + 40 + 4 * 256]);
    let header = numbers(&[40, width, height, 8 << 16 | 1, 1, 0, 0, 0, 0, 0]);
    [b"BM", &file_header[..], &header, &[7; 4 * 256], data].concat()
}

/// A GIF with `extensions` before its frame, and nothing behind it.
pub fn gif(side: u16, extensions: &[u8], data: &[u8]) -> Vec<u8> {
    let side = side.to_le_bytes();
    let sides = [side, side].concat();
    let mut file = [&b"GIF89a"[..], &sides, &[0x80, 0, 0, 9, 8, 7, 1, 2, 3], extensions].concat();
    file.extend([&b",\0\0\0\0"[..], &sides, &[0, 8]].concat());
    for block in data.chunks(255) {
        file.push(block.len() as u8);
        file.extend(block);
    }
    file.extend(b"\0;");
    file
}

/// Codes of a GIF, each for one pixel more than the one before: a few thousand bytes for millions of pixels.
pub fn growing_codes(pixels: usize) -> Vec<u8> {
    let (mut bits, mut filled) = (Bits::default(), 0);
    while filled < pixels {
        bits.put(256, 9).put(0, 9);
        filled += 1;
        let mut size = 9;
        for (code, length) in (258..4096).zip(2..) {
            bits.put(code, size);
            filled += length;
            size += usize::from(size < 12 && code == (1 << size) - 1);
        }
        bits.put(256, 12);
    }
    bits.align().bytes()
}

/// A TIFF of numbers, in little-endian order. Offsets of its strips are counted from the beginning of `data`.
pub fn tiff(tags: &[(u16, &[u32])], data: &[u8]) -> Vec<u8> {
    const STRIP_OFFSETS: u16 = 273;
    let lists = |tags: &[(u16, &[u32])]| -> usize {
        tags.iter().map(|(_, list)| if list.len() > 1 { 4 * list.len() } else { 0 }).sum()
    };
    let end = 8 + 2 + 12 * tags.len() + 4;
    let start = (end + lists(tags)) as u32;
    let mut file = [&b"II*\0\x08\0\0\0"[..], &(tags.len() as u16).to_le_bytes()].concat();
    for (at, &(tag, list)) in tags.iter().enumerate() {
        file.extend([&tag.to_le_bytes()[..], &[4, 0], &(list.len() as u32).to_le_bytes()].concat());
        let moved = if tag == STRIP_OFFSETS { start } else { 0 };
        let value = if list.len() == 1 { list[0] + moved } else { (end + lists(&tags[..at])) as u32 };
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    for &(tag, list) in tags.iter().filter(|(_, list)| list.len() > 1) {
        let moved = if tag == STRIP_OFFSETS { start } else { 0 };
        file.extend(list.iter().flat_map(|number| (number + moved).to_le_bytes()));
    }
    file.extend(data);
    file
}

/// An ICO whose entries all are the same picture, which is said to have 256 x 256 pixels.
pub fn icon(entries: u16, picture: &[u8]) -> Vec<u8> {
    let at = 6 + 16 * u32::from(entries);
    let entry = [&[0, 0, 0, 0, 1, 0, 32, 0][..], &(picture.len() as u32).to_le_bytes(), &at.to_le_bytes()];
    [&[0, 0, 1, 0][..], &entries.to_le_bytes(), &entry.concat().repeat(entries.into()), picture].concat()
}

pub fn qoi(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    [&b"qoif"[..], &width.to_be_bytes(), &height.to_be_bytes(), &[4, 0], data].concat()
}

/// A TGA of runs, with alpha.
pub fn tga(width: u16, height: u16, data: &[u8]) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [&[0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sides, &[32, 8], data].concat()
}

/// A frame of JPEG XL that is only there to be referred to, in `groups` parts of the data.
pub fn hidden_frame(width: u32, height: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    // Modular, without flags and upsampling, in groups of 1024 pixels, cropped.
    bits.put(0, 1).put(2, 2).put(1, 1).put(0, 2).put(0, 2).put(3, 2).put(1, 1);
    for side in [width, height] {
        bits.put(3, 2).put(u64::from(side - 18688), 30);
    }
    // Unnamed, with the usual filters.
    bits.put(0, 2).put(0, 1).put(0, 2).put(1, 1).put(0, 2);
    // The data in the usual order: one byte each.
    bits.put(0, 1).align();
    let groups = |side: u32| u64::from(width.div_ceil(side) * height.div_ceil(side));
    let parts = 2 + groups(8192) + groups(1024);
    for _ in 0..parts {
        bits.put(0, 2).put(1, 10);
    }
    let mut bytes = bits.align().bytes();
    bytes.extend(vec![0; parts as usize]);
    bytes
}

/// A JPEG XL of 8 x 8 pixels with a thin spline in it: from `start`, `distance` pixels to the right.
pub fn jxl_of_spline(start: u64, distance: u64) -> Vec<u8> {
    // One spline, where it starts, the usual quantisation; one more point; -1 as the first coefficient of each of three
    // colours and of the width.
    let coefficients = [&[1][..], &[0; 31]].concat().repeat(4);
    let numbers = [&[0, start, 0, 0, 1, 2 * distance, 0][..], &coefficients].concat();
    // Numbers are stored as a code of two bits for how many bits they have, and the bits after the first.
    let size = |number: u64| u64::from(u64::BITS - number.leading_zeros());
    let mut sizes: std::collections::BTreeSet<u64> = numbers.iter().map(|&number| size(number)).collect();
    sizes.extend((2..).take(4 - sizes.len()));
    let mut data = Bits::default();
    // No LZ77, one code for all, of prefixes; no bits of numbers in it; 32 sizes, of which four.
    data.put(0, 1).put(1, 1).put(0, 2).put(1, 1).put(0, 4).put(1, 1).put(4, 4).put(15, 4).put(1, 2).put(3, 2);
    sizes.iter().for_each(|&size| _ = data.put(size, 5));
    data.put(0, 1);
    for number in numbers {
        let code = sizes.iter().position(|&found| found == size(number)).unwrap();
        data.put([0, 2, 1, 3][code], 2).put(number, size(number).saturating_sub(1) as usize);
    }
    // The usual steps of quantisation; no tree for all channels, none of another, the usual weights, no transform.
    data.put(1, 1).put(0, 1).put(0, 1).put(1, 1).put(0, 2);
    // A tree of one leaf that takes no bits, and a code of one symbol, 0, for all samples.
    data.put(0, 1).put(1, 1).put(0, 2).put(1, 1).put(0, 4).put(0, 1);
    data.put(0, 1).put(1, 1).put(0, 4).put(0, 1);
    let data = data.align().bytes();
    let mut bits = Bits::default();
    // A frame that is shown, modular, with splines, without upsampling, in groups of 1024 pixels, of one pass, not cropped.
    bits.put(0, 1).put(0, 2).put(1, 1).put(1, 2).put(15, 4).put(0, 2).put(3, 2).put(0, 2).put(0, 1);
    // It replaces what was there and is the last; unnamed, with the usual filters.
    bits.put(0, 2).put(1, 1).put(0, 2).put(1, 1).put(0, 2);
    // The data, in one part.
    bits.put(0, 1).align().put(0, 2).put(data.len() as u64, 10);
    [&[0xff, 0x0a, 0x41, 0x06][..], &bits.align().bytes(), &data].concat()
}
