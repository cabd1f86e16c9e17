//! How tasks begin.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::command::{Awaited, Command, Link, MadeEvent, Note};
use super::super::definition::{EventFilter, Input};
use super::super::failure::{Error, ErrorTemplate, Kind};
use super::super::run::{Doing, ROOT, Scope, Tries, UNDO_MAX};
use super::super::schema;
use super::super::task::{Action, Case, Listen, NewEvent, Task, TaskRef, Then};
use super::values::{Answers, Place};
use super::{Failing, ITEMS_MAX, Machine, Needed, Stop, Todo};
use crate::model::name::ChannelName;
use crate::model::time::rfc3339;

/// A task that is about to begin, with the values of all its expressions.
struct Entry {
    /// Its input, where that is not what it was given.
    input: Option<Value>,
    timeout_ms: Option<u64>,
    begin: Begin,
}

/// What a task begins with.
enum Begin {
    Tasks,
    Branches,
    Items(Vec<Value>),
    Trying,
    Call(MadeEvent),
    Listen(Vec<Awaited>),
    Wait(u64),
    Emit(MadeEvent),
    Raise(Error),
    Give(Value, Option<Then>),
}

impl<'a> Machine<'a> {
    /// Begins the workflow.
    pub(super) fn begin(&mut self, answers: &mut Answers) -> Result<(), Box<Needed<'a>>> {
        let given = self.run.input.clone();
        let place = Place::new(self, None, ROOT);
        let input = taken(&self.definition.input, &place, &given, answers);
        let timeout = self.definition.timeout.as_ref().filter(|_| input.is_ok());
        let timeout_ms = timeout.map(|timeout| place.ms(timeout, &given, answers)).transpose();
        let (input, timeout_ms, error) = match (input, timeout_ms) {
            (Err(Stop::Need(needed)), _) | (_, Err(Stop::Need(needed))) => {
                return Err(Needed::by(Todo::Begin, needed));
            }
            (Err(Stop::Fault(error)), _) | (_, Err(Stop::Fault(error))) => (None, None, Some(error)),
            (Ok(input), Ok(timeout_ms)) => (input, timeout_ms, None),
        };
        let timeout = timeout_ms.map(|ms| self.timer(ms, &TaskRef::default()));
        let input = input.unwrap_or(given);
        self.run.context = None;
        let root = Scope { timeout, ..Scope::new(None, TaskRef::default(), input.clone(), self.at_ms) };
        self.run.scopes.insert(ROOT, root);
        self.run.next_scope = self.run.next_scope.max(ROOT + 1);
        self.note(&TaskRef::default(), Note::Began);
        self.next(match error {
            Some(error) => Todo::Fail(Failing::new(ROOT, error)),
            None => Todo::Follow { scope: ROOT, after: None, given: input },
        });
        Ok(())
    }

    /// Begins a task, or leaves it out.
    pub(super) fn enter(
        &mut self,
        task: &'a Task,
        parent: u32,
        given: Value,
        answers: &mut Answers,
    ) -> Result<(), Box<Needed<'a>>> {
        match self.entry(task, parent, &given, answers) {
            Err(Stop::Need(needed)) => return Err(Needed::by(Todo::Enter { task, parent, given }, needed)),
            Ok(None) => {
                self.note(&task.at, Note::LeftOut);
                self.next(Todo::Ended { task, parent, output: given, then: None });
            }
            Ok(Some(entry)) => self.start(task, parent, given, entry),
            Err(Stop::Fault(error)) => {
                let scope = self.add(Scope::new(Some(parent), task.at.clone(), given, self.at_ms));
                self.note(&task.at, Note::Began);
                self.next(Todo::Fail(Failing::new(scope, error)));
            }
        }
        Ok(())
    }

    /// All values that a task needs to begin; nothing if its condition does not hold.
    fn entry(
        &self,
        task: &Task,
        parent: u32,
        given: &Value,
        answers: &mut Answers,
    ) -> Result<Option<Entry>, Stop> {
        let place = Place::new(self, Some(task), parent).raw(given);
        if !place.holds(task.condition.as_ref(), given, answers)? {
            return Ok(None);
        }
        let input = taken(&task.input, &place, given, answers)?;
        let on = input.as_ref().unwrap_or(given);
        if task.compensate.is_some() && self.run.ending.is_none() && self.run.undo.len() >= UNDO_MAX {
            let why = format!(
                "{UNDO_MAX} tasks of the run wait to be undone if it fails, and it would be one more"
            );
            return Err(place.fault(Kind::Runtime, &why));
        }
        let place = place.input(on);
        let timeout_ms = task.timeout.as_ref().map(|timeout| place.ms(timeout, on, answers)).transpose()?;
        let begin = begin(task, &place, on, answers)?;
        Ok(Some(Entry { input, timeout_ms, begin }))
    }

    fn start(&mut self, task: &'a Task, parent: u32, given: Value, entry: Entry) {
        let Entry { input, timeout_ms, begin } = entry;
        let timeout = timeout_ms.map(|ms| self.timer(ms, &task.at));
        let (input, raw) = match input {
            Some(input) => (input, Some(given)),
            None => (given, None),
        };
        let scope = Scope::new(Some(parent), task.at.clone(), input.clone(), self.at_ms);
        let scope = self.add(Scope { raw, timeout, ..scope });
        self.note(&task.at, Note::Began);
        match begin {
            Begin::Tasks => self.next(Todo::Follow { scope, after: None, given: input }),
            Begin::Branches => self.branch(task, scope, &input),
            Begin::Items(items) => {
                self.set(scope, Doing::Items { items, number: 0 });
                self.next(Todo::Item { scope, number: 0, given: input });
            }
            Begin::Trying => self.attempt(scope, 0, self.at_ms),
            Begin::Call(event) => self.call(task, scope, event),
            Begin::Listen(filters) => self.listen(task, scope, filters),
            Begin::Wait(ms) => {
                let timer = self.timer(ms, &task.at);
                self.set(scope, Doing::Waiting(timer));
            }
            Begin::Emit(event) => {
                let output = self.published(scope, &event);
                self.commands.push(Command::Emit { task: task.at.clone(), event });
                self.next(Todo::Leave { scope, output, then: None });
            }
            Begin::Raise(error) => {
                self.next(Todo::Fail(Failing { raised: true, ..Failing::new(scope, error) }))
            }
            Begin::Give(output, then) => self.next(Todo::Leave { scope, output, then }),
        }
    }

    /// An event that a task publishes, in the form of CloudEvents in JSON: what an `emit` gives. Its id is the run's, and not the one by which the
    /// host knows it.
    fn published(&self, scope: u32, event: &MadeEvent) -> Value {
        let mut whole = Map::new();
        whole.insert("specversion".to_owned(), "1.0".into());
        whole.insert("id".to_owned(), format!("{}-{scope}", self.run.id).into());
        whole.insert("source".to_owned(), format!("/processors/{}", self.definition.document.name).into());
        whole.insert("time".to_owned(), rfc3339(self.at_ms).into());
        whole.extend(event.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        whole.insert("type".to_owned(), event.ty.as_str().into());
        whole.insert("data".to_owned(), event.data.clone());
        Value::Object(whole)
    }

    fn branch(&mut self, task: &'a Task, scope: u32, input: &Value) {
        self.set(scope, Doing::Branches(BTreeMap::new()));
        let Action::Fork(fork) = &task.action else { return };
        for branch in fork.begun().rev() {
            self.next(Todo::Enter { task: branch, parent: scope, given: input.clone() });
        }
    }

    /// Begins the tasks of a `try`, for the first time or again.
    pub(super) fn attempt(&mut self, scope: u32, retries: u32, since_ms: u64) {
        let Some(task) = self.task(scope) else { return };
        let Action::Try(attempt) = &task.action else { return };
        let limit_ms = attempt.catch.retry.as_ref().and_then(|retry| retry.attempt_ms_max);
        let timer = limit_ms.map(|ms| self.timer(ms, &task.at));
        self.set(scope, Doing::Trying(Tries { retries, since_ms, timer }));
        let given = self.run.scopes.get(&scope).map(|scope| scope.input.clone()).unwrap_or_default();
        self.next(Todo::Follow { scope, after: None, given });
    }

    fn call(&mut self, task: &'a Task, scope: u32, event: MadeEvent) {
        let Action::Call(call) = &task.action else { return };
        let attempt = self.count(&task.at);
        self.set(scope, Doing::Calling(attempt));
        let (task, processor) = (task.at.clone(), call.processor.clone());
        self.commands.push(Command::Call { task, attempt, processor, event });
    }

    fn listen(&mut self, task: &'a Task, scope: u32, filters: Vec<Awaited>) {
        let Action::Listen(listen) = &task.action else { return };
        let Listen { all, read, .. } = *listen;
        let attempt = self.count(&task.at);
        self.set(scope, Doing::Listening { attempt, taken: BTreeMap::new() });
        self.commands.push(Command::Listen { task: task.at.clone(), attempt, filters, all, read });
    }

    /// The number of the attempt at a task that begins now.
    fn count(&mut self, task: &TaskRef) -> u32 {
        let attempts = self.run.attempts.entry(task.clone()).or_default();
        *attempts += 1;
        *attempts
    }
}

