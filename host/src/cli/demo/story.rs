//! The demo's words. It renders what was found, within 80 columns where paths allow it, and decides nothing.

use std::time::Duration;

use serde_json::Value;

use super::super::output::{Style, Tone, clean, counted, short};
use super::facts::{Facts, Latecomer, Next, Opening, Placed, Stock, StockAround};
use super::{Place, relay};
use crate::model::deployment::Deployment;
use crate::model::report::FlowStatus;
use crate::model::time::{for_people, whole};

/// The shop, open.
pub fn opening(opening: &Opening, style: Style) -> String {
    let head = titled("The bookshop is open", style);
    let server = style.paint(Tone::Name, &opening.server);
    let folder = opening.folder.join("processors").display().to_string();
    let (built, loaded) = (time(opening.build_ms), time(opening.load_ms));
    let names: Vec<&str> = opening.processors.iter().map(String::as_str).collect();
    let (front, back) = names.split_at(names.len().min(4));
    let (front, back) = (front.join(", "), back.join(", "));
    format!(
        "{head}
A host listens on {server} and runs the WebAssembly
components that lie in {folder}:
  {front},
  {back}
(built in {built}, compiled and started in {loaded})

None of them knows another. Each hears events on topics, does its part in a
sandbox, and tells everyone what it did: a relay. Every event is on the disk
before anybody outside hears of it.
"
    )
}

/// An order and its relay.
pub fn order(placed: &Placed, style: Style) -> String {
    let head = titled(&placed.story, style);
    let flow = &placed.flow;
    let relay = relay::render(flow, style);
    let (order, end, count) = (&placed.order, &placed.ends_with, counted(flow.events.len() as u64, "event"));
    let waited = for_people(Duration::from_micros(placed.answered_us));
    let (word, tone) = match flow.status {
        FlowStatus::Done => ("all handled.", Tone::Good),
        FlowStatus::Open | FlowStatus::Overdue => ("and some are still to be handled.", Tone::Bad),
        FlowStatus::Stuck => ("and some are held after a fault.", Tone::Bad),
    };
    let done = style.paint(tone, &format!("{count}, {word}"));
    format!("{head}\n{relay}\n{done} The customer of {order}\nhad {end}, safe on the disk, after {waited}.\n")
}

/// The stock around the denied order.
pub fn stock(around: &StockAround, style: Style) -> String {
    let sku = &around.sku;
    let line = |when: &str, stock: Option<Stock>| {
        let stock =
            stock.map_or("unknown".to_owned(), |s| format!("{} on hand, {} reserved", s.on_hand, s.reserved));
        format!("  {when:<22}{stock}\n")
    };
    let verdict = match around.is_equal() {
        true => style.paint(
            Tone::Good,
            "As before: the inventory heard payment-denied too, and released what it kept.",
        ),
        false => style.paint(Tone::Bad, "The stock is NOT what it was."),
    };
    let lines = [
        format!("The stock of {sku}, as the inventory keeps it:\n"),
        line("before the order", around.before),
        line("while it was open", around.during),
        line("after payment-denied", around.after),
        verdict,
    ];
    lines.concat() + "\n"
}

/// The processor that came later, and its report.
pub fn latecomer(late: &Latecomer, style: Style) -> String {
    let head = titled("One more processor, dropped in while the host runs", style);
    let name = late.receipt.descriptor.name.as_str();
    let runs = style.paint(Tone::Good, &format!("{name} runs {} later", time(late.running_ms)));
    let (mails, sent) = (late.mails(), late.mails_before);
    let mails = if mails == sent { format!("all {sent} mails") } else { format!("{mails} of {sent} mails") };
    format!(
        "{head}
$ cp {}
{runs}
{}

Nothing else changed, and nobody had to be told. Its subscription starts at the
earliest event, so {caught_up} after the copy it had read {mails} that were
sent before it existed:
{}",
        copied(late),
        receipt(&late.receipt),
        report(&late.report),
        caught_up = time(late.caught_up_ms),
    )
}

fn copied(late: &Latecomer) -> String {
    let folder = late.file.parent().unwrap_or(&late.file).display();
    format!("{}.wasm {folder}", late.receipt.descriptor.name)
}

fn receipt(receipt: &Deployment) -> String {
    let (generation, digest) = (receipt.generation, short(&receipt.digest));
    let loaded = for_people(Duration::from_micros(receipt.load_us));
    let cached = if receipt.cached { ", compiled before" } else { "" };
    format!("  receipt    generation {generation}, digest {digest}, loaded in {loaded}{cached}")
}

