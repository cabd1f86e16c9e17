//! The keyed state of one processor: (key, name) -> value. Lanes read it while a batch runs; only the fold
//! writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

/// A value and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateValue {
    /// What the guest wrote.
    pub bytes: Arc<[u8]>,
    /// Milliseconds since the Unix epoch; 0 never expires.
    pub expires_ms: u64,
}

impl StateValue {
    /// Whether it is there for a reader at this time.
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms == 0 || self.expires_ms > now_ms
    }
}

/// A row that changed: `None` was deleted.
pub type StateRow = (Arc<str>, Arc<str>, Option<StateValue>);

/// What a row counts beside its key, its name and its value.
pub const ROW_BYTES: u64 = 128;

/// How many rows are taken while lanes and the fold wait.
const TAKEN_AT_ONCE: usize = 64;

/// All state of one processor.
#[derive(Default)]
pub struct ProcessorState {
    inner: Mutex<Inner>,
    /// The bytes of all rows, for those who look without the lock.
    bytes: AtomicU64,
}

#[derive(Default)]
struct Inner {
    keys: HashMap<Arc<str>, Names>,
    dirty: Vec<(Arc<str>, Arc<str>)>,
    /// What ends some day: when, key, name.
    ending: BTreeSet<(u64, Arc<str>, Arc<str>)>,
}

/// The rows of one key, and their bytes.
#[derive(Default)]
struct Names {
    slots: BTreeMap<Arc<str>, Slot>,
    bytes: u64,
}

/// A deleted value stays as an empty slot until the store has taken the deletion.
struct Slot {
    value: Option<StateValue>,
    dirty: bool,
}

impl ProcessorState {
    /// The value of a name, if it has one that is not expired.
    pub fn get(&self, key: &str, name: &str, now_ms: u64) -> Option<StateValue> {
        let inner = self.inner.lock();
        let value = inner.keys.get(key)?.slots.get(name)?.value.as_ref()?;
        value.is_live(now_ms).then(|| value.clone())
    }

    /// Sets (or, without a value, deletes) a name.
    pub fn set(&self, key: &str, name: &str, value: Option<StateValue>) {
        self.count(self.inner.lock().set(key, name, value));
    }

    /// Takes a row over from the store.
    pub fn load(&self, key: &str, name: &str, value: StateValue) {
        let mut inner = self.inner.lock();
        let bytes = row_bytes(key, name, value.bytes.len());
        self.count((bytes, 0));
        let (key, name): (Arc<str>, Arc<str>) = (key.into(), name.into());
        if value.expires_ms > 0 {
            inner.ending.insert((value.expires_ms, key.clone(), name.clone()));
        }
        let names = inner.keys.entry(key).or_default();
        names.bytes += bytes;
        names.slots.insert(name, Slot { value: Some(value), dirty: false });
    }

