//! The bounds of a guest that its author may ask for: how much each is unless he asks, and how much he may ask for at most.

use super::descriptor::{DescriptorError, Limits};

/// What one processor may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All memories and tables of one instance together, in bytes.
    pub memory_bytes_max: u64,
    /// The guest's own time for one event, and for the making of an instance, in milliseconds.
    pub event_time_ms_max: u64,
    /// The same together with the time that host calls take.
    pub call_time_ms_max: u64,
    /// How often it may call the host for one event.
    pub host_calls_max: u64,
    /// How many events it may publish for one event.
    pub emits_max: u64,
    /// The state of one key, in bytes.
    pub state_key_bytes_max: u64,
    /// All its state, in bytes.
    pub state_bytes_max: u64,
}

/// One bound: its name in a descriptor, its default, and the least and the most that may be asked for.
struct Bound {
    name: &'static str,
    asked: fn(&Limits) -> Option<u64>,
    default: u64,
    least: u64,
    most: u64,
}

const MEMORY: Bound = Bound {
    name: "memory_bytes_max",
    asked: |limits| limits.memory_bytes_max,
    default: 64 << 20,
    least: 64 << 10,
    most: 4 << 30,
};
const EVENT_TIME: Bound = Bound {
    name: "event_time_ms_max",
    asked: |limits| limits.event_time_ms_max,
    default: 1_000,
    least: 1,
    most: 60_000,
};
const CALL_TIME: Bound = Bound {
    name: "call_time_ms_max",
    asked: |limits| limits.call_time_ms_max,
    default: 5_000,
    least: 1,
    most: 120_000,
};
const HOST_CALLS: Bound = Bound {
    name: "host_calls_max",
    asked: |limits| limits.host_calls_max,
    default: 100_000,
    least: 1,
    most: 10_000_000,
};
const EMITS: Bound =
    Bound { name: "emits_max", asked: |limits| limits.emits_max, default: 1_000, least: 0, most: 50_000 };
const STATE_KEY: Bound = Bound {
    name: "state_key_bytes_max",
    asked: |limits| limits.state_key_bytes_max,
    default: 8 << 20,
    least: 1 << 10,
    most: 256 << 20,
};
const STATE: Bound = Bound {
    name: "state_bytes_max",
    asked: |limits| limits.state_bytes_max,
    default: 1 << 30,
    least: 1 << 10,
    most: 64 << 30,
};
const ALL: [Bound; 7] = [MEMORY, EVENT_TIME, CALL_TIME, HOST_CALLS, EMITS, STATE_KEY, STATE];

impl Bound {
    fn of(&self, asked: &Limits) -> u64 {
        (self.asked)(asked).unwrap_or(self.default)
    }

    fn check(&self, asked: &Limits) -> Result<(), DescriptorError> {
        let &Self { name, least, most, .. } = self;
        match (self.asked)(asked) {
            Some(value) if value < least || value > most => Err(DescriptorError {
                field: format!("limits.{name}"),
                why: format!("{value} is out of bounds; choose {least} to {most}"),
            }),
            _ => Ok(()),
        }
    }
}

impl Bounds {
    /// None at all: for the application's own code.
    pub const UNBOUNDED: Self = Self {
        memory_bytes_max: u64::MAX,
        event_time_ms_max: u64::MAX,
        call_time_ms_max: u64::MAX,
        host_calls_max: u64::MAX,
        emits_max: u64::MAX,
        state_key_bytes_max: u64::MAX,
        state_bytes_max: u64::MAX,
    };

    /// Each with the name that it has in a descriptor.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            (MEMORY.name, self.memory_bytes_max),
            (EVENT_TIME.name, self.event_time_ms_max),
            (CALL_TIME.name, self.call_time_ms_max),
            (HOST_CALLS.name, self.host_calls_max),
            (EMITS.name, self.emits_max),
            (STATE_KEY.name, self.state_key_bytes_max),
            (STATE.name, self.state_bytes_max),
        ]
    }

    /// What a descriptor asks for, and the defaults for what it does not name.
    pub fn of(asked: &Limits) -> Self {
        let (event, call) = (EVENT_TIME.of(asked), CALL_TIME.of(asked));
        Self {
            memory_bytes_max: MEMORY.of(asked),
            event_time_ms_max: event,
            // Who asks for more time of his own does not have to ask twice.
            call_time_ms_max: if asked.call_time_ms_max.is_none() { call.max(event) } else { call },
            host_calls_max: HOST_CALLS.of(asked),
            emits_max: EMITS.of(asked),
            state_key_bytes_max: STATE_KEY.of(asked),
            state_bytes_max: STATE.of(asked),
        }
    }
}

/// Refuses what nobody may ask for.
pub fn check(asked: &Limits) -> Result<(), DescriptorError> {
    ALL.iter().try_for_each(|bound| bound.check(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_the_default() {
        let bounds = Bounds::of(&Limits { emits_max: Some(5), ..Limits::default() });
        assert_eq!(
            (bounds.emits_max, bounds.memory_bytes_max, bounds.call_time_ms_max),
            (5, 64 << 20, 5_000)
        );
        let long = Bounds::of(&Limits { event_time_ms_max: Some(60_000), ..Limits::default() });
        assert_eq!(long.call_time_ms_max, 60_000);
    }

    #[test]
    fn each_bound_has_a_least_and_a_most() {
        for bound in &ALL {
            assert!(bound.least <= bound.default && bound.default <= bound.most, "{}", bound.name);
        }
        let refused = check(&Limits { host_calls_max: Some(0), ..Limits::default() });
        assert_eq!(refused.map_err(|error| error.field), Err("limits.host_calls_max".to_owned()));
    }
}
