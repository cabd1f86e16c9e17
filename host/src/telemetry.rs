//! What the host tells its operators besides reports: its own log on stderr, and metrics as text. It collects
//! nothing: metrics are made from reports at each scrape.

use std::io::IsTerminal;

use metrics::{Label, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

use crate::model::report::{
    ChannelReport, ProcessorReport, ProcessorStatus, StatusReport, SubscriptionReport,
};

/// The most series of one metric; what comes after is counted in `baton_metrics_dropped_series`.
pub const SERIES_MAX: usize = 1000;

/// The variable that filters the host's log, such as `baton=debug`.
pub const LOG_VARIABLE: &str = "BATON_LOG";

/// Starts the host's log on stderr, from `level` on unless the variable says otherwise. A second call changes
/// nothing.
pub fn start_log(level: &str) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    // It fails only when there is a log already, as in tests.
    let _ = log.try_init();
}

/// A gauge that no report holds.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Its name, with the base unit last, such as `baton_dedupe_window_seconds`.
    pub name: &'static str,
    /// What it says, for people.
    pub help: &'static str,
    /// Its value.
    pub value: f64,
}

/// Writes the Prometheus text format.
pub fn render_metrics(status: &StatusReport, channels: &[ChannelReport], gauges: &[Gauge]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        record_host(status);
        channels.iter().take(SERIES_MAX).for_each(record_channel);
        status.processors.iter().take(SERIES_MAX).for_each(record_processor);
        let subscriptions = status.processors.iter().flat_map(|processor| &processor.subscriptions);
        subscriptions.clone().take(SERIES_MAX).for_each(record_subscription);
        record_dropped([channels.len(), status.processors.len(), subscriptions.count()]);
        for extra in gauges {
            set(extra.name, extra.help, Vec::new(), extra.value);
        }
    });
    recorder.handle().render()
}

fn set(name: &'static str, help: &'static str, labels: Vec<Label>, value: f64) {
    describe_gauge!(name, help);
    gauge!(name, labels).set(value);
}

fn count(name: &'static str, help: &'static str, labels: Vec<Label>, value: u64) {
    describe_counter!(name, help);
    counter!(name, labels).absolute(value);
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn record_host(status: &StatusReport) {
    let info = vec![
        Label::new("version", status.version.clone()),
        Label::new("domain", status.domain.clone()),
        Label::new("durability", status.durability.clone()),
    ];
    set("baton_info", "Which host this is.", info, 1.0);
    set("baton_ready", "1 while the host takes events.", Vec::new(), flag(status.ready));
    let next = status.next_position;
    count("baton_journal_positions_total", "Positions given in the journal.", Vec::new(), next);
    let durable = status.durable_position;
    count("baton_journal_durable_positions_total", "Positions that are durable.", Vec::new(), durable);
    let problems = status.problems.len() as f64;
    set("baton_file_problems", "Files in processors/ that do not run.", Vec::new(), problems);
}

fn record_channel(channel: &ChannelReport) {
    let labels = vec![Label::new("channel", channel.name.clone())];
    count("baton_channel_events_total", "Events that the channel ever got.", labels, channel.next);
}

fn record_processor(processor: &ProcessorReport) {
    let labels = || vec![Label::new("processor", processor.name.clone())];
    let running = !matches!(processor.status, ProcessorStatus::Failed | ProcessorStatus::Undeployed);
    set("baton_processor_up", "1 while the processor is deployed and started.", labels(), flag(running));
    let blocked = processor.status == ProcessorStatus::Blocked;
    set(
        "baton_processor_blocked",
        "1 while too much waits behind held keys to read on.",
        labels(),
        flag(blocked),
    );
    count("baton_processor_handled_total", "Events handled since the start.", labels(), processor.handled);
    count(
        "baton_processor_failed_total",
        "Handlings that failed since the start.",
        labels(),
        processor.failed,
    );
}

fn record_subscription(subscription: &SubscriptionReport) {
    let labels = || {
        vec![
            Label::new("processor", subscription.processor.clone()),
            Label::new("channel", subscription.channel.clone()),
        ]
    };
    let values = [
        ("baton_subscription_lag_events", "Events that are not decided yet.", subscription.lag),
        ("baton_subscription_held_events", "Events that failed and hold their key.", subscription.held),
        ("baton_subscription_waiting_events", "Events behind a held one of their key.", subscription.waiting),
    ];
    for (name, help, value) in values {
        set(name, help, labels(), value as f64);
    }
    count("baton_subscription_decided_events_total", "Events decided.", labels(), subscription.decided);
    let filtered = subscription.filtered;
    count(
        "baton_subscription_filtered_events_total",
        "Events that the filter did not pass.",
        labels(),
        filtered,
    );
}

fn record_dropped(series: [usize; 3]) {
    let dropped: usize = series.iter().map(|count| count.saturating_sub(SERIES_MAX)).sum();
    set(
        "baton_metrics_dropped_series",
        "Series left out because there are too many.",
        Vec::new(),
        dropped as f64,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> StatusReport {
        StatusReport {
            version: "0.1.0".into(),
            domain: "default".into(),
            ready: true,
            reason: None,
            started: "2026-01-31T12:00:00Z".into(),
            durability: "fsync".into(),
            next_position: 9,
            durable_position: 7,
            channels: 1,
            processors: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn channel(name: String) -> ChannelReport {
        let (publishers, subscriptions) = (Vec::new(), Vec::new());
        ChannelReport { name, kind: "topic".into(), first: 0, next: 3, publishers, subscriptions }
    }

    #[test]
    fn reports_become_metrics_with_help_and_labels() {
        let window = Gauge { name: "baton_dedupe_window_seconds", help: "How far back.", value: 600.0 };
        let text = render_metrics(&status(), &[channel("orders".into())], &[window]);
        for line in [
            "# TYPE baton_ready gauge",
            "# HELP baton_dedupe_window_seconds How far back.",
            "baton_dedupe_window_seconds 600",
            "baton_journal_durable_positions_total 7",
            "baton_channel_events_total{channel=\"orders\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn series_are_bounded_and_what_is_left_out_is_counted() {
        let channels: Vec<_> = (0..SERIES_MAX + 2).map(|n| channel(format!("c{n}"))).collect();
        let text = render_metrics(&status(), &channels, &[]);
        let series = text.lines().filter(|line| line.starts_with("baton_channel_events_total{"));
        assert_eq!(series.count(), SERIES_MAX);
        assert!(text.contains("baton_metrics_dropped_series 2"), "{text}");
    }

    #[test]
    fn a_scrape_starts_from_nothing() {
        assert!(render_metrics(&status(), &[channel("orders".into())], &[]).contains("orders"));
        assert!(!render_metrics(&status(), &[], &[]).contains("orders"));
    }
}
