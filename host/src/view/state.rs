//! The keyed state of one processor: (key, name) -> value. Lanes read it while a batch runs; only the fold
//! writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// All state of one processor.
#[derive(Default)]
pub struct ProcessorState(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    keys: HashMap<Arc<str>, BTreeMap<Arc<str>, Slot>>,
    dirty: Vec<(Arc<str>, Arc<str>)>,
    /// What ends some day: when, key, name.
    ending: BTreeSet<(u64, Arc<str>, Arc<str>)>,
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
        let inner = self.0.lock();
        let value = inner.keys.get(key)?.get(name)?.value.as_ref()?;
        value.is_live(now_ms).then(|| value.clone())
    }

    /// Sets (or, without a value, deletes) a name.
    pub fn set(&self, key: &str, name: &str, value: Option<StateValue>) {
        self.0.lock().set(key, name, value);
    }

    /// Takes a row over from the store.
    pub fn load(&self, key: &str, name: &str, value: StateValue) {
        let mut inner = self.0.lock();
        inner.bytes += value.bytes.len() as u64;
        let (key, name): (Arc<str>, Arc<str>) = (key.into(), name.into());
        if value.expires_ms > 0 {
            inner.ending.insert((value.expires_ms, key.clone(), name.clone()));
        }
        inner.keys.entry(key).or_default().insert(name, Slot { value: Some(value), dirty: false });
    }

    /// Deletes everything.
    pub fn clear(&self) {
        let mut inner = self.0.lock();
        let names: Vec<_> = inner
            .keys
            .iter()
            .flat_map(|(key, names)| names.keys().map(|name| (key.clone(), name.clone())))
            .collect();
        for (key, name) in names {
            inner.set(&key, &name, None);
        }
    }

    /// The live rows of one key, or of all, in order, at most `limit`.
    pub fn rows(
        &self,
        key: Option<&str>,
        now_ms: u64,
        limit: usize,
    ) -> Vec<(Arc<str>, Arc<str>, StateValue)> {
        let inner = self.0.lock();
        let mut keys: Vec<_> = match key {
            Some(key) => inner.keys.get_key_value(key).into_iter().collect(),
            None => inner.keys.iter().collect(),
        };
        keys.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let rows = keys.into_iter().flat_map(|(key, names)| {
            names.iter().filter_map(|(name, slot)| Some((key.clone(), name.clone(), slot.value.clone()?)))
        });
        rows.filter(|(_, _, value)| value.is_live(now_ms)).take(limit).collect()
    }

    /// The names that are expired and still there, the oldest first, at most `limit`.
    pub fn expired(&self, now_ms: u64, limit: usize) -> Vec<(Arc<str>, Arc<str>)> {
        let inner = self.0.lock();
        let expired = inner.ending.iter().take_while(|(expires_ms, ..)| *expires_ms <= now_ms).take(limit);
        expired.map(|(_, key, name)| (key.clone(), name.clone())).collect()
    }

    /// Whether nothing is kept, expired values not counted out.
    pub fn is_empty(&self) -> bool {
        let inner = self.0.lock();
        !inner.keys.values().any(|names| names.values().any(|slot| slot.value.is_some()))
    }

    /// How many bytes its values have.
    pub fn bytes(&self) -> u64 {
        self.0.lock().bytes
    }

    /// The rows that changed since this was last asked.
    pub fn take_dirty(&self) -> Vec<StateRow> {
        let mut inner = self.0.lock();
        let dirty = std::mem::take(&mut inner.dirty);
        dirty.into_iter().map(|(key, name)| inner.clean(key, name)).collect()
    }
}

impl Inner {
    fn set(&mut self, key: &str, name: &str, value: Option<StateValue>) {
        let added = len(value.as_ref());
        let key: Arc<str> = self.keys.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let names = self.keys.entry(key.clone()).or_default();
        let name: Arc<str> = names.get_key_value(name).map_or_else(|| name.into(), |(name, _)| name.clone());
        let slot = names.entry(name.clone()).or_insert(Slot { value: None, dirty: false });
        let removed = len(slot.value.as_ref());
        let (ended, ends) = (expiry(slot.value.as_ref()), expiry(value.as_ref()));
        if ended != ends {
            ended.map(|at| self.ending.remove(&(at, key.clone(), name.clone())));
            ends.map(|at| self.ending.insert((at, key.clone(), name.clone())));
        }
        slot.value = value;
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push((key, name));
        }
        self.bytes = self.bytes + added - removed;
    }

    fn clean(&mut self, key: Arc<str>, name: Arc<str>) -> StateRow {
        let Some(names) = self.keys.get_mut(&key) else { return (key, name, None) };
        let Some(slot) = names.get_mut(&name) else { return (key, name, None) };
        slot.dirty = false;
        let value = slot.value.clone();
        if value.is_none() {
            names.remove(&name);
            if names.is_empty() {
                self.keys.remove(&key);
            }
        }
        (key, name, value)
    }
}

fn expiry(value: Option<&StateValue>) -> Option<u64> {
    value.map(|value| value.expires_ms).filter(|expires_ms| *expires_ms > 0)
}

fn len(value: Option<&StateValue>) -> u64 {
    value.map_or(0, |value| value.bytes.len() as u64)
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
        assert_eq!(state.bytes(), 2);
        state.clear();
        assert_eq!((state.bytes(), state.rows(None, 0, 10).len()), (0, 0));
    }
}
