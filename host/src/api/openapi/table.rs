//! All operations. A new route gets a row here: its parts, parameters, bodies and answers.

use serde_json::{Value, json};

use super::super::binding::{BATCH, STRUCTURED};
use super::super::streams::EVENT_STREAM;
use super::describe::{Operation, duration, flag, get, number, operation, post, text};
use crate::model::access::{AuditPage, NewToken, TokenList};
use crate::model::asyncapi::ASYNCAPI_JSON;
use crate::model::dead::{DeadDone, DeadPage};
use crate::model::flow::FlowPage;
use crate::model::rehearsal::Rehearsal;
use crate::model::report::{
    ChannelList, ChannelReport, DeployReport, DeploymentList, EventPage, FlowReport, LogPage, ProcessorList,
    ProcessorReport, Publication, ReloadReport, ReplayReport, ResetReport, StateList, StatusReport,
    SubscriptionList,
};
use crate::model::topology::Topology;
use crate::model::upkeep::{BackupReport, JournalReport, TrimReport};
use crate::model::why::WhyReport;
use crate::model::workflow::report::{
    RunDetail, RunDone, RunPage, RunsAgainst, WorkflowDetail, WorkflowList,
};
use crate::node::RUNS_PAGE_MAX;

const CHANNEL: &str = "The channel: lower-case letters, digits, '-', '_' and '.'.";
const PROCESSOR: &str = "The processor.";
const WORKFLOW: &str = "The workflow.";
const RUN: &str = "The run: the name of its workflow, and the position of the event that started it.";
const FLOW: &str = "The flow: the `correlationid` of its events.";

/// Every route and method of the router.
pub fn operations() -> Vec<Operation> {
    [
        channels(),
        processors(),
        subscriptions(),
        flows(),
        dead(),
        workflows(),
        runs(),
        operators(),
        tokens(),
        documents(),
        machines(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn dead() -> Vec<Operation> {
    let meant = || {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "processor": text(), "channel": text(), "offset": {"type": "integer", "minimum": 0}, "flow": text(),
                "kind": text(), "group": text(), "all": flag(), "limit": {"type": "integer", "minimum": 1},
                "after": text(),
                "by": {"enum": ["cli", "http", "library"]},
            },
        })
    };
    vec![
        get("/v1/dead", "Dead letters: by cause, and one by one.")
            .query("processor", "Those of this processor.", text())
            .query("channel", "Those of events of this channel.", text())
            .query("offset", "That of the event at this offset.", number(None))
            .query("flow", "Those of this flow.", text())
            .query("kind", "Those whose last fault is of this kind.", text())
            .query("group", "Those of this group.", text())
            .query("after", "What `next` of the page before said.", text())
            .query("limit", "How many letters a page has at most (100).", number(Some(1000)))
            .answers::<DeadPage>(200, "The groups of all of them, and a page."),
        post("/v1/dead/redrive", "Have dead letters handled again, each at the end of its key.")
            .takes_media("application/json", meant())
            .answers::<DeadDone>(200, "How many."),
        post("/v1/dead/rehearse", "What the version that runs would do with them; nothing is kept of it.")
            .takes_media("application/json", meant())
            .answers::<Vec<Rehearsal>>(200, "One for each, at most 100."),
        post("/v1/dead/discard", "Give dead letters up for good, or an event that holds its key.")
            .takes_media("application/json", meant())
            .answers::<DeadDone>(200, "How many."),
        post(
            "/v1/flows/{id}/resume",
            "Let a flow go on: redrive its dead letters, try again what of it is held or parked.",
        )
        .part("id", FLOW)
        .answers::<DeadDone>(200, "How many events."),
    ]
}

fn tokens() -> Vec<Operation> {
    let roles = json!({"type": "array", "items": {"enum": ["publish", "read", "admin"]}});
    let creation = json!({
        "type": "object", "required": ["name", "roles"], "properties": {"name": text(), "roles": roles},
    });
    vec![
        get("/v1/tokens", "The tokens that were given out, without their secrets.")
            .answers::<TokenList>(200, "The tokens."),
        post("/v1/tokens", "Make a token.")
            .takes_media("application/json", creation)
            .answers::<NewToken>(201, "The token; its secret is told here and nowhere again."),
        operation("delete", "/v1/tokens/{name}", "Revoke a token.")
            .part("name", "The token.")
            .answers_nothing(204, "Whoever has it is refused from now on."),
        get("/v1/audit", "What operators did.")
            .query("limit", "How many of the latest acts (100).", number(Some(1000)))
            .answers::<AuditPage>(200, "The acts, oldest first."),
    ]
}

