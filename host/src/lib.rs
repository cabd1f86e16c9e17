//! Baton: a host for event processors.

pub mod config;
pub mod model;
pub mod view;
