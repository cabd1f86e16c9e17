//! The one test binary: the layout of the source, and the product through its front door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod layout;
