//! Runs of workflows: which there are, and what an operator says to them. What happened to one is in `run_history`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::channel::{Domain, ReadError, Refused, Signal};
use crate::mediator::history::lines;
use crate::mediator::{
    ABOUT, About, Brief, Kept, Point, RUN, WaitingFor, early, faulted, look_through, timers_of,
};
use crate::model::name::ProcessorName;
use crate::model::operation::Operator;
use crate::model::time::rfc3339;
use crate::model::workflow::command::{Ignored, Input, What};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::post::{Message, inbox_of};
use crate::model::workflow::read::Mistake;
use crate::model::workflow::report::{
    EarlyEvent, RunDetail, RunDone, RunPage, RunPoint, RunReport, WaitsFor,
};
use crate::model::workflow::run::{Run, Status};
use crate::model::workflow::step::{Step, step};
use crate::model::workflow::task::TaskRef;
use crate::model::workflow::timer::Timer;
use crate::view::state::ProcessorState;

use super::Node;
use super::error::told;

/// The most runs of one page.
pub const RUNS_PAGE_MAX: usize = 1_000;
/// The most events that a page shows as waiting for a run.
const EARLY_SHOWN_MAX: usize = 100;
/// How long an answer waits for a mediator to come to an operator's word.
const HANDLED_PATIENCE: Duration = Duration::from_secs(5);

/// Which runs are asked for; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsWish {
    /// Those of this workflow.
    pub workflow: Option<ProcessorName>,
    /// Those that are so.
    pub status: Option<Status>,
    /// Those that are over, or those that are not.
    pub over: Option<bool>,
    /// Those of this flow.
    pub flow: Option<Uuid>,
    /// At most so many; 0 for as many as a page has.
    pub limit: usize,
    /// Those behind this one in the list.
    pub after: Option<String>,
}

/// What an operator says to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunWord {
    /// Go on where it failed, or at a task; with this input in place of that which was given before.
    Resume {
        /// The task: its place or its name.
        from: Option<String>,
        /// What it is given.
        input: Option<Value>,
    },
    /// Count a task as done.
    Skip {
        /// The task: its place or its name.
        task: String,
        /// What it gave.
        output: Value,
    },
    /// End it, and undo what is done.
    Cancel,
    /// Give an event to a task that waits for one.
    Signal {
        /// The event's type.
        ty: String,
        /// Its data.
        data: Value,
    },
}

/// Why nothing was done with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is none of the id.
    #[error("there is no run '{0}'; `baton run ls` shows those that there are")]
    Unknown(String),
    /// There is no workflow of the name.
    #[error("there is no workflow '{0}'; `baton workflow ls` shows those that there are")]
    UnknownWorkflow(String),
    /// The run is as it is.
    #[error("run '{run}': {why}")]
    Ignored {
        /// The run.
        run: String,
        /// Why.
        why: Ignored,
    },
    /// Several tasks have the name.
    #[error("run '{run}': several tasks are called '{name}': {}; say its place", .places.join(", "))]
    Several {
        /// The run.
        run: String,
        /// The name.
        name: String,
        /// Their places.
        places: Vec<String>,
    },
    /// Its definition is not there any more.
    #[error("the definition of '{run}' cannot be read: {why}")]
    Lost {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// A definition that is none.
    #[error("it is no definition that can run: {}", told(.0))]
    Definition(Vec<Mistake>),
    /// It was not recorded.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The host could not do it.
    #[error("{0}")]
    Host(String),
}

impl RunError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-run",
            Self::UnknownWorkflow(_) => "unknown-workflow",
            Self::Ignored { why, .. } => why.code(),
            Self::Several { .. } => "several-tasks",
            Self::Lost { .. } => "definition-lost",
            Self::Definition(_) => "definition-invalid",
            Self::Refused(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Host(_) => "host-failed",
        }
    }
}

/// A run as it is kept, and where.
pub(super) struct Found {
    pub workflow: ProcessorName,
    state: Arc<ProcessorState>,
    pub kept: Kept,
    about: About,
}

