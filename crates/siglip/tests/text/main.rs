//! Texts to token ids.

mod token_ids;
mod tokenizers;
