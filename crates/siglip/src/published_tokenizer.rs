//! The published tokenizers, for fine-tunes without a `tokenizer.json`: transformers 4 saved a slow tokenizer without one.

use crate::config::GEMMA_VOCABULARY;
use crate::{Config, Error};

/// A `tokenizer.json` at huggingface.co, of a revision that many programs pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedTokenizer {
    /// Its path below <https://huggingface.co/>.
    pub path: &'static str,
    /// Its sha256.
    pub sha256: &'static str,
}

/// Version 1's, of 32,000 tokens.
const SIGLIP: PublishedTokenizer = PublishedTokenizer {
    path: "Xenova/siglip-base-patch16-224/resolve/4649052661e53c7000355844105f8a1792088239/tokenizer.json",
    sha256: "4a17c975210be5ab4c36b47d8dae4eefb866dbfb1e676e394aad85dc30a3ae08",
};

/// Version 2's, which is Gemma's.
const SIGLIP2: PublishedTokenizer = PublishedTokenizer {
    path: "onnx-community/siglip2-base-patch16-224-ONNX/resolve/ba1f3b0843f24bc5417d38e19c37b287d719b2f4/tokenizer.json",
    sha256: "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322",
};

impl PublishedTokenizer {
    /// The one that all published models with the vocabulary size of this config.json have.
    pub fn of(config: &str) -> Option<PublishedTokenizer> {
        match Config::from_json(config).ok()?.text_config.vocab_size {
            32_000 => Some(SIGLIP),
            GEMMA_VOCABULARY => Some(SIGLIP2),
            _ => None,
        }
    }

    /// The error of a folder without a `tokenizer.json`, which names this one.
    pub fn missing(self) -> Error {
        let PublishedTokenizer { path, sha256 } = self;
        let reason = format!(
            "it is missing or cannot be read. If the model was fine-tuned from a published one, put \
             https://huggingface.co/{path} (sha256 {sha256}) into the folder"
        );
        Error::unsupported("tokenizer.json", reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_tells_the_tokenizer() {
        let of = |vocabulary: usize| {
            let config =
                format!(r#"{{"model_type": "siglip", "text_config": {{"vocab_size": {vocabulary}}}}}"#);
            PublishedTokenizer::of(&config)
        };
        assert_eq!((of(32_000), of(256_000)), (Some(SIGLIP), Some(SIGLIP2)));
        // The multilingual model of version 1 has another.
        assert_eq!((of(250_000), PublishedTokenizer::of("{}")), (None, None));
        assert!(SIGLIP.missing().to_string().contains(SIGLIP.path));
    }
}