impl Node {
    /// A page of runs, the latest first.
    pub async fn runs(&self, wish: RunsWish) -> Result<RunPage, RunError> {
        if let Some(name) = &wish.workflow
            && !self.workflow_names().contains(name)
        {
            return Err(RunError::UnknownWorkflow(name.to_string()));
        }
        let after = match &wish.after {
            Some(after) => Some((self.find_run(after)?.about.started_ms, after.clone())),
            None => None,
        };
        let node = self.clone();
        let page = blocking(move || Ok(node.run_page(&wish, after))).await?;
        self.until_durable().await?;
        Ok(page)
    }

    /// `after` is the start and the id of the last run of the page before, which need not fit any more.
    fn run_page(&self, wish: &RunsWish, after: Option<(u64, String)>) -> RunPage {
        let now_ms = self.now_ms();
        let (mut found, mut waiting) = (Vec::new(), Vec::new());
        for (name, state) in self.mediator_states() {
            if wish.workflow.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            look_through(&state, now_ms, |id, run, about| {
                if fits(&run, wish) {
                    found.push((run.started_ms, id.clone(), about.clone()));
                }
            });
            waiting.extend(early_events(&name, &state, now_ms));
        }
        found.sort_unstable_by(|(a, one, _), (b, other, _)| (b, other).cmp(&(a, one)));
        let count = found.len();
        let limit = if wish.limit == 0 { RUNS_PAGE_MAX } else { wish.limit.min(RUNS_PAGE_MAX) };
        let is_behind = |started: u64, id: &str| {
            after.as_ref().is_none_or(|(started_ms, last)| (started, id) < (*started_ms, last))
        };
        let rest = found.iter().filter(|(started, id, _)| is_behind(*started, id));
        let mut runs: Vec<RunReport> =
            rest.filter_map(|(_, id, about)| listed(id, about)).take(limit + 1).collect();
        let after = (runs.len() > limit).then(|| runs.pop()).flatten();
        let after = after.and_then(|_| runs.last().map(|run| run.id.clone()));
        waiting.truncate(EARLY_SHOWN_MAX);
        RunPage { runs, count, early: waiting, after, asked: rfc3339(now_ms) }
    }

    /// A run with its history.
    pub async fn run(&self, id: &str) -> Result<RunDetail, RunError> {
        let (node, id) = (self.clone(), id.to_owned());
        let found = self.find_run(&id)?;
        self.until_durable().await?;
        blocking(move || Ok(node.run_detail(&id, found))).await
    }

    /// Says something to a run. What it cannot take is refused, and changes nothing; otherwise it is recorded, and answered once the mediator has
    /// come to it or a few seconds are over.
    pub async fn tell_run(&self, id: &str, word: RunWord, by: Operator) -> Result<RunDone, RunError> {
        let (node, asked) = (self.clone(), id.to_owned());
        let (what, flow) = blocking(move || node.check_word(&asked, word)).await?;
        let workflow = workflow_of(id).ok_or_else(|| RunError::Unknown(id.to_owned()))?.to_owned();
        let domain = &self.0.domain;
        let mut wait = domain.wait_in_flow(flow, Signal::Change);
        let cause = id.rsplit_once('-').and_then(|(_, position)| position.parse().ok());
        let offset = domain.tell_run(&workflow, (id, flow, cause), &Message::Run(what), by)?;
        let offset = offset.ok_or_else(|| RunError::UnknownWorkflow(workflow.clone()))?;
        let deadline = Instant::now() + HANDLED_PATIENCE;
        let mut handled = is_decided(domain, &workflow, offset);
        while !handled && timeout_at(deadline, wait.arrival()).await.is_ok() {
            wait = domain.wait_in_flow(flow, Signal::Change);
            handled = is_decided(domain, &workflow, offset);
        }
        Ok(RunDone { run: self.run(id).await?, handled })
    }

    /// What an operator's word is to the run, if the run can take it as it is now.
    fn check_word(&self, id: &str, word: RunWord) -> Result<(What, Uuid), RunError> {
        let found = self.find_run(id)?;
        let definition = self.definition_of(id, &found)?;
        let what = self.what(id, &definition, word)?;
        let input = Input { at_ms: self.now_ms(), chance: 0, what: what.clone() };
        match step(&definition, found.kept.run, input) {
            Step::Ignored(why) => Err(RunError::Ignored { run: id.to_owned(), why }),
            _ => Ok((what, found.about.flow.parse().unwrap_or_default())),
        }
    }

