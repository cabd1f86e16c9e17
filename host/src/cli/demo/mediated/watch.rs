//! The runs of a flow as they go on: each line of their histories is told once, when it is there.

use std::collections::BTreeMap;

use super::super::super::client::{part, query};
use super::super::super::failure::Failure;
use super::super::super::output::Out;
use super::super::act::{Stage, until};
use super::super::tell;
use super::story;
use crate::model::workflow::report::{RunDetail, RunPage, RunReport};
use crate::model::workflow::run::Status;

/// The runs of one flow.
pub struct Watch<'a> {
    stage: &'a Stage,
    out: Out,
    /// The flow.
    pub flow: String,
    /// When its first run began.
    started: Option<String>,
    /// How many lines of each run are told.
    told: BTreeMap<String, usize>,
}

impl<'a> Watch<'a> {
    /// Of a flow that begins now.
    pub fn new(stage: &'a Stage, out: Out, flow: String) -> Self {
        Self { stage, out, flow, started: None, told: BTreeMap::new() }
    }

    /// Tells the flow's run of a workflow, until it is as it should be.
    pub fn follow(
        &mut self,
        workflow: &str,
        is_there: impl Fn(&RunReport) -> bool,
    ) -> Result<RunDetail, Failure> {
        let id = self.run_of(workflow)?;
        until(&format!("{id} is not where it should be"), || {
            let detail: RunDetail = self.stage.client.get(format!("/v1/runs/{}", part(&id)))?;
            self.tell(&detail)?;
            Ok(is_there(&detail.run).then_some(detail))
        })
    }

    fn run_of(&self, workflow: &str) -> Result<String, Failure> {
        let params = query(&[("flow", Some(self.flow.clone())), ("workflow", Some(workflow.to_owned()))]);
        until(&format!("no run of {workflow} began"), || {
            let page: RunPage = self.stage.client.get(format!("/v1/runs{params}"))?;
            Ok(page.runs.into_iter().next().map(|run| run.id))
        })
    }

    fn tell(&mut self, detail: &RunDetail) -> Result<(), Failure> {
        let started = &*self.started.get_or_insert_with(|| detail.run.started.clone());
        let told = self.told.entry(detail.run.id.clone()).or_default();
        for note in detail.history.iter().skip(*told).filter(|note| story::is_worth_telling(note)) {
            tell(self.out, note, |note, style| story::line(started, &detail.run.workflow, note, style))?;
        }
        *told = detail.history.len().max(*told);
        Ok(())
    }
}

/// Whether a run is over.
pub fn is_over(run: &RunReport) -> bool {
    run.over
}

/// Whether nothing happens to a run until an event comes.
pub fn waits(run: &RunReport) -> bool {
    run.over || run.status == Status::Waiting
}

/// Whether a run is over, or nothing happens to it until an operator says something.
pub fn has_stopped(run: &RunReport) -> bool {
    run.over || run.status == Status::Faulted
}
