//! Runs as plain values: what happens goes in, the run and its commands come out.

use serde_json::{Value, json};

use super::super::command::{Command, Ignored, Input, Note, Outcome, What};
use super::super::definition::{Definition, Document};
use super::super::expression::{Expression, Template};
use super::super::failure::{Error, Kind};
use super::super::read::read;
use super::super::run::{Run, Status};
use super::super::task::{Action, Call, Case, NewEvent, Task, TaskRef, Then};
use super::{Done, Evaluation, Step, step};

/// Enough of jq for these tests: paths, variables, JSON, and one `==`.
fn toy(evaluation: &Evaluation) -> Result<Vec<Value>, String> {
    evaluation.expressions.iter().map(|one| value(one.as_str(), evaluation)).collect()
}

fn value(text: &str, evaluation: &Evaluation) -> Result<Value, String> {
    if let Some((left, right)) = text.split_once(" == ") {
        return Ok(json!(value(left, evaluation)? == value(right, evaluation)?));
    }
    if text == "." {
        return Ok(evaluation.input.clone());
    }
    let (start, path) = match text.strip_prefix('$') {
        Some(rest) => {
            let (name, path) = rest.split_once('.').map_or((rest, ""), |(name, path)| (name, path));
            (evaluation.variables.get(name).cloned().ok_or(format!("no variable ${name}"))?, path)
        }
        None => match text.strip_prefix('.') {
            Some(path) => (evaluation.input.clone(), path),
            None => return serde_json::from_str(text).map_err(|error| error.to_string()),
        },
    };
    let parts = path.split('.').filter(|part| !part.is_empty());
    Ok(parts.fold(start, |at, part| at.get(part).cloned().unwrap_or_default()))
}

fn expression(text: &str) -> Expression {
    Expression(text.to_owned())
}

fn task(name: &str, action: Action) -> Task {
    Task {
        at: TaskRef::default(),
        name: name.to_owned(),
        condition: None,
        input: Default::default(),
        output: Default::default(),
        export: Default::default(),
        timeout: None,
        then: Then::Continue,
        compensate: None,
        compensates: false,
        action,
    }
}

fn call(name: &str) -> Task {
    let event = NewEvent { ty: Template(json!(name)), data: None, attributes: Default::default() };
    task(name, Action::Call(Call { processor: name.to_owned(), event, schema: None }))
}

fn set(name: &str, value: Value) -> Task {
    task(name, Action::Set(Template(value)))
}

/// A workflow of these tasks, each at its place.
fn workflow(mut tasks: Vec<Task>) -> Definition {
    place(&mut tasks, "/do");
    let text = |text: &str| text.to_owned();
    let document = Document {
        dsl: text("1.0.3"),
        namespace: text("test"),
        name: text("test"),
        version: text("1.0.0"),
        title: None,
        summary: None,
    };
    Definition {
        document,
        input: Default::default(),
        output: Default::default(),
        on: None,
        timeout: None,
        tasks,
    }
}

fn place(tasks: &mut [Task], list: &str) {
    for (number, task) in tasks.iter_mut().enumerate() {
        task.at = TaskRef::within(list, number, &task.name);
        if let Action::Do(inner) = &mut task.action {
            place(inner, &format!("{}/do", task.at));
        }
    }
}

fn evaluated(mut step: Step<'_>) -> Result<Done, Ignored> {
    loop {
        step = match step {
            Step::Evaluate(paused) => {
                let evaluated = toy(paused.evaluation());
                paused.go_on(evaluated)
            }
            Step::Done(done) => return Ok(done),
            Step::Ignored(ignored) => return Err(ignored),
        };
    }
}

fn on(definition: &Definition, run: &Run, what: What) -> Result<Done, Ignored> {
    evaluated(step(definition, run.clone(), Input { at_ms: 1_000, chance: 0, what }))
}

fn start(definition: &Definition, input: Value) -> Done {
    on(definition, &Run::new("run", input, 1_000), What::Start).unwrap()
}

fn calls(done: &Done) -> Vec<(&str, u32, &Value)> {
    let each = done.commands.iter().filter_map(|command| match command {
        Command::Call { task, attempt, event, .. } => Some((task.as_str(), *attempt, &event.data)),
        _ => None,
    });
    each.collect()
}

fn acknowledged(task: &str, attempt: u32, outcome: Outcome) -> What {
    What::Acknowledged { task: TaskRef(task.to_owned()), attempt, outcome }
}

#[test]
fn tasks_follow_each_other_with_what_the_one_before_gave() {
    let definition =
        workflow(vec![set("a", json!({"n": 1, "from": "${ .start }"})), set("b", json!("${ .from }"))]);
    let done = start(&definition, json!({"start": "x"}));
    assert_eq!((done.run.status, done.run.output), (Status::Completed, Some(json!("x"))));
    assert_eq!(done.commands.last(), Some(&Command::Ended));
}

#[test]
fn a_call_waits_for_its_acknowledgement_and_for_no_other() {
    let definition = workflow(vec![call("pay"), set("end", json!({"paid": "${ . }"}))]);
    let begun = start(&definition, json!({"sum": 7}));
    assert_eq!(calls(&begun), [("/do/0/pay", 1, &json!({"sum": 7}))]);
    assert_eq!(begun.run.status, Status::Running);

    let other = acknowledged("/do/0/pay", 2, Outcome::Done(json!(1)));
    assert_eq!(on(&definition, &begun.run, other).unwrap_err().code(), "not-awaited");

    let paid = on(&definition, &begun.run, acknowledged("/do/0/pay", 1, Outcome::Done(json!(true)))).unwrap();
    assert_eq!((paid.run.status, &paid.run.output), (Status::Completed, &Some(json!({"paid": true}))));
    let again = acknowledged("/do/0/pay", 1, Outcome::Done(json!(true)));
    assert_eq!(on(&definition, &paid.run, again).unwrap_err(), Ignored::Over);
}