    /// Deletes everything.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        let names: Vec<_> = inner
            .keys
            .iter()
            .flat_map(|(key, names)| names.slots.keys().map(|name| (key.clone(), name.clone())))
            .collect();
        for (key, name) in names {
            self.count(inner.set(&key, &name, None));
        }
    }

    /// The live rows of one key, or of all, in order, at most `limit`.
    pub fn rows(
        &self,
        key: Option<&str>,
        now_ms: u64,
        limit: usize,
    ) -> Vec<(Arc<str>, Arc<str>, StateValue)> {
        let inner = self.inner.lock();
        let mut keys: Vec<_> = match key {
            Some(key) => inner.keys.get_key_value(key).into_iter().collect(),
            None => inner.keys.iter().collect(),
        };
        keys.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let rows = keys.into_iter().flat_map(|(key, names)| {
            names
                .slots
                .iter()
                .filter_map(|(name, slot)| Some((key.clone(), name.clone(), slot.value.clone()?)))
        });
        rows.filter(|(_, _, value)| value.is_live(now_ms)).take(limit).collect()
    }

    /// The live rows whose key and name are wanted, in no order.
    pub fn rows_of(
        &self,
        is_wanted: impl Fn(&str, &str) -> bool,
        now_ms: u64,
    ) -> Vec<(Arc<str>, Arc<str>, StateValue)> {
        let inner = self.inner.lock();
        let rows = inner.keys.iter().flat_map(|(key, names)| {
            let wanted = names.slots.iter().filter(|(name, _)| is_wanted(key, name));
            let live = wanted.filter_map(|(name, slot)| Some((name, slot.value.as_ref()?)));
            let live = live.filter(|(_, value)| value.is_live(now_ms));
            live.map(|(name, value)| (key.clone(), name.clone(), value.clone()))
        });
        rows.collect()
    }

    /// The live values of one name, each with its key, in no order.
    pub fn named(&self, name: &str, now_ms: u64) -> Vec<(Arc<str>, StateValue)> {
        let inner = self.inner.lock();
        let values = inner.keys.iter().filter_map(|(key, names)| {
            let value = names.slots.get(name)?.value.as_ref().filter(|value| value.is_live(now_ms))?;
            Some((key.clone(), value.clone()))
        });
        values.collect()
    }

    /// The names that are expired and still there, the oldest first, at most `limit`.
    pub fn expired(&self, now_ms: u64, limit: usize) -> Vec<(Arc<str>, Arc<str>)> {
        let inner = self.inner.lock();
        let expired = inner.ending.iter().take_while(|(expires_ms, ..)| *expires_ms <= now_ms).take(limit);
        expired.map(|(_, key, name)| (key.clone(), name.clone())).collect()
    }

    /// Whether nothing is kept, expired values not counted out.
    pub fn is_empty(&self) -> bool {
        let inner = self.inner.lock();
        !inner.keys.values().any(|names| names.slots.values().any(|slot| slot.value.is_some()))
    }

    /// How many bytes all of it counts.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many bytes one key and all keys would count after these writes to the key: names, and how long their new values are.
    pub fn bytes_after(&self, key: &str, writes: &BTreeMap<&str, Option<usize>>) -> (u64, u64) {
        let inner = self.inner.lock();
        let names = inner.keys.get(key);
        let there = |name: &str| Some(names?.slots.get(name)?.value.as_ref()?.bytes.len());
        let (mut added, mut removed) = (0, 0);
        for (name, len) in writes {
            added += len.map_or(0, |len| row_bytes(key, name, len));
            removed += there(name).map_or(0, |len| row_bytes(key, name, len));
        }
        let after = |bytes: u64| (bytes + added).saturating_sub(removed);
        (after(names.map_or(0, |names| names.bytes)), after(self.bytes()))
    }

    fn count(&self, (added, removed): (u64, u64)) {
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(removed, Ordering::Relaxed);
    }

    /// The rows that changed since this was last asked. Others may change some of them in between: each is as new as when it was taken.
    pub fn take_dirty(&self) -> Vec<StateRow> {
        let dirty = std::mem::take(&mut self.inner.lock().dirty);
        let mut rows = Vec::with_capacity(dirty.len());
        for some in dirty.chunks(TAKEN_AT_ONCE) {
            let mut inner = self.inner.lock();
            rows.extend(some.iter().map(|(key, name)| inner.clean(key, name)));
        }
        rows
    }
}

