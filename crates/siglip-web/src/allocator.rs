//! The allocator of every build: Rust's own, which remembers whether the last request was refused.
//!
//! A request that cannot be refused gracefully ends in a trap, and a trap does not say why. The worker asks here, so
//! that the page is told of the memory and not of an engine that failed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use wasm_bindgen::prelude::*;

struct Remembering;

static REFUSED: AtomicBool = AtomicBool::new(false);

/// Keeps in mind whether `block` is one.
fn remember(block: *mut u8) -> *mut u8 {
    REFUSED.store(block.is_null(), Ordering::Relaxed);
    block
}

// SAFETY: every call goes to the system's allocator as it came, and so does its answer.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        remember(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        remember(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        remember(unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

/// Whether the last request for memory was refused: after a trap, why it was one.
#[wasm_bindgen]
pub fn memory_was_refused() -> bool {
    REFUSED.load(Ordering::Relaxed)
}
