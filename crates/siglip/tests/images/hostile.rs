//! Broken pictures and bombs: an error each, never a panic, which would end a wasm instance.

use std::path::PathBuf;

use crate::damage::{Random, decode_damaged};
use siglip::image::{ImageError, decode};

fn made(name: &str) -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pictures/made").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One of each way of storing pixels.
const NAMES: [&str; 28] = [
    "rgb.png",
    "palette-interlaced.png",
    "grey16-alpha.png",
    "animated.png",
    "orientation-6-raw-profile.png",
    "orientation-8-xmp.png",
    "444.jpg",
    "422-restarts.jpg",
    "440.jpg",
    "420.jpg",
    "420-progressive.jpg",
    "grey.jpg",
    "cmyk.jpg",
    "rgb.jpg",
    "orientation-6.jpg",
    "palette.gif",
    "interlaced-transparent.gif",
    "inner-beyond.gif",
    "lossy.webp",
    "lossy-alpha.webp",
    "lossless-alpha.webp",
    "animated-inner-lossless.webp",
    "animated-inner-lossy.webp",
    "orientation-6.webp",
    "rgb.bmp",
    "palette-4bit.bmp",
    "rle8.bmp",
    "565.bmp",
];

#[test]
fn every_truncated_picture_is_handled_without_a_panic() {
    for name in NAMES {
        let file = made(name);
        assert!(decode(&file).is_ok(), "{name}");
        for len in 0..file.len() {
            let _ = decode(&file[..len]);
        }
        let half = decode(&file[..file.len() / 2]);
        // The first frame lies before the middle.
        assert!(half.is_err() || name.starts_with("animated"), "half of {name}: {half:?}");
    }
}

#[test]
fn random_damage_does_not_panic() {
    let mut random = Random(1);
    for name in NAMES {
        let file = made(name);
        for _ in 0..300 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(6) {
                // Half of it in the header, where it does most.
                let end = if random.below(2) == 0 { file.len().min(200) } else { file.len() };
                damaged[random.below(end)] = [random.below(256) as u8, 0, 255][random.below(3)];
            }
            decode_damaged(&damaged);
        }
    }
}

#[test]
fn odd_jpeg_frame_headers_do_not_panic() {
    // Sides, components and sampling factors: where the decoder relies on being asked for sensible things only.
    let mut random = Random(2);
    for name in ["444.jpg", "420.jpg", "420-progressive.jpg", "422-restarts.jpg", "cmyk.jpg", "grey.jpg"] {
        let file = made(name);
        let frame =
            (0..file.len()).find(|&at| file[at] == 0xff && matches!(file[at + 1], 0xc0 | 0xc2)).unwrap();
        let components = usize::from(file[frame + 9]);
        for _ in 0..2000 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(4) {
                let component = frame + 10 + 3 * random.below(components);
                match random.below(5) {
                    0 => damaged[frame + 5 + 2 * random.below(2) + 1] = random.below(80) as u8,
                    1 => damaged[component] = random.below(256) as u8,
                    2 => damaged[component + 2] = random.below(5) as u8,
                    _ => damaged[component + 1] = (random.below(5) << 4 | random.below(5)) as u8,
                }
            }
            decode_damaged(&damaged);
        }
    }
}

/// Bytes of `file` from `at` replaced.
fn patched(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn decompression_bombs_are_refused_by_their_header() {
    let sides = [0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50];
    let png = patched(made("rgb.png"), 16, &sides);
    let checksum = crc32fast::hash(&png[12..29]).to_be_bytes();
    let jpeg = made("420.jpg");
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let gif = patched(made("inner.gif"), 6, &[0x50, 0xc3, 0x50, 0xc3]);
    let bmp = [50_000u32.to_le_bytes(), 50_000u32.to_le_bytes()].concat();
    for (name, bomb) in [
        ("PNG", patched(png, 29, &checksum)),
        ("JPEG", patched(jpeg, frame + 5, &[0xc3, 0x50, 0xc3, 0x50])),
        ("GIF", gif),
        ("BMP", patched(made("rgb.bmp"), 18, &bmp)),
    ] {
        assert_eq!(decode(&bomb), Err(ImageError::TooLarge { width: 50_000, height: 50_000 }), "{name}");
    }
    // 16384 x 16384, the most a WebP header of this kind says.
    let webp = patched(made("orientation-6.webp"), 24, &[0xff, 0x3f, 0, 0xff, 0x3f, 0]);
    assert_eq!(decode(&webp), Err(ImageError::TooLarge { width: 16384, height: 16384 }));
}

#[test]
fn an_empty_file_is_not_a_picture() {
    assert_eq!(decode(b""), Err(ImageError::Empty));
    for other in
        [&b"hello"[..], b"<!doctype html>", b"\x89PNG", b"\xff\xd8", b"BM", b"GIF89a", b"RIFF\0\0\0\0WEBP"]
    {
        assert!(decode(other).is_err());
    }
    assert!(decode(b"<!doctype html>").unwrap_err().is_unsupported_format());
}
