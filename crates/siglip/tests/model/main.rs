//! The model against the Python reference, against candle-transformers, and against itself cut in other ways.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod base;
mod candle;
mod chunks;
mod outputs;
mod published;
mod quantised;
mod recorded;
mod recording;
mod shards;
