//! Baton: a host for event processors.

pub mod bench;
pub mod channel;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod journal;
pub mod model;
pub mod runtime;
pub mod view;
