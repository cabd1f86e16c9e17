//! Names that one task says of another, and rings in which nothing is waited for and nothing decided, which would turn for ever.

use super::at::{At, Found};
use super::document::Node;
use super::mistake::Code;
use super::{TASKS_MAX, document::Form};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::failure::Retry;
use crate::model::workflow::task::{Action, Task, Then, Try};

const PAUSE: &str = "put a 'wait', 'listen' or 'call' between them, or a condition: 'if' or 'switch'";

/// Checks a whole workflow, and notes which tasks undo others.
pub fn check(definition: &mut Definition, root: &At<'_>, found: &mut Found) {
    let count = definition.all().len();
    if count > TASKS_MAX {
        found.wrong(Code::Invalid, root, format!("{count} tasks are more than {TASKS_MAX}"), None);
    }
    list(&mut definition.tasks, root, found);
    ring(&definition.tasks, root, found);
}

fn list(tasks: &mut [Task], root: &At<'_>, found: &mut Found) {
    let undoing: Vec<String> = tasks.iter().filter_map(|task| task.compensate.clone()).collect();
    for task in tasks.iter_mut() {
        task.compensates = undoing.contains(&task.name);
    }
    tasks.iter().for_each(|task| names(task, tasks, root, found));
    if tasks.iter().all(|task| task.compensates) && !tasks.is_empty() {
        let help = "name a task of its own under metadata.compensate";
        wrong(tasks.first(), root, Code::Reference, "all tasks of the list undo each other", help, found);
    }
    for task in tasks {
        match &mut task.action {
            Action::Do(tasks) => list(tasks, root, found),
            Action::Fork(fork) => list(&mut fork.branches, root, found),
            Action::For(each) => list(&mut each.tasks, root, found),
            Action::Try(attempt) => {
                list(&mut attempt.tasks, root, found);
                attempt.catch.tasks.iter_mut().for_each(|tasks| list(tasks, root, found));
            }
            _ => {}
        }
        match &task.action {
            Action::Fork(fork) => branches(&fork.branches, root, found),
            Action::Try(attempt) => tried_for_ever(task, attempt, root, found),
            _ => {}
        }
        if !matches!(task.action, Action::Fork(_)) {
            task.lists().into_iter().for_each(|tasks| ring(tasks, root, found));
        }
    }
}

/// Branches begin together, so that none follows on another.
fn branches(branches: &[Task], root: &At<'_>, found: &mut Found) {
    for branch in branches {
        if ways(branch).into_iter().any(|then| matches!(then, Then::Task(_))) {
            let why = format!("'{}' is a branch of a fork, and goes on to another", branch.name);
            let help = "put tasks that follow on each other into a 'do' of one branch";
            wrong(Some(branch), root, Code::Reference, &why, help, found);
        }
    }
}

/// A `try` whose tasks fail at once would be tried again without end.
fn tried_for_ever(task: &Task, attempt: &Try, root: &At<'_>, found: &mut Found) {
    let Some(retry) = &attempt.catch.retry else { return };
    let Retry { when, except_when, delay_ms, jitter_ms, count_max, total_ms_max, .. } = retry;
    let has_end = when.is_some() || except_when.is_some() || count_max.is_some() || total_ms_max.is_some();
    if !has_end && *delay_ms == 0 && jitter_ms.is_none() && !attempt.tasks.iter().any(pauses) {
        let why = format!("what fails in '{}' is tried again at once and without end", task.name);
        let help = "give the retry a 'delay', or a 'limit' such as { attempt: { count: 3 } }";
        wrong(Some(task), root, Code::Cycle, &why, help, found);
    }
}

/// Where a task goes on, and what undoes it.
fn names(task: &Task, tasks: &[Task], root: &At<'_>, found: &mut Found) {
    let known: Vec<&str> = tasks.iter().filter(|one| !one.compensates).map(|one| one.name.as_str()).collect();
    let help = format!("tasks of the same list are: {}; or say continue, exit or end", known.join(", "));
    for name in ways(task).into_iter().filter_map(|then| match then {
        Then::Task(name) => Some(name),
        _ => None,
    }) {
        match tasks.iter().find(|one| one.name == *name) {
            None if is_written(task, name, root) => {}
            None => {
                let why = format!("'{}' goes on to '{name}', and its list has no such task", task.name);
                wrong(Some(task), root, Code::Reference, &why, &help, found);
            }
            Some(target) if target.compensates => {
                let why = format!("'{}' goes on to '{name}', which only undoes another task", task.name);
                wrong(Some(task), root, Code::Reference, &why, &help, found);
            }
            Some(_) => {}
        }
    }
    if task.compensates && task.compensate.is_some() {
        let why = format!("'{}' undoes another task, and names one that undoes it", task.name);
        let help = "leave out its metadata.compensate: what undoes is not undone";
        wrong(Some(task), root, Code::Reference, &why, help, found);
    }
    let is_there = |name: &String| tasks.iter().any(|one| one.name == *name) || is_written(task, name, root);
    if let Some(name) = task.compensate.as_ref().filter(|name| !is_there(name)) {
        let why = format!("'{name}' is to undo '{}', and its list has no such task", task.name);
        wrong(
            Some(task),
            root,
            Code::Reference,
            &why,
            "write the task that undoes it into the same list",
            found,
        );
    }
}

