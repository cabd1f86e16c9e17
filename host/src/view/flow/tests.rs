//! A small relay: `payment` reads `orders` and publishes on `payments`, which `mail` reads.

use super::*;
use crate::model::change::{Draft, Skip};
use crate::model::event::Event;
use crate::model::record::{Stamp, encode_event};
use crate::view::fixture::{channel_created, control, deployment, fault, processor_named};

const ORDERS: ChannelId = 0;
const PAYMENTS: ChannelId = 1;
const PAYMENT: SubscriptionId = 0;
const MAIL: SubscriptionId = 1;
const FLOW: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

/// The relay, and the frames that it made.
struct Relay {
    world: World,
    frames: Vec<(u64, u64, Vec<u8>)>,
    cut: bool,
    next: u64,
    time_ms: u64,
}

impl Relay {
    fn new() -> Self {
        let mut world = World::default();
        let asks = [("orders", "payment"), ("payments", "mail")];
        for (id, (channel, processor)) in (0..).zip(asks) {
            control(&mut world, channel_created(id, channel));
            control(&mut world, processor_named(id, processor));
        }
        for (id, (channel, _)) in (0..).zip(asks) {
            subscribe(&mut world, id, 0);
            deploy(&mut world, id, 1, channel);
        }
        Self { world, frames: Vec::new(), cut: false, next: 0, time_ms: 1000 }
    }

    /// One frame, a second after the one before. Says at which position.
    fn frame(&mut self, fill: impl FnOnce(&mut Draft)) -> u64 {
        let mut draft = Draft::default();
        fill(&mut draft);
        let (position, events) = (self.next, draft.events());
        let mut next: Vec<u64> = self.world.channels().iter().map(|channel| channel.next).collect();
        let body = draft.finish(|channel| {
            next[channel as usize] += 1;
            next[channel as usize] - 1
        });
        Changes::new(&body).for_each(|change| self.world.fold(&change.unwrap()));
        self.time_ms += 1000;
        self.next += u64::from(events.max(1));
        self.frames.push((position, self.time_ms, body));
        position
    }

    fn report(&self) -> FlowReport {
        self.report_with(|_, _| false).unwrap()
    }

    fn report_with(&self, waiting: impl Fn(SubscriptionId, u64) -> bool) -> Option<FlowReport> {
        let frames: Vec<_> = self
            .frames
            .iter()
            .map(|(position, time_ms, body)| FlowFrame { position: *position, time_ms: *time_ms, body })
            .collect();
        flow_report(&self.world, FLOW, &frames, self.cut, waiting).unwrap()
    }
}

fn subscribe(world: &mut World, processor: ProcessorId, start: u64) {
    let subscription = world.subscriptions().len() as u32;
    control(world, Control::SubscriptionCreated { subscription, processor, channel: processor, start });
}

fn deploy(world: &mut World, processor: ProcessorId, generation: u64, channel: &str) {
    let deployment = Box::new(deployment(processor, generation, &[channel], &[]));
    control(world, Control::Deployed { deployment });
}

fn event(draft: &mut Draft, channel: ChannelId, flow: Uuid, cause: Option<u64>) {
    let event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
    draft.event(channel, |out| encode_event(out, &event, &Stamp { flow, cause, causationid: None, hops: 0 }));
}

fn held(subscription: SubscriptionId, flow: Uuid) -> Control {
    Control::Held { subscription, offset: 0, position: 0, flow, key: "k".into(), fault: fault(), again: None }
}

fn statuses(report: &FlowReport) -> Vec<Vec<HandlingStatus>> {
    report.events.iter().map(|event| event.handlings.iter().map(|h| h.status).collect()).collect()
}

#[test]
fn what_was_decided_after_the_frames_were_read_is_still_to_come() {
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    relay.frame(|draft| {
        draft.decided(PAYMENT, 0, FLOW);
        event(draft, PAYMENTS, FLOW, Some(0));
    });
    relay.frames.truncate(1);
    let report = relay.report();
    assert_eq!((report.status, statuses(&report)), (FlowStatus::Open, vec![vec![HandlingStatus::Pending]]));
}

