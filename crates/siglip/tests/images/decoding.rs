//! Pictures against what tests/parity/image/record.py recorded of Pillow and transformers.

use std::path::PathBuf;

use serde::Deserialize;
use siglip::Error;
use siglip::image::{ImageError, Processor, Resample, RgbImage, decode};

fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn picture(name: &str) -> Result<RgbImage, ImageError> {
    decode(&read(&format!("fixtures/pictures/{name}")))
}

#[derive(Deserialize)]
struct Recording {
    /// Name, width, height and CRC-32 of the pixels.
    pictures: Vec<(String, u32, u32, u32)>,
    /// Name, side, filter and CRC-32 of the resized pixels.
    levels: Vec<(String, u32, u32, u32)>,
    /// Name and Pillow's error.
    errors: Vec<(String, String)>,
}

fn recording() -> Recording {
    serde_json::from_slice(&read("parity/image/pictures.json")).unwrap()
}

/// In the order of Pillow's numbers.
const FILTERS: [Resample; 6] = [
    Resample::Nearest,
    Resample::Lanczos,
    Resample::Bilinear,
    Resample::Bicubic,
    Resample::Box,
    Resample::Hamming,
];

/// The [side, side, 3] bytes that a picture is resized to.
fn levels(image: &RgbImage, side: u32, filter: Resample) -> Vec<u8> {
    let values = Processor::new(side, side, filter).unwrap().pixel_values(image).unwrap();
    let plane = values.len() / 3;
    let level = |value: f32| ((value + 1.0) * 127.5).round() as u8;
    (0..values.len()).map(|at| level(values[at % 3 * plane + at / 3])).collect()
}

/// AVIF is a feature of its own.
fn is_decoded(name: &str) -> bool {
    cfg!(feature = "avif") || name != "formats/linku_fox.avif"
}