fn channels() -> Vec<Operation> {
    vec![
        get("/v1/channels", "All channels.").answers::<ChannelList>(200, "The channels."),
        get("/v1/channels/{name}", "One channel.")
            .part("name", CHANNEL)
            .answers::<ChannelReport>(200, "The channel."),
        get("/v1/channels/{name}/events", "Durable events of a channel: a page, or live.")
            .part("name", CHANNEL)
            .query("from", "Where to begin: earliest (the default), latest, or an offset.", text())
            .query("limit", "How many events a page has at most (100).", number(Some(1000)))
            .query("wait", "How long a page waits for its first event, at most 60s.", duration())
            .query("behind_max", "Live: skip events of which more than so many are behind.", number(None))
            .header(
                "last-event-id",
                "Live: the offset of the last event that was seen; it counts for more than `from`.",
            )
            .answers::<EventPage>(200, "A page; or live, an event per message with its offset as `id`.")
            .answers_media(200, EVENT_STREAM, "", text()),
        publish(),
    ]
}

fn publish() -> Operation {
    post("/v1/channels/{name}/events", "Publish events. A batch is one commit.")
        .part("name", CHANNEL)
        .query("wait", "Answer with the flow's first event on this channel, or with `reply`.", text())
        .query("timeout", "How long to wait (30s, at most 300s).", duration())
        .takes_media(STRUCTURED, event())
        .takes_media(BATCH, json!({"type": "array", "items": event()}))
        .takes_media(
            "*/*",
            json!({"description": "The data, with the attributes as ce- headers (binary mode)."}),
        )
        .answers::<Publication>(202, "Durable. With `wait`: the answer was not there in time.")
        .answers_media(200, STRUCTURED, "What was waited for.", event())
        .answers_media(200, "application/json", "", json!({"description": "The reply."}))
}

/// What a publisher has to say; all else is allowed too.
fn event() -> Value {
    json!({
        "type": "object",
        "description": "A CloudEvent 1.0.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"}, "id": text(), "source": text(), "type": text(),
            "subject": text(), "time": text(), "datacontenttype": text(), "data": {},
        },
    })
}

fn processors() -> Vec<Operation> {
    vec![
        get("/v1/processors", "All processors, and files that do not run.")
            .answers::<ProcessorList>(200, "The processors."),
        get("/v1/processors/{name}", "One processor.")
            .part("name", PROCESSOR)
            .answers::<ProcessorReport>(200, "The processor."),
        operation("put", "/v1/processors/{name}", "Deploy a component.")
            .part("name", "The processor; the name in the component.")
            .query("wait", "false: answer before it runs.", flag())
            .takes_media("application/wasm", json!({"description": "The component, up to 64 MiB."}))
            .answers::<DeployReport>(200, "It runs: the receipt.")
            .answers_nothing(202, "It was handed over."),
        operation("delete", "/v1/processors/{name}", "Undeploy a processor.")
            .part("name", PROCESSOR)
            .query("forget", "true: delete its positions and state too.", flag())
            .answers_nothing(204, "It does not run any more."),
        post("/v1/processors/{name}/resume", "Go on after a pause, and try again what is held.")
            .part("name", PROCESSOR)
            .takes_media("application/json", resume())
            .answers::<ProcessorReport>(200, "The processor."),
        post("/v1/processors/{name}/pause", "Begin no more batches.")
            .part("name", PROCESSOR)
            .takes_media("application/json", pause())
            .answers::<ProcessorReport>(200, "The processor."),
        post(
            "/v1/processors/{name}/replay",
            "Have events of the past handled, under a name of their own or into nothing.",
        )
        .part("name", PROCESSOR)
        .takes_media("application/json", replay())
        .answers::<ReplayReport>(200, "What came of it; of a long range a part."),
        post("/v1/processors/{name}/approve", "Let in the version that waits for approval.")
            .part("name", PROCESSOR)
            .takes_media("application/json", approve())
            .answers::<DeployReport>(200, "It runs: the receipt."),
        post(
            "/v1/processors/{name}/rollback",
            "Go back to the version before, or take away the one that waits.",
        )
        .part("name", PROCESSOR)
        .takes_media("application/json", rollback())
        .answers::<DeployReport>(200, "It runs: the receipt."),
        operation("put", "/v1/processors/{name}/scale", "Say how many lanes it may have.")
            .part("name", PROCESSOR)
            .takes_media("application/json", scale())
            .answers::<ProcessorReport>(200, "The processor."),
        get("/v1/processors/{name}/state", "What a processor keeps.")
            .part("name", PROCESSOR)
            .query("key", "Of this key alone.", text())
            .query("limit", "How many entries (1000).", number(Some(10_000)))
            .answers::<StateList>(200, "The state, by key and name."),
        get("/v1/processors/{name}/logs", "What a processor wrote.")
            .part("name", PROCESSOR)
            .query("after", "Lines after this number.", number(None))
            .query("flow", "Of this flow alone.", text())
            .query("limit", "How many lines (1000).", number(Some(10_000)))
            .answers::<LogPage>(200, "The lines, oldest first."),
    ]
}

