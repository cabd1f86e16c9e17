//! The one thread that writes. Takes everything that is queued, writes it, syncs once, says so; meanwhile the next group
//! gathers. The first failure ends the journal: after a failed sync the operating system may call pages clean that never
//! reached the disk, so nothing is tried again. Only want of room is no failure: see `room`.

use std::sync::Arc;
use std::time::Instant;

use super::active::ActiveSegment;
use super::catalog::Catalog;
use super::durable::{Durable, Ended};
use super::folder::Folder;
use super::frame::stored_bytes;
use super::meters::Meters;
use super::queue::{Queue, Slot};
use super::room::{PATIENCE, Pace, Spare};
use super::{Error, Position, Sync};

/// The state of the writing thread.
pub(super) struct Writer {
    pub folder: Folder,
    pub catalog: Arc<Catalog>,
    pub queue: Arc<Queue>,
    pub durable: Durable,
    pub meters: Arc<Meters>,
    pub sync: Sync,
    /// Everything before this has been synced; with [`Sync::Os`] that is less than what is called durable.
    pub synced: Position,
    pub active: Option<ActiveSegment>,
    pub spare: Spare,
}

impl Writer {
    /// Writes until the queue is closed and empty, then seals.
    pub(super) fn run(mut self) {
        let ended = match self.write_all() {
            Ok(()) => Ended::Closed,
            Err(error) if error.is_no_room() => Ended::NoRoom(error.to_string()),
            Err(error) => Ended::Failed(error.to_string()),
        };
        self.end(ended);
    }

    fn end(&self, ended: Ended) {
        match &ended {
            Ended::Closed => {}
            Ended::NoRoom(why) => tracing::error!(why, "the journal ended without room for its last frames"),
            Ended::Failed(why) => tracing::error!(why, "the journal has failed"),
        }
        self.queue.end(ended.clone());
        self.durable.end(ended);
        self.spare.room().end();
    }

    fn write_all(&mut self) -> Result<(), Error> {
        let (mut group, mut pace) = (Vec::new(), Pace::new());
        while self.queue.take(&mut group, self.spare.room().is_short().then_some(PATIENCE)) {
            if !group.is_empty() {
                self.commit(&group)?;
            }
            if self.spare.room().is_short() && pace.is_due() {
                self.spare.reopen()?;
            }
        }
        self.seal()
    }

    fn commit(&mut self, group: &[Slot]) -> Result<(), Error> {
        let began = Instant::now();
        for slot in group {
            if slot.starts_segment {
                self.seal()?;
                self.begin(slot.frame.position)?;
            }
            if let Some(active) = &mut self.active {
                active.put(&slot.frame, self.synced)?;
            }
        }
        let bytes = group.iter().map(slot_bytes).sum();
        self.finish_group(bytes)?;
        self.meters.group(group.len(), bytes, began.elapsed());
        Ok(())
    }

    fn finish_group(&mut self, bytes: u64) -> Result<(), Error> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        active.write()?;
        let info = active.info(false);
        self.catalog.update(info);
        if self.sync == Sync::Fsync {
            active.sync()?;
            self.synced = info.end;
        }
        self.queue.settle(bytes);
        self.durable.publish(info.end);
        Ok(())
    }

    fn begin(&mut self, base: Position) -> Result<(), Error> {
        let active = ActiveSegment::create(&self.folder, &self.spare, base)?;
        self.catalog.begin(base, active.reader().clone());
        self.active = Some(active);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), Error> {
        if let Some(active) = self.active.take() {
            let info = active.seal()?;
            self.catalog.seal(info);
            self.synced = info.end;
            self.durable.publish(info.end);
        }
        Ok(())
    }
}

/// Waiters must not wait for a writer that is gone, whatever ended it.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.durable.check().is_ok() {
            self.end(Ended::Failed("the writer thread panicked".to_owned()));
        }
    }
}

fn slot_bytes(slot: &Slot) -> u64 {
    stored_bytes(slot.frame.body.len())
}
