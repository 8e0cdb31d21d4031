//! What the engine tells JavaScript between two steps of a pass.

// `#[wasm_bindgen]` adds items to a string enum that it does not document.
#![allow(missing_docs)]

use siglip::model;
use wasm_bindgen::prelude::*;

/// What to do after [`Engine::step`](crate::Engine::step).
#[wasm_bindgen]
pub enum Step {
    /// Take the next step.
    Continue = "continue",
    /// Add up all workers' partial sums, then take the next step.
    AllReduce = "all-reduce",
    /// Run the blocks over the hidden states and put their results back, then take the next step.
    Blocks = "blocks",
    /// The pass is done: finish it.
    Done = "done",
}

impl From<model::Step> for Step {
    fn from(step: model::Step) -> Step {
        match step {
            model::Step::Next => Step::Continue,
            model::Step::AllReduce => Step::AllReduce,
            model::Step::Blocks => Step::Blocks,
            model::Step::Done => Step::Done,
        }
    }
}
