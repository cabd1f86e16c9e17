//! A definition as a tree that people read: what each step does, what follows it, and which step undoes which.

use serde::Serialize;

use super::definition::{Definition, EventFilter};
use super::failure::{Backoff, Catch, Retry};
use super::task::{Action, Call, Case, Fork, Length, Listen, NewEvent, Task, Then};

/// The longest expression that is shown; the rest of it is cut.
const EXPRESSION_CHARS_MAX: usize = 60;

/// A step, a case of a `switch`, or what is done about errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it does.
    pub does: String,
    /// On what condition, for how long, what follows, and what undoes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Node>,
}

impl Node {
    fn new(name: impl Into<String>, does: impl Into<String>, steps: Vec<Node>) -> Self {
        Self { name: name.into(), does: does.into(), notes: Vec::new(), steps }
    }
}

/// The whole workflow.
pub fn graph(definition: &Definition) -> Node {
    let document = &definition.document;
    let name = format!("{}/{} {}", document.namespace, document.name, document.version);
    let does = definition.on.as_ref().map(|on| format!("started by {}", filter(on)));
    let mut node =
        Node::new(name, does.unwrap_or_else(|| "started by hand".to_owned()), list(&definition.tasks));
    node.notes.extend(definition.timeout.as_ref().map(|timeout| format!("at most {}", length(timeout))));
    node
}

fn list(tasks: &[Task]) -> Vec<Node> {
    tasks.iter().map(step).collect()
}

fn step(task: &Task) -> Node {
    let mut node = action(task);
    let condition = task.condition.as_ref().map(|condition| format!("if {}", cut(condition.as_str())));
    let timeout = task.timeout.as_ref().map(|timeout| format!("at most {}", length(timeout)));
    let undone = task.compensate.as_ref().map(|name| format!("undone by {name}"));
    let undoes = task.compensates.then(|| "only to undo".to_owned());
    node.notes.extend([condition, timeout, then(&task.then), undone, undoes].into_iter().flatten());
    node
}

fn action(task: &Task) -> Node {
    let (does, steps) = match &task.action {
        Action::Do(tasks) => ("one after another".to_owned(), list(tasks)),
        Action::Call(call) => (calls(call), Vec::new()),
        Action::Fork(fork) => (side_by_side(fork).to_owned(), list(&fork.branches)),
        Action::Switch(cases) => ("switch".to_owned(), cases.iter().map(case).collect()),
        Action::For(each) => {
            let on = each.condition.as_ref().map(|on| format!(", while {}", cut(on.as_str())));
            let does = format!("for each ${} in {}", each.each, cut(each.items.as_str()));
            (format!("{does}{}", on.unwrap_or_default()), list(&each.tasks))
        }
        Action::Set(_) => ("set".to_owned(), Vec::new()),
        Action::Try(attempt) => {
            let mut steps = list(&attempt.tasks);
            steps.push(caught(&attempt.catch));
            ("try".to_owned(), steps)
        }
        Action::Raise(error) => (format!("raise {}", text(&error.ty.0)), Vec::new()),
        Action::Wait(time) => (format!("wait {}", length(time)), Vec::new()),
        Action::Listen(listen) => (listens(listen), Vec::new()),
        Action::Emit(event) => (format!("emit {}", text(&event.ty.0)), Vec::new()),
    };
    Node::new(&task.name, does, steps)
}

fn calls(call: &Call) -> String {
    let NewEvent { ty, .. } = &call.event;
    format!("call {} with {}", call.processor, text(&ty.0))
}

fn side_by_side(fork: &Fork) -> &'static str {
    if fork.compete { "side by side, the first that ends counts" } else { "side by side, all" }
}

fn case(case: &Case) -> Node {
    let does = match &case.when {
        Some(when) => format!("when {}", cut(when.as_str())),
        None => "otherwise".to_owned(),
    };
    let mut node = Node::new(&case.name, does, Vec::new());
    node.notes.push(then(&case.then).unwrap_or_else(|| "then the next".to_owned()));
    node
}

fn caught(catch: &Catch) -> Node {
    let which = match catch.with.is_empty() {
        true => "every error".to_owned(),
        false => {
            let fields = catch.with.iter().map(|(name, value)| format!("{name} {}", text(value)));
            format!("errors with {}", fields.collect::<Vec<_>>().join(", "))
        }
    };
    let tasks = catch.tasks.as_deref().map(list).unwrap_or_default();
    let mut node = Node::new("catch", format!("{which} as ${}", catch.variable), tasks);
    let when = catch.when.as_ref().map(|when| format!("when {}", cut(when.as_str())));
    let except = catch.except_when.as_ref().map(|when| format!("except when {}", cut(when.as_str())));
    node.notes.extend([when, except, catch.retry.as_ref().map(again)].into_iter().flatten());
    node
}

