//! Subscriptions: where they are, and taking one to another place.

use crate::channel::Reset;
use crate::model::change::SubscriptionId;
use crate::model::descriptor::Start;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{ResetReport, StateFate, SubscriptionReport};
use crate::view::decided::Decided;
use crate::view::world::World;

use super::{DeployError, Node, ReadError};

/// What is wanted of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetWish {
    /// Where the subscription goes.
    pub to: Start,
    /// Whether the processor's state is deleted; it has to be said where there is state.
    pub clear_state: Option<bool>,
    /// Only tell what would happen.
    pub dry_run: bool,
}

/// Why a subscription stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// The processor does not read the channel.
    #[error("'{processor}' has no subscription on '{channel}'; it reads: {reads}")]
    UnknownSubscription {
        /// The processor.
        processor: String,
        /// The channel that was asked for.
        channel: String,
        /// The channels that it reads.
        reads: String,
    },
    /// There is no such place.
    #[error("{0}")]
    BadPosition(String),
    /// There is state, and nobody said what becomes of it.
    #[error(
        "'{processor}' keeps state, which counts what it handled: say whether it is kept or cleared \
         (--keep-state or --clear-state, state=keep or state=clear)"
    )]
    StateUndecided {
        /// The processor.
        processor: String,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The processor is not known, or the reset could not be recorded.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

impl ResetError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownSubscription { .. } => "unknown-subscription",
            Self::BadPosition(_) => "bad-position",
            Self::StateUndecided { .. } => "state-undecided",
            Self::Read(error) => error.code(),
            Self::Deploy(error) => error.code(),
        }
    }
}

impl Node {
    /// All subscriptions of deployed and undeployed processors, or those of one, by processor and channel.
    pub fn subscriptions(
        &self,
        processor: Option<&ProcessorName>,
    ) -> Result<Vec<SubscriptionReport>, DeployError> {
        let processors = match processor {
            None => self.processors(),
            Some(name) => vec![
                self.processor(name)
                    .ok_or_else(|| DeployError::UnknownProcessor { name: name.to_string() })?,
            ],
        };
        let mut all: Vec<_> = processors.into_iter().flat_map(|report| report.subscriptions).collect();
        all.sort_by(|a, b| (&a.processor, &a.channel).cmp(&(&b.processor, &b.channel)));
        Ok(all)
    }

    /// Takes a subscription to another place: in one frame its position, what it held, and if it is so wanted the
    /// processor's state. Events that were handled before are handled again, and what they cause are new events.
    pub async fn reset_subscription(
        &self,
        processor: &ProcessorName,
        channel: &ChannelName,
        wish: ResetWish,
    ) -> Result<ResetReport, ResetError> {
        let id = self.subscription(processor, channel)?;
        let to = self.place(channel, wish.to).await?;
        let mut report = self.0.domain.look(|world| foretell(world, id, to)).unwrap_or_default();
        report.dry_run = wish.dry_run;
        report.state = match (report.state, wish.clear_state) {
            (StateFate::None, _) => StateFate::None,
            (_, Some(true)) => StateFate::Cleared,
            (_, Some(false)) => StateFate::Kept,
            (_, None) if wish.dry_run => StateFate::Undecided,
            _ => return Err(ResetError::StateUndecided { processor: processor.to_string() }),
        };
        if !wish.dry_run {
            let latest = wish.to == Start::Latest;
            let clear_state = wish.clear_state == Some(true);
            let reset = Reset { subscription: id, to: (!latest).then_some(to), clear_state };
            report.generation = self.carry_out(processor, reset).await?;
        }
        Ok(report)
    }

