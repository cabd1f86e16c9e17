//! One file: when it last changed, which processor it provides, what is wrong with it. It knows no other file.

use std::time::{Duration, SystemTime};

use super::wanted::FileFault;
use crate::model::name::ProcessorName;

/// A file says that it is a version of a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub name: ProcessorName,
    pub digest: String,
}

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Look {
    Good(Claim),
    Bad(FileFault),
    /// It changed while it was read.
    Moved(Stamp),
    /// It is being compiled; somebody says when that is over.
    Compiling(Claim),
}

/// How far the registry is with a file. Times are since the registry started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It changed, and may change again.
    Settling { since: Duration },
    /// It stands still, and is nothing that can run: perhaps only half of it is there.
    Doubted { since: Duration },
    /// It was read, and is being compiled.
    Compiling { since: Duration },
    /// It was read, and is what its claim and its fault say.
    Looked,
    /// It is not in the folder; it may only be on its way to another name.
    Gone { since: Duration },
}

/// One file. Times are since the registry started.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub phase: Phase,
    pub claim: Option<Claim>,
    pub fault: Option<FileFault>,
    /// What was wrong with it before it was tried again, until that is known to be mended.
    pub before: Option<FileFault>,
    /// Counts the claims: the lower one came first.
    pub order: u64,
    pub stamp: Option<Stamp>,
    /// It was seen in more than one state before it could be read, so it is no renamed file.
    pub grows: bool,
    /// Its claim is only what it says: it was not compiled yet.
    pub only_says: bool,
}

/// How long a file must stand still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before it is read.
    pub settle: Duration,
    /// Before it is called bad.
    pub doubt: Duration,
}

/// Everything that tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub bytes: u64,
    pub modified: Option<SystemTime>,
    /// Which file it is and when anything of it changed, where the system says so: a file that is replaced by one of
    /// the same size and time is still another.
    pub identity: (u64, i64, i64),
    /// It is a file, or a link to one: reading it cannot block.
    pub regular: bool,
}

impl File {
    pub fn new(stamp: Option<Stamp>, now: Duration) -> Self {
        let phase = Phase::Settling { since: now };
        Self {
            phase,
            claim: None,
            fault: None,
            before: None,
            order: 0,
            stamp,
            grows: false,
            only_says: false,
        }
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone { .. })
    }

    pub fn look_again(&mut self) {
        self.phase = Phase::Settling { since: Duration::ZERO };
    }

    /// The same because what was wrong with it may be mended by itself.
    pub fn try_again(&mut self) {
        self.before = self.fault.clone();
        self.look_again();
    }

    /// It waits for the compiler, and stands still since it did. What it says that it is keeps nobody guessing whether it is another.
    pub fn compiles(&mut self, claim: Claim, order: u64, now: Duration) {
        if self.claim.is_none() {
            (self.claim, self.order, self.only_says) = (Some(claim), order, true);
        }
        let since = match self.phase {
            Phase::Settling { since } | Phase::Doubted { since } => since,
            _ => now,
        };
        self.phase = Phase::Compiling { since };
    }

    /// The compiler is done with it or with another.
    pub fn compiled(&mut self) {
        if let Phase::Compiling { since } = self.phase {
            self.phase = Phase::Settling { since };
        }
    }

    pub fn see(&mut self, stamp: Stamp, now: Duration) {
        if self.stamp == Some(stamp) && !self.is_gone() {
            return;
        }
        self.grows = self.stamp.is_some() && !self.is_gone();
        (self.stamp, self.before) = (Some(stamp), None);
        self.phase = Phase::Settling { since: now };
    }

    /// Whether a file that is not in the folder has been away for long enough.
    pub fn is_missed(&mut self, now: Duration, settle: Duration) -> bool {
        match self.phase {
            Phase::Gone { since } => now.saturating_sub(since) >= settle,
            _ => {
                self.phase = Phase::Gone { since: now };
                (self.fault, self.before) = (None, None);
                false
            }
        }
    }

    pub fn provides(&mut self, claim: Claim, order: u64) {
        if self.claim.as_ref().is_none_or(|old| old.name != claim.name) {
            self.order = order;
        }
        (self.claim, self.only_says) = (Some(claim), false);
        self.fault = None;
        self.phase = Phase::Looked;
    }

    /// A broken file keeps its claim: it does not stop what runs.
    pub fn fails(&mut self, fault: FileFault, now: Duration, doubt: Duration) {
        if std::mem::take(&mut self.only_says) {
            self.claim = None;
        }
        self.phase = match self.phase {
            Phase::Settling { since } if now.saturating_sub(since) < doubt => Phase::Doubted { since },
            _ => {
                (self.fault, self.before) = (Some(fault), None);
                Phase::Looked
            }
        };
    }

    pub fn due_at(&self, patience: Patience) -> Option<Duration> {
        match self.phase {
            Phase::Settling { .. } if self.stamp.is_none() => None,
            Phase::Settling { since } | Phase::Gone { since } => Some(since + patience.settle),
            Phase::Doubted { since } => Some(since + patience.doubt),
            Phase::Looked | Phase::Compiling { .. } => None,
        }
    }

    pub fn may_be_anyones(&self) -> bool {
        let pending =
            matches!(self.phase, Phase::Settling { .. } | Phase::Doubted { .. } | Phase::Compiling { .. });
        pending && self.claim.is_none() && !self.grows
    }

    pub fn modified(&self) -> Option<SystemTime> {
        self.stamp.and_then(|stamp| stamp.modified)
    }
}
