//! Plans for a GPU in web pages.
//!
//! A page fetches this module only when it has a GPU. Its engine knows configurations, and gives their [`Sizes`] as text;
//! `www/gpu-plan.js` hands them over. Without the standard library and wasm-bindgen the module is half as large.
#![cfg_attr(target_family = "wasm", no_std)]
#![deny(missing_docs)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use siglip_gpu::{Plan, Sizes, error_json};

#[cfg(target_family = "wasm")]
mod memory;

/// Memory for the text that [`plan`] takes.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    Box::leak(vec![0; bytes].into_boxed_slice()).as_mut_ptr()
}

/// The plan of sizes, as JSON, or an object whose `error` tells why there is none: its address in the upper half of the
/// result, its length in the lower. It is never freed: each plan has an instance of its own.
///
/// # Safety
/// `text` is a result of [`room`] for so many bytes, into which UTF-8 was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plan(text: *const u8, bytes: usize) -> u64 {
    // SAFETY: the caller's text is that long, was written whole, by `room` at least, and is UTF-8, as zeros are.
    let text = unsafe { core::str::from_utf8_unchecked(core::slice::from_raw_parts(text, bytes)) };
    let json = json(text).leak();
    (json.as_ptr().addr() as u64) << 32 | json.len() as u64
}

fn json(text: &str) -> String {
    let Some(sizes) = Sizes::from_text(text) else {
        return error_json("the engine and the module that makes plans are of different versions");
    };
    match Plan::of(&sizes) {
        Ok(plan) => plan.to_json(),
        Err(unsupported) => error_json(&unsupported.reason()),
    }
}
