//! The model against the Python reference, against candle-transformers, and against itself run in other ways.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod base;
mod blocks_elsewhere;
mod candle;
mod chunks;
mod outliers;
mod published;
mod quantized;
mod recorded;
mod workers;
