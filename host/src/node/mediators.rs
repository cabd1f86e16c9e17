//! Mediators of a host: definitions in a folder become handlers on lanes, and those that were deployed go on after a restart. What runs need
//! of older definitions stays loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::channel::Domain;
use crate::dispatch::{Dispatcher, Version};
use crate::mediator::{Mediator, Rules, calls_of, descriptor, look_through};
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;
use crate::model::workflow::definition::Definition;
use crate::model::workflow::read::read;
use crate::registry::{self, DEFINITION_ENDING, FileFault, Running, UNKNOWN_FUNCTION};
use crate::runtime::Expressions;
use crate::view::state::ProcessorState;

/// Makes mediators of definitions, and runs them.
#[derive(Clone)]
pub(super) struct Mediators {
    pub domain: Domain,
    pub dispatcher: Dispatcher,
    pub expressions: Expressions,
    /// Where the bytes of definitions are kept; a host without a folder keeps them in memory.
    pub kept_dir: Option<PathBuf>,
    pub rules: Rules,
    /// Definitions that were read, by digest: what a digest stands for never changes.
    pub read: Arc<Mutex<BTreeMap<String, Arc<Definition>>>>,
}

impl Mediators {
    /// Deploys a definition: runs that begin from now on are on it.
    pub fn deploy(
        &self,
        definition: &Arc<Definition>,
        digest: &str,
        file: &str,
    ) -> Result<Deployment, FileFault> {
        let name = name_of(definition)?;
        self.check_name(&name)?;
        self.check_calls(definition)?;
        let others = self.others(&name, digest);
        let version = self.version(definition, others, (digest, file))?;
        self.dispatcher.deploy(&version).map_err(|error| FileFault::new(error.code(), error.to_string()))
    }

    /// Runs what the journal says is deployed, from the bytes that were kept.
    pub fn resume(&self) -> Vec<Running> {
        let deployed: Vec<Arc<Deployment>> = self.domain.look(|world| {
            let deployed = world.processors().iter().filter(|processor| processor.deployed);
            let deployments = deployed.filter_map(|processor| processor.deployment.clone());
            deployments.filter(|deployment| deployment.descriptor.is_mediator()).collect()
        });
        if !deployed.is_empty()
            && let Err(error) = self.expressions.prepare()
        {
            tracing::error!(%error, "expressions of workflows cannot be evaluated");
        }
        deployed.iter().map(|deployment| self.resume_one(deployment)).collect()
    }

    fn resume_one(&self, deployment: &Arc<Deployment>) -> Running {
        let resumed = self.kept(&deployment.digest).and_then(|definition| {
            let name = name_of(&definition).map_err(|fault| fault.message)?;
            let others = self.others(&name, &deployment.digest);
            let made = (deployment.digest.as_str(), deployment.file.as_str());
            let version = self.version(&definition, others, made).map_err(|fault| fault.message)?;
            self.dispatcher.resume_deployed(&version, deployment.clone()).map_err(|error| error.to_string())
        });
        let running = Running::from(&**deployment);
        match resumed {
            Ok(()) => running,
            Err(why) => {
                let name = &deployment.descriptor.name;
                tracing::error!(mediator = %name, why, "a deployed mediator was not started");
                let previous_digest = Some(deployment.digest.clone());
                Running { digest: String::new(), previous_digest, ..running }
            }
        }
    }

    fn version(
        &self,
        definition: &Arc<Definition>,
        others: BTreeMap<String, Arc<Definition>>,
        (digest, file): (&str, &str),
    ) -> Result<Version, FileFault> {
        let invalid = |why: String| FileFault::new("definition-invalid", why);
        let all: Vec<&Definition> = others.values().map(|other| &**other).collect();
        let descriptor = descriptor(definition, &all).map_err(|error| invalid(error.to_string()))?;
        let latest = (digest.to_owned(), definition.clone());
        let mediator = Mediator::new(descriptor.name.as_str(), latest, others, self.rules);
        let version = self.dispatcher.mediator(mediator, descriptor, (digest, file), &self.expressions);
        version.map_err(|error| FileFault::new(error.code(), error.to_string()))
    }