fn again(retry: &Retry) -> String {
    let often = retry.count_max.map_or_else(String::new, |max| format!(" at most {max} times"));
    let grows = match retry.backoff {
        Backoff::Constant => "",
        Backoff::Linear => ", growing by as much",
        Backoff::Exponential => ", doubling",
    };
    let total = retry.total_ms_max.map_or_else(String::new, |ms| format!(", for at most {}", time(ms)));
    format!("tried again{often} after {}{grows}{total}", time(retry.delay_ms))
}

fn listens(listen: &Listen) -> String {
    let events: Vec<String> = listen.filters.iter().map(filter).collect();
    let which = match (events.len(), listen.all) {
        (1, _) => "for",
        (_, true) => "for all of",
        (_, false) => "for any of",
    };
    format!("listen {which} {}", events.join(", "))
}

fn filter(filter: &EventFilter) -> String {
    let data = filter.data.as_ref().map(|data| format!(" with {}", cut(data.as_str())));
    let by: Vec<&str> = filter.correlate.iter().map(|link| link.name.as_str()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    format!("{}{}{by}", filter.ty, data.unwrap_or_default())
}

fn then(then: &Then) -> Option<String> {
    match then {
        Then::Continue => None,
        Then::Exit => Some("then leave the list".to_owned()),
        Then::End => Some("then end".to_owned()),
        Then::Task(name) => Some(format!("then {name}")),
    }
}

fn length(length: &Length) -> String {
    match length {
        Length::Ms(ms) => time(*ms),
        Length::Asked(expression) => cut(expression.as_str()),
    }
}

/// In the largest unit that leaves nothing over, as it is written on the command line.
fn time(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cut(expression: &str) -> String {
    let line: Vec<&str> = expression.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(EXPRESSION_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::read::read;
    use super::*;

    fn told(node: &Node, depth: usize, lines: &mut Vec<String>) {
        let notes: String = node.notes.iter().map(|note| format!("; {note}")).collect();
        lines.push(format!("{}{}: {}{notes}", "  ".repeat(depth), node.name, node.does));
        node.steps.iter().for_each(|step| told(step, depth + 1, lines));
    }

    #[test]
    fn each_kind_of_step_says_what_it_does_and_what_follows() {
        let definition = read(
            "document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }\n\
             schedule: { on: { one: { with: { type: order-placed } } } }\n\
             timeout: { after: { days: 2 } }\n\
             do:\n\
             - both: { fork: { branches: [ { pay: { call: payment, with: { type: order-created }, metadata: { compensate: refund } } }, { refund: { call: refunds, with: { type: a } } }, { rest: { wait: { seconds: 5 } } } ] } }\n\
             - safely: { try: [ { tell: { emit: { event: { with: { type: told } } } } } ], catch: { errors: { with: { status: 503 } }, retry: { delay: { seconds: 1 }, backoff: { exponential: {} }, limit: { attempt: { count: 3 } } } } }\n\
             - ask: { if: .large, listen: { to: { one: { with: { type: approved }, correlate: { order: { from: .data.id, expect: 7 } } } } }, timeout: { after: PT1H } }\n\
             - choose: { switch: [ { yes: { when: .ok, then: both } }, { no: { then: end } } ] }\n",
        );
        let mut lines = Vec::new();
        told(&graph(&definition.fine().unwrap()), 0, &mut lines);
        let expected = [
            "shop/order 1.0.0: started by order-placed; at most 2d",
            "  both: side by side, all",
            "    pay: call payment with order-created; undone by refund",
            "    refund: call refunds with a; only to undo",
            "    rest: wait 5s",
            "  safely: try",
            "    tell: emit told",
            "    catch: errors with status 503 as $error; tried again at most 3 times after 1s, doubling",
            "  ask: listen for approved by order; if .large; at most 1h",
            "  choose: switch",
            "    yes: when .ok; then both",
            "    no: otherwise; then end",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_long_expression_is_one_line_and_cut() {
        assert_eq!(cut(".a |\n   .b"), ".a | .b");
        assert_eq!(cut(&"x".repeat(100)).len(), EXPRESSION_CHARS_MAX + 4);
    }
}