fn resume() -> Value {
    json!({"type": "object", "properties": {
        "rate": {"type": "string", "examples": ["100/s", "none"]}, "held": flag(), "by": text(),
    }})
}

fn pause() -> Value {
    json!({"type": "object", "required": ["reason"], "properties": {"reason": text(), "by": text()}})
}

fn replay() -> Value {
    json!({"type": "object", "required": ["from"], "properties": {
        "channel": text(), "from": text(), "to": text(), "into": text(), "dry_run": flag(), "outside": flag(),
    }})
}

fn approve() -> Value {
    json!({"type": "object", "properties": {"digest": text(), "by": text()}})
}

fn rollback() -> Value {
    json!({"type": "object", "properties": {"by": text()}})
}

fn scale() -> Value {
    json!({"type": "object", "properties": {
        "lanes": {"type": "string", "examples": ["1..4"]}, "reset": flag(), "by": text(),
    }})
}

fn subscriptions() -> Vec<Operation> {
    vec![
        get("/v1/subscriptions", "Where processors are on their channels.")
            .query("processor", "Of this processor alone.", text())
            .answers::<SubscriptionList>(200, "The subscriptions."),
        post("/v1/processors/{name}/subscriptions/{channel}/reset", "Take a subscription to another place.")
            .part("name", PROCESSOR)
            .part("channel", CHANNEL)
            .query("to", "earliest, latest, an offset or a time.", text())
            .query("state", "keep or clear.", text())
            .query("dry_run", "true: say what would be.", flag())
            .answers::<ResetReport>(200, "What came of it."),
    ]
}

fn flows() -> Vec<Operation> {
    vec![
        get("/v1/flows/{id}", "A flow: as it is, or live to its end.")
            .part("id", FLOW)
            .answers::<FlowReport>(
                200,
                "The flow; or live, messages `event`, `handling`, and `end` as the last.",
            )
            .answers_media(200, EVENT_STREAM, "", text()),
        get("/v1/flows", "Flows that are not done, oldest first; or those in one state.")
            .query("state", "open, stuck, overdue, or done (newest first).", text())
            .query("older-than", "That began longer ago.", duration())
            .query("channel", "That began on this channel.", text())
            .query("limit", "How many a page has at most (50).", number(Some(1000)))
            .query("after", "The `next` of the page before.", text())
            .answers::<FlowPage>(200, "The flows."),
        get("/v1/why", "Why a processor did or did not get an event.")
            .query("event", "CHANNEL@OFFSET, or the event's id.", text())
            .query("processor", PROCESSOR, text())
            .answers::<WhyReport>(200, "One verdict with its facts."),
    ]
}

fn workflows() -> Vec<Operation> {
    let definition = || json!({"description": "The definition, YAML or JSON, up to 1 MiB."});
    vec![
        get("/v1/workflows", "All workflows, and files of definitions that do not run.")
            .answers::<WorkflowList>(200, "The workflows."),
        get("/v1/workflows/{name}", "One workflow with its definition.")
            .part("name", WORKFLOW)
            .answers::<WorkflowDetail>(200, "The workflow."),
        operation("put", "/v1/workflows/{name}", "Deploy a definition: new runs are on it.")
            .part("name", "The workflow; the name in the definition.")
            .takes_media("application/yaml", definition())
            .takes_media("application/json", definition())
            .answers::<DeployReport>(200, "It runs: the receipt."),
        operation("delete", "/v1/workflows/{name}", "Remove a workflow; what is kept of its runs stays.")
            .part("name", WORKFLOW)
            .answers_nothing(204, "Nothing begins on it any more."),
        post(
            "/v1/workflows/{name}/check-runs",
            "What a definition would have done with the runs in progress.",
        )
        .part("name", "The workflow; the name in the definition.")
        .takes_media("application/yaml", definition())
        .takes_media("application/json", definition())
        .answers::<RunsAgainst>(200, "How many would be the same so far, and the others."),
    ]
}

