//! Processors as their authors write them, on the native test kit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use baton_sdk::FaultKind;
use baton_sdk::prelude::*;
use baton_sdk::serde_json::{Value, json};
use baton_sdk::testing::{Level, TestKit, event};

#[derive(Deserialize)]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
}

#[processor(
    name = "counter",
    description = "Counts items.",
    publishes("counted", "raw"),
    schema("counted", "tests/counted.json"),
    concurrency = 2,
    key = "/items/0/sku",
    subscribe("orders"),
    subscribe("commands", key = "single", start = "latest"),
    subscribe(
        "late",
        start = 7,
        retry(
            attempts = 3,
            delay = "1s",
            factor = 2,
            delay_max = "1m",
            jitter_percent = 0,
            total = "2h",
            on("retry", "trap")
        ),
        then = "stay-held",
        order = "pass"
    ),
    limits(memory_bytes_max = 1_048_576, event_time_ms_max = 50),
    instance = "fresh"
)]
fn count(event: Event<Order>, cx: &mut Context) -> Handled {
    let item = event.data().items.first().or_reject("an order without items")?;
    let total = cx.state().get_or_default::<u32>("total")? + item.quantity;
    cx.state().set("total", &total)?;
    if item.quantity == 0 {
        return cx.nothing_to_tell("nothing ordered");
    }
    if item.quantity > 100 {
        return Err(Fault::retry_after(Duration::from_secs(2), "too many at once"));
    }
    assert_ne!(item.quantity, 13, "unlucky");
    let seen = own_write(cx)?;
    cx.reply(&json!({ "total": seen }))?;
    cx.log_info(format_args!("{} of {}", item.quantity, item.sku));
    cx.publish("counted", &total)
}

/// A handler sees what it wrote itself.
fn own_write(cx: &mut Context<'_>) -> Result<Option<u32>, Fault> {
    cx.state().get("total")
}

fn order(quantity: u32) -> baton_sdk::testing::TestEvent {
    order_of("b-1", quantity)
}

fn order_of(sku: &str, quantity: u32) -> baton_sdk::testing::TestEvent {
    event("orders").subject("o-1").json(&json!({ "items": [{ "sku": sku, "quantity": quantity }] }))
}

#[test]
fn the_descriptor_is_what_the_attribute_says() {
    let descriptor: Value = serde_json_of(count_processor().descriptor.json);
    assert_eq!(
        descriptor,
        json!({
            "contract": "baton:processor@0.1.0",
            "name": "counter",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Counts items.",
            "subscriptions": [
                { "channel": "orders", "key": "/items/0/sku" },
                { "channel": "commands", "key": "single", "start": "latest" },
                {
                    "channel": "late", "key": "/items/0/sku", "start": { "offset": 7 },
                    "retry": {
                        "attempts_max": 3, "delay_ms": 1000, "factor": 2.0, "delay_ms_max": 60_000,
                        "jitter_percent": 0, "total_ms_max": 7_200_000, "on": ["retry", "trap"],
                    },
                    "then": "stay-held", "order": "pass",
                },
            ],
            "publishes": ["counted", "raw"],
            "schemas": { "counted": { "type": "integer", "minimum": 0 } },
            "concurrency": 2,
            "instance": "fresh",
            "limits": { "memory_bytes_max": 1_048_576, "event_time_ms_max": 50 },
        })
    );
}

fn serde_json_of(text: &str) -> Value {
    baton_sdk::serde_json::from_str(text).unwrap()
}

#[test]
fn a_handled_event_publishes_replies_logs_and_writes() {
    let mut kit = TestKit::new(count_processor());
    kit.deliver(order(2));
    let out = kit.deliver(order(3).partition_key("p"));
    let counted = out.published("counted")[0];
    assert_eq!(counted.data::<u32>(), 5);
    assert_eq!((counted.subject(), counted.partition_key()), (Some("o-1"), Some("p")));
    assert_eq!((counted.type_(), counted.content_type()), ("counted", Some("application/json")));
    assert_eq!(out.reply::<Value>(), Some(json!({ "total": 5 })));
    assert_eq!(out.logs(), [(Level::Info, "3 of b-1".to_owned())]);
    assert_eq!(out.told_nothing(), None);
    assert_eq!(kit.state::<u32>("b-1", "total"), Some(5));
    assert_eq!(kit.state::<u32>("b-2", "total"), None);
}