    fn what(&self, id: &str, definition: &Definition, word: RunWord) -> Result<What, RunError> {
        let task = |name: String| task_of(id, definition, name);
        Ok(match word {
            RunWord::Resume { from, input } => What::Resume { from: from.map(task).transpose()?, input },
            RunWord::Skip { task: name, output } => What::Skip { task: task(name)?, output },
            RunWord::Cancel => What::Cancel,
            RunWord::Signal { ty, data } => {
                let event = serde_json::json!({
                    "specversion": "1.0", "id": Uuid::now_v7().to_string(), "source": "/operator", "type": ty,
                    "time": rfc3339(self.now_ms()), "datacontenttype": "application/json", "data": data,
                });
                What::Signal { ty, event }
            }
        })
    }

    pub(super) fn find_run(&self, id: &str) -> Result<Found, RunError> {
        let unknown = || RunError::Unknown(id.chars().take(200).collect());
        let workflow = workflow_of(id).and_then(|name| ProcessorName::new(name).ok()).ok_or_else(unknown)?;
        let state = self.0.mediators.state_of(&workflow).ok_or_else(unknown)?;
        let now_ms = self.now_ms();
        let read = |name: &str| state.get(id, name, now_ms).map(|value| value.bytes);
        let (kept, about) = read(RUN).zip(read(ABOUT)).ok_or_else(unknown)?;
        let lost = |why: String| RunError::Lost { run: id.to_owned(), why };
        let kept = Kept::read(&kept).map_err(|error| lost(error.to_string()))?;
        let about = serde_json::from_slice(&about).map_err(|error| lost(error.to_string()))?;
        Ok(Found { workflow, state, kept, about })
    }

    pub(super) fn definition_of(&self, id: &str, found: &Found) -> Result<Arc<Definition>, RunError> {
        let definition = self.0.mediators.kept(&found.kept.definition);
        definition.map_err(|why| RunError::Lost { run: id.to_owned(), why })
    }

