//! The vocabulary of Baton and the decisions that need nothing but values: events, names, descriptors,
//! what a frame changes. It does no IO, reads no clock and knows no async.

pub mod access;
pub mod address;
pub mod asyncapi;
pub mod bounds;
pub mod capability;
pub mod change;
pub mod dead;
pub mod deployment;
pub mod descriptor;
pub mod event;
pub mod fault;
pub mod filter;
pub mod flow;
#[cfg(test)]
mod fuzz_tests;
pub mod gate;
pub mod grant;
pub mod key;
pub mod ledger;
pub mod lint;
pub mod name;
pub mod operation;
pub mod record;
pub mod rehearsal;
pub mod report;
pub mod retention;
pub mod retry;
pub mod runs;
pub mod schema;
pub mod text;
pub mod time;
pub mod topology;
pub mod trace;
pub mod upkeep;
pub mod why;
pub mod workflow;