#[test]
fn a_relay_is_open_until_everyone_has_handled_everything() {
    use HandlingStatus::{Handled, Pending};
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, OTHER, None));
    relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    assert_eq!(statuses(&relay.report()), [[Pending]]);
    relay.frame(|draft| {
        draft.decided(PAYMENT, 0, OTHER);
        event(draft, PAYMENTS, OTHER, Some(0));
        draft.decided(PAYMENT, 1, FLOW);
        event(draft, PAYMENTS, FLOW, Some(1));
        draft.reply(0, 1, FLOW, br#"{"order":5}"#);
    });
    let report = relay.report();
    assert_eq!((report.status, statuses(&report)), (FlowStatus::Open, vec![vec![Handled], vec![Pending]]));
    relay.frame(|draft| draft.decided(MAIL, 1, FLOW));
    relay.frame(|draft| draft.decided(MAIL, 0, OTHER));

    let report = relay.report();
    assert_eq!((report.status, report.truncated), (FlowStatus::Done, false));
    assert_eq!((report.started.as_str(), report.latest.as_str()), (&*rfc3339(3000), &*rfc3339(5000)));
    let (order, payment) = (&report.events[0], &report.events[1]);
    assert_eq!(report.events.len(), 2);
    assert_eq!((order.position, order.cause, order.offset, order.channel.as_str()), (1, None, 1, "orders"));
    assert_eq!((payment.position, payment.cause, payment.offset), (3, Some(1), 1));
    assert_eq!(payment.event["sequence"], "1");
    let expected = Handling {
        processor: "payment".into(),
        status: Handled,
        time: Some(rfc3339(4000)),
        digest: Some("digest-1-of-".into()),
        reply: Some(serde_json::json!({"order": 5})),
        fault: None,
    };
    assert_eq!(order.handlings, [expected]);
}

#[test]
fn a_held_event_makes_its_flow_stuck_and_those_behind_it_wait() {
    let mut relay = Relay::new();
    relay.frame(|draft| {
        event(draft, ORDERS, FLOW, None);
        event(draft, ORDERS, FLOW, None);
    });
    let report = relay.report_with(|id, offset| (id, offset) == (PAYMENT, 1)).unwrap();
    assert_eq!(report.status, FlowStatus::Open);
    assert_eq!(statuses(&report), [[HandlingStatus::Pending], [HandlingStatus::Waiting]]);
    relay.frame(|draft| draft.control(&held(PAYMENT, FLOW)));
    let report = relay.report_with(|id, offset| (id, offset) == (PAYMENT, 1)).unwrap();
    assert_eq!(report.status, FlowStatus::Stuck);
    assert_eq!(statuses(&report), [[HandlingStatus::Held], [HandlingStatus::Waiting]]);
    assert_eq!(report.events[0].handlings[0].fault, Some(fault()));
    assert_eq!(report.latest, rfc3339(3000));
}

#[test]
fn only_who_reads_the_channel_now_has_something_to_do() {
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    deploy(&mut relay.world, 0, 2, "payments");
    assert_eq!(statuses(&relay.report()), [[]; 1]);
    deploy(&mut relay.world, 0, 3, "orders");
    assert_eq!(relay.report().status, FlowStatus::Open);
    control(&mut relay.world, Control::Undeployed { processor: 0, forget: true });
    assert_eq!(relay.report().status, FlowStatus::Done);
    deploy(&mut relay.world, 0, 4, "orders");
    subscribe(&mut relay.world, 0, 1);
    assert_eq!(statuses(&relay.report()), [[]; 1]);
}

#[test]
fn what_was_handled_is_shown_with_the_version_of_then() {
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    relay.frame(|draft| draft.decided(PAYMENT, 0, FLOW));
    deploy(&mut relay.world, 0, 100, "orders");
    control(&mut relay.world, Control::Undeployed { processor: 0, forget: true });
    let report = relay.report();
    assert_eq!(statuses(&report), [[HandlingStatus::Handled]]);
    assert_eq!(report.events[0].handlings[0].digest.as_deref(), Some("digest-1-of-"));
}

