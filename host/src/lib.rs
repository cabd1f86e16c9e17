//! Baton: a host for event processors.

pub mod api;
pub mod cli;
pub mod config;
pub mod journal;
pub mod model;
pub mod node;
pub mod runtime;
pub mod telemetry;
