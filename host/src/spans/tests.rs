//! What a collector would get, from a domain with a journal in memory.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::channel::{Deployable, Keeper, Limits, Parts, Window};
use crate::clock::ManualClock;
use crate::journal::storage::Memory;
use crate::journal::{Options, SegmentJournal};
use crate::model::change::{Control, Draft};
use crate::model::descriptor::Descriptor;
use crate::model::event::{Event, Extension};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ChannelName;
use crate::model::trace::{SpanKind, TraceParent, handling_span, publication_span, trace_of};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Collector(Sender<Span>);

impl Exporter for Collector {
    fn export(&self, spans: Vec<Span>) -> Result<(), String> {
        spans.into_iter().try_for_each(|span| self.0.send(span).map_err(|error| error.to_string()))
    }
}

struct Followed {
    domain: Domain,
    follower: Follower,
    spans: Receiver<Span>,
    clock: Arc<ManualClock>,
    _keeper: Keeper,
}

fn followed() -> Followed {
    let journal = Arc::new(SegmentJournal::open(Arc::new(Memory::new()), Options::default()).unwrap());
    let clock = Arc::new(ManualClock::at(1_000_000));
    let limits = Limits {
        hops_max: 6,
        flow_events_max: 100,
        undurable_bytes_max: 8 << 20,
        tail_bytes_max: 1 << 20,
        dedupe: Window { ms_max: 60_000, ids_max: 1000 },
    };
    let parts = Parts { journal, views: None, clock: clock.clone(), limits };
    let (domain, keeper) = Domain::open(parts).unwrap();
    let (sender, spans) = channel();
    let follower = Follower::start(domain.clone(), Box::new(Collector(sender))).unwrap();
    Followed { domain, follower, spans, clock, _keeper: keeper }
}

impl Followed {
    fn publish(&self, traceparent: Option<&str>) {
        let mut event = Event { id: "1".into(), source: "/test".into(), ty: "t".into(), ..Event::default() };
        if let Some(traceparent) = traceparent {
            event.extensions.insert("traceparent".into(), Extension::Text(traceparent.into()));
        }
        self.domain.publish(&ChannelName::new("orders").unwrap(), &[event]).unwrap();
    }

    fn deploy(&self) {
        let descriptor = r#"{"contract":"baton:processor@0.1.0","name":"payment","version":"1",
            "subscriptions":[{"channel":"orders"}]}"#;
        let descriptor = Descriptor::from_json(descriptor.as_bytes()).unwrap();
        let deployable = Deployable {
            digest: "d".into(),
            descriptor,
            file: "f".into(),
            load_us: 0,
            cached: false,
            config: Default::default(),
        };
        self.domain.deploy(&deployable).unwrap();
    }

    fn commit(&self, draft: Draft) {
        self.clock.advance(250);
        self.domain.commit(0, 1, draft).unwrap();
    }

    /// Everything that was exported when the journal was closed.
    fn spans(self) -> Vec<Span> {
        self.domain.journal().close().unwrap();
        self.follower.stop();
        self.spans.into_iter().collect()
    }
}

fn flow(domain: &Domain) -> uuid::Uuid {
    let item = domain.event_at(0, 0).unwrap().unwrap();
    crate::model::record::Record::parse(&item.record).unwrap().stamp.flow
}

#[test]
fn a_flow_is_a_trace_of_publication_and_handlings() {
    let followed = followed();
    followed.publish(None);
    followed.deploy();
    let flow = flow(&followed.domain);
    let mut draft = Draft::default();
    draft.decided(0, 0, flow);
    followed.commit(draft);
    let spans = followed.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let (publication, handling) = (&spans[0], &spans[1]);
    assert_eq!((publication.kind, publication.name.as_str()), (SpanKind::Publication, "publish orders"));
    assert_eq!((publication.span_id, publication.parent_id), (publication_span(0), None));
    assert_eq!((handling.kind, handling.name.as_str()), (SpanKind::Handling, "process orders"));
    assert_eq!((handling.span_id, handling.parent_id), (handling_span(0, 0), Some(publication_span(0))));
    assert_eq!((handling.start_ms, handling.end_ms), (1_000_000, 1_000_250));
    assert!(spans.iter().all(|span| span.trace_id == trace_of(flow)));
    assert!(handling.attributes.contains(&("messaging.consumer.group.name", "payment".to_owned())));
}

#[test]
fn a_trace_from_outside_goes_on_and_a_fault_is_told() {
    let followed = followed();
    followed.publish(Some(TRACEPARENT));
    followed.deploy();
    let fault = Fault {
        kind: FaultKind::Reject,
        message: "no card".into(),
        time_ms: 0,
        digest: String::new(),
        frames: Vec::new(),
    };
    let held = Control::Held {
        subscription: 0,
        offset: 0,
        position: 0,
        flow: flow(&followed.domain),
        key: "k".into(),
        fault,
        again: None,
    };
    followed.commit(Draft::of(&held));
    let spans = followed.spans();
    let outside = TraceParent::parse(TRACEPARENT).unwrap();
    assert!(spans.iter().all(|span| span.trace_id == outside.trace_id), "{spans:?}");
    assert_eq!((spans[0].parent_id, spans[0].parent_is_remote), (Some(outside.parent_id), true));
    assert_eq!(spans[1].fault.as_deref(), Some("no card"));
    assert_ne!(spans[1].span_id, handling_span(0, 0), "the attempt that succeeds has that id");
}
