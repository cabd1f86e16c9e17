//! What one scrape of the metrics shows: reports, and what lanes and journal have measured. All of it is read when it is asked
//! for; lag in seconds looks at the oldest undecided event of each subscription that is behind.

use std::sync::Arc;

use crate::channel::Domain;
use crate::dispatch::Processor;
use crate::meter::{COUNTS, Counted, Histogram, TIMES_US};
use crate::model::name::ProcessorName;
use crate::model::report::{ProcessorReport, SubscriptionReport};
use crate::telemetry::{
    JournalScrape, ProcessorScrape, SERIES_MAX, Scrape, SubscriptionScrape, WorkflowScrape, render_metrics,
};
use crate::view::state::ProcessorState;

use super::runs::counted;
use super::{Node, ReadError};

impl Node {
    /// Everything that can be counted, in the OpenMetrics text format.
    pub async fn metrics(&self) -> Result<String, ReadError> {
        let node = self.clone();
        let rendered = tokio::task::spawn_blocking(move || render_metrics(&node.scrape())).await;
        rendered.map_err(|error| ReadError::Journal { why: error.to_string() })
    }

    fn scrape(&self) -> Scrape {
        let status = self.status();
        let (dedupe_ids, dedupe_window_ms) = self.0.domain.dedupe_extent();
        let subscriptions = status.processors.iter().flat_map(|processor| &processor.subscriptions);
        Scrape {
            channels: self.channels(),
            processors: status.processors.iter().map(|processor| self.processor_scrape(processor)).collect(),
            subscriptions: self.subscription_scrapes(subscriptions),
            workflows: self.workflow_scrapes(),
            journal: journal_scrape(&self.0.domain),
            dedupe_ids,
            dedupe_window_ms,
            status,
        }
    }

    fn processor_scrape(&self, report: &ProcessorReport) -> ProcessorScrape {
        let domain = &self.0.domain;
        let id = domain.look(|world| world.processor_id(&report.name));
        let deployment = domain.look(|world| world.processors().get(id? as usize)?.deployment.clone());
        let state = domain.look(|world| Some(world.processors().get(id? as usize)?.state.bytes()));
        let scrape = |running: Option<&Processor<'_>>| ProcessorScrape {
            call_us: running.map_or_else(|| nothing(TIMES_US), |running| running.stats.call_us.look()),
            batch_events: running
                .map_or_else(|| nothing(COUNTS), |running| running.stats.batch_events.look()),
            instances: running.map_or(0, Processor::instances),
            memory_bytes: running.map_or(0, Processor::memory_bytes),
            state_bytes: state.unwrap_or(0),
            faults: running.map(|running| running.stats.faults()).unwrap_or_default(),
            deployed_ms: deployment.as_ref().map_or(0, |deployment| deployment.time_ms),
            pause_us: deployment.and_then(|d| d.pauses_us.iter().max().copied()).unwrap_or(0),
        };
        match id {
            Some(id) => self.0.dispatcher.look(id, scrape),
            None => scrape(None),
        }
    }

    fn workflow_scrapes(&self) -> Vec<WorkflowScrape> {
        let scrape = |(name, state): (ProcessorName, Arc<ProcessorState>)| {
            let (runs, _) = counted(&state, self.now_ms());
            let (step_ms, retries) = self.0.dispatcher.steps_of(name.as_str());
            WorkflowScrape { name: name.to_string(), runs, step_ms, retries }
        };
        self.mediator_states().into_iter().map(scrape).collect()
    }

    /// Those that are past the bound of series are not shown, so nothing is read for them.
    fn subscription_scrapes<'a>(
        &self,
        reports: impl Iterator<Item = &'a SubscriptionReport>,
    ) -> Vec<SubscriptionScrape> {
        let scrape = |(index, report): (usize, &SubscriptionReport)| SubscriptionScrape {
            lag_ms: if index < SERIES_MAX { self.lag_ms(report).unwrap_or(0) } else { 0 },
            report: report.clone(),
        };
        reports.enumerate().map(scrape).collect()
    }

    /// How long the oldest undecided event of a subscription has been there.
    fn lag_ms(&self, report: &SubscriptionReport) -> Option<u64> {
        if report.lag == 0 {
            return None;
        }
        let channel = self.0.domain.look(|world| world.channel_id(&report.channel))?;
        let oldest = self.0.domain.event_at(channel, report.cursor).ok()??;
        Some(self.0.clock.now_ms().saturating_sub(oldest.time_ms))
    }
}

fn nothing(bounds: &'static [u64]) -> Counted {
    Histogram::new(bounds).look()
}

fn journal_scrape(domain: &Domain) -> JournalScrape {
    let (journal, segments) = (domain.journal(), domain.journal().segments());
    JournalScrape {
        sync_us: journal.meters().sync_us(),
        group_frames: journal.meters().group_frames(),
        group_bytes: journal.meters().group_bytes(),
        undurable_bytes: journal.undurable_bytes(),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        segments: segments.len() as u64,
    }
}
