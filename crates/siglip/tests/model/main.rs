//! The model against the Python reference, against itself run in other ways.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod base;
mod blocks_elsewhere;
mod chunks;
mod later_text;
mod naflex;
mod one_tower;
mod outliers;
mod packed;
mod published;
mod quantized;
mod recorded;
mod resolution;
mod several_images;
mod workers;
