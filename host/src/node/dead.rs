//! Dead letters: which there are, having them handled again, giving them up; and letting one flow go on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use uuid::Uuid;

use crate::channel::{Domain, Upset};
use crate::dispatch::RehearsalError;
use crate::model::change::{ProcessorId, SubscriptionId};
use crate::model::dead::{DeadDone, DeadGroup, DeadPage, DeadPlace, DeadReport, DeadRest};
use crate::model::fault::FaultKind;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Operator;
use crate::model::rehearsal::Rehearsal;
use crate::model::time::rfc3339;
use crate::view::failed::{Dead, EventRef};
use crate::view::world::World;

use super::{DeployError, Node};

/// The most letters of one page.
pub const DEAD_PAGE_MAX: usize = 1_000;
/// The most groups of one page.
const GROUPS_MAX: usize = 200;
/// The most events that one dry run rehearses.
pub const REHEARSED_MAX: usize = 100;

/// A dead letter with its place.
type Letter = (EventRef, Arc<Dead>);

/// Which dead letters are meant; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadWish {
    /// Those of this processor.
    pub processor: Option<ProcessorName>,
    /// Those of events of this channel.
    pub channel: Option<ChannelName>,
    /// That of the event at this offset.
    pub offset: Option<u64>,
    /// Those of this flow.
    pub flow: Option<Uuid>,
    /// Those whose last fault is of this kind.
    pub kind: Option<FaultKind>,
    /// Those of this group.
    pub group: Option<String>,
}

/// How many of them; the oldest go first.
#[derive(Clone, Copy, Debug)]
pub struct DeadPart {
    /// At most so many.
    pub limit: usize,
    /// What an earlier part left of them; all without it.
    pub rest: Option<DeadRest>,
}

impl DeadPart {
    /// All of them.
    pub const ALL: Self = Self { limit: usize::MAX, rest: None };
}

/// Why nothing was done with dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// There are none of those.
    #[error("there is no such dead letter; `baton dead ls` shows those that there are")]
    None,
    /// One of them changed meanwhile.
    #[error(transparent)]
    Upset(#[from] Upset),
    /// The processor is not known, or the host could not do it.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// It cannot be rehearsed.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
}

impl DeadError {
    /// The stable code.
    pub fn code(&self) -> String {
        match self {
            Self::None => "no-dead-letter".to_owned(),
            Self::Upset(error) => error.code().to_owned(),
            Self::Deploy(error) => error.code().to_owned(),
            Self::Rehearsal(error) => error.code().to_owned(),
        }
    }
}

impl DeadWish {
    fn fits(&self, names: &Names, (event, dead): &Letter) -> bool {
        let Some(place) = names.get(&event.0) else { return false };
        let kind = dead.attempts.last().map(|fault| fault.kind);
        dead.redriven.is_none()
            && self.processor.as_ref().is_none_or(|wanted| *wanted == place.processor)
            && self.channel.as_ref().is_none_or(|wanted| *wanted == place.channel)
            && self.offset.is_none_or(|wanted| wanted == event.1)
            && self.flow.is_none_or(|wanted| wanted == dead.flow)
            && self.kind.is_none_or(|wanted| Some(wanted) == kind)
            && self.group.as_ref().is_none_or(|wanted| *wanted == dead.group)
    }

    /// Those that are meant. The domain is held up only as long as it takes to note which there are.
    fn find(&self, domain: &Domain) -> (Vec<Letter>, Names) {
        let (mut letters, names) = domain.look(|world| {
            let letters: Vec<Letter> =
                world.dead().iter().map(|(event, dead)| (event, dead.clone())).collect();
            (letters, names(world))
        });
        letters.retain(|letter| self.fits(&names, letter));
        (letters, names)
    }
}

/// Whose subscription of which channel it is.
struct Place {
    processor: ProcessorName,
    channel: ChannelName,
}

type Names = BTreeMap<SubscriptionId, Place>;

/// The names of all subscriptions that have a dead letter.
fn names(world: &World) -> Names {
    let mut names = Names::new();
    for ((id, _), _) in world.dead().iter() {
        if let Entry::Vacant(vacant) = names.entry(id)
            && let Some(place) = place(world, id)
        {
            vacant.insert(place);
        }
    }
    names
}

