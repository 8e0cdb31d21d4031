//! A tokenizer.json and, behind a zero byte, a text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siglip::text::Tokenizer;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (json, text) = data.split_at(at);
    let text = String::from_utf8_lossy(text);
    if let Ok(tokenizer) = Tokenizer::from_bytes(json, 16, 1)
        && let Ok(input_ids) = tokenizer.encode(&text)
    {
        assert_eq!(input_ids.len(), 16);
    }
});
