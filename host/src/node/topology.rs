//! Who sends what to whom in this host.

use std::sync::Arc;

use crate::model::deployment::Deployment;
use crate::model::topology::Topology;

use super::Node;

impl Node {
    /// The processors that are deployed, and all channels with the number of their events.
    pub fn topology(&self) -> Topology {
        let (deployed, channels): (Vec<Arc<Deployment>>, Vec<_>) = self.0.domain.look(|world| {
            let deployed = world.processors().iter().filter(|processor| processor.deployed);
            let channels = world.channels().iter().map(|channel| (channel.name.to_string(), channel.next));
            (deployed.filter_map(|processor| processor.deployment.clone()).collect(), channels.collect())
        });
        Topology::new(deployed.iter().map(|deployment| &deployment.descriptor), channels)
    }
}
