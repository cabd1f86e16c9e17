//! The composition root: starts every part in order, stops them in the opposite order, and is the library's front
//! door. It decides nothing; what it answers comes from the parts.

mod access;
mod answers;
mod backup;
mod builder;
mod dead;
mod deploy;
mod error;
mod flows;
mod follow;
mod follow_flow;
mod follow_run;
mod gate;
mod live;
mod mediators;
mod operate;
mod publish;
mod reload;
mod replay;
mod run_history;
mod runs;
mod scrape;
mod secret;
mod start;
mod subscriptions;
mod topology;
mod traces;
mod upkeep;
mod workflows;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::access::Access;
use crate::channel::{Domain, Keeper};
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::flows::{Flows, Following};
use crate::registry::Registry;
use crate::runtime::Engine;
use crate::spans;

use reload::{Accepted, ConfigWatch};

pub use crate::access::AccessError;
pub use crate::channel::{PublishError, ReadError, Upset};
pub use crate::dispatch::LogFilter;
pub use crate::flows::{After, EventAsk, FindError, Wanted as FlowsWanted, WhyError};
pub use crate::telemetry::CONTENT_TYPE as METRICS_TYPE;
pub use answers::ReadFrom;
pub use backup::BackupError;
pub use builder::NodeBuilder;
pub use dead::{DEAD_PAGE_MAX, DeadError, DeadPart, DeadWish, REHEARSED_MAX};
pub use error::{DeployError, StartError, UpkeepError};
pub use flows::is_settled;
pub use follow::{Followed, Follower};
pub use follow_flow::FlowFollower;
pub use follow_run::RunFollower;
pub use operate::Resume;
pub use publish::{Answer, Awaited};
pub use replay::{ReplayError, ReplayWish};
pub use runs::{RUNS_PAGE_MAX, RunError, RunWord, RunsWish};
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
    live: live::Live,
    engine: Engine,
    /// What watches the folder of processors; absent in a host without a folder.
    registry: Option<Registry>,
    /// What watches the folder of mediators.
    definitions: Option<Registry>,
    mediators: mediators::Mediators,
    /// The configuration as it was accepted last.
    accepted: Accepted,
    /// The key of the prints of what operators set.
    secret: [u8; 32],
    flows: Flows,
    /// Who may ask over HTTP.
    access: Access,
    /// Which versions wait for approval.
    gate: Arc<gate::Gate>,
    /// What ends with the node, taken out when it stops.
    ending: Mutex<Option<Ending>>,
}

struct Ending {
    config: Option<ConfigWatch>,
    reconcilers: Vec<JoinHandle<()>>,
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

    /// The tokens by which callers are known over HTTP.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// The time of day, by the host's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// Lets whoever has this secret do everything over HTTP, until the host ends. Without it and without tokens HTTP answers nobody
    /// but who asks for its health.
    pub fn admit_local(&self, secret: &str) {
        self.0.access.admit_local(secret);
    }

    /// Lets processors hear of nothing new until [`Node::run_until_quiet`].
    pub(crate) fn hold_back(&self) {
        self.0.dispatcher.hold_back();
    }

    /// Runs until nothing is left that can be handled now. Says whether that came true in time.
    pub(crate) fn run_until_quiet(&self, patience: Duration) -> bool {
        self.0.dispatcher.run_until_quiet(patience)
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
        self.domain.journal().room().end();
        if let Some(mut watch) = ending.config.take() {
            watch.stop();
        }
        self.registry.iter().chain(&self.definitions).for_each(Registry::stop);
        for reconciler in ending.reconcilers {
            if reconciler.join().is_err() {
                tracing::error!("a thread that deploys panicked");
            }
        }
        self.dispatcher.stop();
        ending.following.into_iter().for_each(Following::stop);
        ending.keeper.stop();
        close_journal(&self.domain);
        ending.traces.into_iter().for_each(spans::Follower::stop);
    }
}

/// A host that nobody holds any more ends in order; that blocks for up to the drain deadline.
impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn close_journal(domain: &Domain) {
    if let Err(error) = domain.journal().close() {
        tracing::error!(%error, "the journal did not close cleanly; the next start recovers");
    }
}
