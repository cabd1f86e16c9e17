//! The events that are read and in no lane yet. With one lane they stand in one queue, and nothing else is known of them. With
//! more, a free lane takes the first ones whose keys are in no other lane; an event whose key is in one waits behind that
//! key, and comes next when the lane is done with it.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::work::Work;

/// What stands before the lanes of one processor.
#[derive(Default)]
pub struct Standing {
    /// In the order in which they were read.
    queue: VecDeque<Work>,
    /// The first events of keys that were in a lane when they came: older than all of the queue.
    ready: VecDeque<Work>,
    /// The keys that are in a lane, or whose next event is ready.
    taken: HashTable<TakenKey>,
    /// How many events wait behind taken keys.
    behind: usize,
    bytes: usize,
    by_key: bool,
}

struct TakenKey {
    hash: u64,
    behind: VecDeque<Work>,
}

impl Standing {
    /// How many events stand there.
    pub fn len(&self) -> usize {
        self.free() + self.behind
    }

    /// How many of them wait for nothing but a lane, as far as is known before one looks.
    pub fn free(&self) -> usize {
        self.queue.len() + self.ready.len()
    }

    /// How many wait behind keys that are in a lane.
    pub fn behind(&self) -> usize {
        self.behind
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether more than one lane may take from it.
    pub fn is_by_key(&self) -> bool {
        self.by_key
    }

    /// Changes between one lane and several. No event of it may be in a lane.
    pub fn set_by_key(&mut self, by_key: bool) {
        self.by_key = by_key;
        if by_key {
            return;
        }
        let mut works: Vec<Work> = self.taken.drain().flat_map(|key| key.behind).collect();
        works.extend(self.ready.drain(..));
        works.sort_unstable_by_key(|work| work.order);
        works.into_iter().rev().for_each(|work| self.queue.push_front(work));
        self.behind = 0;
    }

    /// Takes an event in that was read last.
    pub fn push(&mut self, work: Work) {
        self.bytes += work.item.record.len();
        self.queue.push_back(work);
    }

    /// The next event, if it may be taken. With several lanes its key is taken until [`Standing::give_back`].
    pub fn take(&mut self, may_be_taken: impl Fn(&Work) -> bool) -> Option<Work> {
        let work = match self.by_key {
            true => self.take_by_key(may_be_taken),
            false => self.queue.pop_front_if(|work| may_be_taken(work)),
        }?;
        self.bytes -= work.item.record.len();
        Some(work)
    }

    fn take_by_key(&mut self, may_be_taken: impl Fn(&Work) -> bool) -> Option<Work> {
        if !self.ready.is_empty() {
            return self.ready.pop_front_if(|work| may_be_taken(work));
        }
        loop {
            let hash = self.queue.front()?.hash;
            match self.taken.find_mut(hash, |key| key.hash == hash) {
                Some(key) => {
                    key.behind.extend(self.queue.pop_front());
                    self.behind += 1;
                }
                None => {
                    let work = self.queue.pop_front_if(|work| may_be_taken(work))?;
                    self.taken
                        .insert_unique(hash, TakenKey { hash, behind: VecDeque::new() }, |key| key.hash);
                    return Some(work);
                }
            }
        }
    }

    /// A lane is done with an event, or did not get it: the next one of its key may come, unless it is `kept_back`.
    pub fn give_back(&mut self, hash: u64, mut kept_back: impl FnMut(&Work) -> bool) {
        let Ok(mut key) = self.taken.find_entry(hash, |key| key.hash == hash) else { return };
        while let Some(work) = key.get_mut().behind.pop_front() {
            self.behind -= 1;
            if !kept_back(&work) {
                self.ready.push_back(work);
                return;
            }
            self.bytes -= work.item.record.len();
        }
        key.remove();
    }
}
