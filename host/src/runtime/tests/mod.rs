//! Guests, good and hostile, against the runtime: each bound is hit by one.

mod calls;
mod support;
