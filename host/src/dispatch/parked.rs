//! The events of a processor that failed: when each is tried again, and what waits behind it. A key with such an event is parked: its
//! events come from here, one after the other, until none waits; all other keys know nothing of it. It reads no event and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hashbrown::HashMap;

use crate::model::change::Again;
use crate::view::failed::EventRef;

/// What failed, and what waits behind it.
#[derive(Default)]
pub struct Parked {
    keys: HashMap<Box<str>, ParkedKey>,
    /// Events whose keys do not wait for them.
    loose: BTreeMap<EventRef, Option<Again>>,
    /// By when: what is tried again.
    timers: BTreeSet<(u64, Who)>,
    /// Keys whose next event may go to a lane, in the order in which they became so.
    ready: VecDeque<Box<str>>,
    /// How many events wait behind others of their keys.
    waiting: usize,
    /// When somebody last looked at the timers.
    looked_ms: u64,
}

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Key(Box<str>),
    Loose(EventRef),
}

/// A key with an event that failed.
#[derive(Debug)]
struct ParkedKey {
    /// The event that failed, or that goes on after it.
    head: EventRef,
    state: State,
    /// What came later, in order.
    behind: VecDeque<EventRef>,
}

/// How far a parked key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its head is tried again then.
    Until(u64, Again),
    /// Its head waits for somebody to say so.
    Held,
    /// Its head may go to a lane.
    Ready,
    /// Its head is in a lane.
    InFlight,
}

impl Parked {
    /// How many events failed that are not given up.
    pub fn len(&self) -> usize {
        self.keys.len() + self.loose.len()
    }

    /// How many events wait behind them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a key is parked.
    pub fn has_key(&self, key: &str) -> bool {
        !self.keys.is_empty() && self.keys.contains_key(key)
    }

    /// The events that wait behind others, by key.
    pub fn behind(&self) -> impl Iterator<Item = (&str, EventRef)> {
        self.keys.iter().flat_map(|(key, parked)| parked.behind.iter().map(|event| (&**key, *event)))
    }

    /// Puts an event behind its parked key; says whether the key is parked.
    pub fn keep_back(&mut self, key: &str, event: EventRef) -> bool {
        let Some(parked) = (!self.keys.is_empty()).then(|| self.keys.get_mut(key)).flatten() else {
            return false;
        };
        parked.behind.push_back(event);
        self.waiting += 1;
        true
    }

    /// An event failed: its key waits for it. If the key is parked already, for another event, it comes next after that.
    pub fn park(&mut self, key: &str, event: EventRef, again: Option<Again>, now_ms: u64) {
        self.looked_ms = self.looked_ms.max(now_ms);
        let state = match again {
            Some(again) => State::Until(now_ms + again.left_ms(now_ms), again),
            None => State::Held,
        };
        match self.keys.get_mut(key) {
            Some(parked) if parked.head == event => parked.state = state,
            Some(parked) => {
                parked.behind.push_back(event);
                self.waiting += 1;
                return;
            }
            None => {
                let parked = ParkedKey { head: event, state, behind: VecDeque::new() };
                self.keys.insert(key.into(), parked);
            }
        }
        if let State::Until(due_ms, _) = state {
            self.timers.insert((due_ms, Who::Key(key.into())));
        }
    }

    /// An event failed, and its key does not wait.
    pub fn park_loose(&mut self, event: EventRef, again: Option<Again>, now_ms: u64) {
        self.looked_ms = self.looked_ms.max(now_ms);
        if let Some(again) = again {
            self.timers.insert((now_ms + again.left_ms(now_ms), Who::Loose(event)));
        }
        self.loose.insert(event, again);
    }

    /// When the next one is to be tried again.
    pub fn next_due(&self) -> Option<u64> {
        self.timers.first().map(|(due_ms, _)| *due_ms)
    }

    /// Makes ready what is due; gives the events among them whose keys do not wait. A clock that was set back delays nothing by more than
    /// its own delay.
    pub fn wake(&mut self, now_ms: u64) -> Vec<EventRef> {
        let mut loose = Vec::new();
        if now_ms < std::mem::replace(&mut self.looked_ms, now_ms) {
            let timers = std::mem::take(&mut self.timers).into_iter();
            let nearer =
                |(due_ms, who): (u64, Who)| (due_ms.min(now_ms + self.after_ms(&who).unwrap_or(0)), who);
            self.timers = timers.map(nearer).collect();
        }
        while let Some((due_ms, who)) = self.timers.pop_first() {
            if due_ms > now_ms {
                self.timers.insert((due_ms, who));
                break;
            }
            match who {
                Who::Loose(event) => loose.extend(self.loose.remove(&event).map(|_| event)),
                Who::Key(key) => self.make_ready(key),
            }
        }
        loose
    }

    fn after_ms(&self, who: &Who) -> Option<u64> {
        match who {
            Who::Key(key) => match self.keys.get(key)?.state {
                State::Until(_, again) => Some(again.after_ms),
                _ => None,
            },
            Who::Loose(event) => self.loose.get(event)?.map(|again| again.after_ms),
        }
    }

    fn make_ready(&mut self, key: Box<str>) {
        if let Some(parked) = self.keys.get_mut(&key)
            && matches!(parked.state, State::Until(..) | State::Held)
        {
            parked.state = State::Ready;
            self.ready.push_back(key);
        }
    }