    fn subscription(
        &self,
        processor: &ProcessorName,
        channel: &ChannelName,
    ) -> Result<SubscriptionId, ResetError> {
        let report = self
            .processor(processor)
            .ok_or_else(|| DeployError::UnknownProcessor { name: processor.to_string() })?;
        let id = self.0.domain.look(|world| {
            let processor = world.processor_id(processor.as_str())?;
            world.subscription_of(processor, world.channel_id(channel.as_str())?)
        });
        id.ok_or_else(|| {
            let reads: Vec<_> = report.subscriptions.iter().map(|one| one.channel.as_str()).collect();
            ResetError::UnknownSubscription {
                processor: processor.to_string(),
                channel: channel.to_string(),
                reads: reads.join(", "),
            }
        })
    }

    /// Resolves a place to an offset.
    pub(super) async fn place(&self, channel: &ChannelName, to: Start) -> Result<u64, ResetError> {
        let domain = self.0.domain.clone();
        let unknown = || ReadError::UnknownChannel { name: channel.to_string() };
        let id = domain.look(|world| world.channel_id(channel.as_str())).ok_or_else(unknown)?;
        let end = domain.channel_end(id);
        match to {
            Start::Earliest => Ok(0),
            Start::Latest => Ok(end),
            Start::Offset(offset) if offset <= end => Ok(offset),
            Start::Offset(offset) => Err(ResetError::BadPosition(format!(
                "'{channel}' ends before offset {offset}: the next event gets {end}; choose 0 to {end}"
            ))),
            Start::Time(time) if time.0 > self.0.clock.now_ms() => Err(ResetError::BadPosition(format!(
                "{} is still to come; for what comes from now on say latest",
                String::from(time)
            ))),
            Start::Time(time) => {
                let found = tokio::task::spawn_blocking(move || domain.offset_at(id, time.0)).await;
                Ok(found.map_err(|error| ReadError::Journal { why: error.to_string() })??)
            }
        }
    }

    async fn carry_out(&self, processor: &ProcessorName, reset: Reset) -> Result<Option<u64>, ResetError> {
        let (dispatcher, name) = (self.0.dispatcher.clone(), processor.clone());
        let done = tokio::task::spawn_blocking(move || dispatcher.reset(&name, reset)).await;
        let deployment = match done {
            Ok(done) => done.map_err(DeployError::from)?,
            Err(error) => {
                let (code, message) = ("host-failed".to_owned(), error.to_string());
                return Err(DeployError::Failed { code, message }.into());
            }
        };
        self.until_durable().await?;
        Ok(deployment.map(|deployment| deployment.generation))
    }
}

/// What a reset to an offset does; where there is state, it would be kept.
fn foretell(world: &World, id: SubscriptionId, to: u64) -> Option<ResetReport> {
    let subscription = world.subscriptions().get(id as usize)?;
    let processor = world.processors().get(subscription.processor as usize)?;
    let channel = world.channels().get(subscription.channel as usize)?;
    let (start, decided) = (subscription.start, &subscription.decided);
    let again = decided_from(decided, to.max(start));
    let decided_before = decided_from(decided, start) - again;
    Some(ResetReport {
        processor: processor.name.to_string(),
        channel: channel.name.to_string(),
        from: decided.cursor(),
        to,
        comes: channel.next.saturating_sub(to),
        again,
        passed_over: to.saturating_sub(start).saturating_sub(decided_before),
        held: processor.held.range((id, 0)..=(id, u64::MAX)).count() as u64,
        dead: world.dead().of(id, 0).count() as u64,
        state: if processor.state.is_empty() { StateFate::None } else { StateFate::Kept },
        ..ResetReport::default()
    })
}

/// How many offsets from one on are decided.
fn decided_from(decided: &Decided, from: u64) -> u64 {
    let above = decided.ahead_offsets().filter(|offset| *offset >= from).count() as u64;
    decided.cursor().saturating_sub(from) + above
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decided_offsets_are_counted_from_anywhere() {
        let mut decided = Decided::from(10);
        for offset in [10, 11, 13, 20] {
            decided.insert(offset);
        }
        for (from, count) in [(10, 4), (11, 3), (12, 2), (14, 1), (21, 0)] {
            assert_eq!(decided_from(&decided, from), count, "{from}");
        }
    }
}
