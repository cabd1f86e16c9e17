//! Where a time stands in a channel. It reads the journal without the owner's lock: what was recorded stays where it is.

use std::collections::BTreeMap;

use crate::model::change::ChannelId;
use crate::model::descriptor::{Descriptor, Start};
use crate::model::name::ChannelName;

use super::Domain;
use super::reader::ReadError;

/// Resolved starts of subscriptions that begin at a time.
pub(super) type Starts = BTreeMap<ChannelName, u64>;

impl Domain {
    /// The offset of a channel's first event that was recorded at or after a time; the next event's if there is none yet.
    /// Found by halving: where the clock was set back, it is one of the places where the times pass this one.
    pub fn offset_at(&self, channel: ChannelId, time_ms: u64) -> Result<u64, ReadError> {
        let mut places = self.places(channel);
        let (mut low, mut high) = (self.channel_first(channel), self.channel_end(channel));
        while low < high {
            let middle = low + (high - low) / 2;
            match places.at(middle)? {
                Some(item) if item.time_ms < time_ms => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The starts of a descriptor that are times, for channels that exist.
    pub(super) fn starts(&self, descriptor: &Descriptor) -> Result<Starts, ReadError> {
        let mut starts = Starts::new();
        for ask in &descriptor.subscriptions {
            let Start::Time(time) = ask.start else { continue };
            if let Some(channel) = self.look(|world| world.channel_id(ask.channel.as_str())) {
                starts.insert(ask.channel.clone(), self.offset_at(channel, time.0)?);
            }
        }
        Ok(starts)
    }
}
