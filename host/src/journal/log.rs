//! The journal over segment files: opens, starts the writer, ends it. The work is in its parts.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::catalog::Catalog;
use super::checkpoint::{self, CheckpointInfo};
use super::durable::{Durable, Ended};
use super::folder::Folder;
use super::frame::Frame;
use super::meters::Meters;
use super::queue::Queue;
use super::room::{Room, Spare};
use super::segment::SegmentInfo;
use super::storage::{Storage, StorageLock};
use super::writer::Writer;
use super::{Appended, Error, Journal, Options, Position, recovery, trim};

/// A journal in segment files over a [`Storage`].
///
/// Dropping it is a clean stop, as [`Journal::close`] is.
pub struct SegmentJournal {
    folder: Folder,
    catalog: Arc<Catalog>,
    queue: Arc<Queue>,
    durable: Durable,
    meters: Arc<Meters>,
    room: Room,
    running: Mutex<Option<Running>>,
}

struct Running {
    writer: JoinHandle<()>,
    lock: StorageLock,
}

impl SegmentJournal {
    /// Takes the storage for itself, recovers what is there, and starts the writer.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Self, Error> {
        let folder = Folder::new(storage);
        let lock = folder.lock()?;
        let spare = Spare::new(folder.clone(), options.limits.reserve_bytes, Room::default())?;
        let segments = recover(&folder, &spare)?;
        spare.begin()?;
        let next = segments.last().map_or(Position::START, |info| info.end);
        let catalog = Arc::new(Catalog::new(folder.clone(), segments));
        let queue = Arc::new(Queue::new(next, options.limits));
        let durable = Durable::new(next);
        let meters = Arc::new(Meters::default());
        let writer = Writer {
            folder: folder.clone(),
            catalog: catalog.clone(),
            queue: queue.clone(),
            durable: durable.clone(),
            meters: meters.clone(),
            sync: options.sync,
            synced: next,
            active: None,
            spare: spare.clone(),
        };
        let thread = thread::Builder::new().name("journal".to_owned());
        let writer = folder.io("start the writer", thread.spawn(move || writer.run()))?;
        let running = Mutex::new(Some(Running { writer, lock }));
        Ok(Self { folder, catalog, queue, durable, meters, room: spare.room().clone(), running })
    }
}

/// Recovers what is there; where that wants room, the reserve is for it.
fn recover(folder: &Folder, spare: &Spare) -> Result<Vec<SegmentInfo>, Error> {
    match recovery::recover(folder) {
        Err(error) if error.is_no_room() && spare.give_up() => recovery::recover(folder),
        recovered => recovered,
    }
}

impl Journal for SegmentJournal {
    fn queue(&self, frame: Frame) -> Result<Appended, Error> {
        self.queue.push(frame)
    }

    fn wake_writer(&self) {
        self.queue.wake();
    }

    fn next(&self) -> Position {
        self.queue.next()
    }

    fn first(&self) -> Position {
        self.catalog.first().unwrap_or(Position::START)
    }

    fn durable(&self) -> &Durable {
        &self.durable
    }

    fn undurable_bytes(&self) -> u64 {
        self.queue.undurable_bytes()
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        self.catalog.read(from, bytes_max)
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        self.catalog.segments()
    }

    fn put_checkpoint(&self, position: Position, content: &mut dyn Read) -> Result<CheckpointInfo, Error> {
        checkpoint::write(&self.folder, position, content)
    }

    fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, Error> {
        checkpoint::list(&self.folder)
    }

    fn get_checkpoint(&self, info: CheckpointInfo, into: &mut dyn Write) -> Result<(), Error> {
        checkpoint::read(&self.folder, info, into)
    }

    fn trim(&self, to: Position) -> Result<Vec<SegmentInfo>, Error> {
        trim::trim(&self.folder, &self.catalog, to)
    }

    fn copy_to(&self, storage: Arc<dyn Storage>) -> Result<Position, Error> {
        let segments = self.catalog.segments();
        let end = segments.last().map_or(Position::START, |info| info.end);
        self.durable.wait_blocking(end)?;
        trim::copy(&self.folder, &segments, &Folder::new(storage))?;
        Ok(end)
    }

    fn room(&self) -> &Room {
        &self.room
    }

    fn meters(&self) -> &Meters {
        &self.meters
    }

    fn close(&self) -> Result<(), Error> {
        self.queue.end(Ended::Closed);
        self.room.end();
        if let Some(Running { writer, lock }) = self.running.lock().take() {
            // A panic there has ended the durable position, which is looked at below.
            let _ = writer.join();
            drop(lock);
        }
        match self.durable.check() {
            Err(Error::Closed) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for SegmentJournal {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the journal did not close cleanly");
        }
    }
}
