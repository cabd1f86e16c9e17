//! The upgrade gate: holds a version back that is wider than the one before it, until an operator approves it. The version before goes on.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::channel::Domain;
use crate::dispatch::Dispatcher;
use crate::model::change::ProcessorId;
use crate::model::deployment::Deployment;
use crate::model::gate::widened;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Operator;
use crate::model::report::{DeployReport, WaitingVersion};
use crate::registry::{FileFault, Registry};
use crate::runtime::{Program, inspect};

use super::{DeployError, Node};

/// The code of a version that waits.
pub(super) const WAITING: &str = "waiting-for-approval";
/// How many characters of a digest tell versions apart for people.
const SHORT_DIGEST: usize = 12;

/// Which versions wait.
pub(super) struct Gate {
    /// Whether it is open: an author's own host approves all that its author builds.
    is_open: bool,
    waiting: Mutex<BTreeMap<ProcessorName, WaitingVersion>>,
}

/// What is known of a processor before a version of it is let in.
struct Before {
    processor: ProcessorId,
    deployment: Deployment,
    approved: Option<String>,
}

impl Gate {
    pub fn new(is_open: bool) -> Self {
        Self { is_open, waiting: Mutex::default() }
    }

    /// Lets a version in, or says why it waits.
    pub fn pass(
        &self,
        program: &Program,
        file: &str,
        dispatcher: &Dispatcher,
        domain: &Domain,
    ) -> Result<(), FileFault> {
        let (name, digest) = (&program.descriptor().name, program.digest());
        self.waiting.lock().remove(name);
        let Some(before) = before(domain, name).filter(|_| !self.is_open) else { return Ok(()) };
        if before.deployment.digest == digest || before.approved.as_deref() == Some(digest) {
            return Ok(());
        }
        let readers = |channel: &ChannelName| readers(domain, channel, before.processor);
        let (own, missing) = dispatcher.grants_for(program);
        let mut differences = widened(&before.deployment.descriptor, program.descriptor(), &own, readers);
        differences.extend(missing);
        if differences.is_empty() {
            return Ok(());
        }
        let waiting = WaitingVersion {
            version: program.descriptor().version.clone(),
            digest: digest.to_owned(),
            file: file.to_owned(),
            differences,
        };
        let fault = FileFault { code: WAITING.to_owned(), message: told(name, &waiting, &before.deployment) };
        self.waiting.lock().insert(name.clone(), waiting);
        Err(fault)
    }

    /// The version of a processor that waits.
    pub fn waiting(&self, name: &ProcessorName) -> Option<WaitingVersion> {
        self.waiting.lock().get(name).cloned()
    }
}

fn told(name: &ProcessorName, waiting: &WaitingVersion, before: &Deployment) -> String {
    let WaitingVersion { version, digest, differences, .. } = waiting;
    let short = |digest: &str| digest.chars().take(SHORT_DIGEST).collect::<String>();
    format!(
        "version {version} ({}) of {name} waits for approval: it {}. Version {} ({}) goes on. `baton approve {name}` lets it in, `baton rollback {name}` \
         puts the version that runs back into the folder",
        short(digest),
        differences.join("; it "),
        before.descriptor.version,
        short(&before.digest)
    )
}

/// What ran last under a name, also when its file was taken away since: its positions and state are there.
fn before(domain: &Domain, name: &ProcessorName) -> Option<Before> {
    domain.look(|world| {
        let id = world.processor_id(name.as_str())?;
        let processor = world.processors().get(id as usize)?;
        let deployment = processor.deployment.as_deref().filter(|deployment| deployment.is_component())?;
        let approved = processor.operation.approved.as_ref().map(|approved| approved.digest.clone());
        Some(Before { processor: id, deployment: deployment.clone(), approved })
    })
}

/// The deployed processors that read a channel, but for the one that publishes there.
fn readers(domain: &Domain, channel: &ChannelName, publisher: ProcessorId) -> Vec<String> {
    domain.look(|world| {
        let all =
            (0..).zip(world.processors()).filter(|(id, processor)| *id != publisher && processor.deployed);
        let reads = all.filter(|(_, processor)| {
            let descriptor = processor.deployment.as_ref().map(|deployment| &deployment.descriptor);
            descriptor.is_some_and(|it| it.subscriptions.iter().any(|ask| ask.channel == *channel))
        });
        reads.map(|(_, processor)| processor.name.to_string()).collect()
    })
}

impl Node {
    /// Lets the version of a processor in that waits for approval, and waits for what comes of it. With a digest it is let in only if it is the one that
    /// waits.
    pub async fn approve(
        &self,
        name: &ProcessorName,
        digest: Option<&str>,
        by: Operator,
    ) -> Result<DeployReport, DeployError> {
        let waiting = self.waiting_version(name)?;
        let waiting = waiting.ok_or_else(|| DeployError::NothingWaits { name: name.to_string() })?;
        if digest.is_some_and(|digest| digest != waiting.digest) {
            return Err(DeployError::AnotherWaits { name: name.to_string(), digest: waiting.digest });
        }
        let path = self.0.config.processors_dir().join(&waiting.file);
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await.ok().and_then(Result::ok);
        let is_it = |bytes: &Vec<u8>| inspect(bytes).is_ok_and(|found| found.digest == waiting.digest);
        let bytes = read.filter(is_it).ok_or_else(|| DeployError::NothingWaits { name: name.to_string() })?;
        self.let_in(name, waiting.digest, bytes.into(), by).await
    }

    /// Goes back: takes the version away that waits, or else puts the version back that ran before the one that runs.
    pub async fn rollback(&self, name: &ProcessorName, by: Operator) -> Result<DeployReport, DeployError> {
        let waits = self.waiting_version(name)?.is_some();
        let nothing = || DeployError::NothingBefore { name: name.to_string() };
        let Before { deployment, .. } = before(&self.0.domain, name).ok_or_else(nothing)?;
        let digest = if waits { Some(deployment.digest) } else { deployment.previous_digest };
        let digest = digest.ok_or_else(nothing)?;
        let kept = self.0.registry.as_ref().and_then(|registry| registry.kept(&digest));
        let bytes = kept.ok_or_else(|| DeployError::NotKept { digest: digest.clone() })?;
        self.let_in(name, digest, bytes, by).await
    }

    fn waiting_version(&self, name: &ProcessorName) -> Result<Option<WaitingVersion>, DeployError> {
        if self.processor(name).is_none() {
            return Err(DeployError::UnknownProcessor { name: name.to_string() });
        }
        Ok(self.version_waiting(name))
    }

    /// What waits for a processor. A file that was changed or removed meanwhile waits no more.
    pub(super) fn version_waiting(&self, name: &ProcessorName) -> Option<WaitingVersion> {
        let waiting = self.0.gate.waiting(name)?;
        let is_there = |file: &str| self.problems().iter().any(|one| one.code == WAITING && one.file == file);
        is_there(&waiting.file).then_some(waiting)
    }

    /// Records the approval, and has the folder hold these bytes.
    async fn let_in(
        &self,
        name: &ProcessorName,
        digest: String,
        bytes: Bytes,
        by: Operator,
    ) -> Result<DeployReport, DeployError> {
        let (domain, name_of) = (self.0.domain.clone(), name.clone());
        self.blocking(move || {
            let processor = domain.name_processor(&name_of)?;
            Ok(domain.approve(processor, digest, by).map(drop)?)
        })
        .await?;
        self.0.registry.iter().for_each(Registry::rescan);
        self.deploy(name, bytes).await
    }
}
