//! What a scrape looks like, and that it is bounded.

use super::*;
use crate::meter::{BYTES, COUNTS, Histogram, TIMES_MS, TIMES_US};

fn status() -> StatusReport {
    serde_json::from_value(serde_json::json!({
        "version": "0.1.0", "domain": "default", "ready": true, "started": "2026-01-31T12:00:00Z",
        "durability": "fsync", "next_position": 9, "durable_position": 7, "channels": 1,
        "processors": [], "problems": []
    }))
    .unwrap()
}

fn channel(name: String) -> ChannelReport {
    let (publishers, subscriptions) = (Vec::new(), Vec::new());
    ChannelReport { name, kind: "topic".into(), first: 1, next: 3, publishers, subscriptions }
}

fn scrape(channels: Vec<ChannelReport>) -> Scrape {
    let sync_us = Histogram::new(TIMES_US);
    for us in [100, 101, 7_000_000] {
        sync_us.observe(us);
    }
    let journal = JournalScrape {
        sync_us: sync_us.look(),
        group_frames: Histogram::new(COUNTS).look(),
        group_bytes: Histogram::new(BYTES).look(),
        undurable_bytes: 0,
        segments: 1,
        bytes: 4096,
    };
    Scrape {
        status: status(),
        channels,
        processors: Vec::new(),
        subscriptions: Vec::new(),
        workflows: vec![WorkflowScrape {
            name: "place-order".into(),
            runs: BTreeMap::from([("faulted".into(), 2)]),
            step_ms: Histogram::new(TIMES_MS).look(),
            retries: 5,
        }],
        journal,
        dedupe_ids: 3,
        dedupe_window_ms: 600_500,
    }
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn reports_become_metrics_with_help_unit_and_labels() {
    let text = render_metrics(&scrape(vec![channel("orders".into())]));
    assert_lines(
        &text,
        &[
            "# TYPE baton_ready gauge",
            "baton_ready 1.0",
            r#"baton_runs{workflow="place-order",status="faulted"} 2.0"#,
            r#"baton_run_retries_total{workflow="place-order"} 5"#,
            "# HELP baton_dedupe_window_seconds How far back they go.",
            "# UNIT baton_dedupe_window_seconds seconds",
            "baton_dedupe_window_seconds 600.5",
            "# TYPE baton_journal_durable_positions counter",
            "baton_journal_durable_positions_total 7",
            "baton_channel_events_total{channel=\"orders\"} 3",
            "baton_channel_kept_events{channel=\"orders\"} 2.0",
        ],
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_histogram_counts_up_to_its_bounds_in_seconds() {
    let text = render_metrics(&scrape(Vec::new()));
    assert_lines(
        &text,
        &[
            "# TYPE baton_journal_sync_seconds histogram",
            "baton_journal_sync_seconds_bucket{le=\"0.0001\"} 1",
            "baton_journal_sync_seconds_bucket{le=\"0.00025\"} 2",
            "baton_journal_sync_seconds_bucket{le=\"+Inf\"} 3",
            "baton_journal_sync_seconds_count 3",
            "baton_journal_sync_seconds_sum 7.000201",
        ],
    );
}

#[test]
fn series_are_bounded_and_what_is_left_out_is_counted() {
    let channels: Vec<_> = (0..SERIES_MAX + 2).map(|n| channel(format!("c{n}"))).collect();
    let text = render_metrics(&scrape(channels));
    let series = text.lines().filter(|line| line.starts_with("baton_channel_events_total{"));
    assert_eq!(series.count(), SERIES_MAX);
    assert_lines(&text, &["baton_metrics_dropped_series 2.0"]);
}

#[test]
fn a_name_with_quotes_is_escaped() {
    let text = render_metrics(&scrape(vec![channel("a\"b\\c".into())]));
    assert_lines(&text, &[r#"baton_channel_events_total{channel="a\"b\\c"} 3"#]);
}
