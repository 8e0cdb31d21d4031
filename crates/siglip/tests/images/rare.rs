//! Pictures in rare formats, whole and damaged, against what tests/parity/image/record_rare.py recorded of Pillow.

use std::collections::HashMap;

use crate::damage::{Random, decode_damaged};
use crate::edits::apply;
use crate::recorded::{Recording, Variant, checksum, read};
use siglip::image::{self, ImageError, decode};

fn picture(name: &str) -> Vec<u8> {
    read(&format!("fixtures/pictures/rare/{name}"))
}

fn recording() -> Recording {
    Recording::read("rare.json")
}

#[test]
fn every_picture_has_pillows_pixels() {
    let recording = recording();
    assert!(recording.pictures.len() > 100);
    let mut different = Vec::new();
    for (name, width, height, crc) in recording.pictures {
        let file = picture(&name);
        let found = checksum(&file);
        if found != Ok((width, height, crc)) {
            different.push(format!("{name}: {found:?} instead of {:?}", (width, height, crc)));
        }
        assert_eq!(image::read(&file).map(|decoded| decoded.damage), Ok(None), "{name}");
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Pillow has Little CMS convert Lab, which interpolates in a table.
#[test]
fn every_lab_colour_has_pillows_pixel() {
    let mut file = tiff(&[(256, 4096), (257, 4096), (259, 1), (262, 8), (273, 118), (277, 3), (258, 98)]);
    let len = file.len();
    // Three values of 16 bits: the number of bits of each sample.
    file[len - 4 - 10..len - 4].copy_from_slice(&[3, 0, 3, 0, 0, 0, 98, 0, 0, 0]);
    assert_eq!(len, 98);
    file.extend([8, 0, 8, 0, 8, 0].into_iter().chain([0; 14]));
    // a and b are signed.
    for lightness in 0..=255 {
        for a in 0..=255u8 {
            file.extend((0..=255u8).flat_map(|b| [lightness, a ^ 128, b ^ 128]));
        }
    }
    let recording: serde_json::Value = serde_json::from_slice(&read("parity/image/rare.json")).unwrap();
    assert_eq!(checksum(&file).map(|(_, _, crc)| crc.into()), Ok(recording["lab"].clone()));
}

#[test]
fn damaged_pictures_are_decoded_as_in_pillow() {
    let recording = recording();
    assert!(recording.variants.len() > 2000);
    let mut files = HashMap::new();
    let mut different = Vec::new();
    for Variant(name, edits, expected) in recording.variants {
        let file = files.entry(name.clone()).or_insert_with(|| picture(&name));
        let found = checksum(&apply(file, &edits));
        if found.clone().ok() != expected {
            different.push(format!("{name} {edits:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn damaged_files_do_not_panic() {
    let mut random = Random(3);
    for (name, ..) in recording().pictures {
        let file = picture(&name);
        for len in (0..file.len()).step_by(1 + file.len() / 200) {
            let _ = decode(&file[..len]);
        }
        for _ in 0..400 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(6) {
                // A TIFF's directory is at its end.
                let len = file.len();
                let at = match random.below(3) {
                    0 => random.below(len),
                    1 => random.below(len.min(60)),
                    _ => len - 1 - random.below(len.min(260)),
                };
                damaged[at] = [random.below(256) as u8, 0, 1, 255][random.below(4)];
            }
            decode_damaged(&damaged);
        }
    }
}

/// A TIFF of one strip or tile of nothing, in little-endian order.
fn tiff(tags: &[(u16, u32)]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn decompression_bombs_are_refused() {
    let large = ImageError::TooLarge { width: 50_000, height: 50_000 };
    let qoi = [&b"qoif"[..], &50_000u32.to_be_bytes(), &50_000u32.to_be_bytes(), &[3, 0]].concat();
    let mut tga = picture("rgb.tga");
    tga[12..16].copy_from_slice(&[0x50, 0xc3, 0x50, 0xc3]);
    for bomb in [qoi, tga, b"P6 50000 50000 255 ".to_vec(), tiff(&[(256, 50_000), (257, 50_000)])] {
        assert_eq!(decode(&bomb), Err(large.clone()));
    }
    // JPEG XL: a large picture, a height less 1 of 30 bits, a square, default metadata and transform.
    let header: u64 = 3 << 1 | 49_999 << 3 | 1 << 33 | 3 << 36;
    let jxl = [&[0xff, 0x0a][..], &header.to_le_bytes(), &[0; 64]].concat();
    assert_eq!(decode(&jxl), Err(large));
    // Strips and tiles far beyond a small picture, for which there is neither memory nor time.
    for (width, height) in [(1 << 20, 1 << 20), (1 << 31, 1 << 31), (1 << 27, 1)] {
        let tiles =
            tiff(&[(256, 8), (257, 8), (258, 8), (259, 8), (262, 1), (322, width), (323, height), (324, 8)]);
        let error = decode(&tiles).unwrap_err();
        assert!(error.to_string().contains("tiles of"), "{error}");
    }
    // A dictionary of LZMA and a window of Zstandard of gigabytes, whatever the pixels need.
    let mut lzma = picture("rgb-lzma.tif");
    let header = lzma.windows(6).position(|bytes| bytes == b"\xfd7zXZ\0").expect("a stream") + 12;
    let filter = header + lzma[header..].windows(2).position(|bytes| bytes == [0x21, 1]).expect("LZMA2");
    let checksum = header + 4 * usize::from(lzma[header]);
    lzma[filter + 2] = 40;
    let sum = crc32fast::hash(&lzma[header..checksum]).to_le_bytes();
    lzma[checksum..checksum + 4].copy_from_slice(&sum);
    let error = decode(&lzma).unwrap_err();
    assert!(error.is_unsupported_format() && error.to_string().contains("LZMA"), "{error}");
    // A frame with a window: 2 to the power of 10 + 21 bytes.
    let mut zstandard = picture("rgb-zstd.tif");
    let frame =
        zstandard.windows(4).position(|bytes| bytes == [0x28, 0xb5, 0x2f, 0xfd]).expect("a frame") + 4;
    zstandard[frame..frame + 2].copy_from_slice(&[0, 21 << 3]);
    let error = decode(&zstandard).unwrap_err();
    assert!(error.to_string().contains("makes no sense"), "{error}");
    // Ten thousand strips of old JPEG, each of which is the whole file.
    let mut strips = tiff(&[(256, 8), (257, 80_000), (258, 8), (259, 6), (277, 3), (278, 8), (273, 0)]);
    let len = strips.len();
    strips[len - 12..len - 4]
        .copy_from_slice(&[10_000u32.to_le_bytes(), (len as u32).to_le_bytes()].concat());
    strips.extend(8u32.to_le_bytes().repeat(10_000));
    let error = decode(&strips).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
    // Values that overlap to more than the file holds do not count.
    let overlapping = tiff(&[(256, 8), (257, 8)]);
    let mut overlapping =
        [&overlapping[..overlapping.len() - 4], &[0x11, 1, 4, 0, 0xff, 0xff, 0xff, 0, 0, 0]].concat();
    overlapping[8] = 3;
    assert!(decode(&overlapping).is_err());
}

#[test]
fn undecodable_formats_give_a_clear_error() {
    for (compression, photometric, named) in [
        (34712, 1, "compression 34712, JPEG 2000"),
        (50001, 1, "compression 50001, WebP"),
        (1, 9, "photometric interpretation 9"),
    ] {
        let file = tiff(&[(256, 8), (257, 8), (258, 8), (259, compression), (262, photometric), (273, 8)]);
        let error = decode(&file).unwrap_err();
        assert!(error.is_unsupported_format() && error.to_string().contains(named), "{error}");
    }
    assert_eq!(decode(b"\0\0\x01\0\0\0"), Err(ImageError::Empty));
    let error = decode(b"P6 3 3 255 abc").unwrap_err();
    assert_eq!(
        error.to_string(),
        "this PNM file is broken or cut short (it ends early); fetch or save it again"
    );
}

/// JPEG XL against libjxl, as record_jxl.py recorded it: lossless pictures to the bit, others within its rounding. A
/// JPEG that was packed losslessly is decoded from its coefficients in floats, where libjpeg rounds in between.
#[test]
fn jpeg_xl_is_as_in_libjxl() {
    for (name, bound) in [
        ("rgb-lossless", 0),
        ("rgba-lossless", 0),
        ("grey-lossless", 0),
        ("grey", 1),
        ("rgb", 1),
        ("rgba", 1),
        ("photo", 1),
        ("photo-own-profile", 1),
        ("of-a-jpeg", 4),
    ] {
        let file = read(&format!("fixtures/pictures/jxl/{name}.jxl"));
        let found = image::read(&file).unwrap();
        let expected = decode(&read(&format!("fixtures/pictures/jxl/{name}.png"))).unwrap();
        assert_eq!((found.image.width(), found.image.height()), (expected.width(), expected.height()));
        let differences = found.image.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b));
        let (largest, sum) =
            differences.fold((0, 0), |(largest, sum), d| (d.max(largest), sum + usize::from(d)));
        println!("{name}: at most {largest}, on average {}", sum as f64 / expected.data().len() as f64);
        assert!(largest <= bound, "{name}: {largest}");
        assert_eq!(found.damage, None);
    }
}

/// A few bytes state a frame that takes as long to decode as a picture.
#[test]
fn a_jpeg_xl_of_many_frames_is_refused() {
    // 8 x 8 pixels, default metadata and transform.
    let header = [0xff, 0x0a, 0x41, 0x06];
    // Only to refer to, modular, groups as usual, unnamed; then the length of its data, 1 byte, and the data.
    let hidden = frame(&[
        (0, 1),
        (2, 2),
        (1, 1),
        (0, 2),
        (0, 2),
        (1, 2),
        (0, 1),
        (0, 2),
        (0, 1),
        (0, 2),
        (1, 1),
        (0, 2),
    ]);
    let shown = frame(&[(1, 1)]);
    let file = |count: usize| [&header[..], &hidden.repeat(count), &shown].concat();
    let error = decode(&file(40)).unwrap_err();
    assert!(error.to_string().contains("41 frames"), "{error}");
    let error = decode(&file(3)).unwrap_err();
    assert!(!error.is_unsupported_format(), "{error}");
}

/// A frame of JPEG XL: its header as values and numbers of bits, lowest bits first, and a byte of data.
fn frame(header: &[(u8, usize)]) -> Vec<u8> {
    let bits = |&(value, count): &(u8, usize)| (0..count).map(move |at| value >> at & 1);
    // The order of the data is the usual one.
    let mut bits: Vec<u8> = header.iter().flat_map(bits).chain([0]).collect();
    bits.resize(bits.len().next_multiple_of(8), 0);
    // 1 byte, in 10 bits.
    bits.extend([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut bytes: Vec<u8> =
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |value, bit| value << 1 | bit)).collect();
    bytes.push(0);
    bytes
}

#[test]
fn damaged_jpeg_xl_is_survived() {
    let mut random = Random(4);
    for name in ["rgb-lossless", "rgba", "of-a-jpeg"] {
        let file = read(&format!("fixtures/pictures/jxl/{name}.jxl"));
        for len in (0..file.len()).step_by(1 + file.len() / 40) {
            assert!(decode(&file[..len]).is_err(), "{len} bytes of {name}");
        }
        for _ in 0..150 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(4) {
                damaged[random.below(file.len())] = random.below(256) as u8;
            }
            let _ = decode(&damaged);
        }
    }
}
