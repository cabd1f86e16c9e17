//! Messages of the host to a mediator: what an operator says to a run, and timers that are due.

use uuid::Uuid;

use crate::model::change::{ChannelId, Draft};
use crate::model::name::ChannelName;
use crate::model::operation::Operator;
use crate::model::record::{ExtensionKind, Parts, Stamp, encode};
use crate::model::time::rfc3339;
use crate::model::workflow::post::{Message, RUN, STEP, inbox_of};

use super::publish::new_flow;
use super::{Domain, Refused};

/// The extension that says by which way an operator spoke.
const BY: &str = "batonby";

/// A message to a run, and what it belongs to.
pub(super) struct Post<'a> {
    pub inbox: ChannelId,
    pub mediator: &'a str,
    pub run: &'a str,
    /// The task that it is about.
    pub task: &'a str,
    pub by: Option<Operator>,
    pub id: &'a str,
    pub stamp: Stamp<'a>,
    pub message: &'a Message,
}

impl Post<'_> {
    /// Puts it into the inbox.
    pub fn draft(&self, draft: &mut Draft, now_ms: u64) {
        let (time, data) = (rfc3339(now_ms), self.message.to_json());
        let source = format!("/mediators/{}", self.mediator);
        let parts = Parts {
            id: self.id,
            source: &source,
            ty: self.message.ty(),
            partitionkey: Some(self.run),
            datacontenttype: Some("application/json"),
            time: Some(&time),
            data: Some(&data),
            ..Parts::default()
        };
        let by = self.by.map(Operator::as_str);
        let marks = [(RUN, Some(self.run)), (STEP, Some(self.task)), (BY, by)];
        let marks = marks.into_iter().filter_map(|(name, value)| Some((name, ExtensionKind::Text, value?)));
        let marks = marks.filter(|(.., value)| !value.is_empty());
        draft.event(self.inbox, |out| encode(out, &parts, &self.stamp, marks));
    }
}

impl Domain {
    /// Puts what an operator says to a run into the inbox of its mediator, at once, however much there waits. Gives its number there, if there is
    /// such an inbox. `cause` is the position of the event that started the run.
    pub fn tell_run(
        &self,
        mediator: &str,
        (run, flow, cause): (&str, Uuid, Option<u64>),
        message: &Message,
        by: Operator,
    ) -> Result<Option<u64>, Refused> {
        let now_ms = self.now_ms();
        let inbox = ChannelName::new(inbox_of(mediator)).ok();
        let Some(inbox) = inbox.and_then(|inbox| self.number_of(&inbox)) else { return Ok(None) };
        let id = new_flow(now_ms).to_string();
        let stamp = Stamp { flow, cause, causationid: None, hops: 0 };
        let post = Post { inbox, mediator, run, task: "", by: Some(by), id: &id, stamp, message };
        let mut draft = Draft::default();
        post.draft(&mut draft, now_ms);
        let mut owner = self.owner();
        let (_, runs) = self.0.sequence(&mut owner, draft)?;
        let woken = owner.readers_of(&runs);
        self.give_back(owner);
        self.wake(woken);
        Ok(runs.iter().next().map(|run| run.first))
    }
}
