//! What goes between a mediator and those who work for it: the names of its channels, the marks of a command, and the messages that come in to
//! it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::command::{Outcome, What};
use super::failure::{Error, Kind};
use super::task::TaskRef;
use crate::model::record::Record;

/// What the names of the queues of processors begin with.
const QUEUE: &str = "baton.queue.";
/// What the names of the inboxes of mediators begin with.
const INBOX: &str = "baton.inbox.";

/// The type of a message that gives a run an event, which is of another flow.
pub const TAKEN: &str = "baton.taken";

/// The extension of a command that names the mediator.
pub const MEDIATOR: &str = "batonmediator";
/// The extension that names the run.
pub const RUN: &str = "batonrun";
/// The extension that names the step.
pub const STEP: &str = "batonstep";
/// The extension that counts how often the step was begun.
pub const ATTEMPT: &str = "batonattempt";

/// The extension that names the step that a command undoes.
pub const UNDOES: &str = "batonundoes";

/// The queue of a processor: the commands of mediators.
pub fn queue_of(processor: &str) -> String {
    format!("{QUEUE}{processor}")
}

/// The inbox of a mediator: acknowledgements, timers and events for its runs.
pub fn inbox_of(mediator: &str) -> String {
    format!("{INBOX}{mediator}")
}

/// The processor whose queue a channel is.
pub fn processor_of(queue: &str) -> Option<&str> {
    queue.strip_prefix(QUEUE)
}

/// The mediator whose inbox a channel is.
pub fn mediator_of(inbox: &str) -> Option<&str> {
    inbox.strip_prefix(INBOX)
}

/// What a command carries, so that its acknowledgement finds home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The mediator that sent it.
    pub mediator: String,
    /// The run.
    pub run: String,
    /// The step.
    pub step: TaskRef,
    /// Which attempt at the step it is.
    pub attempt: u32,
}

impl Marks {
    /// The marks of a recorded command.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let text = |name: &str| record.attribute(name).map(|text| text.into_owned());
        let (mediator, run, step) = (text(MEDIATOR)?, text(RUN)?, text(STEP)?);
        Some(Self { mediator, run, step: TaskRef(step), attempt: text(ATTEMPT)?.parse().ok()? })
    }

    /// Their names and values.
    pub fn attributes(&self) -> [(&'static str, String); 4] {
        [
            (MEDIATOR, self.mediator.clone()),
            (RUN, self.run.clone()),
            (STEP, self.step.0.clone()),
            (ATTEMPT, self.attempt.to_string()),
        ]
    }

    /// The acknowledgement of the command.
    pub fn acknowledged(&self, outcome: Outcome) -> Message {
        let (task, attempt) = (self.step.clone(), self.attempt);
        Message::Run(What::Acknowledged { task, attempt, outcome })
    }
}

/// What a processor gave for a command: what it would have replied and told in the broker topology.
pub fn gave(reply: Option<Value>, events: Vec<Value>) -> Outcome {
    Outcome::Done(json!({ "reply": reply, "events": events }))
}

/// A processor's last fault at a command.
pub fn gave_up(kind: &str, message: &str) -> Outcome {
    let error = Error::new(Kind::Communication, "", message);
    Outcome::Failed(Error { title: Some(kind.to_owned()), ..error })
}

/// A message in the inbox of a mediator. Its key is the run, or a place where events and runs meet: see [`meeting`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// Something happened to a run.
    Run(What),
    /// A run waits here for an event.
    Listen {
        /// The run.
        run: String,
        /// Its flow.
        flow: String,
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
        /// The number of the filter.
        filter: usize,
    },
    /// A run waits here no longer.
    ListenOff {
        /// The run.
        run: String,
        /// The attempt.
        attempt: u32,
    },
    /// An event has come that runs may wait for here.
    Offer {
        /// The event, in the form of CloudEvents in JSON.
        event: Value,
        /// Whether it was given to runs already, and others are left.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
}

impl Message {
    /// The type of the event that carries it.
    pub fn ty(&self) -> &'static str {
        match self {
            Self::Run(What::Start) => "baton.start",
            Self::Run(What::Acknowledged { outcome: Outcome::Done(_), .. }) => "baton.acknowledged",
            Self::Run(What::Acknowledged { outcome: Outcome::Failed(_), .. }) => "baton.failed",
            Self::Run(What::Acknowledged { outcome: Outcome::TakenBack, .. }) => "baton.taken-back",
            Self::Run(What::Due { .. }) => "baton.due",
            Self::Run(What::Taken { .. }) => TAKEN,
            Self::Run(What::Resume { .. }) => "baton.resume",
            Self::Run(What::Skip { .. }) => "baton.skip",
            Self::Run(What::Signal { .. }) => "baton.signal",
            Self::Run(What::Cancel) => "baton.cancel",
            Self::Listen { .. } => "baton.listen",
            Self::ListenOff { .. } => "baton.listen-off",
            Self::Offer { .. } => "baton.offer",
        }
    }

    /// Its bytes in the event.
    pub fn to_json(&self) -> Vec<u8> {
        // Writing values to memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The most bytes of expected values that stand in the name of a meeting place.
const VALUES_BYTES_MAX: usize = 200;

/// The key under which events and the runs that wait for them meet: the task, which of its filters, and the values that link them.
pub fn meeting(task: &TaskRef, filter: usize, values: &[Value]) -> String {
    let values = json!(values).to_string();
    let values = match values.len() <= VALUES_BYTES_MAX {
        true => values,
        false => format!("blake3:{}", blake3::hash(values.as_bytes())),
    };
    format!("await {task} {filter} {values}")
}

/// Whether a key of an inbox is a place where events and runs meet; no id of a run has a blank.
pub fn is_meeting(key: &str) -> bool {
    key.starts_with("await ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let marks = Marks {
            mediator: "m".to_owned(),
            run: "m-1".to_owned(),
            step: TaskRef("/do/0/a".to_owned()),
            attempt: 2,
        };
        let message = marks.acknowledged(gave(None, vec![json!({"type": "told"})]));
        assert_eq!(serde_json::from_slice::<Message>(&message.to_json()).unwrap(), message);
        assert_eq!(message.ty(), "baton.acknowledged");
    }

    #[test]
    fn values_of_any_length_name_a_place() {
        let task = TaskRef("/do/0/a".to_owned());
        assert_eq!(meeting(&task, 1, &[json!("x")]), r#"await /do/0/a 1 ["x"]"#);
        let long = |last: char| meeting(&task, 0, &[json!(format!("{}{last}", "x".repeat(5_000)))]);
        assert!(long('a').len() < 300 && long('a') != long('b'));
        assert!(is_meeting(&long('a')) && !is_meeting("place-order-17"));
    }
}
