//! Evaluates the expressions of workflows: jq, as a component that the host embeds and runs like any other guest. So an expression that never
//! ends, or wants all memory, ends its own instance and nothing else.
//!
//! It answers an event with the values as the reply, and keeps nothing but what it has compiled. An expression sees its input and its
//! variables: no environment, no clock, no files, no other input.

mod answer;
mod jq;
mod json;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
mod tests;

use std::cell::RefCell;

use baton_sdk::prelude::*;

use answer::{Asked, answer};
use jq::Compiled;

thread_local! {
    /// What was compiled before.
    static COMPILED: RefCell<Compiled> = RefCell::default();
}

/// Evaluates the expressions of an event's data, and replies with what they give or why one of them gives nothing.
#[processor(
    name = "expressions",
    description = "Evaluates the expressions of workflows.",
    subscribe("evaluations"),
    limits(memory_bytes_max = 67108864, event_time_ms_max = 100, call_time_ms_max = 1000)
)]
fn evaluate(event: Event<Asked>, cx: &mut Context) -> Handled {
    let answer = COMPILED.with_borrow_mut(|compiled| answer(event.into_data(), compiled));
    cx.reply(&answer)?;
    cx.nothing_to_tell("the values are the reply")
}
