//! An encoded picture.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(picture) = siglip::image::decode(data) {
        assert_eq!(picture.data().len(), 3 * picture.width() as usize * picture.height() as usize);
    }
});
