//! A definition as a picture that people know how to look at: a flowchart in Mermaid. Tasks in others stand in boxes, edges say what follows,
//! and a dotted edge leads to the task that undoes another.

use std::collections::BTreeMap;

use super::definition::{Definition, EventFilter};
use super::failure::{Backoff, Catch, Retry};
use super::task::{Action, Call, Case, Fork, Length, Listen, NewEvent, Task, TaskRef, Then};

/// The longest expression that is shown; the rest of it is cut.
const EXPRESSION_CHARS_MAX: usize = 60;
/// What stands in a label as it is; all else is written as its number, since quotes, tags and directives mean something to Mermaid.
const PLAIN: &str = " .,:-_/$=+*()[]'?!|";
/// The node where a run ends.
const END: &str = "done";

/// Draws a workflow.
pub fn graph(definition: &Definition) -> String {
    let all = definition.all().into_iter().enumerate();
    let ids = all.map(|(number, task)| (&task.at, format!("n{}", number + 1))).collect();
    let mut chart = Chart { ids, nodes: Vec::new(), edges: Vec::new(), depth: 1 };
    let document = &definition.document;
    let title = format!("{}/{} {}", document.namespace, document.name, document.version);
    let on = definition.on.as_ref().map(|on| format!("started by {}", filter(on)));
    let timeout = definition.timeout.as_ref().map(|timeout| format!("at most {}", length(timeout)));
    let start = on.unwrap_or_else(|| "started by hand".to_owned());
    chart.node(format!("start([{}])", label([Some(title), Some(start), timeout])));
    chart.list(&definition.tasks);
    chart.node(format!("{END}([end])"));
    let first = definition.tasks.iter().find(|task| !task.compensates);
    chart.edges.extend(first.map(|first| format!("start --> {}", chart.id(first))));
    chart.ways(&definition.tasks, Some(END));
    let lines = chart.nodes.into_iter().chain(chart.edges.into_iter().map(|edge| format!("  {edge}")));
    std::iter::once("flowchart TD".to_owned()).chain(lines).map(|line| line + "\n").collect()
}

/// A chart as far as it is drawn. All edges stand behind all nodes: a node belongs to the box in which it is named first.
struct Chart<'d> {
    ids: BTreeMap<&'d TaskRef, String>,
    nodes: Vec<String>,
    edges: Vec<String>,
    depth: usize,
}

impl<'d> Chart<'d> {
    fn id(&self, task: &Task) -> &str {
        self.ids.get(&task.at).map_or("", String::as_str)
    }

    fn node(&mut self, text: String) {
        self.nodes.push(format!("{}{text}", "  ".repeat(self.depth)));
    }

    fn edge(&mut self, from: &str, text: Option<String>, to: &str) {
        let text = text.map(|text| format!("|{}|", label([Some(text)]))).unwrap_or_default();
        self.edges.push(format!("{from} -->{text} {to}"));
    }

    fn list(&mut self, tasks: &'d [Task]) {
        for task in tasks {
            self.task(task);
            let undone = task.compensate.as_ref().and_then(|name| tasks.iter().find(|one| one.name == *name));
            if let Some(by) = undone {
                self.edges.push(format!("{} -. undone by .-> {}", self.id(task), self.id(by)));
            }
        }
    }

    fn task(&mut self, task: &'d Task) {
        let id = self.id(task).to_owned();
        let text = told(task);
        match &task.action {
            Action::Do(tasks) => self.boxed(&id, &text, tasks, true),
            Action::For(each) => self.boxed(&id, &text, &each.tasks, true),
            Action::Fork(fork) => self.boxed(&id, &text, &fork.branches, false),
            Action::Try(attempt) => {
                let (tried, caught) = (format!("{id}try"), format!("{id}catch"));
                self.open(&id, &text);
                self.boxed(&tried, &label([Some("try".to_owned())]), &attempt.tasks, true);
                match &attempt.catch.tasks {
                    Some(tasks) => self.boxed(&caught, &catches(&attempt.catch), tasks, true),
                    None => self.node(format!("{caught}[{}]", catches(&attempt.catch))),
                }
                self.close();
                self.edge(&tried, Some(which(&attempt.catch)), &caught);
                if attempt.catch.retry.is_some() {
                    self.edge(&caught, Some("again".to_owned()), &tried);
                }
            }
            Action::Switch(_) => self.node(format!("{id}{{{text}}}")),
            Action::Wait(_) | Action::Listen(_) => self.node(format!("{id}[/{text}/]")),
            Action::Emit(_) => self.node(format!("{id}>{text}]")),
            Action::Raise(_) => self.node(format!("{id}{{{{{text}}}}}")),
            Action::Call(_) | Action::Set(_) => self.node(format!("{id}[{text}]")),
        }
    }