#[test]
fn nothing_to_tell_says_why() {
    let out = TestKit::new(count_processor()).deliver(order(0));
    assert_eq!(out.told_nothing(), Some("nothing ordered"));
    assert!(out.emitted().is_empty());
}

#[test]
fn a_fault_leaves_no_trace() {
    let mut kit = TestKit::new(count_processor());
    let fault = kit.deliver(order(101)).fault().cloned().unwrap();
    assert_eq!(fault.kind(), FaultKind::Retry { after: Some(Duration::from_secs(2)) });
    assert_eq!(kit.state::<u32>("b-1", "total"), None);
}

#[test]
fn a_fault_in_a_batch_voids_its_own_event_only() {
    let mut kit = TestKit::new(count_processor());
    let outs = kit.deliver_batch([order_of("a", 1), order_of("b", 101), order_of("c", 3)]);
    assert_eq!(outs[0].published("counted")[0].data::<u32>(), 1);
    assert!(outs[1].fault().is_some());
    assert_eq!(outs[2].published("counted")[0].data::<u32>(), 3);
    assert_eq!(kit.state::<u32>("c", "total"), Some(3));
    assert_eq!(kit.state::<u32>("b", "total"), None);
}

#[test]
fn data_that_does_not_decode_rejects_with_channel_event_and_path() {
    let mut kit = TestKit::new(count_processor());
    let bad = event("orders").id("e-7").json(&json!({ "items": [{ "sku": "b", "quantity": "many" }] }));
    let fault = kit.deliver(bad).fault().cloned().unwrap();
    assert!(fault.is_reject());
    for part in ["'e-7'", "'orders'", "'items[0].quantity'", "invalid type: string \"many\""] {
        assert!(fault.message().contains(part), "{part} in {fault}");
    }
    let fault = kit.deliver(event("orders")).fault().cloned().unwrap();
    assert!(fault.message().contains("invalid type: null"), "{fault}");
    let two = event("orders").bytes("application/json", b"{\"items\":[]} x");
    let fault = kit.deliver(two).fault().cloned().unwrap();
    assert!(fault.message().contains("more after the JSON"), "{fault}");
}

#[test]
#[should_panic(expected = "unlucky")]
fn a_panic_in_the_handler_is_the_tests_panic() {
    TestKit::new(count_processor()).deliver(order(13));
}

#[test]
#[should_panic(expected = "the event was not handled; reject: an order without items")]
fn looking_at_what_a_fault_published_shows_the_fault() {
    let out = TestKit::new(count_processor()).deliver(event("orders").json(&json!({ "items": [] })));
    out.published("counted");
}

#[processor(
    name = "picky",
    subscribe("all"),
    subscribe(
        "some",
        start = "2026-01-31T12:00:00.5+01:00",
        filter = any(
            all(exact(type = "a", tenant = "t"), prefix(subject = "order-")),
            not(suffix(source = "/shop")),
        ),
    ),
    subscribe("new", start = latest)
)]
fn pick(event: Event, cx: &mut Context) -> Handled {
    cx.nothing_to_tell(event.channel())
}

