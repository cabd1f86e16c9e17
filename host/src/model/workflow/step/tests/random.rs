//! Many runs in which anything happens in any order, seeded so that each can be run again. After each step what must always hold is checked
//! against a mediator that keeps account of all that it was told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::super::run::{Doing, ROOT, Scope, Status};
use super::super::super::task::{Action, Task};
use super::*;

const RUNS: u64 = 60;
const STEPS: u32 = 40;

const ORDER: &str = "timeout: { after: P9D }\ndo:\n\
    - pay: { call: x, with: { type: a }, metadata: { compensate: refund }, export: { as: .x }, timeout: { after: PT9S } }\n\
    - refund: { call: x, with: { type: b } }\n\
    - both:\n    fork:\n      branches:\n      \
      - mail: { call: x, with: { type: c } }\n      \
      - ship: { call: x, with: { type: d }, output: { as: .x }, metadata: { compensate: fetch } }\n      \
      - fetch: { do: [ { rest: { wait: PT1S } }, { tell: { call: x, with: { type: e } } } ] }\n\
    - check: { switch: [ { bad: { when: . == null, then: bad } } ] }\n\
    - last: { call: x, with: { type: f }, then: end }\n\
    - bad: { raise: { error: { type: 'https://x.test/bad', status: 400 } } }\n";

const RACE: &str = "- race:\n    fork:\n      compete: true\n      branches:\n      \
      - one:\n          do:\n          - a: { call: x, with: { type: a }, metadata: { compensate: ua } }\n          - ua: { call: x, with: { type: b } }\n          - b: { call: x, with: { type: c }, metadata: { compensate: ub }, timeout: { after: PT5S } }\n          - ub: { call: x, with: { type: d } }\n      \
      - two: { call: x, with: { type: e }, metadata: { compensate: utwo } }\n      \
      - utwo: { call: x, with: { type: f } }\n      \
      - three: { if: . == null, set: { x: 1 } }\n      \
      - four: { listen: { to: { all: [ { with: { type: p } }, { with: { type: q } } ] } }, output: { as: .x } }\n\
    - last: { call: x, with: { type: g }, metadata: { compensate: ulast } }\n- ulast: { call: x, with: { type: h } }\n";

const SAFE: &str = "- safe:\n    timeout: { after: PT1H }\n    try:\n    \
    - both:\n        fork:\n          branches:\n          \
          - a: { call: x, with: { type: a }, metadata: { compensate: ua } }\n          \
          - ua: { call: x, with: { type: b }, timeout: { after: PT3S } }\n          \
          - b: { call: x, with: { type: c }, output: { as: .x } }\n    \
    - c: { call: x, with: { type: d }, metadata: { compensate: uc }, export: { as: .x } }\n    - uc: { call: x, with: { type: e } }\n    \
    catch:\n      errors: { with: { status: 500 } }\n      retry: { delay: PT1S, limit: { attempt: { count: 2, duration: PT9S } } }\n      \
      do: [ { help: { call: x, with: { type: f } } }, { give-up: { raise: { error: { type: 'https://x.test/bad', status: 400 } } } } ]\n\
- last: { call: x, with: { type: g } }\n";

const ROUNDS: &str = "- each:\n    for: { in: '[1, 2]' }\n    while: .x != 1\n    do:\n    \
    - a: { call: x, with: { type: a, data: '${ $item }' }, metadata: { compensate: ua } }\n    - ua: { call: x, with: { type: b, data: '${ $item }' } }\n    \
    - hear: { listen: { to: { any: [ { with: { type: p } }, { with: { type: q } } ] } }, timeout: { after: PT5S }, output: { as: '${ $item }' } }\n\
- back: { call: x, with: { type: c } }\n- again: { switch: [ { more: { when: . == 1, then: back } } ] }\n- rest: { wait: PT1S }\n";

/// A small generator (splitmix64): the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below.max(1) as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.next(of.len())).cloned()
    }
}

type Attempt = (TaskRef, u32);

/// A run, and what a mediator knows of it.
struct World {
    case: Case,
    chance: Chance,
    /// All attempts that were ever given.
    given: BTreeSet<Attempt>,
    /// Commands that are not acknowledged.
    calls: Vec<Attempt>,
    listens: BTreeSet<Attempt>,
    timers: BTreeSet<u64>,
    timers_ever: u64,
    /// Tasks that are done and are not to be called again.
    done: BTreeSet<TaskRef>,
    /// How often each task that another undoes has been done and not been undone.
    effects: BTreeMap<TaskRef, u32>,
    /// How often a command was carried out that nobody wanted any more, but for those that were undone: below zero, if more were undone.
    late: i32,
    log: Vec<String>,
}