/// Whether a task's list has one with a name that could not be read: then that is the mistake, and not its name.
fn is_written(task: &Task, name: &str, root: &At<'_>) -> bool {
    let list = task.at.0.rsplitn(3, '/').nth(2).and_then(|list| find(root.node, list));
    match list.map(|list| &list.form) {
        Some(Form::List(items)) => items.iter().any(|item| item.get(name).is_some()),
        _ => false,
    }
}

fn ways(task: &Task) -> Vec<&Then> {
    let cases = match &task.action {
        Action::Switch(cases) => cases.as_slice(),
        _ => &[],
    };
    std::iter::once(&task.then).chain(cases.iter().map(|case| &case.then)).collect()
}

/// The first ring of a list.
fn ring(tasks: &[Task], root: &At<'_>, found: &mut Found) {
    let mut seen: Vec<&str> = Vec::new();
    for start in tasks.iter().filter(|task| !task.compensates) {
        let mut chain: Vec<&str> = Vec::new();
        let mut at = Some(start);
        while let Some(task) = at.filter(|task| !seen.contains(&task.name.as_str())) {
            seen.push(&task.name);
            chain.push(&task.name);
            at = certain_next(task, tasks);
        }
        let back = at.and_then(|task| chain.iter().position(|name| *name == task.name));
        if let (Some(task), Some(back)) = (at, back) {
            let ring = chain.get(back..).unwrap_or_default().join(" -> ");
            let why = format!("these tasks follow on each other without end: {ring} -> {}", task.name);
            return wrong(Some(task), root, Code::Cycle, &why, PAUSE, found);
        }
    }
}

/// The task that follows for sure, with nothing between that waits or decides.
fn certain_next<'t>(task: &Task, tasks: &'t [Task]) -> Option<&'t Task> {
    if task.condition.is_some() || pauses(task) || ends(task) {
        return None;
    }
    let then = match &task.action {
        Action::Switch(cases) if cases.iter().any(|case| case.when.is_some()) => return None,
        Action::Switch(cases) => cases.first().map_or(&task.then, |case| &case.then),
        _ => &task.then,
    };
    match then {
        Then::Task(name) => tasks.iter().find(|one| one.name == *name),
        Then::Continue => {
            let at = tasks.iter().position(|one| one.at == task.at)?;
            tasks.iter().skip(at + 1).find(|one| !one.compensates)
        }
        Then::Exit | Then::End => None,
    }
}

/// Whether something in a task waits or asks somebody.
fn pauses(task: &Task) -> bool {
    match &task.action {
        Action::Call(_) | Action::Wait(_) | Action::Listen(_) => true,
        _ => task.lists().into_iter().flatten().any(pauses),
    }
}

/// Whether something in a task may end the run.
fn ends(task: &Task) -> bool {
    let inner = task.lists();
    let ends = |task: &Task| ends(task) || ways(task).contains(&&Then::End);
    matches!(task.action, Action::Raise(_)) || inner.into_iter().flatten().any(ends)
}

fn wrong(task: Option<&Task>, root: &At<'_>, code: Code, why: &str, help: &str, found: &mut Found) {
    let path = task.map(|task| task.at.0.clone()).unwrap_or_default();
    let node = find(root.node, &path).unwrap_or(root.node);
    found.wrong(code, &At { node, path }, why, Some(help));
}

/// The value at a path.
fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    let Some(rest) = path.strip_prefix('/') else { return Some(node) };
    let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let inner = match &node.form {
        Form::List(items) => items.get(name.parse::<usize>().ok()?)?,
        _ => node.get(&name.replace("~1", "/").replace("~0", "~"))?,
    };
    find(inner, rest)
}