fn runs() -> Vec<Operation> {
    let by = || json!({"enum": ["cli", "http", "library"]});
    let word = |summary, path, schema| {
        post(path, summary)
            .part("id", RUN)
            .takes_media("application/json", schema)
            .answers::<RunDone>(200, "The run after it.")
    };
    vec![
        get("/v1/runs", "Runs, the latest first, and events that wait for a run.")
            .query("workflow", "Those of this workflow.", text())
            .query("status", "pending, running, waiting, faulted, cancelled or completed.", text())
            .query("over", "true: those that are over; false: the others.", flag())
            .query("flow", "Those of this flow.", text())
            .query("limit", "How many a page has at most (50).", number(Some(RUNS_PAGE_MAX)))
            .query("after", "The `after` of the page before.", text())
            .answers::<RunPage>(200, "The runs."),
        get("/v1/runs/{id}", "One run with its history.")
            .part("id", RUN)
            .answers::<RunDetail>(200, "The run."),
        get("/v1/runs/{id}/events", "One run, live.").part("id", RUN).answers_media(
            200,
            EVENT_STREAM,
            "Messages `run` whenever it changes, the first at once, and `end` as the last; each has the run as data.",
            text(),
        ),
        word(
            "Go on where it failed, or at a task.",
            "/v1/runs/{id}/resume",
            json!({"type": "object", "properties": {"from": text(), "input": {}, "by": by()}}),
        ),
        word(
            "Count a task as done.",
            "/v1/runs/{id}/skip",
            json!({
                "type": "object", "required": ["task", "output"],
                "properties": {"task": text(), "output": {}, "by": by()},
            }),
        ),
        word(
            "End it, and undo what is done.",
            "/v1/runs/{id}/cancel",
            json!({"type": "object", "properties": {"by": by()}}),
        ),
        word(
            "Give an event to a task that waits for one.",
            "/v1/runs/{id}/signal",
            json!({
                "type": "object", "required": ["type"],
                "properties": {"type": text(), "data": {}, "by": by()},
            }),
        ),
    ]
}

fn operators() -> Vec<Operation> {
    vec![
        get("/v1/deployments", "The receipts of all deployments.")
            .answers::<DeploymentList>(200, "The receipts, oldest first."),
        get("/v1/status", "What is wrong now.").answers::<StatusReport>(200, "The status."),
        post("/v1/config/reload", "Read baton.toml again; a wrong one changes nothing.")
            .answers::<ReloadReport>(200, "What came of it."),
        get("/v1/journal", "The journal's segments and checkpoints.")
            .answers::<JournalReport>(200, "The journal."),
        post("/v1/journal/trim", "Expire what is due, and free the disk.")
            .query("dry_run", "true: say what would go, and what keeps the rest; change nothing.", flag())
            .answers::<TrimReport>(200, "What went, or would go."),
        post("/v1/backup", "Write what a host needs to start from here into a folder on the host's machine.")
            .takes_media(
                "application/json",
                json!({"type": "object", "properties": {"dir": text()}, "required": ["dir"]}),
            )
            .answers::<BackupReport>(200, "It is finished."),
        get("/v1/topology", "Who sends what to whom.").answers::<Topology>(200, "The topology."),
    ]
}

fn documents() -> Vec<Operation> {
    let object = || json!({"type": "object"});
    vec![
        get("/v1/openapi.json", "This document.").answers_media(
            200,
            "application/json",
            "OpenAPI 3.1.",
            object(),
        ),
        get("/v1/config-schema.json", "The JSON Schema of baton.toml.").answers_media(
            200,
            "application/json",
            "JSON Schema 2020-12.",
            object(),
        ),
        get("/v1/asyncapi.json", "The topology for other programs.").answers_media(
            200,
            ASYNCAPI_JSON,
            "AsyncAPI 3.0.",
            object(),
        ),
    ]
}

fn machines() -> Vec<Operation> {
    let object = || json!({"type": "object"});
    vec![
        get("/healthz", "Whether the process answers.").answers_media(
            200,
            "application/json",
            "It does.",
            object(),
        ),
        get("/readyz", "Whether the host takes events.").answers_media(
            200,
            "application/json",
            "It does.",
            object(),
        ),
        get("/metrics", "Everything that can be counted.").answers_media(
            200,
            "text/plain",
            "In the Prometheus text format.",
            text(),
        ),
    ]
}
