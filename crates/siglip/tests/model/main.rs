//! The model against the Python reference, against itself run in other ways.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod base;
mod blocks_elsewhere;
mod chunks;
mod outliers;
mod published;
mod quantized;
mod recorded;
mod several_images;
mod workers;
