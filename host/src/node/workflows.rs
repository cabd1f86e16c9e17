//! Workflows: which are deployed, from which definitions, and how their runs are.

use crate::mediator::calls_of;
use crate::model::deployment::Deployment;
use crate::model::descriptor::{Descriptor, Start};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{DeployReport, FileProblem};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::read::read;
use crate::model::workflow::report::{WorkflowDetail, WorkflowReport};
use crate::registry::{self, Answer, DEFINITION_ENDING, Registry};

use super::runs::{RunError, counted};
use super::{DeployError, Node};

impl Node {
    /// All workflows, by name; those that are removed and have runs in progress too.
    pub fn workflows(&self) -> Vec<WorkflowReport> {
        let mut names: Vec<ProcessorName> =
            self.mediator_states().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.iter().filter_map(|name| self.workflow_report(name)).collect()
    }

    /// One workflow with its definition.
    pub fn workflow(&self, name: &ProcessorName) -> Result<WorkflowDetail, RunError> {
        let unknown = || RunError::UnknownWorkflow(name.to_string());
        let workflow = self.workflow_report(name).ok_or_else(unknown)?;
        let dir = self.0.mediators.kept_dir.as_deref();
        let bytes = dir.and_then(|dir| registry::kept(dir, &workflow.definition, DEFINITION_ENDING));
        let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let lost = || RunError::Lost { run: name.to_string(), why: "its bytes are not kept".to_owned() };
        Ok(WorkflowDetail { workflow, text: text.ok_or_else(lost)? })
    }

    /// Refuses what is no workflow.
    pub fn workflow_is_there(&self, name: &ProcessorName) -> Result<(), RunError> {
        let unknown = || RunError::UnknownWorkflow(name.to_string());
        self.workflow_report(name).map(drop).ok_or_else(unknown)
    }

    /// Files of definitions that do not run, and what to do.
    pub fn workflow_problems(&self) -> Vec<FileProblem> {
        self.0.definitions.iter().flat_map(Registry::problems).collect()
    }

    fn workflow_report(&self, name: &ProcessorName) -> Option<WorkflowReport> {
        let (deployment, deployed, state) = self.0.domain.look(|world| {
            let mediator = world.processors().get(world.processor_id(name.as_str())? as usize)?;
            let deployment = mediator.deployment.clone()?;
            Some((deployment, mediator.deployed, mediator.state.clone()))
        })?;
        let Deployment { descriptor, digest, file, .. } = &*deployment;
        if !descriptor.is_mediator() {
            return None;
        }
        let (runs, versions) = counted(&state, self.now_ms());
        if !deployed && runs.is_empty() {
            return None;
        }
        let definition = self.0.mediators.kept(digest).ok();
        let calls = definition.as_ref().map(|definition| calls_of(definition)).unwrap_or_default();
        Some(WorkflowReport {
            name: name.to_string(),
            namespace: definition.map(|definition| definition.document.namespace.clone()),
            description: descriptor.description.clone(),
            version: descriptor.version.clone(),
            definition: digest.clone(),
            file: file.clone(),
            deployed,
            queue: descriptor.event_queue().map(ToString::to_string),
            calls: calls.into_iter().map(|(_, processor)| processor).collect(),
            warnings: self.unpublished(descriptor),
            runs,
            versions,
        })
    }

    /// Reads a definition and compiles its expressions, and tells all that is wrong with it.
    pub async fn check_workflow(&self, text: String) -> Result<Definition, DeployError> {
        let expressions = self.0.mediators.expressions.clone();
        let failed = |message: String| DeployError::Failed { code: "host-failed".to_owned(), message };
        let check = move || {
            let mut reading = read(&text);
            let completed = expressions.complete(&mut reading);
            completed.map_err(|error| failed(error.to_string()))?;
            reading.fine().map_err(DeployError::Definition)
        };
        tokio::task::spawn_blocking(check).await.map_err(|error| failed(error.to_string()))?
    }

    /// The topics on which its runs wait and that nobody who is deployed publishes on.
    fn unpublished(&self, descriptor: &Descriptor) -> Vec<String> {
        let topics = descriptor.subscriptions.iter().filter(|ask| ask.start == Start::Latest);
        self.0.domain.look(|world| {
            let deployed = world.processors().iter().filter(|processor| processor.deployed);
            let all: Vec<_> = deployed.filter_map(|processor| processor.deployment.as_ref()).collect();
            let is_published =
                |channel: &ChannelName| all.iter().any(|one| one.descriptor.publishes.contains(channel));
            let missing = topics.filter(|ask| !is_published(&ask.channel));
            let said = missing.map(|ask| {
                let channel = &ask.channel;
                format!("it waits for '{channel}', which no deployed processor publishes: that has to come from outside")
            });
            said.collect()
        })
    }

    /// Writes a definition into the folder of mediators under its own name, and waits for what comes of it; the receipt is durable.
    pub async fn deploy_workflow(&self, text: String) -> Result<DeployReport, DeployError> {
        let failed = |code: &str, message: String| DeployError::Failed { code: code.to_owned(), message };
        let registry = self.0.definitions.as_ref();
        let why = "a host without a folder keeps no definitions; give it one";
        let registry = registry.ok_or_else(|| failed("no-folder", why.to_owned()))?;
        let name = read(&text).definition.map(|definition| definition.document.name).unwrap_or_default();
        let name = ProcessorName::new(name).map_err(|error| DeployError::Invalid {
            code: "definition-invalid".to_owned(),
            message: error.to_string(),
        })?;
        let report = match registry.put(&name, text.into()).await? {
            Answer::Deployed(deployment) => DeployReport { deployment, unchanged: false },
            Answer::Unchanged(digest) => {
                DeployReport { deployment: self.receipt(&name, &digest)?, unchanged: true }
            }
        };
        self.durable().await?;
        Ok(report)
    }
}
