//! Baton: a host for event processors.

pub mod model;
