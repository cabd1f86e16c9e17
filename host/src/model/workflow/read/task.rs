//! Tasks: what every one may have, and what each kind of them has.

use super::at::{At, Found};
use super::document::Form;
use super::mistake::Code;
use super::parts;
use super::uses::{self, Uses};
use crate::model::name::ProcessorName;
use crate::model::workflow::definition::EventFilter;
use crate::model::workflow::expression::{Expression, Template};
use crate::model::workflow::failure::Catch;
use crate::model::workflow::task::{Action, Call, Case, For, Fork, Listen, Read, Task, TaskRef, Then, Try};

/// The keys that every task may have.
const COMMON: &[&str] = &["if", "input", "output", "export", "timeout", "then", "metadata"];

/// The keys by which a kind of task is known, each with the others that it has. `do` is last: a `for` has one too.
const KINDS: &[(&str, &[&str])] = &[
    ("call", &["with"]),
    ("fork", &[]),
    ("switch", &[]),
    ("for", &["while", "do"]),
    ("set", &[]),
    ("try", &["catch"]),
    ("raise", &[]),
    ("wait", &[]),
    ("listen", &[]),
    ("emit", &[]),
    ("do", &[]),
];

const RUN: &str = "let a processor do it: call: NAME, with: { type, data }";

/// What a function may not be.
pub const ACTIONS_NOT_IN_FUNCTIONS: &[(&str, &str)] = &[
    ("do", "a function is a call of a processor; write the tasks where they are needed"),
    ("set", "a function is a call of a processor; write the task where it is needed"),
    ("fork", "a function is a call of a processor; write the task where it is needed"),
    ("run", RUN),
    ("output", "write it at each call"),
    ("export", "write it at each call"),
];

/// What the DSL calls by protocols.
const PROTOCOLS: [&str; 6] = ["http", "grpc", "openapi", "asyncapi", "mcp", "a2a"];

/// A list of tasks.
pub fn list(at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (number, item) in at.items(found).into_iter().enumerate() {
        let fields = item.fields(found);
        let [(name, _, field)] = fields.as_slice() else {
            found.wanted(&item, "one task, as a map of its name and what it is,");
            continue;
        };
        if tasks.iter().any(|task| task.name == *name) {
            let help = "give each task of a list its own name";
            found.wrong(Code::Invalid, field, format!("the list has a task '{name}' already"), Some(help));
        }
        let place = TaskRef::within(&at.path, number, name);
        tasks.extend(task(place, name, field, uses, found));
    }
    if tasks.is_empty() && matches!(&at.node.form, Form::List(items) if items.is_empty()) {
        found.wrong(Code::Invalid, at, "a list of tasks has at least one", None);
    }
    tasks
}

