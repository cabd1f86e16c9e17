//! Shows that the host keeps what it promises: proofs that anybody can run, each with figures and an end that is yes or no. It looks at
//! a host from outside, as an operator does.

pub mod crash;
mod proof;
pub mod swap;
pub mod zoo;

pub use proof::{Proof, ProveError, Row};
