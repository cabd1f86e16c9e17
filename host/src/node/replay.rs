//! Replays: history through a processor as a new subscription would get it, into state of its own or into nothing.

use crate::channel::Deployable;
use crate::dispatch::{RehearsalError, Replay, Replayed};
use crate::model::change::{ChannelId, ProcessorId, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::descriptor::{Start, SubscriptionAsk};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::ReplayReport;

use super::{DeployError, Node, ReadError, ResetError};

/// The most events of one dry run, whose state is nowhere but in memory.
pub const DRY_RUN_MAX: u64 = 100_000;
/// How many events one request takes through; the rest is for the next.
const PART_MAX: u64 = 20_000;
/// The most events that one answer shows.
pub const SHOWN_MAX: usize = 1_000;

/// What is wanted of a replay.
#[derive(Clone, Debug)]
pub struct ReplayWish {
    /// The channel; it need not be said of a processor that reads one.
    pub channel: Option<ChannelName>,
    /// The first event.
    pub from: Start,
    /// The event behind the last.
    pub to: Start,
    /// The name for state and position; without one nothing is kept.
    pub into: Option<ProcessorName>,
    /// Whether it may act outside of its sandbox.
    pub outside: bool,
}

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It reads several channels, or none of that name.
    #[error("say which channel: '{processor}' reads {reads}")]
    Channel {
        /// The processor.
        processor: String,
        /// What it reads.
        reads: String,
    },
    /// The range is none.
    #[error("the range begins at offset {from} and ends before {to}: there is nothing between")]
    Backwards {
        /// Its begin.
        from: u64,
        /// Its end.
        to: u64,
    },
    /// The range begins before what is kept.
    #[error(
        "'{channel}' begins at offset {first}: what was before is expired; say --from {first}, or earliest"
    )]
    Expired {
        /// The channel.
        channel: String,
        /// What is left begins here.
        first: u64,
    },
    /// The range is too long for a dry run.
    #[error(
        "{count} events are too many for a dry run, whose state is in memory: at most {DRY_RUN_MAX}; say --to, or --into NAME"
    )]
    TooLong {
        /// How many there are.
        count: u64,
    },
    /// The name is another processor's, or another replay's.
    #[error("'{name}' is {what}; take another name, or remove it: baton undeploy {name} --forget")]
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        what: String,
    },
    /// There is no such place, or no such channel.
    #[error(transparent)]
    Place(#[from] ResetError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The processor cannot be run for it.
    #[error(transparent)]
    Run(#[from] RehearsalError),
    /// The processor is not known, or the replay could not be recorded.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

impl ReplayError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Channel { .. } => "channel-not-said",
            Self::Backwards { .. } => "range-backwards",
            Self::Expired { .. } => "range-expired",
            Self::TooLong { .. } => "range-too-long",
            Self::Taken { .. } => "name-taken",
            Self::Place(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Run(error) => error.code(),
            Self::Deploy(error) => error.code(),
        }
    }
}

/// A range of a channel.
struct Range {
    channel: ChannelId,
    name: ChannelName,
    from: u64,
    to: u64,
}

impl Node {
    /// Has events of the past handled by the version that runs. Of a long range a part: the report says where the next begins, and the same request
    /// again goes on there.
    pub async fn replay(&self, name: &ProcessorName, wish: ReplayWish) -> Result<ReplayReport, ReplayError> {
        let report =
            self.processor(name).ok_or_else(|| DeployError::UnknownProcessor { name: name.to_string() })?;
        let mut range = self.range(name, &report.descriptor.subscriptions, &wish).await?;
        let into = wish.into.as_ref().map(|into| self.target(name, into, &range)).transpose()?;
        let end = range.to;
        match into {
            Some((_, _, cursor)) => {
                range.from = range.from.max(cursor);
                range.to = range.to.min(range.from + PART_MAX);
            }
            None if range.to - range.from > DRY_RUN_MAX => {
                return Err(ReplayError::TooLong { count: range.to - range.from });
            }
            None => {}
        }
        let processor = self.0.domain.look(|world| world.processor_id(name.as_str())).unwrap_or_default();
        let replay = Replay {
            processor,
            channel: (range.channel, range.name.as_str().into()),
            from: range.from,
            to: range.to,
            into: into.map(|(processor, subscription, _)| (processor, subscription)),
            outside: wish.outside,
            shown_max: SHOWN_MAX,
        };
        let (dispatcher, from) = (self.0.dispatcher.clone(), range.from);
        let ran = tokio::task::spawn_blocking(move || dispatcher.replay(&replay)).await;
        let broke = |error: tokio::task::JoinError| ReadError::Journal { why: error.to_string() };
        let Replayed { next, handled, filtered, failed, emits, shown } = ran.map_err(broke)??;
        self.durable().await?;
        Ok(ReplayReport {
            processor: name.to_string(),
            digest: report.digest,
            channel: range.name.to_string(),
            into: wish.into.map(String::from),
            from,
            next: (next < end && next > from).then_some(next),
            to: end,
            handled,
            filtered,
            failed,
            emits,
            shown,
        })
    }

