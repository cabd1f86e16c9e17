//! Deploying and removing: what the folder wants goes to the lanes, and what came of it goes back.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;

use crate::channel::Domain;
use crate::dispatch::{DispatchError, Dispatcher, Native, Version};
use crate::journal::Position;
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;
use crate::model::report::DeployReport;
use crate::registry::{Answer, FileFault, PutError, UNKNOWN_FUNCTION, Unit, Wanted};
use crate::runtime::{self, Program};

use super::gate::Gate;
use super::mediators::Mediators;
use super::{DeployError, Node, StartError};

/// Carries out what a registry wants, one at a time, until the registry stops.
pub(super) fn reconcile(wanted: &Receiver<Wanted>, mediators: &Mediators, gate: &Gate) {
    let Mediators { dispatcher, domain, .. } = mediators;
    for wanted in wanted {
        match wanted {
            Wanted::Deploy(candidate) => {
                let (file, load) = (candidate.file.as_str(), candidate.load);
                let deployed = match &candidate.unit {
                    Unit::Component(program) => component(program, (file, load), dispatcher, (domain, gate)),
                    Unit::Definition { definition, digest } => mediators.deploy(definition, digest, file),
                };
                tell(file, &deployed);
                candidate.done(deployed);
            }
            Wanted::Remove(removal) => {
                let removed = dispatcher.undeploy(&removal.name, false);
                tracing::info!(processor = %removal.name, ok = removed.is_ok(), "undeployed");
                removal.done(removed.map_err(fault));
            }
        }
    }
}

fn component(
    program: &Program,
    (file, load): (&str, Duration),
    dispatcher: &Dispatcher,
    (domain, gate): (&Domain, &Gate),
) -> Result<Deployment, FileFault> {
    let name = &program.descriptor().name;
    if dispatcher.runs_native(name) {
        let error = DeployError::Native { name: name.to_string() };
        return Err(FileFault::new(error.code(), error.to_string()));
    }
    gate.pass(program, file, dispatcher, domain)?;
    let version = Version::wasm(program.clone(), file, load.as_micros() as u64);
    dispatcher.deploy(&version).map_err(fault)
}

fn tell(file: &str, deployed: &Result<Deployment, FileFault>) {
    match deployed {
        Ok(d) => {
            let name = &d.descriptor.name;
            let short: String = d.digest.chars().take(12).collect();
            tracing::info!(processor = %name, version = d.descriptor.version, digest = short, file, "deployed");
        }
        // The registry says so once, and tries again by itself.
        Err(fault) if fault.code == UNKNOWN_FUNCTION => {}
        Err(fault) => {
            tracing::error!(
                file,
                code = fault.code,
                "{}; not deployed: what ran before goes on",
                fault.message
            );
        }
    }
}

fn fault(error: DispatchError) -> FileFault {
    FileFault::new(error.code(), error.to_string())
}

/// Runs a processor of the application's own code.
pub(super) fn register(dispatcher: &Dispatcher, native: Native) -> Result<Deployment, StartError> {
    let registered = || Ok(dispatcher.register(&native.version()?)?);
    registered().map_err(StartError::Native)
}

impl Node {
    /// Runs a processor of the application's own code from now on. It goes on where it was if it ran before, and another version takes over
    /// between two events. The receipt is durable.
    pub async fn native(&self, native: Native) -> Result<Deployment, DeployError> {
        let (dispatcher, version) = (self.0.dispatcher.clone(), native.version()?);
        let deployment = blocking(move || dispatcher.register(&version)).await?;
        self.durable().await?;
        Ok(deployment)
    }

    /// Deploys a component under its own name.
    pub async fn deploy_component(&self, component: impl Into<Bytes>) -> Result<DeployReport, DeployError> {
        let component = component.into();
        let inspected = runtime::inspect(&component).map_err(invalid)?;
        self.deploy(&inspected.descriptor.name, component).await
    }

