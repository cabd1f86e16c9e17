//! What the tests of the views build their worlds from.

use crate::model::change::{Change, ChannelId, Control, ProcessorId};
use crate::model::deployment::Deployment;
use crate::model::descriptor::Descriptor;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::{ChannelName, ProcessorName};

use super::world::World;

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

pub fn control(world: &mut World, control: Control) {
    world.fold(&Change::Control(Box::new(control)));
}

pub fn channel_created(channel: ChannelId, name: &str) -> Control {
    Control::ChannelCreated { channel, name: ChannelName::new(name).unwrap() }
}

pub fn processor_named(processor: ProcessorId, name: &str) -> Control {
    Control::ProcessorNamed { processor, name: ProcessorName::new(name).unwrap() }
}

/// The deployment of a processor that asks for channels and publishes on others; its time is its generation times 1,000.
pub fn deployment(processor: ProcessorId, generation: u64, asks: &[&str], publishes: &[&str]) -> Deployment {
    let asks: Vec<_> = asks.iter().map(|channel| serde_json::json!({ "channel": channel })).collect();
    let descriptor = serde_json::json!({
        "contract": "baton:processor@0.1.0", "name": "p", "version": "1", "subscriptions": asks,
        "publishes": publishes,
    });
    Deployment {
        processor,
        generation,
        digest: format!("digest-{generation}-of-the-bytes"),
        previous_digest: None,
        descriptor: Descriptor::from_json(descriptor.to_string().as_bytes()).unwrap(),
        file: "p.wasm".into(),
        time_ms: generation * 1000,
        load_us: 3,
        cached: false,
        changes: vec!["first deployment".into()],
        config: Default::default(),
        pauses_us: Vec::new(),
    }
}

pub fn fault() -> Fault {
    Fault {
        kind: FaultKind::Trap,
        message: "unreachable".into(),
        time_ms: u64::MAX,
        digest: "d".into(),
        frames: Vec::new(),
    }
}