impl World {
    fn new(text: &str, seed: u64) -> Self {
        let mut world = Self {
            case: Case::pending(text, json!(null)),
            chance: Chance(seed),
            given: BTreeSet::new(),
            calls: Vec::new(),
            listens: BTreeSet::new(),
            timers: BTreeSet::new(),
            timers_ever: 0,
            done: BTreeSet::new(),
            effects: BTreeMap::new(),
            late: 0,
            log: Vec::new(),
        };
        world.takes(What::Start);
        world
    }

    /// Lets something happen, twice from the same run, and checks all.
    fn takes(&mut self, what: What) {
        self.log.push(format!("{what:?}"));
        let before = self.case.run.clone();
        self.case.chance = self.chance.0;
        if self.case.tries(what.clone()).is_err() {
            return;
        }
        let first = (std::mem::replace(&mut self.case.run, before.clone()), self.case.commands.clone());
        self.case.takes(what.clone());
        assert_eq!(first, (self.case.run.clone(), self.case.commands.clone()));
        self.counts(&before, &what);
        self.case.commands.clone().iter().for_each(|command| self.told(command, &what));
        self.holds();
    }

    /// Keeps account of what was done in truth.
    fn counts(&mut self, before: &Run, what: &What) {
        match what {
            What::Acknowledged { task, attempt, outcome } => {
                self.calls.retain(|call| *call != (task.clone(), *attempt));
                let left = before.left.iter().find(|left| left.task == *task && left.attempt == *attempt);
                if matches!(outcome, Outcome::Done(_)) && left.is_none_or(|left| left.undo.is_some()) {
                    self.effect(task);
                }
                if matches!(outcome, Outcome::Done(_)) && left.is_some_and(|left| left.undo.is_some()) {
                    self.late += 1;
                }
                if left.is_none() && matches!(outcome, Outcome::Done(_)) && !self.is_repeated(task) {
                    self.done.insert(task.clone());
                }
            }
            What::Skip { task, .. } => {
                let scope = before.scopes.values().find(|scope| scope.task == *task).unwrap();
                if !matches!(scope.doing, Doing::Failed { output: Some(_), .. }) {
                    self.effect(task);
                }
            }
            What::Resume { from: None, input: None } => {}
            What::Resume { .. } | What::Due { .. } => self.done.clear(),
            What::Taken { task, attempt, .. } => {
                let still = |scope: &Scope| {
                    scope.task == *task
                        && matches!(scope.doing, Doing::Listening { attempt: at, .. } if at == *attempt)
                };
                if !self.case.run.scopes.values().any(still) {
                    self.listens.remove(&(task.clone(), *attempt));
                }
            }
            _ => {}
        }
    }

    /// Whether a task is one that is begun more than once by itself.
    fn is_repeated(&self, task: &TaskRef) -> bool {
        let is_it =
            |one: &&Task| one.compensates || matches!(one.action, Action::For(_)) || one.name == "back";
        let mut repeated = self.case.definition.all().into_iter().filter(is_it);
        repeated.any(|one| task.is_at_or_within(&one.at))
    }

    fn effect(&mut self, task: &TaskRef) {
        if self.case.definition.task(task).is_some_and(|task| task.compensate.is_some()) {
            *self.effects.entry(task.clone()).or_default() += 1;
        }
    }

