//! What an operator does with a processor that goes on being deployed. Every answer is durable.

use crate::config::Config;
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;
use crate::model::operation::{Lanes, Operator, Paused, Rate, bounds, reason};
use crate::model::report::{PauseReport, ProcessorReport, ScaleReport};
use crate::model::time::rfc3339;
use crate::view::world::Processor;

use super::{DeployError, Node};

/// How a processor goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resume {
    /// The rate that holds from now on, or none for no bound; without it the rate stays as it is.
    pub rate: Option<Option<Rate>>,
    /// Try again what is held, too.
    pub held: bool,
    /// Who says so.
    pub by: Operator,
}

impl Node {
    /// Lets no batch of a processor begin until it is resumed; this survives restarts and deployments. Batches in flight
    /// end, and nobody waits for them.
    pub async fn pause(
        &self,
        name: &ProcessorName,
        why: &str,
        by: Operator,
    ) -> Result<ProcessorReport, DeployError> {
        let why = reason(why)?;
        let (dispatcher, processor) = (self.0.dispatcher.clone(), name.clone());
        self.blocking(move || dispatcher.pause(&processor, why, by)).await?;
        self.durable_report(name).await
    }

    /// Ends a pause, or changes the rate. Tries everything again that is held if that is asked, or if there is neither a pause to
    /// end nor a rate to change.
    pub async fn resume(&self, name: &ProcessorName, how: Resume) -> Result<ProcessorReport, DeployError> {
        let (dispatcher, processor) = (self.0.dispatcher.clone(), name.clone());
        let resume = move || {
            let before = dispatcher.operation(&processor)?;
            let changes = before.paused.is_some() || how.rate.is_some();
            if changes {
                dispatcher.resume(&processor, how.rate.unwrap_or(before.rate), how.by)?;
            }
            if how.held || !changes {
                dispatcher.retry_held(&processor)?;
            }
            Ok(())
        };
        self.blocking(resume).await?;
        self.durable_report(name).await
    }

    /// Gives a processor bounds for its lanes, over those of `baton.toml` and its descriptor, or takes them back. It holds until it
    /// is said otherwise, whatever version runs; its instances stay warm.
    pub async fn scale(
        &self,
        name: &ProcessorName,
        lanes: Option<Lanes>,
        by: Operator,
    ) -> Result<ProcessorReport, DeployError> {
        let (dispatcher, processor) = (self.0.dispatcher.clone(), name.clone());
        self.blocking(move || dispatcher.scale(&processor, lanes, by)).await?;
        self.durable_report(name).await
    }

    async fn durable_report(&self, name: &ProcessorName) -> Result<ProcessorReport, DeployError> {
        self.durable().await?;
        self.processor(name).ok_or_else(|| DeployError::UnknownProcessor { name: name.to_string() })
    }
}

/// A pause as reports have it.
pub(super) fn pause_report(paused: &Paused) -> PauseReport {
    PauseReport { reason: paused.reason.clone(), by: paused.by, since: rfc3339(paused.time_ms) }
}

/// The bounds of a processor's lanes, and who says so.
pub(super) fn scale_report(config: &Config, processor: &Processor, deployment: &Deployment) -> ScaleReport {
    let set = config.settings.processor.get(&processor.name).and_then(|settings| settings.lanes);
    let (lanes, from) = bounds(processor.operation.lanes, set, deployment.descriptor.concurrency);
    ScaleReport { min: lanes.min(), max: lanes.max(), from }
}