    fn open(&mut self, id: &str, text: &str) {
        self.node(format!("subgraph {id}[{text}]"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.node("end".to_owned());
    }

    /// Tasks in a box: one after another, or side by side.
    fn boxed(&mut self, id: &str, text: &str, tasks: &'d [Task], in_turn: bool) {
        self.open(id, text);
        self.list(tasks);
        let out = format!("{id}out");
        if in_turn && leaves(tasks) {
            self.node(format!("{out}([leave])"));
        }
        self.close();
        match in_turn {
            true if leaves(tasks) => self.ways(tasks, Some(&out)),
            true => self.ways(tasks, None),
            false => {
                let ends = tasks.iter().filter(|task| task.then == Then::End);
                let ends: Vec<String> = ends.map(|task| self.id(task).to_owned()).collect();
                ends.iter().for_each(|id| self.edge(id, None, END));
            }
        }
    }

    /// What follows the tasks of a list; what follows the list is `out`, if there is an edge to it.
    fn ways(&mut self, tasks: &'d [Task], out: Option<&str>) {
        for (number, task) in tasks.iter().enumerate().filter(|(_, task)| !task.compensates) {
            let next = tasks.iter().skip(number + 1).find(|task| !task.compensates);
            let to = |chart: &Self, then: &Then| match then {
                Then::Continue => next.map(|next| chart.id(next).to_owned()).or(out.map(str::to_owned)),
                Then::Exit => out.map(str::to_owned),
                Then::End => Some(END.to_owned()),
                Then::Task(name) => {
                    tasks.iter().find(|task| task.name == *name).map(|task| chart.id(task).to_owned())
                }
            };
            for (text, then) in said(task) {
                if let Some(to) = to(self, then) {
                    let from = self.id(task).to_owned();
                    self.edge(&from, text, &to);
                }
            }
        }
    }
}

/// Whether a task of a list leaves it before its end.
fn leaves(tasks: &[Task]) -> bool {
    let begun = tasks.iter().filter(|task| !task.compensates);
    begun.rev().skip(1).any(|task| said(task).iter().any(|(_, then)| **then == Then::Exit))
}

/// What a task says of what follows it, each with when.
fn said(task: &Task) -> Vec<(Option<String>, &Then)> {
    match &task.action {
        Action::Raise(_) => Vec::new(),
        Action::Switch(cases) => {
            let mut ways: Vec<_> = cases.iter().map(|case| (Some(when(case)), &case.then)).collect();
            if cases.iter().all(|case| case.when.is_some()) {
                ways.push((Some("none of these".to_owned()), &task.then));
            }
            ways
        }
        _ => vec![(None, &task.then)],
    }
}

fn when(case: &Case) -> String {
    match &case.when {
        Some(when) => format!("{}: {}", case.name, cut(when.as_str())),
        None => format!("{}: otherwise", case.name),
    }
}

/// A task's label: its name, what it does, on what condition, and for how long.
fn told(task: &Task) -> String {
    let condition = task.condition.as_ref().map(|condition| format!("if {}", cut(condition.as_str())));
    let timeout = task.timeout.as_ref().map(|timeout| format!("at most {}", length(timeout)));
    label([Some(task.name.clone()), Some(does(task)), condition, timeout])
}

fn does(task: &Task) -> String {
    match &task.action {
        Action::Do(_) => "one after another".to_owned(),
        Action::Call(call) => calls(call),
        Action::Fork(fork) => side_by_side(fork).to_owned(),
        Action::Switch(_) => "switch".to_owned(),
        Action::For(each) => {
            let on = each.condition.as_ref().map(|on| format!(", while {}", cut(on.as_str())));
            format!("for each ${} in {}{}", each.each, cut(each.items.as_str()), on.unwrap_or_default())
        }
        Action::Set(_) => "set".to_owned(),
        Action::Try(_) => "try".to_owned(),
        Action::Raise(error) => format!("raise {}", text(&error.ty.0)),
        Action::Wait(time) => format!("wait {}", length(time)),
        Action::Listen(listen) => listens(listen),
        Action::Emit(event) => format!("emit {}", text(&event.ty.0)),
    }
}

fn catches(catch: &Catch) -> String {
    label([Some(format!("catch as ${}", catch.variable)), catch.retry.as_ref().map(again)])
}

/// Which errors are caught.
fn which(catch: &Catch) -> String {
    let fields = catch.with.iter().map(|(name, value)| format!("{name} {}", text(value)));
    let when = catch.when.iter().map(|when| format!("when {}", cut(when.as_str())));
    let except = catch.except_when.iter().map(|when| format!("except when {}", cut(when.as_str())));
    let all: Vec<String> = fields.chain(when).chain(except).collect();
    if all.is_empty() { "every error".to_owned() } else { all.join(", ") }
}

/// Lines of a label, quoted.
fn label<const N: usize>(lines: [Option<String>; N]) -> String {
    let lines: Vec<String> = lines.into_iter().flatten().map(|line| escaped(&line)).collect();
    format!("\"{}\"", lines.join("<br/>"))
}

fn escaped(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || PLAIN.contains(c);
    text.chars().map(|c| if plain(c) { c.to_string() } else { format!("#{};", u32::from(c)) }).collect()
}

fn calls(call: &Call) -> String {
    let NewEvent { ty, .. } = &call.event;
    format!("call {} with {}", call.processor, text(&ty.0))
}

fn side_by_side(fork: &Fork) -> &'static str {
    if fork.compete { "side by side, the first that ends counts" } else { "side by side, all" }
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

    fn drawn(text: &str) -> String {
        let head = "document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }\n";
        graph(&read(&format!("{head}{text}")).fine().unwrap())
    }

    #[test]
    fn each_kind_of_task_is_drawn_in_its_box_with_what_follows_and_what_undoes_it() {
        let text = drawn(
            "schedule: { on: { one: { with: { type: order-placed } } } }\n\
             timeout: { after: { days: 2 } }\n\
             do:\n\
             - both: { fork: { branches: [ { pay: { call: payment, with: { type: order-created }, metadata: { compensate: refund } } }, { refund: { call: refunds, with: { type: a } } }, { rest: { wait: { seconds: 5 }, then: end } } ] } }\n\
             - safely: { try: [ { tell: { emit: { event: { with: { type: told } } } } } ], catch: { errors: { with: { status: 503 } }, retry: { delay: { seconds: 1 }, backoff: { exponential: {} }, limit: { attempt: { count: 3 } } } } }\n\
             - ask: { if: .large, listen: { to: { one: { with: { type: approved }, correlate: { order: { from: .data.id, expect: x } } } } }, timeout: { after: PT1H } }\n\
             - choose: { switch: [ { yes: { when: .ok, then: both } }, { no: { then: end } } ] }\n",
        );
        let expected = r#"flowchart TD
  start(["shop/order 1.0.0<br/>started by order-placed<br/>at most 2d"])
  subgraph n1["both<br/>side by side, all"]
    n2["pay<br/>call payment with order-created"]
    n3["refund<br/>call refunds with a"]
    n4[/"rest<br/>wait 5s"/]
  end
  subgraph n5["safely<br/>try"]
    subgraph n5try["try"]
      n6>"tell<br/>emit told"]
    end
    n5catch["catch as $error<br/>tried again at most 3 times after 1s, doubling"]
  end
  n7[/"ask<br/>listen for approved by order<br/>if .large<br/>at most 1h"/]
  n8{"choose<br/>switch"}
  done([end])
  n2 -. undone by .-> n3
  n4 --> done
  n5try -->|"status 503"| n5catch
  n5catch -->|"again"| n5try
  start --> n1
  n1 --> n5
  n5 --> n7
  n7 --> n8
  n8 -->|"yes: .ok"| n1
  n8 -->|"no: otherwise"| done
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn lists_in_tasks_are_left_by_an_edge_only_where_a_task_leaves_them_early() {
        let text = drawn(
            "do:\n\
             - each: { for: { each: line, in: .lines }, while: .go, do: [ { a: { set: { x: 1 }, then: exit } }, { b: { set: { x: 1 }, then: exit } } ] }\n\
             - list: { do: [ { c: { switch: [ { d: { when: .x, then: e } } ], then: end } }, { e: { set: { x: 1 } } } ] }\n\
             - safe: { try: [ { f: { raise: { error: { type: 'a://b', status: 400 } } } } ], catch: { when: .y, do: [ { g: { set: { x: 1 }, then: exit } } ] } }\n\
             - last: { set: { x: 1 }, then: exit }\n",
        );
        let expected = r#"flowchart TD
  start(["shop/order 1.0.0<br/>started by hand"])
  subgraph n1["each<br/>for each $line in .lines, while .go"]
    n2["a<br/>set"]
    n3["b<br/>set"]
    n1out([leave])
  end
  subgraph n4["list<br/>one after another"]
    n5{"c<br/>switch"}
    n6["e<br/>set"]
  end
  subgraph n7["safe<br/>try"]
    subgraph n7try["try"]
      n8{{"f<br/>raise a://b"}}
    end
    subgraph n7catch["catch as $error"]
      n9["g<br/>set"]
    end
  end
  n10["last<br/>set"]
  done([end])
  n2 --> n1out
  n3 --> n1out
  n5 -->|"d: .x"| n6
  n5 -->|"none of these"| done
  n7try -->|"when .y"| n7catch
  start --> n1
  n1 --> n4
  n4 --> n7
  n7 --> n10
  n10 --> done
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn what_means_something_to_mermaid_means_nothing_in_a_label() {
        let text = drawn(
            "do: [ { 'a\"]; b%%{init}': { if: '.x < \"<b>\" and .y > `1`', switch: [ { 'c|\"#': { when: \".a |\\n  .b\", then: end } } ] } } ]",
        );
        let node = r#"  n1{"a#34;]#59; b#37;#37;#123;init#125;<br/>switch<br/>if .x #60; #34;#60;b#62;#34; and .y #62; #96;1#96;"}"#;
        assert!(text.contains(node), "{text}");
        assert!(text.contains(r#"n1 -->|"c|#34;#35;: .a | .b"| done"#), "{text}");
    }

    #[test]
    fn a_long_expression_is_one_line_and_cut() {
        assert_eq!(cut(".a |\n   .b"), ".a | .b");
        assert_eq!(cut(&"x".repeat(100)).len(), EXPRESSION_CHARS_MAX + 4);
    }
}
