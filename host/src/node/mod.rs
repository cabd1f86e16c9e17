//! The composition root: starts every part in order, stops them in the opposite order, and is the library's front
//! door. It decides nothing; what it answers comes from the parts.

mod answers;
mod backup;
mod deploy;
mod error;
mod flows;
mod operate;
mod publish;
mod reload;
mod scrape;
mod secret;
mod start;
mod subscriptions;
mod traces;
mod upkeep;

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::channel::{Domain, Keeper};
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::flows::{Flows, Following};
use crate::registry::Registry;
use crate::spans;

use reload::{Accepted, ConfigWatch};

pub use crate::channel::{PublishError, ReadError};
pub use crate::dispatch::LogFilter;
pub use crate::flows::{After, EventAsk, FindError, Wanted as FlowsWanted, WhyError};
pub use crate::telemetry::CONTENT_TYPE as METRICS_TYPE;
pub use answers::ReadFrom;
pub use backup::BackupError;
pub use error::{DeployError, StartError, UpkeepError};
pub use flows::is_settled;
pub use operate::Resume;
pub use publish::{Answer, Awaited};
pub use subscriptions::{ResetError, ResetWish};

/// A running host. A cheap handle.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    started_ms: u64,
    domain: Domain,
    dispatcher: Dispatcher,
    registry: Registry,
    /// The configuration as it was accepted last.
    accepted: Accepted,
    /// The key of the prints of what operators set.
    secret: [u8; 32],
    flows: Flows,
    /// What ends with the node, taken out when it stops.
    ending: Mutex<Option<Ending>>,
}

struct Ending {
    config: Option<ConfigWatch>,
    reconciler: JoinHandle<()>,
    keeper: Keeper,
    /// Exports what was done as traces, if somebody wants them.
    traces: Option<spans::Follower>,
    following: Option<Following>,
}

impl Node {
    /// The configuration that it runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Ends the host in order: no new files, no new batches, what is sequenced becomes durable, views are written. A second call
    /// does nothing.
    pub async fn stop(&self) {
        let node = self.clone();
        let stopped = tokio::task::spawn_blocking(move || node.0.stop()).await;
        if let Err(error) = stopped {
            tracing::error!(%error, "the host did not stop in order; the next start recovers");
        }
    }
}

impl Inner {
    fn stop(&self) {
        let Some(mut ending) = self.ending.lock().take() else { return };
        if let Some(mut watch) = ending.config.take() {
            watch.stop();
        }
        self.registry.stop();
        if ending.reconciler.join().is_err() {
            tracing::error!("the thread that deploys processors panicked");
        }
        self.dispatcher.stop();
        ending.following.into_iter().for_each(Following::stop);
        ending.keeper.stop();
        if let Err(error) = self.domain.journal().close() {
            tracing::error!(%error, "the journal did not close cleanly; the next start recovers");
        }
        if let Some(traces) = ending.traces {
            traces.stop();
        }
    }
}