    /// A name is that of a processor or of a mediator.
    fn check_name(&self, name: &ProcessorName) -> Result<(), FileFault> {
        let taken = self.domain.look(|world| {
            let processor = world.processors().get(world.processor_id(name.as_str())? as usize)?;
            let deployment = processor.deployment.as_ref().filter(|_| processor.deployed)?;
            (!deployment.descriptor.is_mediator()).then(|| deployment.file.clone())
        });
        match taken {
            None => Ok(()),
            Some(file) => {
                let why = format!(
                    "'{name}' is the processor that '{file}' provides; give the workflow another name"
                );
                Err(FileFault::new("name-clash", why))
            }
        }
    }

    /// What a definition calls must be there when it is deployed.
    fn check_calls(&self, definition: &Definition) -> Result<(), FileFault> {
        let unknown = self.domain.look(|world| {
            let is_there = |name: &str| {
                let processor = world.processor_id(name).and_then(|id| world.processors().get(id as usize));
                processor.is_some_and(|processor| processor.deployed)
            };
            calls_of(definition).into_iter().filter(|(_, name)| !is_there(name)).collect::<Vec<_>>()
        });
        if unknown.is_empty() {
            return Ok(());
        }
        let calls = unknown.iter().map(|(task, name)| format!("{task} calls '{name}'"));
        let calls: Vec<String> = calls.collect();
        let why = format!(
            "{}, and no such processor is deployed; put it into the folder of processors, and this is tried again by itself",
            calls.join("; ")
        );
        Err(FileFault::new(UNKNOWN_FUNCTION, why))
    }

    /// The definitions beside this one that runs in progress are on.
    fn others(&self, name: &ProcessorName, digest: &str) -> BTreeMap<String, Arc<Definition>> {
        let Some(state) = self.state_of(name) else { return BTreeMap::new() };
        let mut needed = definitions_needed(&state, self.domain.now_ms());
        needed.remove(digest);
        let mut others = BTreeMap::new();
        for digest in needed {
            match self.kept(&digest) {
                Ok(definition) => drop(others.insert(digest, definition)),
                Err(why) => {
                    tracing::error!(mediator = %name, digest, why, "runs are on a definition that is lost")
                }
            }
        }
        others
    }

    /// The state of a mediator, if there ever was one of the name.
    pub fn state_of(&self, name: &ProcessorName) -> Option<Arc<ProcessorState>> {
        self.domain.look(|world| {
            let id = world.processor_id(name.as_str())?;
            Some(world.processors().get(id as usize)?.state.clone())
        })
    }

    /// A definition by the digest of its bytes.
    pub fn kept(&self, digest: &str) -> Result<Arc<Definition>, String> {
        if let Some(definition) = self.read.lock().get(digest) {
            return Ok(definition.clone());
        }
        let definition = self.read_kept(digest)?;
        self.read.lock().insert(digest.to_owned(), definition.clone());
        Ok(definition)
    }

    fn read_kept(&self, digest: &str) -> Result<Arc<Definition>, String> {
        let dir = self.kept_dir.as_ref().ok_or("a host in memory keeps no definitions")?;
        let bytes = registry::kept(dir, digest, DEFINITION_ENDING).ok_or("its bytes are not kept")?;
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        let definition = read(text).fine();
        let definition = definition.map_err(|mistakes| {
            let first = mistakes.first().map(|mistake| mistake.message.clone()).unwrap_or_default();
            format!("this host does not take it any more: {first}")
        })?;
        Ok(Arc::new(definition))
    }
}

fn name_of(definition: &Definition) -> Result<ProcessorName, FileFault> {
    let name = ProcessorName::new(definition.document.name.as_str());
    name.map_err(|error| FileFault::new("definition-invalid", error.to_string()))
}

/// The digests of the definitions that runs in progress are on.
fn definitions_needed(state: &ProcessorState, now_ms: u64) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    look_through(state, now_ms, |_, run, _| {
        if !run.over && !needed.contains(&*run.definition) {
            needed.insert(run.definition.into_owned());
        }
    });
    needed
}