    async fn range(
        &self,
        processor: &ProcessorName,
        asks: &[SubscriptionAsk],
        wish: &ReplayWish,
    ) -> Result<Range, ReplayError> {
        let unsaid = || {
            let reads: Vec<_> = asks.iter().map(|ask| ask.channel.as_str()).collect();
            ReplayError::Channel { processor: processor.to_string(), reads: reads.join(", ") }
        };
        let name = match (&wish.channel, asks) {
            (Some(channel), _) if asks.iter().any(|ask| ask.channel == *channel) => channel.clone(),
            (None, [ask]) => ask.channel.clone(),
            _ => return Err(unsaid()),
        };
        let channel = self.0.domain.look(|world| world.channel_id(name.as_str())).ok_or_else(unsaid)?;
        let first = self.0.domain.channel_first(channel);
        let from = match wish.from {
            Start::Earliest => first,
            from => self.place(&name, from).await?,
        };
        let to = self.place(&name, wish.to).await?;
        match (from < first, from > to) {
            (true, _) => Err(ReplayError::Expired { channel: name.to_string(), first }),
            (_, true) => Err(ReplayError::Backwards { from, to }),
            _ => Ok(Range { channel, name, from, to }),
        }
    }

    /// Where state and position of a replay are kept: what is there already of the same replay, or something new.
    fn target(
        &self,
        processor: &ProcessorName,
        into: &ProcessorName,
        range: &Range,
    ) -> Result<(ProcessorId, SubscriptionId, u64), ReplayError> {
        let domain = &self.0.domain;
        let file = format!("replay of {processor}");
        let taken = |what: String| ReplayError::Taken { name: into.to_string(), what };
        let known = domain.look(|world| {
            let id = world.processor_id(into.as_str())?;
            let known = world.processors().get(id as usize)?;
            let deployment: Deployment = known.deployment.as_deref()?.clone();
            let subscription = world.subscription_of(id, range.channel);
            let cursor = world.subscriptions().get(subscription? as usize)?.decided.cursor();
            Some((id, deployment, known.deployed, subscription, cursor))
        });
        let source = domain.look(|world| {
            let id = world.processor_id(processor.as_str())?;
            world.processors().get(id as usize)?.deployment.as_deref().cloned()
        });
        let source = source.ok_or_else(|| DeployError::UnknownProcessor { name: processor.to_string() })?;
        match known {
            Some((id, deployment, false, Some(subscription), cursor)) if deployment.file == file => {
                match deployment.digest == source.digest {
                    true => return Ok((id, subscription, cursor)),
                    false => return Err(taken(format!("a replay through another version of '{processor}'"))),
                }
            }
            None if self.processor(into).is_none() => {}
            _ => return Err(taken("there already".to_owned())),
        }
        let mut descriptor = source.descriptor.clone();
        descriptor.name = into.clone();
        descriptor.publishes.clear();
        descriptor.schemas.clear();
        descriptor.subscriptions.retain(|ask| ask.channel == range.name);
        descriptor.subscriptions.iter_mut().for_each(|ask| ask.start = Start::Offset(range.from));
        let deployable = Deployable {
            digest: source.digest,
            descriptor,
            file,
            load_us: 0,
            cached: true,
            config: source.config,
        };
        let (id, subscription) = domain
            .begin_replay(&deployable)
            .map_err(crate::dispatch::DispatchError::from)
            .map_err(DeployError::from)?;
        Ok((id, subscription, range.from))
    }
}
