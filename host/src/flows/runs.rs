//! Runs of workflows, as far as flows wait for them: a flow with a run in progress is not done, although nothing of it may be left to decide.

use std::sync::Arc;

use hashbrown::HashSet;
use uuid::Uuid;

use crate::mediator::{ABOUT, About, Brief, Point, WaitingFor, look_through};
use crate::model::change::ChannelId;
use crate::model::record::Record;
use crate::model::workflow::post::{inbox_of, is_meeting};
use crate::model::workflow::run::Status;
use crate::view::state::ProcessorState;
use crate::view::world::World;

/// The mediators of a domain.
#[derive(Default)]
pub struct Mediators(Vec<One>);

struct One {
    name: String,
    inbox: Option<ChannelId>,
    queue: Option<ChannelId>,
    state: Arc<ProcessorState>,
}

/// A run in progress.
pub struct InProgress {
    /// Whether it failed, and nothing follows until somebody looks.
    pub faulted: bool,
    /// What it waits for.
    pub reason: String,
}

impl Mediators {
    /// Those that there are.
    pub fn of(world: &World) -> Self {
        let mediators = world.processors().iter().filter_map(|processor| {
            let descriptor = &processor.deployment.as_ref()?.descriptor;
            descriptor.is_mediator().then(|| One {
                name: processor.name.to_string(),
                inbox: world.channel_id(&inbox_of(processor.name.as_str())),
                queue: descriptor.event_queue().and_then(|queue| world.channel_id(queue.as_str())),
                state: processor.state.clone(),
            })
        });
        Self(mediators.collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The run that an event starts or tells something.
    pub fn run_of(&self, channel: ChannelId, position: u64, record: &Record<'_>) -> Option<String> {
        let is_of = |one: &&One| one.inbox == Some(channel) || one.queue == Some(channel);
        let one = self.0.iter().find(is_of)?;
        match record.parts.partitionkey {
            Some(run) if one.inbox == Some(channel) => (!is_meeting(run)).then(|| run.to_owned()),
            _ if one.queue == Some(channel) => Some(format!("{}-{position}", one.name)),
            _ => None,
        }
    }

    /// How a run is, if it is in progress.
    pub fn in_progress(&self, run: &str, now_ms: u64) -> Option<InProgress> {
        let (name, _) = run.rsplit_once('-')?;
        let one = self.0.iter().find(|one| one.name == name)?;
        let about = one.state.get(run, ABOUT, now_ms)?;
        let about: About = serde_json::from_slice(&about.bytes).ok()?;
        (!about.over)
            .then(|| InProgress { faulted: about.status == Status::Faulted, reason: reason(run, &about) })
    }

    /// The flows of runs in progress, all or those that are faulted.
    pub fn flows(&self, faulted_only: bool, now_ms: u64) -> HashSet<Uuid> {
        let is_wanted = |run: &Brief<'_>| !run.over && (!faulted_only || run.status == Status::Faulted);
        let mut flows = HashSet::new();
        for one in &self.0 {
            look_through(&one.state, now_ms, |_, run, _| {
                if let (true, Ok(flow)) = (is_wanted(&run), run.flow.parse()) {
                    flows.insert(flow);
                }
            });
        }
        flows
    }
}

/// In words for people, the failure first.
fn reason(run: &str, about: &About) -> String {
    let failed = |point: &&Point| matches!(point.waits, WaitingFor::Operator(_));
    let point = about.at.iter().find(failed).or(about.at.first());
    let Some(Point { task, waits, .. }) = point else {
        return format!("run {run} is {}", about.status.as_str());
    };
    match waits {
        WaitingFor::Operator(error) => {
            let why = error.detail.as_ref().unwrap_or(&error.ty);
            format!("run {run} failed at {task}: {why}; see `baton run show {run}`")
        }
        WaitingFor::Processor { name, .. } => format!("run {run} waits for {name} at {task}"),
        WaitingFor::Events(types) => {
            format!("run {run} waits for an event, {}, at {task}", types.join(" or "))
        }
        WaitingFor::Timer(_) => format!("run {run} waits for a time at {task}"),
    }
}
