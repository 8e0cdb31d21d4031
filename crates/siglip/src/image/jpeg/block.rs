//! Blocks of coefficients, and what decoding them carries on from block to block.

use super::source::{Decoded, Fault};

/// The coefficients of 8 x 8 samples, row by row.
pub type Block = [i16; 64];

/// What an MCU changes besides its blocks.
#[derive(Clone, Copy, Default)]
pub struct State {
    /// The last DC coefficient of each of the scan's components.
    pub dc: [i32; 4],
    /// Blocks that are still to end without a coefficient.
    pub ended_blocks: u32,
}

/// Adds a difference to the last DC coefficient.
pub fn add_dc(dc: &mut i32, difference: i32) -> Decoded<()> {
    *dc = dc.checked_add(difference).ok_or(Fault::Broken("a coefficient is too large"))?;
    Ok(())
}
