//! config.json and preprocessor_config.json, with a zero byte between them, or an index of several weight files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siglip::image::{Processor, RgbImage};
use siglip::model::memory_needed;
use siglip::weights::{Inventory, WeightIndex};
use siglip::{Config, Error, LoadOptions};

fuzz_target!(|data: &[u8]| {
    if let Ok(index) = WeightIndex::parse(data) {
        assert!(index.files().all(|file| !file.contains('/')));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (config, preprocessor) = text.split_once('\0').unwrap_or((text, text));
    match Config::from_json(config) {
        Ok(config) => {
            assert!(memory_needed(&config, LoadOptions::default()) > 0);
            let _ = Inventory::new(&config).begin(&[]).unwrap_err();
        }
        Err(error) => assert!(matches!(error, Error::UnsupportedModel { .. })),
    }
    let picture = RgbImage::from_rgb(3, 2, vec![7; 18]).unwrap();
    if let Ok(processor) = Processor::from_json(preprocessor)
        && let Ok(pixel_values) = processor.pixel_values(&picture)
    {
        let (width, height) = processor.sides(&picture);
        assert_eq!(pixel_values.len(), 3 * width as usize * height as usize);
    }
});