/// What is made of what was given, if anything.
fn taken(
    input: &Input,
    place: &Place<'_>,
    given: &Value,
    answers: &mut Answers,
) -> Result<Option<Value>, Stop> {
    if let Some(schema) = &input.schema {
        place.matches(schema, given, "its input")?;
    }
    input.from.as_ref().map(|from| place.fill(from, given, answers)).transpose()
}

/// What a task begins with, its expressions evaluated on its input.
fn begin(task: &Task, place: &Place<'_>, on: &Value, answers: &mut Answers) -> Result<Begin, Stop> {
    Ok(match &task.action {
        Action::Do(_) => Begin::Tasks,
        Action::Fork(_) => Begin::Branches,
        Action::Try(_) => Begin::Trying,
        Action::For(each) => Begin::Items(items(place.one(&each.items, on, answers)?, place)?),
        Action::Set(template) => Begin::Give(place.fill(template, on, answers)?, None),
        Action::Switch(cases) => Begin::Give(on.clone(), Some(chosen(task, cases, place, on, answers)?)),
        Action::Raise(error) => Begin::Raise(raised(task, error, place, on, answers)?),
        Action::Wait(length) => Begin::Wait(place.ms(length, on, answers)?),
        Action::Emit(event) => {
            let event = made(event, place, on, answers)?;
            let channel = ChannelName::new(event.ty.as_str());
            channel.map_err(|error| place.fault(Kind::Validation, &error.to_string()))?;
            Begin::Emit(event)
        }
        Action::Call(call) => {
            let event = made(&call.event, place, on, answers)?;
            if let Some(schema) = &call.schema {
                place.matches(schema, &event.data, "the command's data")?;
            }
            Begin::Call(event)
        }
        Action::Listen(listen) => {
            let filters = listen.filters.iter().map(|filter| awaited(filter, place, on, answers));
            Begin::Listen(filters.collect::<Result<_, _>>()?)
        }
    })
}