    /// Writes a component into the folder, if there is one, and waits for what comes of it; the receipt is durable.
    pub async fn deploy(&self, name: &ProcessorName, component: Bytes) -> Result<DeployReport, DeployError> {
        if self.0.dispatcher.runs_native(name) {
            return Err(DeployError::Native { name: name.to_string() });
        }
        let answer = match &self.0.registry {
            Some(registry) => registry.put(name, component).await.map_err(DeployError::from)?,
            None => self.deploy_here(name, component).await?,
        };
        let report = match answer {
            Answer::Deployed(deployment) => DeployReport { deployment, unchanged: false },
            Answer::Unchanged(digest) => {
                DeployReport { deployment: self.receipt(name, &digest)?, unchanged: true }
            }
        };
        self.durable().await?;
        Ok(report)
    }

    /// Without a folder a component lives as long as the host.
    async fn deploy_here(&self, name: &ProcessorName, component: Bytes) -> Result<Answer, DeployError> {
        self.check_component(name, &component)?;
        let (engine, node) = (self.0.engine.clone(), self.clone());
        let deploy = move || node.deploy_program(engine.load(&component)?);
        blocking(deploy).await.map(Answer::Deployed)
    }

    /// Deploys what is compiled already.
    pub(crate) fn deploy_program(&self, program: Program) -> Result<Deployment, DispatchError> {
        let (file, load) = (format!("{}.wasm", program.descriptor().name), program.compile_time());
        self.0.dispatcher.deploy(&Version::wasm(program, &file, load.as_micros() as u64))
    }

    /// Says whether a component could be deployed under a name, without running or compiling it.
    pub fn check_component(&self, name: &ProcessorName, component: &[u8]) -> Result<(), DeployError> {
        let inspected = runtime::inspect(component).map_err(invalid)?;
        inspected.check_imports().map_err(invalid)?;
        match inspected.descriptor.name {
            found if found == *name => Ok(()),
            found => Err(DeployError::NameMismatch { asked: name.to_string(), found: found.to_string() }),
        }
    }

    pub(super) fn receipt(&self, name: &ProcessorName, digest: &str) -> Result<Deployment, DeployError> {
        let found = self.0.domain.look(|world| {
            let id = world.processor_id(name.as_str())?;
            let deployment = world.processors().get(id as usize)?.deployment.as_deref()?;
            (deployment.digest == digest).then(|| deployment.clone())
        });
        found.ok_or_else(|| DeployError::UnknownProcessor { name: name.to_string() })
    }

    /// Removes a processor's file and waits until it runs no more. `forget` drops its positions and state too.
    pub async fn undeploy(&self, name: &ProcessorName, forget: bool) -> Result<(), DeployError> {
        if self.processor(name).is_none() {
            return Err(DeployError::UnknownProcessor { name: name.to_string() });
        }
        let is_mediator = self.mediator_states().iter().any(|(mediator, _)| mediator == name);
        let registry = if is_mediator { &self.0.definitions } else { &self.0.registry };
        if let Some(registry) = registry {
            registry.remove(name).await.map_err(DeployError::from)?;
        }
        let still_deployed = self.0.domain.look(|world| {
            let id = world.processor_id(name.as_str());
            id.and_then(|id| world.processors().get(id as usize)).is_some_and(|processor| processor.deployed)
        });
        if forget || still_deployed {
            let (dispatcher, name) = (self.0.dispatcher.clone(), name.clone());
            blocking(move || dispatcher.undeploy(&name, forget)).await?;
        }
        self.durable().await
    }

    pub(super) async fn blocking(
        &self,
        work: impl FnOnce() -> Result<(), DispatchError> + Send + 'static,
    ) -> Result<(), DeployError> {
        blocking(work).await
    }

    pub(super) async fn durable(&self) -> Result<(), DeployError> {
        let next = self.0.domain.journal().next();
        let durable = self.0.domain.durable().wait(Position(next.0)).await;
        durable.map_err(|error| DeployError::Failed {
            code: error.code().to_owned(),
            message: error.to_string(),
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DispatchError> + Send + 'static,
) -> Result<T, DeployError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(DeployError::Failed { code: "host-failed".to_owned(), message: error.to_string() }),
    }
}

fn invalid(error: runtime::Error) -> DeployError {
    DeployError::Invalid { code: error.code().to_owned(), message: error.to_string() }
}

impl From<PutError> for DeployError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Invalid { code, message } => Self::Invalid { code, message },
            PutError::NameMismatch { asked, found } => Self::NameMismatch { asked, found },
            other => Self::Failed { code: other.code().to_owned(), message: other.to_string() },
        }
    }
}
