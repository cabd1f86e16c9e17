//! Guests, good and hostile, against the runtime: each bound is hit by one.

mod arena;
mod cache;
mod calls;
mod compiler;
mod expressions;
mod hostile;
mod inspect;
mod native;
mod random;
mod sandbox;
pub mod support;