fn items(value: Value, place: &Place<'_>) -> Result<Vec<Value>, Stop> {
    match value {
        Value::Array(items) if items.len() <= ITEMS_MAX => Ok(items),
        Value::Array(items) => {
            let why =
                format!("{} items are more than the {ITEMS_MAX} that a 'for' goes through", items.len());
            Err(place.fault(Kind::Runtime, &why))
        }
        Value::Null => Ok(Vec::new()),
        _ => Err(place.fault(Kind::Expression, "'in' gave no list")),
    }
}

fn chosen(
    task: &Task,
    cases: &[Case],
    place: &Place<'_>,
    on: &Value,
    answers: &mut Answers,
) -> Result<Then, Stop> {
    for case in cases.iter().filter(|case| case.when.is_some()) {
        if place.holds(case.when.as_ref(), on, answers)? {
            return Ok(case.then.clone());
        }
    }
    let default = cases.iter().find(|case| case.when.is_none());
    Ok(default.map_or_else(|| task.then.clone(), |case| case.then.clone()))
}

fn raised(
    task: &Task,
    error: &ErrorTemplate,
    place: &Place<'_>,
    on: &Value,
    answers: &mut Answers,
) -> Result<Error, Stop> {
    let ty = place.text(&error.ty, on, answers)?;
    let mut text = |template: &Option<_>| {
        template.as_ref().map(|template| place.text(template, on, answers)).transpose()
    };
    let (title, detail) = (text(&error.title)?, text(&error.detail)?);
    let instance = text(&error.instance)?.unwrap_or_else(|| task.at.0.clone());
    Ok(Error { ty, status: error.status, instance, title, detail })
}

fn made(event: &NewEvent, place: &Place<'_>, on: &Value, answers: &mut Answers) -> Result<MadeEvent, Stop> {
    let ty = place.text(&event.ty, on, answers)?;
    let data = event.data.as_ref().map(|data| place.fill(data, on, answers)).transpose()?;
    let mut attributes = BTreeMap::new();
    for (name, template) in &event.attributes {
        attributes.insert(name.clone(), place.text(template, on, answers)?);
    }
    let event = MadeEvent { ty, data: data.unwrap_or_else(|| on.clone()), attributes };
    event.check().map_err(|error| place.fault(Kind::Validation, &error.to_string()))?;
    Ok(event)
}

fn awaited(
    filter: &EventFilter,
    place: &Place<'_>,
    on: &Value,
    answers: &mut Answers,
) -> Result<Awaited, Stop> {
    let EventFilter { ty, attributes, data, correlate } = filter.clone();
    let mut links = Vec::new();
    for link in correlate {
        let expect = link.expect.as_ref().map(|expect| place.fill(expect, on, answers)).transpose()?;
        links.push(Link { name: link.name, from: link.from, expect });
    }
    Ok(Awaited { ty, attributes, data, correlate: links })
}

impl Place<'_> {
    /// A value must match a schema.
    pub(super) fn matches(&self, schema: &Value, value: &Value, what: &str) -> Result<(), Stop> {
        let told = schema::check(schema, value);
        told.map_err(|why| self.fault(Kind::Validation, &format!("{what} does not match its schema: {why}")))
    }
}
