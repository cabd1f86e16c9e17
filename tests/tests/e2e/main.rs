//! The one test binary: the layout of the source, and the product through its front door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod advisories;
mod bookshop;
mod command_line;
mod config;
mod conformance;
mod crash;
mod dev;
mod documents;
mod door;
mod embed;
mod faults;
mod files;
mod filters;
mod flows;
mod gate;
mod http_api;
mod layout;
mod live;
mod mediator;
mod mediator_demo;
mod operate;
mod outside;
mod prove;
mod replay;
mod retention;
mod runs_surface;
mod swap;
mod zoo;

use baton_tests::host::Shop;

/// The program as cargo built it for these tests.
const PROGRAM: &str = env!("CARGO_BIN_EXE_baton-under-test");

fn shop() -> Shop {
    Shop::new(PROGRAM)
}
