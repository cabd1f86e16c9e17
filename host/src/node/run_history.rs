//! The history of a run: its messages, read from its flow and taken through its definition once more; and what another definition would have made
//! of them.

use crate::channel::Domain;
use crate::journal::Position;
use crate::mediator::history::{Happened, difference, replay};
use crate::mediator::look_through;
use crate::model::change::{Change, Changes};
use crate::model::name::ProcessorName;
use crate::model::record::Record;
use crate::model::retry::chance;
use crate::model::workflow::command::{Input, What};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::post::{Message, inbox_of};
use crate::model::workflow::read::read;
use crate::model::workflow::report::{RunDiffers, RunsAgainst};
use crate::model::workflow::run::Run;

use super::Node;
use super::mediators::Mediators;
use super::runs::{Found, RunError, blocking};

/// The most frames of a flow that are searched for the history of a run.
const HISTORY_FRAMES_MAX: usize = 100_000;

impl Node {
    /// What a definition would have done with the runs in progress of its workflow.
    pub async fn runs_against(&self, text: String) -> Result<RunsAgainst, RunError> {
        let node = self.clone();
        blocking(move || node.against(&text)).await
    }

    fn against(&self, text: &str) -> Result<RunsAgainst, RunError> {
        let mut reading = read(text);
        let completed = self.0.mediators.expressions.complete(&mut reading);
        completed.map_err(|error| RunError::Host(error.to_string()))?;
        let definition = reading.fine().map_err(RunError::Definition)?;
        let name = ProcessorName::new(definition.document.name.as_str())
            .map_err(|error| RunError::Host(error.to_string()))?;
        let state = self.0.mediators.state_of(&name);
        let state = state.ok_or_else(|| RunError::UnknownWorkflow(name.to_string()))?;
        let mut against = RunsAgainst { workflow: name.to_string(), same: 0, others: Vec::new() };
        let mut in_progress = Vec::new();
        look_through(&state, self.now_ms(), |id, run, _| in_progress.extend((!run.over).then(|| id.clone())));
        for id in in_progress {
            match self.differs(&id, &definition)? {
                None => against.same += 1,
                Some(differs) => against.others.push(differs),
            }
        }
        Ok(against)
    }

    fn differs(&self, id: &str, definition: &Definition) -> Result<Option<RunDiffers>, RunError> {
        let found = self.find_run(id)?;
        let own = self.definition_of(id, &found)?;
        let (inputs, lacks) = inputs(&self.0.domain, &found)?;
        if let Some(lacks) = lacks {
            let (task, would) = (String::new(), "it is not known".to_owned());
            return Ok(Some(RunDiffers { run: id.to_owned(), task, did: lacks, would }));
        }
        let was = self.replayed(&found, &own, inputs.clone());
        let would = self.replayed(&found, definition, inputs);
        Ok(difference(&was, &would).map(|(task, did, would)| RunDiffers {
            run: id.to_owned(),
            task: task.0,
            did,
            would,
        }))
    }

    /// What happened to a run, taken through its definition; and why that is not all, if it is not.
    pub(super) fn history(
        &self,
        found: &Found,
        definition: &Definition,
    ) -> Result<(Vec<Happened>, Option<String>), RunError> {
        let (inputs, lacks) = inputs(&self.0.domain, found)?;
        Ok((self.replayed(found, definition, inputs), lacks))
    }

    fn replayed(&self, found: &Found, definition: &Definition, inputs: Vec<Input>) -> Vec<Happened> {
        let run = &found.kept.run;
        let begun = Run::new(run.id.clone(), run.input.clone(), run.started_ms);
        let Mediators { expressions, .. } = &self.0.mediators;
        let mut evaluate = |evaluation: &_| {
            let given = expressions.evaluate(std::slice::from_ref(evaluation));
            let given = given.map_err(|error| error.to_string())?.into_iter().next();
            given.ok_or("it was not evaluated")?.map_err(|error| error.to_string())
        };
        replay(definition, begun, inputs, &mut evaluate)
    }
}

/// What came in for a run, in the order in which it was handled; and why that is not all, if it is not.
fn inputs(domain: &Domain, found: &Found) -> Result<(Vec<Input>, Option<String>), RunError> {
    let (workflow, run, started_ms) =
        (&found.workflow, found.kept.run.id.as_str(), found.kept.run.started_ms);
    let flow = found.kept.flow.parse().unwrap_or_default();
    let (frames, cut) = domain.flow_frames(flow, HISTORY_FRAMES_MAX)?;
    let inbox = domain.look(|world| world.channel_id(&inbox_of(workflow.as_str())));
    let start: Option<u64> = run.rsplit_once('-').and_then(|(_, position)| position.parse().ok());
    let (mut inputs, mut has_start) = (Vec::new(), false);
    let durable = domain.durable().current();
    for frame in frames.iter().filter(|frame| frame.end() <= durable) {
        let mut position = frame.position;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            let Change::Event { channel, offset, record } = change else { continue };
            let at = position;
            position = Position(position.0 + 1);
            let Ok(record) = Record::parse(record) else { continue };
            if Some(at.0) == start {
                has_start = true;
                inputs.push(Input { at_ms: started_ms, chance: chance(offset, 1), what: What::Start });
            }
            if Some(channel) != inbox || record.parts.partitionkey != Some(run) {
                continue;
            }
            if let Ok(Message::Run(what)) = serde_json::from_slice(record.parts.data.unwrap_or_default()) {
                inputs.push(Input { at_ms: frame.time_ms, chance: chance(offset, 1), what });
            }
        }
    }
    let lacks = (cut || !has_start).then(|| "some of its events are not kept any more".to_owned());
    Ok((if has_start { inputs } else { Vec::new() }, lacks))
}
