//! Calls that fail, as a disk's do, and calls that only say that they were done, as no disk's should.

use std::io;

use super::Simulated;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device cannot (EIO); this may be any call.
    Io,
    /// There is no room (ENOSPC); this may be any call that needs some.
    NoSpace,
    /// There is room for half of a write.
    Short,
}

impl Failure {
    /// All kinds.
    pub const ALL: [Failure; 3] = [Failure::Io, Failure::NoSpace, Failure::Short];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Io => "EIO",
            Failure::NoSpace => "ENOSPC",
            Failure::Short => "a short write",
        }
    }

    fn meets(self, operation: Operation) -> bool {
        match self {
            Failure::Io => true,
            Failure::NoSpace => !matches!(operation, Operation::Read | Operation::Remove),
            Failure::Short => operation == Operation::Write,
        }
    }
}

/// What a disk says although it is not so. A host cannot help it: what it costs has to be found by those who look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A sync returns and keeps nothing.
    SkipsSyncs,
    /// A call that fails says that it was done.
    SwallowsErrors,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Create,
    Remove,
    Write,
    SetLen,
    Sync,
}

/// What a call does when it does not fail at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Wholly,
    Half,
    Not,
}

/// Which calls fail.
#[derive(Default)]
pub(super) struct Faults {
    plan: Option<(u64, Failure)>,
    lie: Option<Lie>,
    calls: u64,
    failed: u64,
}

impl Faults {
    /// What becomes of the next call.
    pub(super) fn next(&mut self, operation: Operation) -> io::Result<Done> {
        if operation == Operation::Sync && self.lie == Some(Lie::SkipsSyncs) {
            return Ok(Done::Not);
        }
        let swallows = self.lie == Some(Lie::SwallowsErrors);
        let meets =
            |failure: Failure| failure.meets(operation) && (!swallows || operation.can_be_swallowed());
        let Some((each, failure)) = self.plan.filter(|(_, failure)| meets(*failure)) else {
            return Ok(Done::Wholly);
        };
        self.calls += 1;
        if !self.calls.is_multiple_of(each) {
            return Ok(Done::Wholly);
        }
        self.failed += 1;
        match failure {
            _ if swallows => Ok(Done::Not),
            Failure::Io => Err(io::Error::other("simulated: the device cannot")),
            Failure::NoSpace => Err(io::Error::new(io::ErrorKind::StorageFull, "simulated: no room")),
            Failure::Short => Ok(Done::Half),
        }
    }
}

impl Operation {
    /// Whether the caller gets nothing back but that it was done.
    fn can_be_swallowed(self) -> bool {
        matches!(self, Operation::Write | Operation::SetLen | Operation::Sync)
    }
}

impl Simulated {
    /// From now on every so manyth call fails of those that can fail like this.
    pub fn fail_each(&self, each: u64, failure: Failure) {
        let mut faults = self.faults.lock();
        (faults.plan, faults.calls) = (Some((each.max(1), failure)), 0);
    }

    /// No call fails any more because of [`Simulated::fail_each`].
    pub fn mend(&self) {
        self.faults.lock().plan = None;
    }

    /// How many calls have failed because of [`Simulated::fail_each`].
    pub fn failed(&self) -> u64 {
        self.faults.lock().failed
    }

    /// From now on it lies.
    pub fn lie(&self, lie: Lie) {
        self.faults.lock().lie = Some(lie);
    }
}