#[test]
fn every_picture_has_pillows_pixels() {
    let recording = recording();
    assert!(recording.pictures.len() > 80);
    let mut different = Vec::new();
    for (name, width, height, crc) in recording.pictures.into_iter().filter(|(name, ..)| is_decoded(name)) {
        match picture(&name) {
            Ok(image) if (image.width(), image.height()) != (width, height) => {
                different.push(format!("{name}: {image:?} instead of {width} x {height}"));
            }
            Ok(image) if crc32fast::hash(image.data()) != crc => {
                different.push(format!("{name}: other pixels"))
            }
            Ok(_) => (),
            Err(error) => different.push(format!("{name}: {error}")),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn undecodable_formats_give_a_clear_error() {
    for (name, _) in recording().errors {
        let error = picture(&name).unwrap_err();
        assert!(!error.is_unsupported_format(), "{name}: {error}");
        assert_eq!(Error::from(error).code(), "bad-image");
    }
}

#[cfg(not(feature = "avif"))]
#[test]
fn avif_gives_a_clear_error_without_its_decoder() {
    let avif = picture("formats/linku_fox.avif").unwrap_err();
    assert!(avif.is_unsupported_format() && avif.to_string().contains("AVIF"), "{avif}");
    assert_eq!(avif, ImageError::UnsupportedFormat { format: Some("AVIF") });
}

#[test]
fn every_picture_is_resized_as_by_pillow() {
    let recording = recording();
    assert!(recording.levels.len() > 650);
    let mut different = Vec::new();
    let mut current = None;
    for (name, side, filter, crc) in recording.levels.into_iter().filter(|(name, ..)| is_decoded(name)) {
        if current.as_ref().is_none_or(|(current, _)| *current != name) {
            current = Some((name.clone(), picture(&name).unwrap()));
        }
        let (_, image) = current.as_ref().unwrap();
        let filter = FILTERS[filter as usize];
        if crc32fast::hash(&levels(image, side, filter)) != crc {
            different.push(format!("{name} at {side} x {side}, {filter:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The same at one setting, with the levels at hand: how far apart they are, should the test above fail.
///
/// Lossless pictures: one level, in one value of a thousand. JPEG and lossy WebP, whose decoders may round in other
/// ways: 6 levels, half a level on average.
#[test]
fn pixel_values_are_within_bounds() {
    for (name, ..) in recording().pictures.into_iter().filter(|(name, ..)| is_decoded(name)) {
        let expected = decode(&read(&format!("parity/image/levels/{}.png", name.replace('/', "-")))).unwrap();
        let found = levels(&picture(&name).unwrap(), 64, Resample::Bicubic);
        assert_eq!(found.len(), expected.data().len());
        let differences = found.iter().zip(expected.data()).map(|(a, b)| u32::from(a.abs_diff(*b)));
        let (largest, sum) = differences.fold((0, 0), |(largest, sum), d| (d.max(largest), sum + d));
        let (bound, mean) =
            if name.ends_with("jpg") || name.contains("lossy") { (6, 0.5) } else { (1, 0.001) };
        let found_mean = f64::from(sum) / found.len() as f64;
        assert!(largest <= bound && found_mean <= mean, "{name}: at most {largest}, on average {found_mean}");
    }
}

#[test]
fn pixel_values_equal_the_references() {
    let imagenet = r#"{"size": {"height": 32, "width": 32},
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}"#;
    let levels = r#"{"size": {"height": 32, "width": 32}, "do_rescale": false, "do_normalize": false}"#;
    for (label, name, config) in [
        ("default", "photos/skimage_chelsea.png", r#"{"size": 32}"#),
        ("bilinear", "photos/skimage_rocket.jpg", r#"{"size": 32, "resample": 2}"#),
        ("imagenet", "made/rgb.png", imagenet),
        ("levels", "made/rgb.png", levels),
    ] {
        let recorded = read(&format!("parity/image/pixel_values-{label}.f32"));
        let expected = recorded.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        let found = Processor::from_json(config).unwrap().pixel_values(&picture(name).unwrap()).unwrap();
        assert_eq!(found.len(), 3 * 32 * 32);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{label}");
    }
}

#[test]
fn the_references_defaults_are_filled_in() {
    let processor = Processor::from_json("{}").unwrap();
    assert_eq!(processor, Processor::new(224, 224, Resample::Bicubic).unwrap());
    let published = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor", "image_std": [0.5, 0.5, 0.5], "do_convert_rgb": null,
        "processor_class": "SiglipProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"height": 224, "width": 224}}"#;
    assert_eq!(Processor::from_json(published).unwrap(), processor);
    let oblong = Processor::from_json(r#"{"size": {"height": 3, "width": 5}, "resample": 2}"#).unwrap();
    let picture = picture("made/1x1.png").unwrap();
    assert_eq!(oblong.sides(&picture), (5, 3));
    assert_eq!(oblong.pixel_values(&picture).unwrap().len(), 3 * 3 * 5);
}

#[test]
fn a_configuration_of_another_model_names_its_field() {
    for (json, field) in [
        ("", "preprocessor_config.json"),
        ("[]", "preprocessor_config.json"),
        (r#"{"resample": 6}"#, "resample"),
        (r#"{"resample": "bicubic"}"#, "resample"),
        (r#"{"size": {"shortest_edge": 224}}"#, "size"),
        (r#"{"size": {"height": 224}}"#, "size"),
        (r#"{"size": {"height": 224, "width": 0}}"#, "size.width"),
        (r#"{"size": {"height": 1e9, "width": 224}}"#, "size.height"),
        (r#"{"size": -1}"#, "size"),
        (r#"{"do_center_crop": true}"#, "do_center_crop"),
        (r#"{"do_pad": true}"#, "do_pad"),
        (r#"{"do_rescale": "yes"}"#, "do_rescale"),
        (r#"{"rescale_factor": 0}"#, "rescale_factor"),
        (r#"{"image_mean": [0.5, 0.5]}"#, "image_mean"),
        (r#"{"image_std": [0.5, 0.5, 0.0]}"#, "image_std"),
        (r#"{"image_std": "half"}"#, "image_std"),
        (r#"{"image_processor_type": "CLIPImageProcessor"}"#, "image_processor_type"),
        (r#"{"image_processor_type": "Siglip2ImageProcessor", "patch_size": 0}"#, "patch_size"),
        (r#"{"max_num_patches": 5000}"#, "max_num_patches"),
    ] {
        match Processor::from_json(json) {
            Err(Error::UnsupportedModel { field: found, .. }) => assert_eq!(found, field, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[test]
fn without_resizing_the_sides_must_fit() {
    let processor =
        Processor::from_json(r#"{"do_resize": false, "size": {"height": 29, "width": 37}}"#).unwrap();
    let values = processor.pixel_values(&picture("made/rgb.png").unwrap()).unwrap();
    assert_eq!(values.len(), 3 * 29 * 37);
    let error = processor.pixel_values(&picture("made/1x1.png").unwrap()).unwrap_err();
    assert_eq!(error.code(), "bad-input");
    assert!(error.to_string().contains("37 x 29"), "{error}");
}
