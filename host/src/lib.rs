//! Baton: a host for event processors.

pub mod api;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod journal;
pub mod model;
<<<<<<< HEAD
pub mod node;
=======
pub mod registry;
>>>>>>> registry
pub mod runtime;
pub mod telemetry;
pub mod view;