    fn told(&mut self, command: &Command, what: &What) {
        match command {
            Command::Call { task, attempt, .. } => {
                assert!(
                    self.given.insert((task.clone(), *attempt)),
                    "{task} {attempt} again\n{}",
                    self.story()
                );
                assert!(
                    !self.done.contains(task),
                    "{task} is done and called again by {what:?}\n{}",
                    self.story()
                );
                self.calls.push((task.clone(), *attempt));
            }
            Command::TakeBack { task, attempt } => {
                assert!(self.calls.contains(&(task.clone(), *attempt)), "{}", self.story());
            }
            Command::Timer { timer, .. } => {
                assert!(*timer > self.timers_ever, "{}", self.story());
                self.timers_ever = *timer;
                self.timers.insert(*timer);
            }
            Command::TimerOff { timer } => assert!(self.timers.remove(timer), "{timer}\n{}", self.story()),
            Command::Listen { task, attempt, .. } => {
                assert!(self.given.insert((task.clone(), *attempt)), "{}", self.story());
                self.listens.insert((task.clone(), *attempt));
            }
            Command::ListenOff { task, attempt } => {
                assert!(self.listens.remove(&(task.clone(), *attempt)), "{}", self.story());
            }
            Command::Note { task, note: Note::Undone } => self.undone(task),
            Command::Ended => assert!(self.case.run.is_over(), "{}", self.story()),
            Command::Emit { .. } | Command::Note { .. } => {}
        }
    }

    /// One of those that this task undoes is undone.
    fn undone(&mut self, by: &TaskRef) {
        let (list, name) = (by.as_str().rsplitn(3, '/').nth(2).unwrap().to_owned(), name_of(by));
        let undoes = |at: &TaskRef| {
            let task = self.case.definition.task(at).unwrap();
            task.compensate.as_deref() == Some(name) && at.as_str().starts_with(&format!("{list}/"))
        };
        let task = self.effects.keys().find(|at| undoes(at)).cloned();
        let task = task.unwrap_or_else(|| panic!("{by} undoes what was never done\n{}", self.story()));
        self.late -= 1;
        let count = self.effects.get_mut(&task).unwrap();
        *count = count.checked_sub(1).unwrap_or_else(|| panic!("{task} is undone once too often"));
    }

    /// What holds between any two steps.
    fn holds(&self) {
        let run = &self.case.run;
        let scopes = &run.scopes;
        for (number, scope) in scopes {
            assert_eq!(scope.parent.is_none(), *number == ROOT, "{}", self.story());
            let parent = scope.parent.map(|parent| &scopes[&parent].doing);
            let has_room = parent.is_none_or(|doing| {
                !matches!(
                    doing,
                    Doing::Calling(_)
                        | Doing::Waiting(_)
                        | Doing::Listening { .. }
                        | Doing::Failed { .. }
                        | Doing::Pausing { .. }
                )
            });
            assert!(has_room, "{scope:?} is in {parent:?}\n{}", self.story());
        }
        let timers: BTreeSet<u64> = scopes.values().flat_map(timers_of).collect();
        assert_eq!(timers, self.timers, "{}", self.story());
        let mut awaited: Vec<Attempt> = scopes.values().filter_map(calling).collect();
        awaited.extend(run.left.iter().map(|left| (left.task.clone(), left.attempt)));
        awaited.sort();
        let mut calls = self.calls.clone();
        calls.sort();
        assert_eq!(awaited, calls, "{}", self.story());
        let listening: BTreeSet<Attempt> = scopes.values().filter_map(listening).collect();
        assert_eq!(listening, self.listens, "{}", self.story());
        if run.is_over() {
            assert!(run.undo.is_empty() && self.late <= 0, "{}", self.story());
            if run.status != Status::Completed {
                assert!(
                    run.left.is_empty() && self.effects.values().all(|count| *count == 0),
                    "{:?}\n{}",
                    self.effects,
                    self.story()
                );
            }
        }
        let kept = serde_json::to_vec(run).unwrap();
        assert_eq!(serde_json::from_slice::<Run>(&kept).unwrap(), *run);
    }

    fn story(&self) -> String {
        format!("{}\n{:#?}", self.log.join("\n"), self.case.run)
    }

    /// Something that may happen now, or may not.
    fn anything(&mut self) -> What {
        match self.chance.next(20) {
            0..10 => self.acknowledges(),
            10..13 => self.is_due(),
            13..15 => self.hears(),
            15 => What::Signal {
                ty: self.chance.one(&["p", "q"]).unwrap().to_owned(),
                event: json!({"data": {"x": 1}}),
            },
            16..18 => {
                let from = if self.chance.next(3) == 0 { Some(self.somewhere()) } else { None };
                let input = if self.chance.next(3) == 0 { Some(self.value()) } else { None };
                What::Resume { from, input }
            }
            18 if self.chance.next(8) == 0 => What::Cancel,
            18 => What::Skip { task: self.somewhere(), output: self.value() },
            _ => {
                let attempt = self.chance.next(3) as u32;
                What::Acknowledged {
                    task: self.somewhere(),
                    attempt: attempt + 100,
                    outcome: Outcome::Done(json!(1)),
                }
            }
        }
    }

