//! The events of one frame by channel: first offset and count. Offsets of a channel follow one another within a frame.

use super::change::{Change, Changes, ChannelId};

/// The events of one frame by channel, in the order of their first events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

/// The events of one channel in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The channel.
    pub channel: ChannelId,
    /// The offset of its first event there.
    pub first: u64,
    /// How many there are.
    pub count: u64,
}

impl Run {
    /// The offset behind the last one.
    pub fn end(&self) -> u64 {
        self.first + self.count
    }
}

impl Runs {
    /// Those of a frame that has its offsets.
    pub fn of(body: &[u8]) -> Self {
        let mut runs = Self::default();
        for change in Changes::new(body).map_while(Result::ok) {
            if let Change::Event { channel, offset, .. } = change {
                runs.next(channel, || offset);
            }
        }
        runs
    }

    /// The offset of the next event of a channel; `first` says that of its first one.
    pub fn next(&mut self, channel: ChannelId, first: impl FnOnce() -> u64) -> u64 {
        if let Some(run) = self.0.iter_mut().find(|run| run.channel == channel) {
            run.count += 1;
            return run.end() - 1;
        }
        let first = first();
        self.0.push(Run { channel, first, count: 1 });
        first
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Run> {
        self.0.iter()
    }

    /// Whether the frame has no events.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::Draft;
    use crate::model::event::Event;
    use crate::model::record::{Stamp, encode_event};
    use uuid::Uuid;

    #[test]
    fn a_body_says_the_runs_that_it_was_finished_with() {
        let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
        let mut draft = Draft::default();
        for channel in [4, 2, 4, 4] {
            draft.event(channel, |out| encode_event(out, &Event::default(), &stamp));
        }
        let mut runs = Runs::default();
        let body = draft.finish(|channel| runs.next(channel, || u64::from(channel) * 100));
        let run = |channel, first, count| Run { channel, first, count };
        assert_eq!(runs, Runs(vec![run(4, 400, 3), run(2, 200, 1)]));
        assert_eq!(Runs::of(&body), runs);
    }
}
