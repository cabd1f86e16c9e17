//! What the host tells of a flow, as an event on its own channel. It is a flow of its own, so that telling of a flow neither reopens
//! nor prolongs it; its subject is the flow that it tells of.

use serde_json::json;
use uuid::Uuid;

use crate::model::change::{ChannelId, Draft, ProcessorId, SubscriptionId};
use crate::model::event::Event;
use crate::model::flow::WaitsFor;
use crate::model::record::{Stamp, encode_event};
use crate::model::time::rfc3339;

/// Where what the host tells comes from.
const SOURCE: &str = "/baton/flows";
/// The name under which it is noted that a flow was told to be overdue.
pub const OVERDUE: &str = "overdue";

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is over.
    Done,
    /// It is past its deadline; it is followed on.
    Overdue,
    /// It is not over, and followed no longer: too many flows of its channel began after it.
    Unfollowed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Overdue => "overdue",
            Self::Unfollowed => "unfollowed",
        }
    }
}

/// What becomes of one flow.
pub struct Told {
    /// What is told.
    pub verdict: Verdict,
    /// The flow.
    pub flow: Uuid,
    /// The follower's subscription on the channel that the flow began on.
    pub subscription: SubscriptionId,
    /// The offset of its initiating event.
    pub offset: u64,
    /// Whether anybody is told at all.
    pub tell: bool,
    /// Whether it was told to be overdue.
    pub overdue_told: bool,
    /// The channel that it began on.
    pub channel: String,
    /// The id of its initiating event.
    pub id: String,
    /// The source of its initiating event.
    pub source: String,
    /// The subject of its initiating event.
    pub subject: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// When the latest thing of it was recorded.
    pub latest_ms: u64,
    /// When this is told.
    pub now_ms: u64,
    /// How many events it has.
    pub events: u64,
    /// Whether something of it is held.
    pub held: bool,
    /// What is left of it to do.
    pub waits_for: Vec<WaitsFor>,
}

impl Told {
    /// Adds what is told, and that it was.
    pub fn draft(&self, draft: &mut Draft, follower: ProcessorId, channel: ChannelId) {
        let key = self.flow.to_string();
        match self.verdict {
            Verdict::Overdue if self.tell => draft.state_set(follower, &key, OVERDUE, 0, b"true"),
            Verdict::Overdue => {}
            Verdict::Done | Verdict::Unfollowed => {
                // Under no flow: what the host decides is no part of the flow.
                draft.decided(self.subscription, self.offset, Uuid::nil());
                if self.overdue_told {
                    draft.state_delete(follower, &key, OVERDUE);
                }
            }
        }
        if self.tell {
            let stamp = Stamp { flow: self.own_flow(), cause: None, causationid: None, hops: 0 };
            draft.event(channel, |out| encode_event(out, &self.event(), &stamp));
        }
    }

    fn event(&self) -> Event {
        let word = self.verdict.as_str();
        Event {
            id: format!("{}-{word}", self.flow),
            source: SOURCE.to_owned(),
            ty: format!("baton.flow.{word}"),
            subject: Some(self.flow.to_string()),
            time: Some(rfc3339(self.now_ms)),
            datacontenttype: Some("application/json".to_owned()),
            data: Some(self.data().to_string().into()),
            ..Event::default()
        }
    }

    fn data(&self) -> serde_json::Value {
        let state = match (self.verdict, self.held) {
            (Verdict::Done, _) => "done",
            (_, true) => "stuck",
            (Verdict::Overdue, false) => "overdue",
            (Verdict::Unfollowed, false) => "open",
        };
        let ended_ms = if self.verdict == Verdict::Done { self.latest_ms } else { self.now_ms };
        json!({
            "flow": self.flow,
            "state": state,
            "channel": self.channel,
            "offset": self.offset,
            "id": self.id,
            "source": self.source,
            "subject": self.subject,
            "started": rfc3339(self.started_ms),
            "ended": (self.verdict == Verdict::Done).then(|| rfc3339(ended_ms)),
            "duration_us": ended_ms.saturating_sub(self.started_ms) * 1000,
            "events": self.events,
            "waits_for": self.waits_for,
        })
    }

    fn own_flow(&self) -> Uuid {
        let nanos = (self.now_ms % 1000) as u32 * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, self.now_ms / 1000, nanos))
    }
}
