#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| siglip_fuzz::index(data));