    fn run_detail(&self, id: &str, found: Found) -> RunDetail {
        let timers = timers_of(&found.state, id);
        let history = self.definition_of(id, &found).and_then(|definition| self.history(&found, &definition));
        let (history, history_lacks) = match history {
            Ok((history, lacks)) => (lines(&history), lacks),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let Run { input, context, output, .. } = found.kept.run;
        RunDetail {
            run: report(id, found.workflow.as_str(), found.about, &timers),
            definition: found.kept.definition,
            input,
            context,
            output,
            history,
            history_lacks,
        }
    }

    /// What changes whenever the run does; none if there is no such run any more.
    pub(super) fn run_as_kept(&self, id: &str) -> Option<Arc<[u8]>> {
        let state = self.0.mediators.state_of(&ProcessorName::new(workflow_of(id)?).ok()?)?;
        state.get(id, RUN, self.now_ms()).map(|value| value.bytes)
    }

    /// The state of each mediator that there is or was.
    pub(super) fn mediator_states(&self) -> Vec<(ProcessorName, Arc<ProcessorState>)> {
        self.0.domain.look(|world| {
            let mediators = world.processors().iter().filter(|processor| {
                processor.deployment.as_ref().is_some_and(|deployment| deployment.descriptor.is_mediator())
            });
            mediators.map(|mediator| (mediator.name.clone(), mediator.state.clone())).collect()
        })
    }

    /// How many runs of each workflow wait for an operator.
    pub(super) fn faulted_runs(&self) -> BTreeMap<String, u64> {
        let now_ms = self.0.domain.now_ms();
        let counts = self.mediator_states().into_iter();
        let counts = counts.map(|(name, state)| (name.to_string(), faulted(&state, now_ms)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn workflow_names(&self) -> Vec<ProcessorName> {
        self.mediator_states().into_iter().map(|(name, _)| name).collect()
    }
}

/// The workflow whose run an id is.
fn workflow_of(run: &str) -> Option<&str> {
    let (workflow, position) = run.rsplit_once('-')?;
    position.parse::<u64>().is_ok().then_some(workflow)
}

/// A task by its place or, if one alone is called so, by its name.
fn task_of(run: &str, definition: &Definition, name: String) -> Result<TaskRef, RunError> {
    if name.starts_with('/') {
        return Ok(TaskRef(name));
    }
    let tasks = definition.all().into_iter().filter(|task| task.name == name);
    let mut places: Vec<TaskRef> = tasks.map(|task| task.at.clone()).collect();
    match (places.pop(), places.is_empty()) {
        (Some(place), true) => Ok(place),
        (None, _) => {
            Err(RunError::Ignored { run: run.to_owned(), why: Ignored::NoTask { task: TaskRef(name) } })
        }
        (Some(last), false) => {
            places.push(last);
            let places = places.into_iter().map(|place| place.0).collect();
            Err(RunError::Several { run: run.to_owned(), name, places })
        }
    }
}

fn fits(run: &Brief<'_>, wish: &RunsWish) -> bool {
    wish.status.is_none_or(|status| run.status == status)
        && wish.over.is_none_or(|over| run.over == over)
        && wish.flow.is_none_or(|flow| run.flow.parse() == Ok(flow))
}

/// A run in a list.
fn listed(id: &str, about: &[u8]) -> Option<RunReport> {
    Some(report(id, workflow_of(id)?, serde_json::from_slice(about).ok()?, &[]))
}

fn early_events(workflow: &ProcessorName, state: &ProcessorState, now_ms: u64) -> Vec<EarlyEvent> {
    let text =
        |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = early(state, now_ms, EARLY_SHOWN_MAX).into_iter();
    let shown = all.map(|early| EarlyEvent {
        workflow: workflow.to_string(),
        place: early.key.strip_prefix("await ").unwrap_or(&early.key).to_owned(),
        ty: text(&early.event, "type"),
        flow: text(&early.event, "correlationid"),
        until: rfc3339(early.until_ms),
    });
    shown.collect()
}

fn report(id: &str, workflow: &str, about: About, timers: &[(Timer, u64)]) -> RunReport {
    let at = about.at.into_iter().map(|point| shown(point, timers)).collect();
    RunReport {
        id: id.to_owned(),
        workflow: workflow.to_string(),
        version: about.version,
        status: about.status,
        over: about.over,
        undoing: about.undoing,
        flow: about.flow,
        started: rfc3339(about.started_ms),
        latest: rfc3339(about.latest_ms),
        at,
        error: about.error,
    }
}

fn shown(point: Point, timers: &[(Timer, u64)]) -> RunPoint {
    let Point { task, since_ms, waits } = point;
    let (waits_for, detail, timer) = match waits {
        WaitingFor::Processor { name, attempt } => {
            (WaitsFor::Processor, format!("{name}, attempt {attempt}"), None)
        }
        WaitingFor::Events(types) => (WaitsFor::Event, types.join(", "), None),
        WaitingFor::Timer(timer) => (WaitsFor::Time, String::new(), Some(timer)),
        WaitingFor::Operator(error) => (WaitsFor::Operator, error.detail.unwrap_or(error.ty), None),
    };
    // What waits for something else may have a timeout of its own.
    let is_its = |one: &Timer| timer.map_or(one.task == task, |number| one.number == number);
    let due = timers.iter().find(|(one, _)| is_its(one));
    let until = due.map(|(_, due_ms)| rfc3339(*due_ms));
    RunPoint { task: task.0, since: rfc3339(since_ms), waits_for, detail, until }
}

/// Whether a mediator has come to the message with this number in its inbox.
fn is_decided(domain: &Domain, mediator: &str, offset: u64) -> bool {
    domain.look(|world| {
        let subscription =
            world.subscription_of(world.processor_id(mediator)?, world.channel_id(&inbox_of(mediator))?)?;
        Some(world.subscriptions().get(subscription as usize)?.decided.contains(offset))
    }) == Some(true)
}

/// How many runs there are of each status, and how many in progress are on which version.
pub(super) fn counted(
    state: &ProcessorState,
    now_ms: u64,
) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
    let (mut runs, mut versions) = (BTreeMap::new(), BTreeMap::new());
    look_through(state, now_ms, |_, run, _| {
        count(&mut runs, run.status.as_str());
        if !run.over {
            count(&mut versions, &run.version);
        }
    });
    (runs, versions)
}

fn count(counts: &mut BTreeMap<String, usize>, what: &str) {
    match counts.get_mut(what) {
        Some(count) => *count += 1,
        None => drop(counts.insert(what.to_owned(), 1)),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| RunError::Host(error.to_string()))?
}