    /// The event of the next key that is ready.
    pub fn peek_ready(&self) -> Option<EventRef> {
        let key = self.ready.front()?;
        self.keys.get(key).map(|parked| parked.head)
    }

    /// Takes the event of the next key that is ready: it goes to a lane.
    pub fn take_ready(&mut self) {
        if let Some(key) = self.ready.pop_front()
            && let Some(parked) = self.keys.get_mut(&key)
        {
            parked.state = State::InFlight;
        }
    }

    /// A key's event is done with: the next one may go, or the key is parked no more.
    pub fn done(&mut self, key: &str, event: EventRef) {
        let Some(parked) = self.keys.get_mut(key).filter(|parked| parked.head == event) else { return };
        match parked.behind.pop_front() {
            Some(next) => {
                self.waiting -= 1;
                (parked.head, parked.state) = (next, State::Ready);
                self.ready.push_back(key.into());
            }
            None => drop(self.keys.remove(key)),
        }
    }

    /// What failed is not what it was: `again` says of each event when it is tried again, if it is still one that failed. What is in a
    /// lane goes on; gives the events among those whose keys do not wait that are to be tried at once.
    pub fn look_again(
        &mut self,
        now_ms: u64,
        again: impl Fn(EventRef) -> Option<Option<Again>>,
    ) -> Vec<EventRef> {
        let resting = |parked: &ParkedKey| matches!(parked.state, State::Until(..) | State::Held);
        self.timers.clear();
        let keys: Vec<_> =
            self.keys.iter().filter(|(_, parked)| resting(parked)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(head) = self.keys.get(&key).map(|parked| parked.head) else { continue };
            match again(head) {
                Some(again) => self.park(&key, head, again, now_ms),
                None => self.done(&key, head),
            }
        }
        let loose = std::mem::take(&mut self.loose);
        for event in loose.into_keys() {
            if let Some(again) = again(event) {
                self.park_loose(event, again, now_ms);
            }
        }
        self.wake(now_ms)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const AGAIN: Again = Again { at_ms: 1_100, after_ms: 100 };

    fn ready(parked: &mut Parked) -> Option<EventRef> {
        let event = parked.peek_ready();
        parked.take_ready();
        event
    }

    #[test]
    fn a_key_goes_on_in_order_after_its_event_was_tried_again() {
        let mut parked = Parked::default();
        parked.park("a", (0, 1), Some(AGAIN), 1_000);
        assert!(
            parked.keep_back("a", (0, 2)) && parked.keep_back("a", (1, 0)) && !parked.keep_back("b", (0, 3))
        );
        assert_eq!((parked.next_due(), parked.waiting()), (Some(1_100), 2));
        assert!(parked.wake(1_099).is_empty() && ready(&mut parked).is_none());
        parked.wake(1_100);
        for event in [(0, 1), (0, 2), (1, 0)] {
            assert_eq!(ready(&mut parked), Some(event));
            assert!(parked.has_key("a") && parked.peek_ready().is_none());
            parked.done("a", event);
        }
        assert_eq!((parked.has_key("a"), parked.len(), parked.waiting()), (false, 0, 0));
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nothing_by_more_than_its_delay() {
        let mut parked = Parked::default();
        parked.park("a", (0, 1), Some(AGAIN), 1_000);
        parked.park_loose((0, 7), Some(AGAIN), 1_000);
        assert!(parked.wake(10).is_empty());
        assert_eq!(parked.next_due(), Some(110));
        assert_eq!(parked.wake(110), [(0, 7)]);
        assert_eq!(ready(&mut parked), Some((0, 1)));
    }

    #[test]
    fn after_a_restart_the_rest_of_the_delay_is_left() {
        let due = |now_ms| {
            let mut parked = Parked::default();
            parked.park("a", (0, 1), Some(AGAIN), now_ms);
            parked.next_due()
        };
        assert_eq!([1_070, 90_000, 5].map(due), [Some(1_100), Some(90_000), Some(105)]);
    }

    #[test]
    fn what_is_released_goes_at_once_and_what_is_discarded_lets_its_key_go_on() {
        let mut parked = Parked::default();
        parked.park("a", (0, 1), None, 0);
        parked.park("b", (0, 2), None, 0);
        parked.keep_back("b", (0, 5));
        parked.park_loose((0, 3), None, 0);
        let again = |event| (event != (0, 2)).then_some(Some(Again::NOW));
        assert_eq!(parked.look_again(50, again), [(0, 3)]);
        let mut events = [ready(&mut parked).unwrap(), ready(&mut parked).unwrap()];
        events.sort_unstable();
        assert_eq!((events, parked.waiting()), ([(0, 1), (0, 5)], 0));
    }

    #[test]
    fn a_second_event_of_a_parked_key_comes_after_the_first() {
        let mut parked = Parked::default();
        parked.park("a", (0, 1), Some(Again::NOW), 7);
        parked.park("a", (0, 4), Some(Again::NOW), 7);
        parked.wake(7);
        assert_eq!(ready(&mut parked), Some((0, 1)));
        parked.done("a", (0, 1));
        assert_eq!(ready(&mut parked), Some((0, 4)));
    }
}
