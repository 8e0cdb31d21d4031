//! What several test binaries share.
#![allow(dead_code, reason = "every test binary uses only some of it")]

pub mod checkpoints;
pub mod reference;
pub mod weight_files;
pub mod workers;
