//! The words of the mediated shop. They render what was found, within 80 columns where commands allow it, and decide nothing.

use super::super::super::flow::name_of;
use super::super::super::output::{Style, Tone, clean, counted};
use super::super::facts::{Opening, Stock};
use super::super::story::{time, titled};
use super::facts::{Facts, Next, Scene};
use crate::model::time::{between, whole};
use crate::model::workflow::report::{RunNote, RunReport, WaitsFor};
use crate::model::workflow::run::Status;

/// What a history says besides what a reader of a story wants to know.
const DULL: [&str; 6] = ["began", "done", "acknowledged", "goes on", "left out", "broken off"];
/// How wide a line of a history is.
const WIDTH: usize = 80;

/// The shop, open.
pub fn opening(opening: &Opening, style: Style) -> String {
    let head = titled("The bookshop is open, with mediators", style);
    let server = style.paint(Tone::Name, &opening.server);
    let (built, loaded) = (time(opening.build_ms), time(opening.load_ms));
    format!(
        "{head}
A host listens on {server}. It runs the same seven processors
as in `baton demo`, and three workflows over them:
  sort-orders    looks at what comes in, and hands it on
  approve-order  has somebody look at a large order
  place-order    knows the steps of an order, and what to do if one fails
(built in {built}, compiled and started in {loaded})

Nobody hears events on topics here. A mediator gives each processor a command
and gets its acknowledgement; what the run knows and what it asks for next are
one frame on the disk.
"
    )
}

/// Whether a line of a history is told.
pub fn is_worth_telling(note: &RunNote) -> bool {
    !note.task.is_empty() && !DULL.contains(&note.what.as_str()) && !note.what.starts_with("sets a timer")
        || note.what.contains("by an operator")
}

/// A line of a history: when it was since the order came, whose it is, the step and what happened.
pub fn line(started: &str, workflow: &str, note: &RunNote, style: Style) -> String {
    let after = whole(between(started, &note.time).unwrap_or_default());
    let step = if note.task.is_empty() { String::new() } else { name_of(&note.task) };
    let detail = detail(note).map(|detail| format!(": {}", clean(detail))).unwrap_or_default();
    let text: String = format!("{}{detail}", clean(&note.what)).chars().take(WIDTH - 42).collect();
    let tone = match note.what.as_str() {
        "failed" | "not carried out" => Tone::Bad,
        what if what.starts_with("waits for") => Tone::Note,
        _ => Tone::Plain,
    };
    let (step, text) = (style.paint(Tone::Name, &format!("{step:<14}")), style.paint(tone, &text));
    format!("{:>9}  {workflow:<13}  {step}  {text}", format!("+{after}"))
}

/// What there is to say of it in a few words: no first attempt, no ids of events.
fn detail(note: &RunNote) -> Option<&str> {
    let detail = note.detail.as_deref()?;
    match note.what.as_str() {
        "took an event" | "signalled by an operator" => detail.split([' ', ':']).next(),
        "not carried out" => Some(detail.split_once(": ").map_or(detail, |(_, why)| why)),
        _ => Some(detail).filter(|detail| *detail != "attempt 1"),
    }
}

/// Where a run stopped, and by which command it goes on.
pub fn pause(run: &RunReport, command: &str, style: Style) -> String {
    let Some(point) = run.at.first() else { return String::new() };
    let (step, detail) = (name_of(&point.task), clean(&point.detail));
    let (why, tone) = match point.waits_for {
        WaitsFor::Operator => (format!("{} is FAULTED at {step}: {detail}.", run.id), Tone::Bad),
        _ => (format!("{} waits for {detail}, at {step}.", run.id), Tone::Note),
    };
    format!("\n{}\nWhat is done stays done.\n$ {}\n", style.paint(tone, &why), clean(command))
}

/// What came of an order.
pub fn end(scene: &Scene, style: Style) -> String {
    let run = &scene.run.run;
    let took = whole(between(&run.started, &run.latest).unwrap_or_default());
    let (word, tone) = match run.status {
        Status::Completed => ("is completed", Tone::Good),
        Status::Faulted => ("failed, and what was done is undone", Tone::Note),
        _ => ("has not come to its end", Tone::Bad),
    };
    let commands = scene.commands.values().sum();
    let twice: Vec<String> = scene
        .commands
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(step, count)| format!("{step} {count} times"))
        .collect();
    let twice = if twice.is_empty() { "none of them twice".to_owned() } else { twice.join(", ") };
    let head = style.paint(tone, &format!("{} {word}", run.id)) + &format!(" after {took}");
    let said = format!("{}, {twice}", counted(commands, "command"));
    let error = run.error.as_ref().and_then(|error| error.detail.as_deref());
    let why = error.map(|why| format!("  why      {}\n", clean(why))).unwrap_or_default();
    format!("\n{head}\n{why}  asked    {said}\n  stock    {}\n", stock(scene))
}

