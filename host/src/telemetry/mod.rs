//! What the host tells its operators besides reports: its own log on stderr, and metrics as text. It collects
//! nothing: metrics are made from reports and meters at each scrape.

mod exposition;
mod log;
mod metrics;
#[cfg(feature = "otel")]
mod otlp;

pub use exposition::CONTENT_TYPE;
pub use log::{LOG_VARIABLE, start_log};
pub use metrics::{
    JournalScrape, ProcessorScrape, SERIES_MAX, Scrape, SubscriptionScrape, WorkflowScrape, render_metrics,
};
#[cfg(feature = "otel")]
pub use otlp::Otlp;
