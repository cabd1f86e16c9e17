//! Where traces of flows go, if somebody wants them.

use crate::channel::Domain;
use crate::config::TelemetrySettings;
use crate::spans::Follower;

use super::StartError;

/// Starts to export what becomes durable from now on.
#[cfg(feature = "otel")]
pub(super) fn trace(domain: &Domain, settings: &TelemetrySettings) -> Result<Option<Follower>, StartError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    let refuse =
        |why: String| StartError::Traces { why: format!("telemetry.otlp_endpoint = '{endpoint}': {why}") };
    let exporter = crate::telemetry::Otlp::new(endpoint).map_err(refuse)?;
    Ok(Some(Follower::start(domain.clone(), Box::new(exporter))?))
}

/// Refuses to start without what was asked for.
#[cfg(not(feature = "otel"))]
pub(super) fn trace(_: &Domain, settings: &TelemetrySettings) -> Result<Option<Follower>, StartError> {
    match &settings.otlp_endpoint {
        None => Ok(None),
        Some(_) => Err(StartError::Traces {
            why: "telemetry.otlp_endpoint is set, and this baton was built without the feature 'otel'; build it with \
                  `cargo build --release --features otel`, or take the key out"
                .to_owned(),
        }),
    }
}
