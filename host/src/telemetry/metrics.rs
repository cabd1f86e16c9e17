//! Which metrics there are: names, units, help, labels. Labels are names of channels, processors and versions only, and the
//! series of a metric are bounded.

use std::collections::BTreeMap;

use prometheus_client::registry::Unit;

use crate::meter::Counted;
use crate::model::report::{
    ChannelReport, ProcessorReport, ProcessorStatus, StatusReport, SubscriptionReport,
};

use super::exposition::{Family, Labels, Value, render};

/// The most series of one metric; what comes after is counted in `baton_metrics_dropped_series`.
pub const SERIES_MAX: usize = 1000;

/// Microseconds in seconds.
const MICROSECONDS: f64 = 1e-6;
/// Milliseconds in seconds.
const MILLISECONDS: f64 = 1e-3;

/// Everything that one scrape shows.
pub struct Scrape {
    /// The host and its processors.
    pub status: StatusReport,
    /// The channels.
    pub channels: Vec<ChannelReport>,
    /// What no report says of the processors, in the order of `status.processors`.
    pub processors: Vec<ProcessorScrape>,
    /// The subscriptions of all processors.
    pub subscriptions: Vec<SubscriptionScrape>,
    /// The workflows.
    pub workflows: Vec<WorkflowScrape>,
    /// What no report says of the journal.
    pub journal: JournalScrape,
    /// How many ids of published events are remembered.
    pub dedupe_ids: usize,
    /// How far back they go, in milliseconds.
    pub dedupe_window_ms: u64,
}

