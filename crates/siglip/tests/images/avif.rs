//! AVIF pictures, whole and damaged, against what tests/parity/image/record_avif.py recorded of Pillow.
#![cfg(feature = "avif")]

use std::collections::HashMap;

use crate::damage::{Random, decode_damaged};
use crate::edits::apply;
use crate::recorded::{Recording, Variant, checksum, read};
use siglip::image::{ImageError, decode};

fn picture(name: &str) -> Vec<u8> {
    read(&format!("fixtures/pictures/avif/{name}.avif"))
}

fn recording() -> Recording {
    Recording::read("avif.json")
}

#[test]
fn every_picture_has_pillows_pixels() {
    let recording = recording();
    assert!(recording.pictures.len() > 30);
    let mut different = Vec::new();
    for (name, width, height, crc) in recording.pictures {
        let found = checksum(&picture(&name));
        if found != Ok((width, height, crc)) {
            different.push(format!("{name}: {found:?} instead of {:?}", (width, height, crc)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn damaged_containers_are_read_as_in_pillow() {
    let recording = recording();
    assert!(recording.variants.len() >= 800);
    let mut files = HashMap::new();
    let (mut different, mut scaled) = (Vec::new(), 0);
    for Variant(name, edits, expected) in recording.variants {
        let file = files.entry(name.clone()).or_insert_with(|| picture(&name));
        let found = checksum(&apply(file, &edits));
        // A departure: libavif scales a coded picture to the sides that the container states.
        if matches!(&found, Err(ImageError::UnsupportedKind { reason, .. }) if reason.contains("scaled")) {
            scaled += usize::from(expected.is_some());
        } else if found.clone().ok() != expected {
            different.push(format!("{name} {edits:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert_eq!(scaled, 5);
}

#[test]
fn damaged_files_do_not_panic() {
    let mut random = Random(6);
    for (name, ..) in recording().pictures {
        let file = picture(&name);
        for len in (0..file.len()).step_by(1 + file.len() / 20) {
            decode_damaged(&file[..len]);
        }
        for _ in 0..25 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(6) {
                damaged[random.below(file.len())] = [random.below(256) as u8, 0, 1, 255][random.below(4)];
            }
            decode_damaged(&damaged);
        }
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let file = picture("white_1x1");
    let change = |from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).position(|bytes| bytes == from).unwrap();
        [&file[..at], to, &file[at + from.len()..]].concat()
    };
    let large = change(b"ispe\0\0\0\0\0\0\0\x01\0\0\0\x01", b"ispe\0\0\0\0\0\0\xc3\x50\0\0\xc3\x50");
    assert_eq!(decode(&large), Err(ImageError::TooLarge { width: 50_000, height: 50_000 }));
    let other = change(b"ispe\0\0\0\0\0\0\0\x01\0\0\0\x01", b"ispe\0\0\0\0\0\0\0\x02\0\0\0\x01");
    assert!(decode(&other).unwrap_err().to_string().contains("scaled"));
    // A picture is one frame. Frames that are not shown are decoded as well.
    let data = file.windows(4).position(|bytes| bytes == b"mdat").unwrap() + 4;
    let frames = [0x32, 0x01, 0x00].repeat(400);
    let mut many = [&file[..data], &frames, &file[data..]].concat();
    let stated = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let extent = many.windows(4).position(|bytes| stated(bytes) == (file.len() - data) as u32).unwrap();
    many[extent..extent + 4].copy_from_slice(&((file.len() - data + frames.len()) as u32).to_be_bytes());
    let error = decode(&many).unwrap_err();
    assert!(error.to_string().contains("401 frames"), "{error}");
}

/// Metadata that lies over itself: many items, each of which is the whole file several times.
#[test]
fn items_that_share_too_much_data_are_refused() {
    let file = picture("upright-by-xmp");
    let at = |name: &[u8; 4]| file.windows(4).position(|bytes| bytes == name).unwrap() - 4;
    let boxed =
        |name: &[u8; 4], body: &[u8]| [&(8 + body.len() as u32).to_be_bytes()[..], name, body].concat();
    let body = |name: &[u8; 4]| {
        let at = at(name);
        let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        file[at + 8..at + len].to_vec()
    };
    let count: u16 = 3000;
    let ids = || (100..100 + count).map(u16::to_be_bytes);
    // 2 MiB of nothing, in two extents.
    let half: u32 = 1 << 20;
    let mut meta = body(b"meta");
    let replace = |meta: &mut Vec<u8>, name: &[u8; 4], new: Vec<u8>| {
        let at = meta.windows(4).position(|bytes| bytes == name).unwrap() - 4;
        let len = u32::from_be_bytes(meta[at..at + 4].try_into().unwrap()) as usize;
        meta.splice(at..at + len, new);
    };
    let [mut infos, mut locations, mut references] = [b"iinf", b"iloc", b"iref"].map(body);
    infos[5] = (2 + count).to_be_bytes()[1];
    infos[4] = (2 + count).to_be_bytes()[0];
    locations[6..8].copy_from_slice(&(2 + count).to_be_bytes());
    for id in ids() {
        infos.extend(boxed(b"infe", &[&[2, 0, 0, 0], &id[..], &[0, 0], b"Exif\0"].concat()));
        let extent = [[0; 4], half.to_be_bytes()].concat();
        locations.extend([&id[..], &[0, 0, 0, 2], &extent, &extent].concat());
        references.extend(boxed(b"cdsc", &[&id[..], &[0, 1, 0, 1]].concat()));
    }
    replace(&mut meta, b"iinf", boxed(b"iinf", &infos));
    replace(&mut meta, b"iloc", boxed(b"iloc", &locations));
    replace(&mut meta, b"iref", boxed(b"iref", &references));
    let end = boxed(b"free", &vec![0; 2 * half as usize]);
    let bomb = [&file[..at(b"meta")], &boxed(b"meta", &meta), &end].concat();
    let error = decode(&bomb).unwrap_err();
    assert!(error.to_string().contains("share too much data"), "{error}");
}