#[test]
fn a_filter_is_written_into_the_descriptor_and_keeps_events_from_the_handler() {
    let descriptor = serde_json_of(pick_processor().descriptor.json);
    let start = json!({ "time": "2026-01-31T12:00:00.5+01:00" });
    let all = json!({ "all": [{ "exact": { "type": "a", "tenant": "t" } }, { "prefix": { "subject": "order-" } }] });
    let filter = json!({ "any": [all, { "not": { "suffix": { "source": "/shop" } } }] });
    let expected = json!({ "channel": "some", "start": start, "filter": filter });
    assert_eq!(descriptor["subscriptions"][1], expected);
    assert_eq!(descriptor["subscriptions"][2]["start"], "latest");

    let mut kit = TestKit::new(pick_processor());
    let some = |type_: &str| {
        event("some").source("/my/shop").type_(type_).subject("order-1").extension("tenant", "t")
    };
    let outs =
        kit.deliver_batch([some("a"), some("b").subject("x"), event("some").source("/y").subject("z")]);
    assert_eq!(outs.iter().map(|out| out.filtered()).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(outs[2].told_nothing(), Some("some"));
    assert!(kit.deliver(some("a").subject("invoice-1")).filtered());
    assert!(!kit.deliver(event("all")).filtered());
}

#[test]
#[should_panic(expected = "the subscription's filter does not pass it")]
fn looking_at_what_a_filtered_event_published_says_that_it_was_filtered() {
    let out = TestKit::new(pick_processor()).deliver(event("some").source("/shop"));
    out.emitted();
}

/// A processor of several channels, with raw data.
struct Relay;

#[processor(name = "relay", subscribe("in"), subscribe("forget"), subscribe("lost"), publishes("out"))]
impl Processor for Relay {
    fn handle(event: Event<'_>, cx: &mut Context<'_>) -> Handled {
        match event.channel() {
            "in" => relay(&event, cx),
            "forget" => {
                cx.state().delete("last");
                cx.nothing_to_tell("forgotten")
            }
            other => cx.publish(other, &()),
        }
    }
}

fn relay(event: &Event<'_>, cx: &mut Context<'_>) -> Handled {
    cx.state().set_bytes("last", event.bytes());
    cx.state().set_for("recent", &event.offset(), Duration::from_secs(60))?;
    let extension = cx.config("extension").or_retry("config 'extension' is missing")?;
    cx.emit("out")
        .type_("relayed")
        .subject(event.key())
        .partition_key("p")
        .extension(&extension, event.extension("tenant").unwrap_or("none"))
        .bytes(event.content_type().unwrap_or("application/octet-stream"), event.bytes())
}

fn relay_kit(extension: &str) -> TestKit {
    TestKit::new(Relay::processor()).config("extension", extension)
}

#[test]
fn attributes_and_binary_data_pass() {
    let input = event("in").subject("s").extension("tenant", "t").bytes("image/png", &[0xff, 0]);
    let out = relay_kit("origin").deliver(input);
    let emitted = &out.emitted()[0];
    assert_eq!((emitted.type_(), emitted.subject()), ("relayed", Some("s")));
    assert_eq!((emitted.partition_key(), emitted.extension("origin")), (Some("p"), Some("t")));
    assert_eq!((emitted.content_type(), emitted.bytes()), (Some("image/png"), &[0xff, 0][..]));
}

#[test]
fn state_is_deleted_and_expires_by_the_kits_clock() {
    let mut kit = relay_kit("origin");
    kit.deliver(event("in").subject("s").json(&1));
    assert_eq!(kit.state::<u32>("s", "last"), Some(1));
    kit.deliver(event("forget").subject("s"));
    assert_eq!(kit.state::<u32>("s", "last"), None);
    kit.advance(Duration::from_millis(59_999));
    assert_eq!(kit.state::<u64>("s", "recent"), Some(0));
    kit.advance(Duration::from_millis(1));
    assert_eq!(kit.state::<u64>("s", "recent"), None);
}

#[test]
fn a_channel_that_is_not_declared_is_a_fault_that_names_the_declared_ones() {
    let fault = relay_kit("origin").deliver(event("lost")).fault().cloned().unwrap();
    assert!(fault.message().contains("publishes on 'lost'; it declares [\"out\"]"), "{fault}");
}

#[test]
fn an_extension_that_belongs_to_the_host_is_a_fault() {
    for name in ["causationid", "Upper", ""] {
        let out = relay_kit(name).deliver(event("in").json(&1));
        assert!(out.fault().unwrap().message().contains("not an extension"), "{name}");
    }
}

#[test]
#[should_panic(expected = "two events of one batch have the key 's'")]
fn a_batch_with_a_key_twice_is_refused() {
    let one = || event("forget").subject("s");
    relay_kit("origin").deliver_batch([one(), one()]);
}
