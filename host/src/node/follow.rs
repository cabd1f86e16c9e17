//! Reading a channel as it grows: durable events in order, and every offset that is left out told as a gap. A reader has
//! its own place and holds one page, and pages are read one at a time for all readers together: however many there are and
//! however slow, they take one thread's time.

use std::collections::VecDeque;

use crate::model::change::ChannelId;
use crate::model::name::ChannelName;
use crate::model::report::{Gap, GapReason, Recorded};

use super::answers::bounded_page;
use super::live::Ends;
use super::{Node, ReadError, ReadFrom};

/// The most events that a reader holds.
const READY_EVENTS_MAX: usize = 256;
/// About the most bytes of events that a reader holds.
const READY_BYTES_MAX: usize = 256 << 10;

/// What comes next on a channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// An event.
    Event(Recorded),
    /// Events that are left out; the next one comes from behind them.
    Gap(Gap),
}

/// A place on a channel that goes on with it.
pub struct Follower {
    node: Node,
    ends: Ends,
    name: ChannelName,
    channel: ChannelId,
    /// The offset behind the last one that was given.
    next: u64,
    behind_max: Option<u64>,
    ready: VecDeque<Recorded>,
}

impl Node {
    /// Follows a channel from a place on. `behind_max` is for a reader that would rather miss events than see old ones: how
    /// many events it may be behind; without it a slow reader gets everything, late. Needs the asynchronous runtime.
    pub fn follow(
        &self,
        name: &ChannelName,
        from: ReadFrom,
        behind_max: Option<u64>,
    ) -> Result<Follower, ReadError> {
        let domain = &self.0.domain;
        let unknown = || ReadError::UnknownChannel { name: name.to_string() };
        let channel = domain.look(|world| world.channel_id(name.as_str())).ok_or_else(unknown)?;
        let end = domain.channel_end(channel);
        let next = match from {
            ReadFrom::Earliest => domain.channel_first(channel),
            ReadFrom::Offset(offset) if offset > end => {
                return Err(ReadError::AheadOfEnd { name: name.to_string(), offset, end });
            }
            ReadFrom::Offset(offset) => offset,
            ReadFrom::Latest => end,
        };
        let ends = self.0.live.ends(domain);
        Ok(Follower {
            node: self.clone(),
            ends,
            name: name.clone(),
            channel,
            next,
            behind_max,
            ready: VecDeque::new(),
        })
    }
}

impl Follower {
    /// The next event or gap, as soon as it is durable. Nothing is lost when the call is dropped.
    pub async fn next(&mut self) -> Result<Followed, ReadError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.next = event.offset + 1;
                return Ok(Followed::Event(event));
            }
            let end = self.ends.past(self.channel, self.next).await?;
            if let Some(gap) = self.expired().or_else(|| self.gap(end)) {
                self.next = gap.to + 1;
                return Ok(Followed::Gap(gap));
            }
            self.ready = self.read().await?;
        }
    }

    fn expired(&self) -> Option<Gap> {
        let first = self.node.0.domain.channel_first(self.channel);
        let to = first.checked_sub(1).filter(|to| *to >= self.next)?;
        let (channel, from) = (self.name.to_string(), self.next);
        Some(Gap { channel, from, to, count: to - from + 1, reason: GapReason::Expired })
    }

    fn gap(&self, end: u64) -> Option<Gap> {
        let wanted = self.behind_max.map_or(0, |most| end.saturating_sub(most));
        let to = wanted.checked_sub(1).filter(|to| *to >= self.next)?;
        let (channel, from) = (self.name.to_string(), self.next);
        Some(Gap { channel, from, to, count: to - from + 1, reason: GapReason::Behind })
    }

    async fn read(&self) -> Result<VecDeque<Recorded>, ReadError> {
        let _turn = self.node.0.live.turn().await;
        let (domain, channel, next) = (self.node.0.domain.clone(), self.channel, self.next);
        let read = move || bounded_page(&domain, channel, next, READY_EVENTS_MAX, READY_BYTES_MAX);
        let page = tokio::task::spawn_blocking(read).await;
        let page = page.map_err(|error| ReadError::Journal { why: error.to_string() })?;
        page.map(VecDeque::from)
    }
}
