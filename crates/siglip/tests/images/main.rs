//! Pictures of every format: right, odd, damaged and hostile ones.

#[path = "../support/damage.rs"]
mod damage;
#[path = "../support/edits.rs"]
mod edits;
#[path = "../support/recorded.rs"]
mod recorded;

mod avif;
mod decoding;
mod hostile;
mod rare;
mod variants;
