//! PNGs: every colour type and depth whose RGB is beyond doubt, interlaced or not, filters in any order, IDAT in pieces.

use arbitrary::{Result, Unstructured};

use super::{bytes, pick};

/// Start and step of Adam7's passes: x, y.
const ADAM7: [((usize, usize), (usize, usize)); 7] = [
    ((0, 0), (8, 8)),
    ((4, 0), (8, 8)),
    ((0, 4), (4, 8)),
    ((2, 0), (4, 4)),
    ((0, 2), (2, 4)),
    ((1, 0), (2, 2)),
    ((0, 1), (1, 2)),
];

/// Makes one and decodes it.
pub fn check(source: &mut Unstructured) -> Result<()> {
    let (width, height) = (source.int_in_range(1..=33)?, source.int_in_range(1..=17)?);
    // Colour type, depth: grey, RGB, palette, grey and alpha, RGB and alpha.
    let kinds = [(0, 1), (0, 2), (0, 4), (0, 8), (2, 8), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (6, 8)];
    let (color, depth): (u8, usize) = pick(source, &kinds)?;
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(color)];
    let interlaced: bool = source.arbitrary()?;
    let palette_len = if color == 3 { source.int_in_range(1..=1usize << depth)? } else { 0 };
    let palette = bytes(source, 3 * palette_len);
    let highest = (1usize << depth) - 1;
    let samples: Vec<usize> = bytes(source, width * height * channels)
        .into_iter()
        .map(|byte| usize::from(byte) % if color == 3 { palette_len } else { highest + 1 })
        .collect();

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [(width as u32).to_be_bytes(), (height as u32).to_be_bytes()].concat();
    header.extend([depth as u8, color, 0, 0, u8::from(interlaced)]);
    chunk(&mut file, b"IHDR", &header);
    // A private chunk, which no decoder knows.
    for _ in 0..source.int_in_range(0..=2)? {
        let len = source.int_in_range(0..=20)?;
        chunk(&mut file, b"zzZz", &bytes(source, len));
    }
    if color == 3 {
        chunk(&mut file, b"PLTE", &palette);
    }
    let rows = rows(&samples, (width, height), channels, interlaced);
    let data = filtered(source, &rows, depth, channels)?;
    let stream = zlib_stored(&data);
    let mut rest = &stream[..];
    // Pieces of any length, also empty ones.
    for _ in 0..source.int_in_range(0..=5)? {
        let (piece, after) = rest.split_at(source.int_in_range(0..=rest.len())?);
        chunk(&mut file, b"IDAT", piece);
        rest = after;
    }
    chunk(&mut file, b"IDAT", rest);
    chunk(&mut file, b"IEND", &[]);
    let behind = source.int_in_range(0..=9)?;
    file.extend(bytes(source, behind));

    let expected: Vec<u8> = samples
        .chunks(channels)
        .flat_map(|pixel| match color {
            0 | 4 => [(pixel[0] * 255 / highest) as u8; 3],
            3 => std::array::from_fn(|i| palette[3 * pixel[0] + i]),
            _ => std::array::from_fn(|i| pixel[i] as u8),
        })
        .collect();
    let picture = siglip::image::decode(&file).expect("a valid PNG");
    assert_eq!((picture.width() as usize, picture.height() as usize), (width, height));
    assert_eq!(picture.data(), expected, "colour {color}, depth {depth}, interlaced {interlaced}");
    Ok(())
}

/// The samples' rows in the file's order, pass by pass.
fn rows(
    samples: &[usize],
    (width, height): (usize, usize),
    channels: usize,
    interlaced: bool,
) -> Vec<Vec<Vec<usize>>> {
    let passes = if interlaced { &ADAM7[..] } else { &[((0, 0), (1, 1))] };
    let pass = |&((x0, y0), (dx, dy)): &((usize, usize), (usize, usize))| {
        let row = |y: usize| {
            let pixel = |x: usize| &samples[(y * width + x) * channels..][..channels];
            (x0..width).step_by(dx).flat_map(pixel).copied().collect::<Vec<_>>()
        };
        let rows = (y0..height).step_by(dy).map(row).filter(|row| !row.is_empty());
        rows.collect::<Vec<_>>()
    };
    passes.iter().map(pass).collect()
}

/// Each row packed to its depth, behind a filter of the source's choice.
fn filtered(
    source: &mut Unstructured,
    passes: &[Vec<Vec<usize>>],
    depth: usize,
    channels: usize,
) -> Result<Vec<u8>> {
    let step = (depth * channels / 8).max(1);
    let mut data = Vec::new();
    for rows in passes {
        let mut above: Vec<u8> = Vec::new();
        for row in rows {
            let mut packed = vec![0u8; (row.len() * depth).div_ceil(8)];
            for (i, &sample) in row.iter().enumerate() {
                let bit = i * depth;
                packed[bit / 8] |= (sample << (8 - depth - bit % 8)) as u8;
            }
            above.resize(packed.len(), 0);
            let filter = source.int_in_range(0..=4u8)?;
            data.push(filter);
            for (i, &byte) in packed.iter().enumerate() {
                let left = if i < step { 0 } else { packed[i - step] };
                let corner = if i < step { 0 } else { above[i - step] };
                let prediction = match filter {
                    0 => 0,
                    1 => left,
                    2 => above[i],
                    3 => ((u16::from(left) + u16::from(above[i])) / 2) as u8,
                    _ => paeth(left, above[i], corner),
                };
                data.push(byte.wrapping_sub(prediction));
            }
            above = packed;
        }
    }
    Ok(data)
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let distance = |x: i16| (a + b - c - x).abs();
    if distance(a) <= distance(b) && distance(a) <= distance(c) {
        left
    } else if distance(b) <= distance(c) {
        above
    } else {
        corner
    }
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend(name);
    file.extend(data);
    let crc = crc32fast::hash(&file[start..]);
    file.extend(crc.to_be_bytes());
}

/// A zlib stream that compresses nothing: https://www.rfc-editor.org/rfc/rfc1950.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let len = data.len() as u16;
    stream.push(1);
    stream.extend(len.to_le_bytes());
    stream.extend((!len).to_le_bytes());
    stream.extend(data);
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (b + a) % 65521)
    });
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}
