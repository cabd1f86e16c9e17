//! `baton publish`: one event onto a channel, and on wish the answer of its flow.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use super::Shared;
use super::client::{Ask, Reply, query};
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, clean};
use super::progress;
use crate::model::event::{Event, Extension};
use crate::model::name::ChannelName;
use crate::model::report::{Accepted, Publication};
use crate::model::time::parse_duration;

const STRUCTURED: &str = "application/cloudevents+json";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// `baton publish`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton publish place-order --data '{\"sku\": \"b-1\"}' --wait reply
  baton publish place-order --file order.json --key b-1 --wait order-shipped --timeout 5s
  date | baton publish ticks - --content-type text/plain

The host remembers source and id: publishing the same again gets the first answer and changes nothing.
With --wait and no answer in time the event is accepted all the same (exit code 5): do not send it again.")]
pub struct PublishArgs {
    /// The channel.
    channel: ChannelName,
    /// `-` reads the data from stdin.
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["data", "file"])]
    stdin: Option<String>,
    /// The data, as JSON.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    data: Option<String>,
    /// The file with the data.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The media type of the data; what is not given is JSON.
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,
    /// What the event is about; without --key also its key.
    #[arg(long)]
    subject: Option<String>,
    /// The event's id, for publishing it again safely [default: a new one].
    #[arg(long)]
    id: Option<String>,
    /// The key: events of one key are handled in order.
    #[arg(long)]
    key: Option<String>,
    /// The event's type [default: the channel's name].
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Where the event comes from, as a URI reference.
    #[arg(long, default_value = "/baton/cli")]
    source: String,
    /// Wait for the flow's first event on this channel, or for the processor's `reply`.
    #[arg(long, value_name = "CHANNEL|reply")]
    wait: Option<String>,
    /// How long to wait, such as 5s or PT5S [default: 30s].
    #[arg(long, value_parser = parse_duration, requires = "wait")]
    timeout: Option<Duration>,
}

/// Publishes the event.
pub fn run(args: PublishArgs, shared: &Shared) -> Result<(), Failure> {
    let event = event(&args, read_data(&args)?)?;
    let wait = args.wait.as_ref().map(|_| args.timeout.unwrap_or(TIMEOUT_DEFAULT));
    let params =
        [("wait", args.wait.clone()), ("timeout", wait.map(|wait| format!("{}ms", wait.as_millis())))];
    let ask = Ask {
        method: "POST",
        path: format!("/v1/channels/{}/events{}", args.channel, query(&params)),
        content_type: STRUCTURED,
        body: event.to_json().to_string().into_bytes(),
        wait: wait.unwrap_or_default(),
    };
    let client = shared.client();
    let message = args.wait.as_ref().map_or("publishing".to_owned(), |wait| format!("waiting for {wait}"));
    let reply = progress::during(message, || client.ask(ask)).map_err(|failure| unsure(failure, &event))?;
    show(&args, &reply, shared)
}

fn show(args: &PublishArgs, reply: &Reply, shared: &Shared) -> Result<(), Failure> {
    if reply.status == 200 {
        let answer: Value = reply.read()?;
        return shared.out().show(&answer, |answer, _| pretty(answer));
    }
    let publication: Publication = reply.read()?;
    shared.out().show(&publication, render_publication)?;
    match &args.wait {
        None => Ok(()),
        Some(wait) => Err(Failure::new(
            Exit::Timeout,
            format!(
                "nothing on '{wait}' in time. The event is accepted: do not send it again; follow its flow."
            ),
        )),
    }
}

/// Without an answer nobody knows whether the host took the event; with the same id it is safe to ask again.
fn unsure(mut failure: Failure, event: &Event) -> Failure {
    if failure.exit == Exit::Timeout {
        let (id, source) = (&event.id, &event.source);
        failure.message.push_str(&format!(
            "\nThe event may be accepted or not; publishing it again with --id {id} --source {source} is safe."
        ));
    }
    failure
}

fn read_data(args: &PublishArgs) -> Result<Option<Vec<u8>>, Failure> {
    let unreadable =
        |what: String, error: std::io::Error| Failure::failed(format!("cannot read {what}: {error}"));
    if args.stdin.is_some() {
        let mut data = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut data);
        return read.map(|_| Some(data)).map_err(|error| unreadable("stdin".to_owned(), error));
    }
    match (&args.data, &args.file) {
        (Some(data), _) => Ok(Some(data.clone().into_bytes())),
        (None, Some(file)) => {
            std::fs::read(file).map(Some).map_err(|error| unreadable(file.display().to_string(), error))
        }
        (None, None) => Ok(None),
    }
}

/// The event as it is sent.
fn event(args: &PublishArgs, data: Option<Vec<u8>>) -> Result<Event, Failure> {
    let mut event = Event {
        id: args.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string()),
        source: args.source.clone(),
        ty: args.ty.clone().unwrap_or_else(|| args.channel.to_string()),
        subject: args.subject.clone(),
        datacontenttype: data.as_ref().map(|_| args.content_type.clone()),
        data: data.map(Into::into),
        ..Event::default()
    };
    if let Some(key) = &args.key {
        event.extensions.insert("partitionkey".to_owned(), Extension::Text(key.clone()));
    }
    if let Some(data) = event.data.as_ref().filter(|_| event.data_is_json()) {
        serde_json::from_slice::<Value>(data).map_err(|error| {
            let help = "quote a text as '\"text\"', or say what it is with --content-type text/plain";
            Failure::new(Exit::Usage, format!("the data is not JSON: {error}; {help}"))
        })?;
    }
    event.check().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(event)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn render_publication(publication: &Publication, style: Style) -> String {
    let line = |event: &Accepted| {
        let place = style.paint(Tone::Name, &format!("{}@{}", event.channel, event.offset));
        let again =
            if event.duplicate { "accepted before, nothing was added:" } else { "accepted and durable:" };
        let (id, flow) = (clean(&event.id), &event.flow);
        format!("{again} {place}\n  id    {id}\n  flow  {flow}\n  look  baton flow show {flow}\n")
    };
    publication.events.iter().map(line).collect()
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
