//! The OpenMetrics text format: families of samples into text. It knows no name of any metric.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::meter::Counted;

/// What a scrape is, for the one who asked.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names and values that tell the samples of a family apart.
pub type Labels = Vec<(&'static str, String)>;

/// One metric with all its samples.
#[derive(Debug)]
pub struct Family {
    /// Without unit and without `_total`, which the format adds.
    pub name: &'static str,
    /// The unit, which becomes the end of the name.
    pub unit: Option<Unit>,
    /// One sentence for people.
    pub help: &'static str,
    /// The samples, all of one kind.
    pub samples: Vec<(Labels, Value)>,
}

/// A sample.
#[derive(Clone, Debug)]
pub enum Value {
    /// It goes up and down.
    Gauge(f64),
    /// Names and values that stay as they are.
    Info(Labels),
    /// It only grows while the host runs.
    Counter(u64),
    /// A count in buckets; `scale` makes what was observed the family's unit.
    Histogram {
        /// What was counted.
        counted: Counted,
        /// One observed unit in the family's unit: 1e-6 for microseconds in seconds.
        scale: f64,
    },
}

/// The families as one exposition.
pub fn render(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut out = String::new();
    // Writing into a text fails only if a metric refuses to be written, and none of these does.
    if let Err(error) = text::encode(&mut out, &registry) {
        tracing::error!(%error, "metrics could not be written");
    }
    out
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some((_, first)) = self.samples.first() else { return Ok(()) };
        let mut metric = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), first.kind())?;
        for (labels, value) in &self.samples {
            match labels.is_empty() {
                true => value.encode(&mut metric)?,
                false => value.encode(&mut metric.encode_family(labels)?)?,
            }
        }
        Ok(())
    }
}

impl Value {
    fn kind(&self) -> MetricType {
        match self {
            Self::Gauge(_) => MetricType::Gauge,
            Self::Info(_) => MetricType::Info,
            Self::Counter(_) => MetricType::Counter,
            Self::Histogram { .. } => MetricType::Histogram,
        }
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Info(labels) => encoder.encode_info(labels),
            Self::Counter(value) => encoder.encode_counter::<NoLabelSet, u64, f64>(value, None),
            Self::Histogram { counted, scale } => {
                let bounds = counted.bounds.iter().map(|bound| scaled(*bound, *scale));
                let bounds = bounds.chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(counted.counts.iter().copied()).collect();
                let sum = scaled(counted.sum, *scale);
                encoder.encode_histogram::<NoLabelSet>(sum, counted.count(), &buckets, None)
            }
        }
    }
}

/// Divides where that is exact, so that 100 microseconds are 0.0001 s and not 0.000099999.
fn scaled(value: u64, scale: f64) -> f64 {
    if scale < 1.0 { value as f64 / (1.0 / scale).round() } else { value as f64 * scale }
}