impl Inner {
    /// Says how many bytes came and how many went.
    fn set(&mut self, key: &str, name: &str, value: Option<StateValue>) -> (u64, u64) {
        let bytes =
            |value: Option<&StateValue>| value.map_or(0, |value| row_bytes(key, name, value.bytes.len()));
        let added = bytes(value.as_ref());
        let key: Arc<str> = self.keys.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let Names { slots, bytes: of_key } = self.keys.entry(key.clone()).or_default();
        let name: Arc<str> = slots.get_key_value(name).map_or_else(|| name.into(), |(name, _)| name.clone());
        let slot = slots.entry(name.clone()).or_insert(Slot { value: None, dirty: false });
        let removed = bytes(slot.value.as_ref());
        *of_key = *of_key + added - removed;
        let (ended, ends) = (expiry(slot.value.as_ref()), expiry(value.as_ref()));
        if ended != ends {
            ended.map(|at| self.ending.remove(&(at, key.clone(), name.clone())));
            ends.map(|at| self.ending.insert((at, key.clone(), name.clone())));
        }
        slot.value = value;
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push((key, name));
        }
        (added, removed)
    }

    fn clean(&mut self, key: &Arc<str>, name: &Arc<str>) -> StateRow {
        let row = |value| (key.clone(), name.clone(), value);
        let Some(names) = self.keys.get_mut(key) else { return row(None) };
        let Some(slot) = names.slots.get_mut(name) else { return row(None) };
        slot.dirty = false;
        let value = slot.value.clone();
        if value.is_none() {
            names.slots.remove(name);
            if names.slots.is_empty() {
                self.keys.remove(key);
            }
        }
        row(value)
    }
}

fn expiry(value: Option<&StateValue>) -> Option<u64> {
    value.map(|value| value.expires_ms).filter(|expires_ms| *expires_ms > 0)
}

/// What a row counts: whoever keeps many empty values under long names pays for them.
pub fn row_bytes(key: &str, name: &str, value: usize) -> u64 {
    (key.len() + name.len() + value) as u64 + ROW_BYTES
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn value(text: &str, expires_ms: u64) -> Option<StateValue> {
        Some(StateValue { bytes: text.as_bytes().into(), expires_ms })
    }

    #[test]
    fn values_expire_for_readers() {
        let state = ProcessorState::default();
        state.set("k", "n", value("v", 100));
        assert!(state.get("k", "n", 99).is_some());
        assert!(state.get("k", "n", 100).is_none());
        assert!(state.rows(None, 100, 10).is_empty());
    }

    #[test]
    fn what_is_expired_is_found_once_it_is_and_while_it_is_there() {
        let state = ProcessorState::default();
        state.load("k", "loaded", StateValue { bytes: b"v".as_slice().into(), expires_ms: 50 });
        state.set("k", "n", value("v", 100));
        state.set("k", "kept", value("v", 100));
        state.set("k", "kept", value("v", 300));
        let names = |now_ms| {
            state.expired(now_ms, 9).into_iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>()
        };
        assert!(names(49).is_empty());
        assert_eq!(names(200), ["loaded", "n"]);
        state.set("k", "n", None);
        assert_eq!(names(200), ["loaded"]);
    }

    #[test]
    fn a_row_is_dirty_once_with_its_last_value() {
        let state = ProcessorState::default();
        state.set("k", "n", value("1", 0));
        state.set("k", "n", value("22", 0));
        state.set("k", "m", value("x", 0));
        state.set("k", "m", None);
        let rows = state.take_dirty();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].2, value("22", 0));
        assert_eq!(rows[1].2, None);
        assert!(state.take_dirty().is_empty());
        assert_eq!(state.bytes(), row_bytes("k", "n", 2));
        state.clear();
        assert_eq!((state.bytes(), state.rows(None, 0, 10).len()), (0, 0));
    }

    #[test]
    fn what_writes_would_add_is_known_before_they_are_made() {
        let state = ProcessorState::default();
        state.set("k", "n", value("1", 0));
        state.set("other", "n", value("22", 0));
        let writes = BTreeMap::from([("n", Some(5)), ("m", Some(7)), ("gone", None)]);
        let (key, all) = (row_bytes("k", "n", 5) + row_bytes("k", "m", 7), row_bytes("other", "n", 2));
        assert_eq!(state.bytes_after("k", &writes), (key, key + all));
        state.set("k", "n", value("55555", 0));
        state.set("k", "m", value("7777777", 0));
        assert_eq!(state.bytes_after("k", &BTreeMap::new()), (key, state.bytes()));
    }
}