fn place(world: &World, id: SubscriptionId) -> Option<Place> {
    let subscription = world.subscriptions().get(id as usize)?;
    let processor = world.processors().get(subscription.processor as usize)?.name.clone();
    let channel = world.channels().get(subscription.channel as usize)?.name.clone();
    Some(Place { processor, channel })
}

impl Node {
    /// Dead letters: all groups of those that are meant, and a page of them behind `after`.
    pub async fn dead(
        &self,
        wish: &DeadWish,
        after: Option<EventRef>,
        limit: usize,
    ) -> Result<DeadPage, DeadError> {
        self.known(wish.processor.as_ref())?;
        let (found, names) = wish.find(&self.0.domain);
        let behind = found.iter().skip_while(|(event, _)| after.is_some_and(|after| *event <= after));
        let shown: Vec<_> = behind.take(limit.min(DEAD_PAGE_MAX)).collect();
        let last = shown.last().map(|(event, _)| *event);
        let more = last.filter(|last| found.last().is_some_and(|(event, _)| event > last));
        let page = DeadPage {
            count: found.len() as u64,
            groups: groups(&names, &found),
            letters: shown.into_iter().filter_map(|letter| report(&names, letter)).collect(),
            next: more.map(|(subscription, offset)| format!("{subscription}-{offset}")),
        };
        self.durable().await?;
        Ok(page)
    }

    /// Has dead letters handled again by the version that runs, each at the end of its key. It is durable when this returns.
    pub async fn redrive(&self, wish: &DeadWish, part: DeadPart) -> Result<DeadDone, DeadError> {
        let Meant { events, next } = self.meant(wish, part)?;
        let redriven = self.0.domain.redrive(&events)?;
        redriven.into_iter().for_each(|processor| self.0.dispatcher.revived(processor));
        self.durable().await?;
        Ok(done(&events, next))
    }

    /// Says what the version that runs would do with dead letters, at most [`REHEARSED_MAX`]; nothing is kept of it.
    pub async fn rehearse(&self, wish: &DeadWish, part: DeadPart) -> Result<Vec<Rehearsal>, DeadError> {
        let limit = part.limit.min(REHEARSED_MAX);
        let Meant { events, .. } = self.meant(wish, DeadPart { limit, ..part })?;
        let node = self.clone();
        let rehearse = move || {
            let processor = |event: &EventRef| {
                node.0.domain.look(|world| world.subscriptions().get(event.0 as usize).map(|s| s.processor))
            };
            let of = |event| node.0.dispatcher.rehearse(processor(&event).unwrap_or(ProcessorId::MAX), event);
            events.into_iter().map(of).collect::<Result<Vec<_>, _>>()
        };
        let rehearsed = tokio::task::spawn_blocking(rehearse).await;
        let failed = |error: tokio::task::JoinError| DeployError::Failed {
            code: "host-failed".to_owned(),
            message: error.to_string(),
        };
        Ok(rehearsed.map_err(failed)??)
    }

    /// Gives dead letters up for good, and an event that holds its key if it is named by its place.
    pub async fn discard(
        &self,
        wish: &DeadWish,
        part: DeadPart,
        by: Operator,
    ) -> Result<DeadDone, DeadError> {
        let Meant { events, next } = match self.meant(wish, part) {
            Err(DeadError::None) => {
                Meant { events: vec![self.held(wish).ok_or(DeadError::None)?], next: None }
            }
            meant => meant?,
        };
        let discarded = self.0.domain.discard(&events, by)?;
        discarded.into_iter().for_each(|processor| self.0.dispatcher.revived(processor));
        self.durable().await?;
        Ok(done(&events, next))
    }

    /// Lets a flow go on: has its dead letters handled again, and tries at once what of it is parked or held.
    pub async fn resume_flow(&self, flow: Uuid) -> Result<DeadDone, DeadError> {
        let wish = DeadWish { flow: Some(flow), ..DeadWish::default() };
        let count = match self.redrive(&wish, DeadPart::ALL).await {
            Ok(done) => done.count,
            Err(DeadError::None) => 0,
            Err(error) => return Err(error),
        };
        let failed: BTreeMap<ProcessorId, Vec<EventRef>> = self.0.domain.look(|world| {
            let of = |processor: &crate::view::world::Processor| {
                let held = processor.held.iter().filter(|(_, held)| held.flow == flow);
                held.map(|(event, _)| *event).collect::<Vec<_>>()
            };
            let all = (0..).zip(world.processors()).map(|(id, processor)| (id, of(processor)));
            all.filter(|(_, events)| !events.is_empty()).collect()
        });
        let released = failed.values().map(Vec::len).sum::<usize>() as u64;
        if count + released == 0 {
            return Err(DeadError::None);
        }
        for (processor, events) in failed {
            self.0.domain.release_events(processor, events).map_err(Upset::Refused)?;
            self.0.dispatcher.revived(processor);
        }
        self.durable().await?;
        Ok(DeadDone { count, released, ..DeadDone::default() })
    }

