//! What is new in a flow since it was last told: events with who handles them, handlings that went on, and the end.

use std::collections::HashMap;

use crate::model::report::{
    FlowEnd, FlowEvent, FlowHandling, FlowNews, FlowReport, FlowStatus, HandlingStatus,
};

/// What was told of a flow.
#[derive(Debug, Default)]
pub struct FlowTold(HashMap<u64, Vec<(String, HandlingStatus)>>);

impl FlowTold {
    /// What a report says beyond that, in journal order. Nothing comes after an end.
    pub fn news(&mut self, report: &FlowReport) -> Vec<FlowNews> {
        let mut news: Vec<_> = report.events.iter().flat_map(|event| self.of_event(event)).collect();
        if matches!(report.status, FlowStatus::Done | FlowStatus::Stuck) {
            news.push(FlowNews::End(FlowEnd {
                flow: report.flow.clone(),
                status: report.status,
                started: report.started.clone(),
                latest: report.latest.clone(),
                truncated: report.truncated,
            }));
        }
        news
    }

    fn of_event(&mut self, event: &FlowEvent) -> Vec<FlowNews> {
        let now =
            event.handlings.iter().map(|handling| (handling.processor.clone(), handling.status)).collect();
        let Some(before) = self.0.insert(event.position, now) else {
            return vec![FlowNews::Event(Box::new(event.clone()))];
        };
        let is_told = |processor: &str, status| before.iter().any(|(p, s)| p == processor && *s == status);
        let new = event.handlings.iter().filter(|handling| !is_told(&handling.processor, handling.status));
        let news = new.map(|handling| FlowHandling {
            position: event.position,
            channel: event.channel.clone(),
            offset: event.offset,
            handling: handling.clone(),
        });
        news.map(|handling| FlowNews::Handling(Box::new(handling))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::report::Handling;
    use serde_json::json;

    fn event(position: u64, handlings: &[(&str, HandlingStatus)]) -> FlowEvent {
        let handling = |(processor, status): &(&str, HandlingStatus)| Handling {
            processor: (*processor).to_owned(),
            status: *status,
            time: None,
            digest: None,
            reply: None,
            fault: None,
        };
        FlowEvent {
            position,
            cause: None,
            channel: "c".into(),
            offset: position,
            recorded: "t".into(),
            event: json!({}),
            handlings: handlings.iter().map(handling).collect(),
        }
    }

    fn report(status: FlowStatus, events: Vec<FlowEvent>) -> FlowReport {
        let (started, latest) = ("a".to_owned(), "b".to_owned());
        let (overdue, deadline, reason) = (false, None, None);
        let flow = "f".to_owned();
        FlowReport {
            flow,
            status,
            overdue,
            deadline,
            reason,
            started,
            latest,
            expired: false,
            events,
            truncated: false,
        }
    }

    #[test]
    fn each_thing_is_told_once_and_the_end_last() {
        use HandlingStatus::{Handled, Pending};
        let mut told = FlowTold::default();
        let first = report(FlowStatus::Open, vec![event(1, &[("a", Pending), ("b", Handled)])]);
        let news = told.news(&first);
        assert!(matches!(&news[..], [FlowNews::Event(event)] if event.position == 1));
        assert_eq!(told.news(&first), []);
        let more = report(FlowStatus::Done, vec![event(1, &[("a", Handled), ("b", Handled)]), event(5, &[])]);
        let news = told.news(&more);
        assert!(
            matches!(&news[..], [FlowNews::Handling(a), FlowNews::Event(event), FlowNews::End(end)]
                if a.handling.processor == "a" && event.position == 5 && end.status == FlowStatus::Done),
            "{news:?}"
        );
    }
}
