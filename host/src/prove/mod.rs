//! Proofs.

pub mod zoo;