fn stock(scene: &Scene) -> String {
    let reserved = |stock: Option<Stock>| stock.map_or(0, |stock| stock.reserved);
    let on_hand = scene.after.map_or("unknown".to_owned(), |stock| format!("{} on hand", stock.on_hand));
    let (before, after) = (reserved(scene.before), reserved(scene.after));
    format!("{}: {on_hand}; {before} reserved before, {after} now", scene.sku)
}

/// Whether all of it is as it should be.
pub fn verdict(facts: &Facts, style: Style) -> String {
    let line = |wrong: &String| style.paint(Tone::Bad, &format!("WRONG: {wrong}")) + "\n";
    let wrong: String = facts.wrong.iter().map(line).collect();
    if !wrong.is_empty() {
        return wrong;
    }
    format!(
        "{} {} came to the end that they should; each command was
acknowledged once, to its mediator alone; what was done before a run stopped was
not done again; the orders that failed left no trace in the stock, and nothing
is kept that was paid for what cannot be sent.\n",
        style.paint(Tone::Good, "Checked, and true:"),
        counted(facts.scenes.len() as u64, "order"),
    )
}

/// What to try while the host stays up.
pub fn next(next: &Next, style: Style) -> String {
    let (program, server) = (&next.place.program, &next.place.server);
    let Next { run, flow, order, .. } = next;
    let order = order.display();
    let line = |what: &str, command: String| format!("  {}\n    {command}\n", style.paint(Tone::Quiet, what));
    [
        titled("Your turn, in another terminal", style) + "\n",
        line("which runs are there, and which wait for you?", format!("{program} run ls{server}")),
        line("the run that was resumed, with its history", format!("{program} run show {run}{server}")),
        line("the same as a tree of commands", format!("{program} flow show {flow}{server}")),
        line("order a book yourself", format!("{program} publish order-received --file {order}{server}")),
        line("what the workflow looks like", format!("{program} workflow show place-order{server}")),
        "\nThe host stays up; Ctrl-C ends it.\n".to_owned(),
    ]
    .concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn note(task: &str, what: &str, detail: Option<&str>) -> RunNote {
        let time = "2026-01-31T12:00:01.500Z".to_owned();
        RunNote { time, task: task.to_owned(), what: what.to_owned(), detail: detail.map(str::to_owned) }
    }

    fn told(note: &RunNote) -> String {
        line("2026-01-31T12:00:00.000Z", "place-order", note, Style::default())
    }

    #[test]
    fn a_line_of_a_history_says_when_whose_where_and_what() {
        let first = note("/do/0/create", "calls order-placement", Some("attempt 1"));
        assert_eq!(told(&first), "   +1.5 s  place-order    create          calls order-placement");
        let taken = note("/do/0/updated", "took an event", Some("card-updated 01a223d2"));
        assert!(told(&taken).ends_with("updated         took an event: card-updated"), "{}", told(&taken));
        let why = format!("attempt 2: {}", "no month ".repeat(9));
        let failed = note("/do/0/apply-payment", "not carried out", Some(&why));
        assert!(
            told(&failed).starts_with("   +1.5 s  place-order    apply-payment   not carried out: no month")
        );
        assert!(told(&failed).chars().count() <= WIDTH, "{}", told(&failed));
    }

    #[test]
    fn what_only_the_machine_needs_to_know_is_not_told() {
        for what in ["began", "done", "acknowledged", "sets a timer of 86400000 ms"] {
            assert!(!is_worth_telling(&note("/do/0/create", what, None)), "{what}");
        }
        assert!(!is_worth_telling(&note("", "done", None)));
        assert!(is_worth_telling(&note("", "signalled by an operator", None)));
        assert!(is_worth_telling(&note("/do/0/create", "calls order-placement", None)));
    }

    #[test]
    fn a_run_that_stopped_says_where_and_how_it_goes_on() {
        let point = |waits_for: &str| {
            let point =
                json!({"task": "/do/0/pay", "since": "T", "waits_for": waits_for, "detail": "card-updated"});
            let run = json!({
                "id": "r-1", "workflow": "w", "version": "1.0.0", "status": "waiting", "over": false,
                "undoing": false, "flow": "f", "started": "T", "latest": "T", "at": [point],
            });
            serde_json::from_value::<RunReport>(run).unwrap()
        };
        let said = |waits_for| pause(&point(waits_for), "baton run ls", Style::default());
        let rest = "What is done stays done.\n$ baton run ls\n";
        assert_eq!(said("event"), format!("\nr-1 waits for card-updated, at pay.\n{rest}"));
        assert_eq!(said("operator"), format!("\nr-1 is FAULTED at pay: card-updated.\n{rest}"));
    }
}
