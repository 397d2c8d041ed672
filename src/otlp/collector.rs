//! Whoever collects traces, over HTTP.
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, SpanContext, SpanId as WireSpanId, SpanKind, Status, TraceFlags, TraceId as WireTraceId,
    TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};

use crate::coordinator::outcome::Problem;
use crate::model::fleet::Traces;
use crate::model::id::FleetName;
use crate::model::span::{Span, SpanId, SpanNote, TraceId};

/// With all its attempts; a night waits for none of them.
const WITHIN: Duration = Duration::from_secs(10);

/// Whoever collects traces.
#[derive(Debug)]
pub struct Collector {
    exporter: SpanExporter,
}

impl Collector {
    /// Contacts nothing. What else goes along (a key of the collector's) stands in
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    ///
    /// # Errors
    /// The system has no certificates to check the collector by, or a variable of OpenTelemetry's is
    /// wrong.
    pub fn new(traces: &Traces, fleet: &FleetName) -> Result<Collector, Problem> {
        let problem = |why: String| Problem {
            what: format!("[traces]: {} cannot be used: {why}", traces.otlp),
            cure: "install the system's certificates (Debian: ca-certificates), and see the \
                   variables OTEL_EXPORTER_OTLP_… that are set"
                .to_owned(),
            is_transient: false,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client(&traces.otlp).map_err(|error| problem(error.to_string()))?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&traces.otlp)
            .with_timeout(WITHIN)
            .build();
        let mut exporter = exporter.map_err(|error| problem(error.to_string()))?;
        exporter.set_resource(&resource(fleet));
        Ok(Collector { exporter })
    }

    /// Sends the spans of one trace; what is answered with *busy* is sent again, a few times.
    ///
    /// # Errors
    /// They were not taken.
    pub async fn send(&self, trace: TraceId, spans: &[Span]) -> Result<(), Problem> {
        let spans = spans.iter().map(|span| data(trace, span)).collect();
        self.exporter.export(spans).await.map_err(|error| Problem {
            what: format!("a trace was not taken: {error}"),
            cure: "see whether a collector answers where [traces] says".to_owned(),
            is_transient: true,
        })
    }
}

fn client(url: &str) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("cleanslate/", env!("CARGO_PKG_VERSION")))
        .timeout(WITHIN)
        .redirect(reqwest::redirect::Policy::none());
    let builder = if url.starts_with("http://") {
        builder.tls_certs_only([])
    } else {
        builder.https_only(true)
    };
    builder.build()
}

fn resource(fleet: &FleetName) -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "cleanslate"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("cleanslate.fleet", fleet.to_string()),
        ])
        .build()
}

fn data(trace: TraceId, span: &Span) -> SpanData {
    let mut events = SpanEvents::default();
    events.events = span.notes.iter().map(event).collect();
    let about = span.about.iter();
    SpanData {
        span_context: SpanContext::new(
            WireTraceId::from_bytes(trace.0),
            wire_id(span.id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: span.parent.map_or(WireSpanId::INVALID, wire_id),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Owned(span.name.clone()),
        start_time: SystemTime::from(span.began),
        end_time: SystemTime::from(span.ended),
        attributes: about
            .map(|(key, value)| KeyValue::new(*key, value.clone()))
            .collect(),
        dropped_attributes_count: 0,
        events,
        links: SpanLinks::default(),
        status: span.failed.clone().map_or(Status::Ok, Status::error),
        instrumentation_scope: InstrumentationScope::builder("cleanslate")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn wire_id(id: SpanId) -> WireSpanId {
    WireSpanId::from_bytes(id.0)
}

fn event(note: &SpanNote) -> Event {
    let text = KeyValue::new("cleanslate.text", note.text.clone());
    Event::new(note.name.clone(), SystemTime::from(note.at), vec![text], 0)
}
