//! Spans to an OpenTelemetry collector, over HTTP with protobuf (OTLP). The one place that names OpenTelemetry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind as OtelKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use crate::model::trace::{Span, SpanKind};

/// How long one export may take.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection to a collector. Calls block.
#[derive(Debug)]
pub struct Otlp {
    exporter: SpanExporter,
    runtime: tokio::runtime::Runtime,
}

impl Otlp {
    /// For a collector such as `http://127.0.0.1:4318`; nothing is sent before the first export.
    pub fn new(endpoint: &str) -> Result<Self, String> {
        let traces = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let builder = SpanExporter::builder().with_http().with_http_client(Client::new());
        let mut exporter = builder.with_endpoint(traces).build().map_err(|error| error.to_string())?;
        exporter.set_resource(&Resource::builder().with_service_name("baton").build());
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        Ok(Self { exporter, runtime })
    }

    /// Sends spans and waits for the answer.
    pub fn export(&self, spans: Vec<Span>) -> Result<(), String> {
        let scope = InstrumentationScope::builder("baton").with_version(env!("CARGO_PKG_VERSION")).build();
        let spans = spans.into_iter().map(|span| data(span, &scope)).collect();
        self.runtime.block_on(self.exporter.export(spans)).map_err(|error| error.to_string())
    }
}

fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let context = SpanContext::new(
        TraceId::from(span.trace_id),
        SpanId::from(span.span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    SpanData {
        span_context: context,
        parent_span_id: span.parent_id.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: span.parent_is_remote,
        span_kind: match span.kind {
            SpanKind::Publication => OtelKind::Producer,
            SpanKind::Handling => OtelKind::Consumer,
        },
        name: span.name.into(),
        start_time: time(span.start_ms),
        end_time: time(span.end_ms),
        attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: span.fault.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

fn time(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// The HTTP client of the command line serves here too.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        Self(ureq::Agent::config_builder().timeout_global(Some(EXPORT_TIME_MAX)).build().into())
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        Ok(Response::from_parts(parts, Bytes::from(body.read_to_vec()?)))
    }
}