    fn acknowledges(&mut self) -> What {
        let (task, attempt) = self.chance.one(&self.calls).unwrap_or_default();
        let is_left = self.case.run.left.iter().any(|left| left.task == task && left.attempt == attempt);
        let outcome = match self.chance.next(5) {
            0 => Outcome::Failed(Error::new(Kind::Communication, "", "it failed")),
            1 if is_left => Outcome::TakenBack,
            _ => Outcome::Done(self.value()),
        };
        What::Acknowledged { task, attempt, outcome }
    }

    fn is_due(&mut self) -> What {
        let mut timers: Vec<u64> = self.timers.iter().copied().collect();
        let whole = self.case.run.scopes.get(&ROOT).and_then(|root| root.timeout);
        if self.chance.next(20) > 0 {
            timers.retain(|timer| Some(*timer) != whole);
        }
        let timer = self.chance.one(&timers).unwrap_or_default();
        self.timers.remove(&timer);
        self.case.at_ms += 1_000;
        What::Due { timer }
    }

    fn hears(&mut self) -> What {
        let listens: Vec<Attempt> = self.listens.iter().cloned().collect();
        let (task, attempt) = self.chance.one(&listens).unwrap_or_default();
        let event = json!({"type": "p", "data": self.value()});
        What::Taken { task, attempt, filter: self.chance.next(2), event }
    }

    fn somewhere(&mut self) -> TaskRef {
        let all: Vec<TaskRef> = self.case.definition.all().into_iter().map(|task| task.at.clone()).collect();
        self.chance.one(&all).unwrap()
    }

    fn value(&mut self) -> Value {
        self.chance.one(&[json!({"x": 1}), json!({"x": null}), json!({}), json!(1), json!(null)]).unwrap()
    }

    /// Brings the run to its end: what waits gets what it waits for, and what failed is skipped.
    fn drain(&mut self) {
        for _ in 0..500 {
            if self.case.run.is_over() {
                return;
            }
            let failed = self.case.run.failures().map(|(scope, _)| scope.task.clone()).next();
            let what = match failed {
                Some(task) => What::Skip { task, output: json!({"x": 1}) },
                None if !self.calls.is_empty() => {
                    let (task, attempt) = self.calls[0].clone();
                    What::Acknowledged { task, attempt, outcome: Outcome::Done(json!({"x": {"x": 1}})) }
                }
                None if !self.listens.is_empty() => self.hears(),
                None => self.is_due(),
            };
            self.takes(what);
        }
        panic!("it never ends\n{}", self.story());
    }
}

fn timers_of(scope: &Scope) -> Vec<u64> {
    let own = match &scope.doing {
        Doing::Waiting(timer) | Doing::Pausing { timer, .. } => Some(*timer),
        Doing::Trying(tries) => tries.timer,
        _ => None,
    };
    [scope.timeout, own].into_iter().flatten().collect()
}

fn calling(scope: &Scope) -> Option<Attempt> {
    match scope.doing {
        Doing::Calling(attempt) => Some((scope.task.clone(), attempt)),
        _ => None,
    }
}

fn listening(scope: &Scope) -> Option<Attempt> {
    match scope.doing {
        Doing::Listening { attempt, .. } => Some((scope.task.clone(), attempt)),
        _ => None,
    }
}

/// How runs of a definition end when anything happens in them.
fn ends(text: &str) -> BTreeMap<&'static str, u32> {
    let mut ends = BTreeMap::new();
    for seed in 0..RUNS {
        let mut world = World::new(text, seed);
        for _ in 0..STEPS {
            if world.case.run.is_over() {
                break;
            }
            let what = world.anything();
            world.takes(what);
        }
        if seed % 3 == 0 && !world.case.run.is_over() {
            world.takes(What::Cancel);
        }
        world.drain();
        *ends.entry(world.case.status().as_str()).or_default() += 1;
    }
    ends
}

#[test]
fn whatever_happens_nothing_is_lost_nothing_is_done_twice_and_each_run_can_end() {
    for text in [ORDER, RACE, SAFE, ROUNDS] {
        let ends = ends(text);
        assert!(ends["completed"] > 20 && ends["cancelled"] > 2, "{ends:?}");
    }
}
