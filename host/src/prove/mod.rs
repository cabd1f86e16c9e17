//! Shows that the host keeps what it promises: proofs that anybody can run, each with figures and an end that is yes or no. It looks at
//! a host from outside, as an operator does.

mod components;
pub mod crash;
mod host;
pub mod mediator;
mod proof;
pub mod relay;
mod scorecard;
pub mod swap;
pub mod zoo;

pub use proof::{Card, Proof, ProveError, Row};
pub use scorecard::{Line, Scorecard};