fn report(report: &Value) -> String {
    let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or_default();
    let longest = report.pointer("/longest/subject").and_then(Value::as_str).unwrap_or("none");
    let lines = [
        format!(
            "  mails      {}, {} characters on average\n",
            number("emails"),
            number("body_chars_average")
        ),
        format!("  about      {}\n", counts(report.get("per_kind"))),
        format!("  to         {}\n", counts(report.get("per_domain"))),
        format!("  longest    {}\n", clean(longest)),
    ];
    lines.concat()
}

/// `b 2, a 1`: what was counted by name, in lines of three.
fn counts(counts: Option<&Value>) -> String {
    let counts = counts.and_then(Value::as_object).into_iter().flatten();
    let words: Vec<String> = counts.map(|(name, count)| format!("{} {count}", clean(name))).collect();
    let lines: Vec<String> = words.chunks(3).map(|line| line.join(", ")).collect();
    lines.join(",\n             ")
}

/// Whether all of it is as it should be.
pub fn verdict(facts: &Facts, style: Style) -> String {
    let line = |wrong: &String| style.paint(Tone::Bad, &format!("WRONG: {wrong}")) + "\n";
    let wrong: String = facts.wrong.iter().map(line).collect();
    if !wrong.is_empty() {
        return wrong;
    }
    let mails = counted(facts.latecomer.mails(), "mail");
    let good = "Checked, and true:";
    format!(
        "{} {} are done, the denied one left no trace in the stock,\nand the report is about all {mails}.\n",
        style.paint(Tone::Good, good),
        counted(facts.orders.len() as u64, "order"),
    )
}

/// What to try while the host stays up.
pub fn next(next: &Next, style: Style) -> String {
    let Next { place: Place { program, server }, order, flow } = next;
    let order = order.display();
    let line = |what: &str, command: String| format!("  {}\n    {command}\n", style.paint(Tone::Quiet, what));
    [
        titled("Your turn, in another terminal", style) + "\n",
        line("how is everything?", format!("{program} status{server}")),
        line(
            "everything about Ada's order, each handling and its data",
            format!("{program} flow show {flow}{server}"),
        ),
        line(
            "order a book yourself, and wait until it is shipped",
            format!("{program} publish place-order --file {order} --wait order-shipped{server}"),
        ),
        line("follow the mails", format!("{program} tail email-sent --follow{server}")),
        line(
            "take the report out; its place and figures are kept for its return",
            format!("{program} undeploy email-analysis{server}"),
        ),
        "\nThe host stays up; Ctrl-C ends it.\n".to_owned(),
    ]
    .concat()
}

/// A title, with a rule behind it.
pub fn titled(title: &str, style: Style) -> String {
    let rule = "─".repeat(76_usize.saturating_sub(title.chars().count()));
    format!("── {} {}", style.paint(Tone::Name, title), style.paint(Tone::Quiet, &rule))
}

/// A time for people.
pub fn time(ms: u64) -> String {
    whole(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(text: &str) -> bool {
        text.lines().all(|line| line.chars().count() <= 80)
    }

    #[test]
    fn the_opening_fits_a_narrow_terminal() {
        let shop = Opening {
            server: "http://127.0.0.1:39999".to_owned(),
            folder: "/tmp/baton-demo-abcdef".into(),
            processors: super::super::shop::RELAY.map(str::to_owned).to_vec(),
            build_ms: 61_000,
            load_ms: 820,
        };
        let text = opening(&shop, Style::default());
        assert!(fits(&text) && text.contains("(built in 1m 01s, compiled and started in 820 ms)"), "{text}");
    }

    #[test]
    fn stock_that_is_not_back_is_said() {
        let stock_of = |reserved| Some(Stock { on_hand: 40, reserved });
        let around = |after| StockAround {
            sku: "moby-dick".to_owned(),
            before: stock_of(2),
            during: stock_of(7),
            delivered: 0,
            after: stock_of(after),
        };
        let text = stock(&around(2), Style::default());
        assert!(fits(&text) && text.contains("while it was open     40 on hand, 7 reserved"), "{text}");
        assert!(stock(&around(7), Style::default()).contains("is NOT what it was"));
    }

    #[test]
    fn a_report_is_told_in_lines_of_three_counts() {
        let found = json!({
            "emails": 7, "body_chars_average": 121, "per_kind": {"a": 1, "b": 2, "c": 3, "d": 1},
            "per_domain": {"example.org": 7}, "longest": {"subject": "on its way\u{9b}", "body_chars": 186},
        });
        let expected = "  mails      7, 121 characters on average\n  about      a 1, b 2, c 3,\n             d 1\n  \
                        to         example.org 7\n  longest    on its way\\u{9b}\n";
        assert_eq!(report(&found), expected);
    }
}
