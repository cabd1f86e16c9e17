//! A lane of the relay that is made by hand, because the host's own cannot be brought to do what this one does.

use super::handlers::{COUNT, Count, RELAY, TICKS, TOCKS, number_of, relay, tock};
use super::planted::Planted;
use super::rig::Rig;
use crate::channel::{Reader, Refused};
use crate::journal::storage::simulated::Chance;
use crate::model::change::{Draft, ProcessorId};
use crate::model::event::Event;
use crate::model::record::{Record, Stamp, encode_event};

/// Records the relay as deployed without running it; the one that counts runs.
pub fn begin(rig: &Rig, version: u32) -> Result<(), String> {
    deploy(rig, version)?;
    rig.deploy_tally()
}

fn deploy(rig: &Rig, version: u32) -> Result<(), String> {
    let version = relay(version, &Default::default()).map_err(|error| error.to_string())?;
    rig.domain.deploy(version.deployable()).map(drop).map_err(|error| error.to_string())
}

/// Handles everything there is, with the bug; says which version is deployed then.
pub fn handle(rig: &Rig, planted: Planted, version: u32, chance: &mut Chance) -> Result<u32, String> {
    let lane = Lane::of(rig, version).ok_or("the relay is not deployed")?;
    let mut reader = Reader::new(rig.domain.clone(), lane.ticks, lane.cursor);
    let mut deployed = version;
    while let Some(item) = reader.take().map_err(|error| error.to_string())? {
        let record = Record::parse(&item.record).map_err(|error| error.to_string())?;
        let (decided, outputs) =
            (lane.decided(item.offset, &record), lane.outputs(rig, item.position, &record));
        if planted == Planted::StaleVersion && deployed == version && chance.one_in(3) {
            deployed += 1;
            deploy(rig, deployed)?;
        }
        lane.commit(rig, planted, decided, outputs)?;
    }
    Ok(deployed)
}

struct Lane {
    processor: ProcessorId,
    subscription: u32,
    ticks: u32,
    tocks: u32,
    generation: u64,
    cursor: u64,
    version: u32,
}

type Change = Box<dyn Fn(&mut Draft)>;

impl Lane {
    fn of(rig: &Rig, version: u32) -> Option<Self> {
        rig.domain.look(|world| {
            let processor = world.processor_id(RELAY)?;
            let (ticks, tocks) = (world.channel_id(TICKS)?, world.channel_id(TOCKS)?);
            let subscription = world.subscription_of(processor, ticks)?;
            let deployment = world.processors().get(processor as usize)?.deployment.as_ref()?;
            let cursor = world.subscriptions().get(subscription as usize)?.decided.cursor();
            let generation = deployment.generation;
            Some(Self { processor, subscription, ticks, tocks, generation, cursor, version })
        })
    }

    fn decided(&self, offset: u64, record: &Record<'_>) -> Change {
        let (subscription, flow) = (self.subscription, record.stamp.flow);
        Box::new(move |draft| draft.decided(subscription, offset, flow))
    }

    fn outputs(&self, rig: &Rig, position: u64, record: &Record<'_>) -> Change {
        let event = record.to_event();
        let number = event.data.as_deref().and_then(number_of).unwrap_or_default();
        let key = event.subject.unwrap_or_default();
        let before = rig.domain.look(|world| {
            let state = &world.processors().get(self.processor as usize)?.state;
            Count::read(&state.get(&key, COUNT, 0)?.bytes)
        });
        let count = before.unwrap_or_default().with(number).to_text();
        let tock = Event {
            id: format!("{number}-1"),
            source: format!("/processors/{RELAY}"),
            ty: "tock".into(),
            subject: Some(key.clone()),
            data: Some(tock(number, self.version).into()),
            ..Event::default()
        };
        let stamp = Stamp { flow: record.stamp.flow, cause: Some(position), causationid: None, hops: 1 };
        let (processor, tocks) = (self.processor, self.tocks);
        Box::new(move |draft| {
            draft.event(tocks, |out| encode_event(out, &tock, &stamp));
            draft.state_set(processor, &key, COUNT, 0, count.as_bytes());
        })
    }

    fn commit(&self, rig: &Rig, planted: Planted, decided: Change, outputs: Change) -> Result<(), String> {
        let draft = |changes: &[&Change]| {
            let mut draft = Draft::default();
            changes.iter().for_each(|change| change(&mut draft));
            draft
        };
        let text = |refused: Refused| refused.to_string();
        let commit = |draft| rig.domain.commit(self.processor, self.generation, draft).map_err(text);
        match planted {
            Planted::PositionWithoutOutputs => {
                commit(draft(&[&decided]))?;
                rig.settle().map_err(|error| error.to_string())?;
                commit(draft(&[&outputs]))?;
            }
            // A host that does not look at generations.
            _ => drop(rig.domain.commit_as_host(draft(&[&decided, &outputs])).map_err(text)?),
        }
        Ok(())
    }
}
