//! Scenarios: what is given and what is expected, written down in YAML, whatever language the processors are in. `format` reads a file, `run` plays it on
//! a bench, `compare` finds what is different, `report` says it. The format is described in `sdk/README.md`.

mod compare;
mod format;
mod report;
mod run;

pub use format::FormatError;
pub use report::{Difference, ScenarioReport};
pub use run::{Places, play};
