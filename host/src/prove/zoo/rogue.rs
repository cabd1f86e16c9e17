//! The guest that tries everything a standard library offers: built from `tests/guests/zoo` by whoever has cargo and the source.

use super::animals::End;
use crate::model::fault::FaultKind;

/// Its name, and the channel that it reads.
pub const NAME: &str = "rogue";
/// Where it says what came of a try.
pub const DONE: &str = "rogue-done";

/// One thing that it tries.
pub struct Try {
    /// What it is told.
    pub way: &'static str,
    /// What must happen.
    pub end: End,
    /// What it must see when nothing comes of it.
    pub sees: &'static str,
}

const fn fault(way: &'static str, kind: FaultKind) -> Try {
    Try { way, end: End::Fault(kind), sees: "" }
}

const fn in_vain(way: &'static str, sees: &'static str) -> Try {
    Try { way, end: End::Handled, sees }
}

/// All that it tries.
pub const TRIES: [Try; 14] = [
    fault("exit", FaultKind::Trap),
    fault("abort", FaultKind::Trap),
    fault("panic", FaultKind::Trap),
    fault("forget", FaultKind::Memory),
    fault("busy-wait", FaultKind::HostCalls),
    in_vain("sleep", "slept"),
    in_vain("read", "Ok(0)"),
    in_vain("connect", "refused"),
    in_vain("by-name", "refused"),
    in_vain("mapped", "refused"),
    in_vain("sockets", "0 open"),
    in_vain("files", "0 open, made: false"),
    in_vain("environment", "0 variables, 0 arguments"),
    in_vain("threads", "began: false"),
];
