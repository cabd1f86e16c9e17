//! What of a channel is due to expire by age and size, what holds it back, and the frame that makes it so. It removes no file: see
//! `trim`.

use crate::model::change::{ChannelId, Control, Draft, SubscriptionId};
use crate::model::name::ChannelName;
use crate::model::retention::Retention;
use crate::model::upkeep::HeldBack;
use crate::view::reports::is_read;
use crate::view::world::World;

use super::reader::ReadError;
use super::sizes::Sizes;
use super::{Domain, Refused, Sequenced};

/// A channel of which something is due.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub channel: ChannelId,
    pub name: ChannelName,
    pub retention: Retention,
    /// The oldest offset now.
    pub first: u64,
    /// The oldest offset that age and size leave.
    pub due: u64,
    /// The oldest offset that the subscriptions of deployed processors leave besides.
    pub to: u64,
    /// When the newest event before `to` was recorded; 0 without one.
    pub until_ms: u64,
    /// Who has not decided all before `due`.
    pub held_back: Vec<HeldBack>,
}

impl Domain {
    /// What is due in all channels at this time, those without anything left out.
    pub(super) fn due(&self, sizes: &mut Sizes) -> Result<Vec<Due>, ReadError> {
        let rules = self.0.upkeep.rules();
        let channels: Vec<_> = self.look(|world| {
            let channels = (0..).zip(world.channels());
            channels.map(|(id, channel)| (id, channel.name.clone(), channel.first, channel.next)).collect()
        });
        let mut all = Vec::new();
        for (channel, name, first, next) in channels {
            let retention = rules.of(&name);
            let by_age = self.due_by_age(channel, retention)?;
            let by_size = match retention.bytes_max {
                Some(bytes_max) => sizes.start_of_last(self, channel, bytes_max)?,
                None => 0,
            };
            let due = by_age.max(by_size).min(next);
            if due > first {
                let due =
                    Due { channel, name, retention, first, due, to: due, until_ms: 0, held_back: Vec::new() };
                all.push(self.hold(due)?);
            }
        }
        self.0.upkeep.remember(all.iter().map(|due| (due.channel, due.due)).collect());
        Ok(all)
    }

    /// Who holds back what was due when that was last looked at: once a minute, or with a trim.
    pub fn held_back(&self) -> Vec<HeldBack> {
        let due = self.0.upkeep.remembered();
        self.look(|world| due.into_iter().flat_map(|(channel, due)| behind(world, channel, due)).collect())
    }

    /// The lowest offset whose event is young enough.
    fn due_by_age(&self, channel: ChannelId, retention: Retention) -> Result<u64, ReadError> {
        match retention.age_ms_max {
            Some(age_ms_max) => self.offset_at(channel, self.now_ms().saturating_sub(age_ms_max)),
            None => Ok(0),
        }
    }

    fn hold(&self, due: Due) -> Result<Due, ReadError> {
        let held_back = self.look(|world| behind(world, due.channel, due.due));
        let to = held_back.iter().map(|held| held.cursor).fold(due.due, u64::min).max(due.first);
        let newest = match to > due.first {
            true => self.event_at(due.channel, to - 1)?,
            false => None,
        };
        Ok(Due { to, until_ms: newest.map_or(0, |event| event.time_ms), held_back, ..due })
    }

    /// Makes it so, up to where the subscriptions of deployed processors are by now. Says whether anything expired.
    pub(super) fn expire(&self, due: &Due) -> Result<Option<Sequenced>, Refused> {
        let mut owner = self.owner();
        let first = owner.world.channels().get(due.channel as usize).map_or(0, |channel| channel.first);
        let behind = behind(&owner.world, due.channel, due.to);
        let to = behind.iter().map(|held| held.cursor).fold(due.to, u64::min);
        if to <= first {
            return Ok(None);
        }
        let expired = Control::Expired { channel: due.channel, to, until_ms: due.until_ms };
        Ok(Some(self.0.sequence(&mut owner, Draft::of(&expired))?.0))
    }
}

/// The subscriptions that are read and have not decided all before an offset. One that is not read holds nothing back.
fn behind(world: &World, channel: ChannelId, due: u64) -> Vec<HeldBack> {
    let Some(channel) = world.channels().get(channel as usize) else { return Vec::new() };
    let name = channel.name.as_str();
    let held = |id: &SubscriptionId| {
        let subscription = world.subscriptions().get(*id as usize)?;
        let processor = world.processors().get(subscription.processor as usize)?.name.to_string();
        let cursor = world.needed_from(*id).unwrap_or_else(|| subscription.decided.cursor());
        (cursor < due).then(|| HeldBack { processor, channel: name.to_owned(), cursor, events: due - cursor })
    };
    channel.subscriptions.iter().filter(|id| is_read(world, **id)).filter_map(held).collect()
}
