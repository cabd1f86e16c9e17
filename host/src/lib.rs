//! Baton: a host for event processors.

pub mod model;
pub mod runtime;
