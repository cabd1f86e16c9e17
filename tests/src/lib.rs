//! What the end-to-end tests stand on: guests built once, a host inside the test or as a process, and one way to wait.
//! The tests themselves are in `tests/e2e`, one binary.
//!
//! It looks at the product from outside: HTTP, the command line, files. Whatever goes wrong here ends the test with words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod compiled;
pub mod guests;
pub mod host;
pub mod http;
pub mod live;
pub mod wait;
