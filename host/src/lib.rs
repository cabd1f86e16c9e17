//! Baton: a host for event processors. One binary owns the event channels on one durable journal; processors are
//! WebAssembly components that are dropped into a folder.
//!
//! The modules, lowest first: [`model`], [`clock`] and [`meter`] know nobody; [`journal`] makes frames durable; [`view`] folds them;
//! [`channel`] owns a domain's channels; [`runtime`] runs guests; [`registry`] watches which there are; [`dispatch`] brings
//! events to guests and outcomes to frames; [`flows`] tells which orders are done; [`node`] starts everything; [`api`] and [`cli`] are how people reach it;
//! [`mod@bench`] measures it.

pub mod api;
pub mod bench;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod flows;
pub mod journal;
pub mod meter;
pub mod model;
pub mod node;
pub mod registry;
pub mod runtime;
pub mod spans;
pub mod telemetry;
pub mod view;