#[test]
fn a_switch_goes_where_its_first_condition_that_holds_says() {
    let case = |name: &str, when: Option<&str>, to: &str| Case {
        name: name.to_owned(),
        when: when.map(expression),
        then: Then::Task(to.to_owned()),
    };
    let end = |name: &str| Task { then: Then::End, ..set(name, json!(name)) };
    let cases = vec![case("red", Some(".color == \"red\""), "red"), case("else", None, "other")];
    let definition = workflow(vec![task("choose", Action::Switch(cases)), end("red"), end("other")]);
    let given = |color: &str| start(&definition, json!({"color": color})).run.output;
    assert_eq!(given("red"), Some(json!("red")));
    assert_eq!(given("blue"), Some(json!("other")));
}

/// The classic: the card has expired, the customer changes it, and the run goes on where it stopped.
#[test]
fn a_run_that_failed_goes_on_there_and_does_nothing_twice() {
    let definition = workflow(vec![call("create-order"), call("apply-payment"), call("ship")]);
    let begun = start(&definition, json!({"order": 7}));
    let created = acknowledged("/do/0/create-order", 1, Outcome::Done(json!({"order": 7, "card": "old"})));
    let created = on(&definition, &begun.run, created).unwrap();
    assert_eq!(calls(&created), [("/do/1/apply-payment", 1, &json!({"order": 7, "card": "old"}))]);

    let expired = Error::new(Kind::Communication, "", "the card has expired");
    let faulted = acknowledged("/do/1/apply-payment", 1, Outcome::Failed(expired));
    let faulted = on(&definition, &created.run, faulted).unwrap();
    assert_eq!((faulted.run.status, calls(&faulted).len()), (Status::Faulted, 0));
    let (scope, error) = faulted.run.failures().next().unwrap();
    assert_eq!(scope.task.as_str(), "/do/1/apply-payment");
    assert_eq!(error.instance, "/do/1/apply-payment");
    assert!(!faulted.run.is_over());

    let input = Some(json!({"order": 7, "card": "new"}));
    let resumed = on(&definition, &faulted.run, What::Resume { from: None, input }).unwrap();
    assert_eq!(calls(&resumed), [("/do/1/apply-payment", 2, &json!({"order": 7, "card": "new"}))]);
    assert!(
        resumed
            .commands
            .contains(&Command::Note { task: TaskRef("/do/1/apply-payment".into()), note: Note::Resumed })
    );

    let paid = acknowledged("/do/1/apply-payment", 2, Outcome::Done(json!({"paid": true})));
    let paid = on(&definition, &resumed.run, paid).unwrap();
    assert_eq!(calls(&paid), [("/do/2/ship", 1, &json!({"paid": true}))]);
    let shipped = acknowledged("/do/2/ship", 1, Outcome::Done(json!("sent")));
    let shipped = on(&definition, &paid.run, shipped).unwrap();
    assert_eq!((shipped.run.status, shipped.run.output), (Status::Completed, Some(json!("sent"))));
}

#[test]
fn a_run_that_is_not_faulted_is_not_resumed() {
    let definition = workflow(vec![call("pay")]);
    let begun = start(&definition, json!(1));
    let resume = What::Resume { from: None, input: None };
    assert_eq!(on(&definition, &begun.run, resume).unwrap_err(), Ignored::NotFaulted);
}

#[test]
fn a_waiting_run_is_small() {
    let definition = workflow(vec![task("outer", Action::Do(vec![call("pay")]))]);
    let order = json!({"order": "0190c0de", "customer": "ada", "lines": [{"isbn": "978", "count": 1}]});
    let run = start(&definition, order).run;
    let bytes = serde_json::to_vec(&run).unwrap();
    assert!(bytes.len() < 2_048, "{} bytes", bytes.len());
    assert_eq!(serde_json::from_slice::<Run>(&bytes).unwrap(), run);
}

#[test]
fn a_branch_that_only_undoes_another_begins_when_the_run_is_cancelled_and_not_before() {
    let definition = read(
        "document: { dsl: '1.0.3', namespace: test, name: test, version: '1.0.0' }\n\
         do:\n\
         - both:\n    fork:\n      branches:\n\
         \x20     - pay: { call: pay, with: { type: a }, metadata: { compensate: refund } }\n\
         \x20     - refund: { call: pay, with: { type: b } }\n\
         \x20     - mail: { call: mail, with: { type: c } }\n",
    );
    let definition = definition.fine().unwrap();
    let [pay, refund, mail] =
        ["0/pay", "1/refund", "2/mail"].map(|at| format!("/do/0/both/fork/branches/{at}"));
    let named = |done: &Done| calls(done).iter().map(|(task, ..)| (*task).to_owned()).collect::<Vec<_>>();
    let done = start(&definition, json!({}));
    assert_eq!(named(&done), [pay.clone(), mail.clone()]);
    let done = on(&definition, &done.run, acknowledged(&pay, 1, Outcome::Done(json!(1)))).unwrap();
    let ended = on(&definition, &done.run, acknowledged(&mail, 1, Outcome::Done(json!(2)))).unwrap();
    assert_eq!((ended.run.status, ended.run.output), (Status::Completed, Some(json!([1, 2]))));
    let done = on(&definition, &done.run, What::Cancel).unwrap();
    let done = on(&definition, &done.run, acknowledged(&mail, 1, Outcome::TakenBack)).unwrap();
    assert_eq!(named(&done), [refund]);
}