fn task(place: TaskRef, name: &str, at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Task> {
    if !matches!(at.node.form, Form::Map(_)) {
        found.wanted(at, "a task");
        return None;
    }
    let Some((kind, more)) = KINDS.iter().find(|(kind, _)| at.get(kind).is_some()) else {
        return unknown(at, found);
    };
    let keys: Vec<&str> = COMMON.iter().chain([kind]).chain(*more).copied().collect();
    found.keys(at, &keys, &[("foreach", "wait for one event in a 'do', and go back to it with 'then'")]);
    let action = action(kind, at, uses, found);
    let condition = at.get("if").and_then(|at| at.expression(found));
    let input = at.get("input").map(|at| parts::input(&at, found)).unwrap_or_default();
    let output = at.get("output").map(|at| parts::output(&at, found)).unwrap_or_default();
    let export = at.get("export").map(|at| parts::output(&at, found)).unwrap_or_default();
    let timeout = at.get("timeout").and_then(|at| parts::timeout(&at, uses, found));
    let then = at.get("then").and_then(|at| then(&at, found)).unwrap_or_default();
    let metadata = at.get("metadata");
    metadata.iter().for_each(|at| drop(at.fields(found)));
    let compensate = metadata.and_then(|at| at.get("compensate"));
    let compensate = compensate.and_then(|at| at.text(found).map(str::to_owned));
    let (name, compensates) = (name.to_owned(), false);
    let at = place;
    Some(Task {
        at,
        name,
        condition,
        input,
        output,
        export,
        timeout,
        then,
        compensate,
        compensates,
        action: action?,
    })
}

fn unknown(at: &At<'_>, found: &mut Found) -> Option<Task> {
    match at.get("run") {
        Some(run) => found.wrong(Code::Unsupported, &run, "'run' is not run by Baton", Some(RUN)),
        None => {
            let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let help = format!("a task has one of: {}", kinds.join(", "));
            found.wrong(Code::Invalid, at, "it is not said what the task does", Some(&help));
        }
    }
    None
}

/// What follows: a word of the DSL, or a task's name.
pub fn then(at: &At<'_>, found: &mut Found) -> Option<Then> {
    Some(match at.text(found)? {
        "continue" => Then::Continue,
        "exit" => Then::Exit,
        "end" => Then::End,
        name => Then::Task(name.to_owned()),
    })
}

fn action(kind: &str, at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Action> {
    let inner = at.get(kind)?;
    match kind {
        "do" => Some(Action::Do(list(&inner, uses, found))),
        "call" => call(&inner, at, uses, found).map(Action::Call),
        "fork" => fork(&inner, uses, found).map(Action::Fork),
        "switch" => Some(Action::Switch(cases(&inner, found))),
        "for" => each(&inner, at, uses, found).map(|each| Action::For(Box::new(each))),
        "set" => set(&inner, found).map(Action::Set),
        "try" => attempt(&inner, at, uses, found).map(|attempt| Action::Try(Box::new(attempt))),
        "raise" => {
            found.keys(&inner, &["error"], &[]);
            let error = found.required(&inner, "error")?;
            parts::error(&error, uses, found).map(|error| Action::Raise(Box::new(error)))
        }
        "wait" => parts::length(&inner, found).map(Action::Wait),
        "listen" => listen(&inner, found).map(Action::Listen),
        "emit" => {
            found.keys(&inner, &["event"], &[]);
            let event = found.required(&inner, "event")?;
            found.keys(&event, &["with"], &[]);
            parts::emitted(&found.required(&event, "with")?, found).map(Action::Emit)
        }
        _ => None,
    }
}

/// The processor that a call names.
pub fn processor(at: &At<'_>, found: &mut Found) -> Option<String> {
    let name = at.text(found)?;
    if PROTOCOLS.contains(&name) {
        found.wrong(Code::Unsupported, at, format!("'call: {name}' is not run by Baton"), Some(RUN));
        return None;
    }
    if let Some((name, _)) = name.split_once('@') {
        let help = format!("call a processor by its name, such as '{}'", name.to_lowercase());
        found.wrong(Code::Unsupported, at, "functions of catalogs are not called", Some(&help));
        return None;
    }
    match ProcessorName::new(name) {
        Ok(name) => Some(name.to_string()),
        Err(error) => {
            let help = "name a processor, or a function that stands under use.functions";
            found.wrong(Code::Reference, at, error.to_string(), Some(help));
            None
        }
    }
}

fn call(name: &At<'_>, task: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Call> {
    let function = uses.function(name.text(found)?);
    match function {
        Some(function) => {
            let Call { processor, event, schema } = uses::function(&function, found)?;
            let with = task.get("with");
            let event = with.map_or(Some(event.clone()), |with| parts::event(&with, Some(event), found))?;
            Some(Call { processor, event, schema })
        }
        None => {
            let processor = processor(name, found)?;
            let Some(with) = task.get("with") else {
                let help = "say under 'with' which event the processor is given: type, and data if it is not the task's input";
                found.wrong(Code::Invalid, task, "'with' is missing", Some(help));
                return None;
            };
            Some(Call { processor, event: parts::event(&with, None, found)?, schema: None })
        }
    }
}

fn fork(at: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Fork> {
    found.keys(at, &["branches", "compete"], &[]);
    let compete = at.get("compete").and_then(|at| at.flag(found)).unwrap_or_default();
    Some(Fork { branches: list(&found.required(at, "branches")?, uses, found), compete })
}

fn cases(at: &At<'_>, found: &mut Found) -> Vec<Case> {
    let mut cases = Vec::new();
    for item in at.items(found) {
        let fields = item.fields(found);
        let [(name, _, case)] = fields.as_slice() else {
            found.wanted(&item, "one case, as a map of its name and what it is,");
            continue;
        };
        found.keys(case, &["when", "then"], &[]);
        let when = case.get("when").and_then(|at| at.expression(found));
        if let Some(then) = found.required(case, "then").and_then(|at| then(&at, found)) {
            cases.push(Case { name: (*name).to_owned(), when, then });
        }
    }
    if matches!(&at.node.form, Form::List(items) if items.is_empty()) {
        found.wrong(Code::Invalid, at, "a switch has at least one case", None);
    }
    cases
}

fn each(at: &At<'_>, task: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<For> {
    found.keys(at, &["each", "in", "at"], &[]);
    let mut variable = |name: &str, default: &str| {
        let text = at.get(name).and_then(|at| at.text(found)).unwrap_or(default).to_owned();
        found.variables.push(text.clone());
        text
    };
    let (name, number) = (variable("each", "item"), variable("at", "index"));
    let condition = task.get("while").and_then(|at| at.expression(found));
    let items = found.required(at, "in").and_then(|at| at.expression(found));
    let tasks = found.required(task, "do").map(|at| list(&at, uses, found));
    Some(For { each: name, items: items?, at: number, condition, tasks: tasks? })
}

fn set(at: &At<'_>, found: &mut Found) -> Option<Template> {
    match &at.node.form {
        Form::Map(fields) if !fields.is_empty() => Some(at.template(found)),
        Form::Text(text) if Expression::inner(text).is_some() => Some(at.template(found)),
        _ => {
            found.wanted(at, "a map of what is set, or ${ ... } that gives it,");
            None
        }
    }
}

fn attempt(at: &At<'_>, task: &At<'_>, uses: &Uses<'_>, found: &mut Found) -> Option<Try> {
    let tasks = list(at, uses, found);
    let catch = found.required(task, "catch")?;
    found.keys(&catch, &["errors", "as", "when", "exceptWhen", "retry", "do"], &[]);
    let variable = catch.get("as").and_then(|at| at.text(found)).unwrap_or("error").to_owned();
    found.variables.push(variable.clone());
    let mut expression = |name: &str| catch.get(name).and_then(|at| at.expression(found));
    let (when, except_when) = (expression("when"), expression("exceptWhen"));
    let with = catch.get("errors").map(|at| errors(&at, found)).unwrap_or_default();
    let retry = catch.get("retry").and_then(|at| parts::retry(&at, uses, found));
    let caught = catch.get("do").map(|at| list(&at, uses, found));
    Some(Try { tasks, catch: Catch { with, variable, when, except_when, retry, tasks: caught } })
}

fn errors(at: &At<'_>, found: &mut Found) -> serde_json::Map<String, serde_json::Value> {
    found.keys(at, &["with"], &[]);
    let Some(with) = at.get("with") else { return Default::default() };
    found.keys(&with, &["type", "status", "instance", "title", "details", "detail"], &[]);
    for (name, _, field) in with.fields(found) {
        match name {
            "status" => drop(field.number(found)),
            _ => drop(field.text(found)),
        }
    }
    let fields = with.fields(found).into_iter();
    let named = |name: &str| if name == "details" { "detail".to_owned() } else { name.to_owned() };
    fields.map(|(name, _, field)| (named(name), field.node.value())).collect()
}

fn listen(at: &At<'_>, found: &mut Found) -> Option<Listen> {
    let each = "wait for one event in a 'do', and go back to it with 'then'";
    found.keys(at, &["to", "read"], &[("foreach", each)]);
    let read = at.get("read").and_then(|at| match at.text(found)? {
        "data" => Some(Read::Data),
        "envelope" => Some(Read::Envelope),
        "raw" => Some(Read::Raw),
        _ => {
            found.wanted(&at, "data, envelope or raw");
            None
        }
    });
    let (filters, all) = strategy(&found.required(at, "to")?, false, found)?;
    Some(Listen { filters, all, read: read.unwrap_or_default() })
}

/// The events that are waited for or that start a run, and whether all of them are.
pub fn strategy(at: &At<'_>, starts: bool, found: &mut Found) -> Option<(Vec<EventFilter>, bool)> {
    let until = "wait for 'one' in a 'do', and go back to it with a 'switch' until it is enough";
    found.keys(at, &["one", "any", "all"], &[("until", until)]);
    let ways: Vec<(&str, At<'_>)> =
        ["one", "any", "all"].into_iter().filter_map(|way| Some((way, at.get(way)?))).collect();
    let [(way, inner)] = ways.as_slice() else {
        found.wrong(Code::Invalid, at, "one of 'one', 'any' and 'all' is wanted", None);
        return None;
    };
    if *way == "one" {
        return Some((vec![parts::filter(inner, starts, found)?], false));
    }
    let items = inner.items(found);
    if items.is_empty() && matches!(inner.node.form, Form::List(_)) {
        let help = "name the events: each type is a channel on which they come";
        found.wrong(Code::Unsupported, inner, "events of any kind are not listened to", Some(help));
    }
    let filters: Vec<_> = items.iter().filter_map(|item| parts::filter(item, starts, found)).collect();
    (filters.len() == items.len() && !filters.is_empty()).then_some((filters, *way == "all"))
}