    fn known(&self, processor: Option<&ProcessorName>) -> Result<(), DeadError> {
        let Some(name) = processor else { return Ok(()) };
        let known = self.0.domain.look(|world| world.processor_id(name.as_str()).is_some());
        let unknown = || DeployError::UnknownProcessor { name: name.to_string() };
        known.then_some(()).ok_or_else(unknown).map_err(DeadError::from)
    }

    /// The events that are meant, in the order of the journal.
    fn meant(&self, wish: &DeadWish, DeadPart { limit, rest }: DeadPart) -> Result<Meant, DeadError> {
        self.known(wish.processor.as_ref())?;
        let (mut found, _) = wish.find(&self.0.domain);
        found.retain(|(event, dead)| rest.is_none_or(|rest| rest.contains(dead.position, event.0)));
        found.sort_by_key(|(event, dead)| (dead.position, event.0));
        let last = found.last().map_or(0, |(_, dead)| dead.position);
        let is_all = found.len() <= limit;
        found.truncate(limit);
        let (event, dead) = found.last().ok_or(DeadError::None)?;
        let next = DeadRest { after: (dead.position, event.0), until: rest.map_or(last, |rest| rest.until) };
        let next = (!is_all).then_some(next);
        Ok(Meant { events: found.into_iter().map(|(event, _)| event).collect(), next })
    }

    fn held(&self, wish: &DeadWish) -> Option<EventRef> {
        let (processor, channel, offset) = (wish.processor.as_ref()?, wish.channel.as_ref()?, wish.offset?);
        self.0.domain.look(|world| {
            let id = world.processor_id(processor.as_str())?;
            let event = (world.subscription_of(id, world.channel_id(channel.as_str())?)?, offset);
            let held = world.processors().get(id as usize)?.held.get(&event)?;
            held.again.is_none().then_some(event)
        })
    }
}

/// Events that are meant, and what is left of them behind a limit.
struct Meant {
    events: Vec<EventRef>,
    next: Option<DeadRest>,
}

fn done(events: &[EventRef], next: Option<DeadRest>) -> DeadDone {
    let next = next.map(|next| next.to_string());
    DeadDone { count: events.len() as u64, next, ..DeadDone::default() }
}

fn report(names: &Names, ((id, offset), dead): &Letter) -> Option<DeadReport> {
    let Place { processor, channel } = names.get(id)?;
    Some(DeadReport {
        processor: processor.to_string(),
        channel: channel.to_string(),
        offset: *offset,
        flow: dead.flow.to_string(),
        key: dead.key.clone(),
        died: rfc3339(dead.died_ms()),
        group: dead.group.clone(),
        attempts_count: dead.count,
        attempts: dead.attempts.clone(),
    })
}

fn groups(names: &Names, found: &[Letter]) -> Vec<DeadGroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Letter>> = BTreeMap::new();
    for letter in found {
        let processor = names.get(&letter.0.0).map_or("", |place| place.processor.as_str());
        groups.entry((&letter.1.group, processor)).or_default().push(letter);
    }
    let group = |letters: Vec<&Letter>| {
        let last = letters.iter().max_by_key(|(_, dead)| dead.died_ms())?;
        let first_ms = letters.iter().map(|(_, dead)| dead.died_ms()).min()?;
        let Place { processor, channel } = names.get(&last.0.0)?;
        Some(DeadGroup {
            group: last.1.group.clone(),
            processor: processor.to_string(),
            count: letters.len() as u64,
            fault: last.1.attempts.last()?.clone(),
            first: rfc3339(first_ms),
            last: rfc3339(last.1.died_ms()),
            example: DeadPlace { channel: channel.to_string(), offset: last.0.1 },
        })
    };
    let mut groups: Vec<_> = groups.into_values().filter_map(group).collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.group.cmp(&b.group)));
    groups.truncate(GROUPS_MAX);
    groups
}
