//! `baton processor pause`, `resume` and `scale`: what an operator does with a processor that goes on being deployed.

use clap::Args;
use serde_json::{Value, json};

use super::Shared;
use super::client::{Ask, Client};
use super::failure::Failure;
use super::output::counted;
use super::processor::{render_processor, scale_line};
use crate::model::name::ProcessorName;
use crate::model::operation::{Lanes, Rate};
use crate::model::report::ProcessorReport;

/// `baton processor pause`
#[derive(Args)]
pub struct PauseArgs {
    /// The processor.
    name: ProcessorName,
    /// Why: everybody who looks at the status reads it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `baton processor resume`
#[derive(Args)]
pub struct ResumeArgs {
    /// The processor.
    name: ProcessorName,
    /// At most so many events, such as 100/s, 30/m or 5/h; `none` for no bound. It holds until it is changed.
    #[arg(long, value_name = "RATE")]
    rate: Option<RateOrNone>,
    /// Try again what is held after faults, too. Without a pause and a rate that is what resume does.
    #[arg(long)]
    held: bool,
}

/// `baton processor scale`
#[derive(Args)]
pub struct ScaleArgs {
    /// The processor.
    name: ProcessorName,
    /// MIN..MAX, or N for always as many; each 1 to 64. Lanes follow the events that wait.
    #[arg(value_name = "LANES", required_unless_present = "reset", conflicts_with = "reset")]
    lanes: Option<Lanes>,
    /// Go back to what baton.toml says, or else the descriptor.
    #[arg(long)]
    reset: bool,
}

/// A rate, or `none`.
#[derive(Clone)]
struct RateOrNone(String);

impl std::str::FromStr for RateOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(text.to_owned())),
            rate => match rate.parse::<Rate>() {
                Ok(rate) => Ok(Self(rate.to_string())),
                Err(error) => Err(format!("{error}, or `none`")),
            },
        }
    }
}

/// Pauses a processor.
pub fn pause(args: &PauseArgs, shared: &Shared) -> Result<(), Failure> {
    let body = json!({"reason": args.reason, "by": "cli"});
    let report = tell(&shared.client(), "POST", &args.name, "pause", &body)?;
    shared.out().show(&report, |report, style| {
        let head = format!("{} is paused: what is in flight ends, and nothing else begins.", report.name);
        format!("{head}\n\n{}", render_processor(report, style))
    })
}

/// Resumes a processor, or tries again what it holds.
pub fn resume(args: &ResumeArgs, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    let before: ProcessorReport = client.get(format!("/v1/processors/{}", args.name))?;
    let rate = args.rate.as_ref().map(|rate| &rate.0);
    let body = json!({"rate": rate, "held": args.held, "by": "cli"});
    let report = tell(&client, "POST", &args.name, "resume", &body)?;
    let tried = args.held || (rate.is_none() && before.paused.is_none());
    shared.out().show(&report, |report, style| {
        format!("{}\n\n{}", resumed(report, tried), render_processor(report, style))
    })
}

/// Says how many lanes a processor has.
pub fn scale(args: &ScaleArgs, shared: &Shared) -> Result<(), Failure> {
    let body = json!({"lanes": args.lanes, "reset": args.reset, "by": "cli"});
    let report = tell(&shared.client(), "PUT", &args.name, "scale", &body)?;
    shared.out().show(&report, |report, style| {
        let head = format!("{} has {}.", report.name, scale_line(report));
        format!("{head}\n\n{}", render_processor(report, style))
    })
}

fn resumed(report: &ProcessorReport, tried: bool) -> String {
    let name = &report.name;
    let mut text = match (tried, &report.rate) {
        (true, _) => format!("{name} tries again what it held."),
        (false, Some(rate)) => format!("{name} runs, with at most {rate}."),
        (false, None) => format!("{name} runs."),
    };
    let held: u64 = report.subscriptions.iter().map(|one| one.held).sum();
    if !tried && held > 0 {
        let held = counted(held, "event");
        text.push_str(&format!(
            "\nIt still holds {held} after faults; try again: baton processor resume {name} --held"
        ));
    }
    text
}

fn tell(
    client: &Client,
    method: &str,
    name: &ProcessorName,
    what: &str,
    body: &Value,
) -> Result<ProcessorReport, Failure> {
    let path = format!("/v1/processors/{name}/{what}");
    let body = body.to_string().into_bytes();
    client.ask(Ask { method, content_type: "application/json", body, ..Ask::get(path) })?.read()
}