#[test]
fn what_the_views_know_as_decided_is_handled_though_its_frame_is_past_the_cut() {
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    relay.frame(|draft| draft.decided(PAYMENT, 0, FLOW));
    relay.frames.pop();
    relay.cut = true;
    let handling = &relay.report().events[0].handlings[0];
    assert_eq!((handling.status, &handling.time), (HandlingStatus::Handled, &None));
}

#[test]
fn a_long_flow_is_cut_and_its_status_is_not() {
    let mut relay = Relay::new();
    for _ in 0..=FLOW_EVENTS_SHOWN_MAX {
        relay.frame(|draft| event(draft, ORDERS, FLOW, None));
    }
    (0..FLOW_EVENTS_SHOWN_MAX as u64).for_each(|offset| {
        relay.frame(|draft| draft.decided(PAYMENT, offset, FLOW));
    });
    let report = relay.report();
    assert_eq!((report.events.len(), report.truncated), (FLOW_EVENTS_SHOWN_MAX, true));
    assert_eq!(report.status, FlowStatus::Open);
}

#[test]
fn a_filtered_event_is_nobodys_to_do_before_its_run_is_recorded_and_after() {
    let mut relay = Relay::new();
    relay.frame(|draft| (0..3).for_each(|_| event(draft, ORDERS, FLOW, None)));
    let filtering = |relay: &mut Relay, generation, filter: &str| {
        let mut deployment = deployment(0, generation, &["orders"], &[]);
        deployment.descriptor.subscriptions[0].filter = serde_json::from_str(filter).unwrap();
        control(&mut relay.world, Control::Deployed { deployment: Box::new(deployment) });
    };
    filtering(&mut relay, 2, r#"{"exact":{"type":"other"}}"#);
    assert_eq!((relay.report().status, statuses(&relay.report())), (FlowStatus::Done, vec![vec![]; 3]));
    relay.frame(|draft| draft.skipped(Skip { subscription: PAYMENT, from: 0, to: 2 }));
    assert_eq!(relay.report().status, FlowStatus::Done);
    filtering(&mut relay, 3, r#"{"exact":{"type":"t"}}"#);
    let report = relay.report();
    assert_eq!(report.status, FlowStatus::Open);
    assert_eq!(statuses(&report), [vec![], vec![], vec![HandlingStatus::Pending]]);
    relay.frame(|draft| {
        draft.control(&Control::Held {
            subscription: PAYMENT,
            offset: 2,
            position: 2,
            flow: FLOW,
            key: "k".into(),
            fault: fault(),
            again: None,
        })
    });
    filtering(&mut relay, 4, r#"{"exact":{"type":"other"}}"#);
    assert_eq!(relay.report().status, FlowStatus::Stuck);
    control(&mut relay.world, Control::Released { processor: 0, events: None });
    assert_eq!(relay.report().status, FlowStatus::Open);
}

#[test]
fn what_a_reset_brings_again_is_still_to_come() {
    let mut relay = Relay::new();
    relay.frame(|draft| (0..2).for_each(|_| event(draft, ORDERS, FLOW, None)));
    relay.frame(|draft| (0..2).for_each(|offset| draft.decided(PAYMENT, offset, FLOW)));
    assert_eq!(relay.report().status, FlowStatus::Done);
    let reset = |to| Control::SubscriptionReset { subscription: PAYMENT, to, clear_state: false };
    relay.frame(|draft| draft.control(&reset(1)));
    let report = relay.report();
    assert_eq!(report.status, FlowStatus::Open);
    assert_eq!(statuses(&report), [[HandlingStatus::Handled], [HandlingStatus::Pending]]);
    relay.frame(|draft| draft.decided(PAYMENT, 1, FLOW));
    assert_eq!(relay.report().status, FlowStatus::Done);
}

#[test]
fn frames_of_other_flows_are_no_flow() {
    let mut relay = Relay::new();
    relay.frame(|draft| event(draft, ORDERS, OTHER, None));
    relay.frame(|draft| draft.state_set(0, "k", "n", 0, b"v"));
    relay.frame(|draft| draft.control(&held(PAYMENT, OTHER)));
    assert_eq!(relay.report_with(|_, _| false), None);
}
