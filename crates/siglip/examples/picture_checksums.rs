//! Decodes the picture files named on standard input, one path a line, and answers each with a line of JSON: width,
//! height and CRC-32 of the pixels, or the error. `tests/parity/image/hunt.py` compares that with Pillow.

use std::io::BufRead;

use siglip::image;

fn main() {
    for path in std::io::stdin().lock().lines().map_while(Result::ok) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let answer = match image::decode(&bytes) {
            Ok(picture) => serde_json::json!({
                "width": picture.width(),
                "height": picture.height(),
                "crc": crc32fast::hash(picture.data()),
            }),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        println!("{answer}");
    }
}
