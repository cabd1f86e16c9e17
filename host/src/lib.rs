//! Baton: a host for event processors.

pub mod api;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod journal;
pub mod model;
pub mod node;
pub mod registry;
pub mod runtime;
pub mod telemetry;
pub mod view;