/// What a processor's lanes have measured since the host started.
pub struct ProcessorScrape {
    /// Time of guest calls, in microseconds.
    pub call_us: Counted,
    /// Events of guest calls.
    pub batch_events: Counted,
    /// How many instances it has.
    pub instances: u64,
    /// Their memory while they are idle, in bytes.
    pub memory_bytes: u64,
    /// What its state counts, in bytes.
    pub state_bytes: u64,
    /// Handlings that failed, by the name of the fault; only those that there were.
    pub faults: Vec<(&'static str, u64)>,
    /// When what runs was deployed, in milliseconds since the Unix epoch.
    pub deployed_ms: u64,
    /// The longest pause of a lane at that, in microseconds.
    pub pause_us: u64,
}

/// How far behind a subscription is.
pub struct SubscriptionScrape {
    /// Its report.
    pub report: SubscriptionReport,
    /// How long its oldest undecided event has been there, in milliseconds; 0 without one.
    pub lag_ms: u64,
}

/// A workflow's runs, and what its mediator has measured since the host started.
pub struct WorkflowScrape {
    /// Its name.
    pub name: String,
    /// How many runs there are of each status, those that are over and kept included.
    pub runs: BTreeMap<String, usize>,
    /// Time from a command to its acknowledgement, in milliseconds.
    pub step_ms: Counted,
    /// How often tasks were tried again because their definition says so.
    pub retries: u64,
}

/// What the journal has measured since the host started.
pub struct JournalScrape {
    /// Time of a write and its sync, in microseconds.
    pub sync_us: Counted,
    /// Frames that one sync made durable.
    pub group_frames: Counted,
    /// Bytes that one sync made durable.
    pub group_bytes: Counted,
    /// Bytes that wait for the disk.
    pub undurable_bytes: u64,
    /// Segments that there are.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes the OpenMetrics text format.
pub fn render_metrics(scrape: &Scrape) -> String {
    let mut families = host(&scrape.status);
    families.extend(journal(scrape));
    families.extend(channels(&scrape.channels));
    families.extend(processors(&scrape.status.processors));
    families.extend(work(&scrape.status.processors, &scrape.processors));
    families.extend(subscriptions(&scrape.subscriptions));
    families.extend(workflows(&scrape.workflows));
    families.push(dropped([
        scrape.channels.len(),
        scrape.status.processors.len(),
        scrape.subscriptions.len(),
    ]));
    render(families)
}

fn one(name: &'static str, unit: Option<Unit>, help: &'static str, value: Value) -> Family {
    Family { name, unit, help, samples: vec![(Labels::new(), value)] }
}

/// A family with a sample for each row, up to the bound.
fn each<T>(
    (name, unit, help): (&'static str, Option<Unit>, &'static str),
    rows: &[T],
    labels: impl Fn(&T) -> Labels,
    value: impl Fn(&T) -> Value,
) -> Family {
    let samples = rows.iter().take(SERIES_MAX).map(|row| (labels(row), value(row))).collect();
    Family { name, unit, help, samples }
}

fn gauge(value: u64) -> Value {
    Value::Gauge(value as f64)
}

fn flag(value: bool) -> Value {
    gauge(value.into())
}

fn seconds(ms: u64) -> Value {
    Value::Gauge(ms as f64 / 1e3)
}

fn microseconds(counted: &Counted) -> Value {
    Value::Histogram { counted: counted.clone(), scale: MICROSECONDS }
}

fn plain(counted: &Counted) -> Value {
    Value::Histogram { counted: counted.clone(), scale: 1.0 }
}

fn host(status: &StatusReport) -> Vec<Family> {
    let info = vec![
        ("version", status.version.clone()),
        ("domain", status.domain.clone()),
        ("durability", status.durability.clone()),
    ];
    vec![
        one("baton", None, "Which host this is.", Value::Info(info)),
        one("baton_ready", None, "1 while the host takes events.", flag(status.ready)),
        one(
            "baton_file_problems",
            None,
            "Files in processors/ that do not run.",
            gauge(status.problems.len() as u64),
        ),
    ]
}

fn journal(scrape: &Scrape) -> Vec<Family> {
    let Scrape { status, journal, .. } = scrape;
    let counter = |name, help, value| one(name, None, help, Value::Counter(value));
    let bytes = |name, help, value| one(name, Some(Unit::Bytes), help, gauge(value));
    vec![
        counter("baton_journal_positions", "Positions given in the journal.", status.next_position),
        counter("baton_journal_durable_positions", "Positions that are durable.", status.durable_position),
        bytes("baton_journal_undurable", "Bytes that wait for the disk.", journal.undurable_bytes),
        bytes("baton_journal_size", "Bytes of all segments.", journal.bytes),
        one("baton_journal_segments", None, "Segments that there are.", gauge(journal.segments)),
        one(
            "baton_journal_sync",
            Some(Unit::Seconds),
            "Time to write a group of frames and to sync it.",
            microseconds(&journal.sync_us),
        ),
        one("baton_journal_group_frames", None, "Frames made durable at once.", plain(&journal.group_frames)),
        one(
            "baton_journal_group",
            Some(Unit::Bytes),
            "Bytes made durable at once.",
            plain(&journal.group_bytes),
        ),
        one(
            "baton_dedupe_ids",
            None,
            "Ids of published events that are remembered.",
            gauge(scrape.dedupe_ids as u64),
        ),
        one(
            "baton_dedupe_window",
            Some(Unit::Seconds),
            "How far back they go.",
            seconds(scrape.dedupe_window_ms),
        ),
    ]
}

fn channels(channels: &[ChannelReport]) -> Vec<Family> {
    let labels = |channel: &ChannelReport| vec![("channel", channel.name.clone())];
    let kept = |channel: &ChannelReport| gauge(channel.next.saturating_sub(channel.first));
    vec![
        each(("baton_channel_events", None, "Events that the channel ever got."), channels, labels, |c| {
            Value::Counter(c.next)
        }),
        each(("baton_channel_kept_events", None, "Events that are still there."), channels, labels, kept),
    ]
}

fn processors(processors: &[ProcessorReport]) -> Vec<Family> {
    let labels = |processor: &ProcessorReport| vec![("processor", processor.name.clone())];
    let family = |name, help, value: &dyn Fn(&ProcessorReport) -> Value| {
        each((name, None, help), processors, labels, value)
    };
    let runs = |p: &ProcessorReport| {
        flag(!matches!(p.status, ProcessorStatus::Failed | ProcessorStatus::Undeployed))
    };
    vec![
        family("baton_processor_up", "1 while the processor is deployed and started.", &runs),
        family(
            "baton_processor_blocked",
            "1 while too much waits behind held keys to read on.",
            &|processor| flag(processor.status == ProcessorStatus::Blocked),
        ),
        family("baton_processor_paused", "1 while an operator has paused it.", &|p| flag(p.paused.is_some())),
        family("baton_processor_lanes", "Lanes that it has.", &|p| gauge(p.lanes.into())),
        family("baton_processor_lanes_max", "Lanes that it may have.", &|p| gauge(p.scale.max.into())),
        family("baton_processor_handled", "Events handled since the start.", &|p| Value::Counter(p.handled)),
        family("baton_processor_failed", "Handlings that failed since the start.", &|p| {
            Value::Counter(p.failed)
        }),
        family("baton_processor_deployments", "Deployments ever made.", &|p| Value::Counter(p.generation)),
    ]
}

fn work(processors: &[ProcessorReport], scrapes: &[ProcessorScrape]) -> Vec<Family> {
    let rows: Vec<_> = processors.iter().zip(scrapes).collect();
    let labels =
        |(processor, _): &(&ProcessorReport, &ProcessorScrape)| vec![("processor", processor.name.clone())];
    let family = |name, unit, help, value: &dyn Fn(&ProcessorScrape) -> Value| {
        each((name, unit, help), &rows, labels, |(_, scrape)| value(scrape))
    };
    vec![
        family("baton_processor_call", Some(Unit::Seconds), "Time of one guest call.", &|p| {
            microseconds(&p.call_us)
        }),
        family("baton_processor_batch_events", None, "Events of one guest call.", &|p| {
            plain(&p.batch_events)
        }),
        family("baton_processor_instances", None, "Instances that are there.", &|p| gauge(p.instances)),
        family("baton_processor_memory", Some(Unit::Bytes), "Memory of its idle instances.", &|p| {
            gauge(p.memory_bytes)
        }),
        family("baton_processor_state", Some(Unit::Bytes), "State that it keeps.", &|p| gauge(p.state_bytes)),
        faults(&rows),
        family(
            "baton_processor_deployed_timestamp",
            Some(Unit::Seconds),
            "When what runs was deployed, in Unix time.",
            &|p| seconds(p.deployed_ms),
        ),
        family(
            "baton_processor_switch_pause",
            Some(Unit::Seconds),
            "The longest pause of a lane at the last deployment.",
            &|p| Value::Gauge(p.pause_us as f64 / 1e6),
        ),
    ]
}

/// As many series as there are kinds, and only those of what happened.
fn faults(rows: &[(&ProcessorReport, &ProcessorScrape)]) -> Family {
    let of = |(processor, scrape): &(&ProcessorReport, &ProcessorScrape)| {
        let name = processor.name.clone();
        let each = scrape.faults.clone().into_iter();
        each.map(move |(kind, count)| {
            (vec![("processor", name.clone()), ("kind", kind.to_owned())], Value::Counter(count))
        })
    };
    let samples = rows.iter().flat_map(of).take(SERIES_MAX).collect();
    let help = "Handlings that failed since the start, by fault.";
    Family { name: "baton_processor_faults", unit: None, help, samples }
}

fn subscriptions(subscriptions: &[SubscriptionScrape]) -> Vec<Family> {
    let labels = |row: &SubscriptionScrape| {
        vec![("processor", row.report.processor.clone()), ("channel", row.report.channel.clone())]
    };
    let family = |name, unit, help, value: &dyn Fn(&SubscriptionScrape) -> Value| {
        each((name, unit, help), subscriptions, labels, value)
    };
    vec![
        family("baton_subscription_lag_events", None, "Events that are not decided yet.", &|s| {
            gauge(s.report.lag)
        }),
        family(
            "baton_subscription_lag",
            Some(Unit::Seconds),
            "How long its oldest undecided event has been there.",
            &|s| seconds(s.lag_ms),
        ),
        family("baton_subscription_parked_events", None, "Events that failed and are tried again.", &|s| {
            gauge(s.report.parked)
        }),
        family("baton_subscription_held_events", None, "Events that failed and hold their key.", &|s| {
            gauge(s.report.held)
        }),
        family("baton_subscription_ledger_difference", None, "Events that its book misses.", &|s| {
            Value::Gauge(s.report.ledger.difference() as f64)
        }),
        family("baton_subscription_acked_events", None, "Events handled.", &|s| {
            Value::Counter(s.report.ledger.acked)
        }),
        family("baton_subscription_dead_events", None, "Dead letters.", &|s| gauge(s.report.dead)),
        family("baton_subscription_discarded_events", None, "Events given up for good.", &|s| {
            Value::Counter(s.report.discarded)
        }),
        family("baton_subscription_waiting_events", None, "Events behind a held one of their key.", &|s| {
            gauge(s.report.waiting)
        }),
        family("baton_subscription_decided_events", None, "Events decided.", &|s| {
            Value::Counter(s.report.decided)
        }),
        family("baton_subscription_filtered_events", None, "Events that the filter did not pass.", &|s| {
            Value::Counter(s.report.filtered)
        }),
    ]
}

fn workflows(workflows: &[WorkflowScrape]) -> Vec<Family> {
    let labels = |workflow: &WorkflowScrape| vec![("workflow", workflow.name.clone())];
    let of = |workflow: &WorkflowScrape| {
        let name = workflow.name.clone();
        let counts = workflow.runs.clone().into_iter();
        counts.map(move |(status, count)| {
            (vec![("workflow", name.clone()), ("status", status)], gauge(count as u64))
        })
    };
    let samples = workflows.iter().flat_map(of).take(SERIES_MAX).collect();
    let help = "Runs by status, those that are over and kept included.";
    let step = "Time from a command to its acknowledgement.";
    let retries = "Tasks tried again because their definition says so, since the start.";
    vec![
        Family { name: "baton_runs", unit: None, help, samples },
        each(("baton_run_step", Some(Unit::Seconds), step), workflows, labels, |workflow| Value::Histogram {
            counted: workflow.step_ms.clone(),
            scale: MILLISECONDS,
        }),
        each(("baton_run_retries", None, retries), workflows, labels, |workflow| {
            Value::Counter(workflow.retries)
        }),
    ]
}

fn dropped(series: [usize; 3]) -> Family {
    let dropped: usize = series.iter().map(|count| count.saturating_sub(SERIES_MAX)).sum();
    let help = "Rows left out because there are too many.";
    one("baton_metrics_dropped_series", None, help, gauge(dropped as u64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
