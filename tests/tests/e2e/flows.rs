//! Which orders are done: lists while they run, waiting for one, what the host tells of each, and why an event is where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

use baton_tests::guests::{BOOKSHOP, component};
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::bookshop::{DENIED_CARD, GOOD_CARD, order, place};
use crate::shop;

const RULE: &str =
    "[flow.place-order]\nends = ['order-shipped', 'payment-denied']\ndeadline = '2d'\ntell = true\n";

fn followed_bookshop() -> Shop {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), RULE).unwrap();
    shop.open_bookshop();
    shop
}

fn open_flows(host: &Host) -> BTreeSet<String> {
    let page = host.get("/v1/flows?limit=1000").expect(200);
    let flows = page["flows"].as_array().unwrap();
    flows.iter().map(|flow| flow["flow"].as_str().unwrap().to_owned()).collect()
}

/// What was told so far: type and flow, with the facts.
fn told(host: &Host) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |event: Value| {
        let event = &event["event"];
        (text(&event["type"]), text(&event["subject"]), event["data"].clone())
    };
    host.events("baton.flows").into_iter().map(one).collect()
}

#[test]
fn while_orders_run_a_flow_that_left_the_list_is_done_and_stays_so() {
    let shop = followed_bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    let mut placed = Vec::new();
    let mut done = BTreeSet::new();
    for number in 0..30 {
        let card = if number % 5 == 0 { DENIED_CARD } else { GOOD_CARD };
        placed.push(place(&host, &order(&format!("o{number}"), "dracula", card)));
        let open = open_flows(&host);
        assert!(open.iter().all(|flow| placed.contains(flow)), "the list holds orders only: {open:?}");
        assert!(open.is_disjoint(&done), "what was done is open again");
        for flow in placed.iter().filter(|flow| !open.contains(*flow) && !done.contains(*flow)) {
            assert_eq!(host.get(&format!("/v1/flows/{flow}")).expect(200)["status"], "done");
        }
        done.extend(placed.iter().filter(|flow| !open.contains(*flow)).cloned());
    }
    for flow in &placed {
        let answer = host.get(&format!("/v1/flows/{flow}?wait=done&timeout=30s"));
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("done")), "{}", answer.text);
    }
    assert_eq!(open_flows(&host), BTreeSet::new());
    let page = host.get("/v1/flows?state=done&limit=1000").expect(200);
    assert_eq!(page["flows"].as_array().unwrap().len(), placed.len());
    let told =
        eventually("every order is told", || Some(told(&host)).filter(|told| told.len() >= placed.len()));
    let flows: BTreeSet<&String> = told.iter().map(|(_, flow, _)| flow).collect();
    assert_eq!((told.len(), flows), (placed.len(), placed.iter().collect()));
    for (ty, flow, data) in &told {
        let report = host.get(&format!("/v1/flows/{flow}")).expect(200);
        assert_eq!(
            (ty.as_str(), &report["status"]),
            ("baton.flow.done", &json!("done")),
            "telling reopens nothing"
        );
        assert_eq!(data["events"], report["events"].as_array().unwrap().len());
        assert_eq!((&data["started"], &data["ended"]), (&report["started"], &report["latest"]));
    }
    let strangers = host.get("/v1/processors").text + &host.get("/v1/channels/place-order").text;
    assert!(!strangers.contains("baton."), "{strangers}");
}

#[test]
fn each_end_is_told_once_over_kills() {
    let shop = followed_bookshop();
    let mut host = shop.spawn();
    host.await_running(&BOOKSHOP);
    let mut placed = BTreeSet::new();
    for round in 0..3 {
        for number in 0..8 {
            placed.insert(place(&host, &order(&format!("o{round}-{number}"), "dracula", GOOD_CARD)));
        }
        eventually("some are told", || (host.count("baton.flows") > round * 8).then_some(()));
        host.kill();
        host = shop.spawn();
    }
    placed.iter().for_each(|flow| drop(host.await_done(flow)));
    eventually("every order is told", || (told(&host).len() >= placed.len()).then_some(()));
    host.await_quiet();
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    told(&host).into_iter().for_each(|(ty, flow, _)| *times.entry((ty, flow)).or_default() += 1);
    let once = placed.iter().map(|flow| (("baton.flow.done".to_owned(), flow.clone()), 1)).collect();
    assert_eq!(times, once);
    assert_eq!(host.terminate(), Some(0));
}

struct Tasks {
    shop: Shop,
    host: Host,
}

impl Tasks {
    /// Tasks that fickle does, or not; they end with a type that nobody ever emits unless they are done.
    fn start() -> Self {
        let shop = shop();
        std::fs::write(shop.dir().join("baton.toml"), "[flow.ticks]\nends = ['never']\ntell = true\n")
            .unwrap();
        for name in ["fickle", "relay"] {
            shop.drop_in(name, &component(&format!("guest-{name}")));
        }
        let host = shop.start();
        host.await_running(&["fickle", "relay"]);
        Self { shop, host }
    }

    fn task(&self, id: &str, key: &str, way: &str) -> String {
        let accepted =
            self.host.publish("tasks", "", &event(id, "task", key, json!({"way": way}))).expect(202);
        accepted["events"][0]["flow"].as_str().unwrap().to_owned()
    }

    fn run(&self, code: i32, arguments: &[&str]) -> Output {
        let output = self.shop.run(&[&["--server", &self.host.url], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn said(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(0, arguments).stdout).unwrap()
    }

    fn why(&self, event: &str, processor: &str) -> Value {
        self.host.get(&format!("/v1/why?event={event}&processor={processor}")).expect(200)
    }
}

#[test]
fn from_a_stuck_flow_each_command_leads_to_the_next() {
    let tasks = Tasks::start();
    let stuck = tasks.task("t-1", "a", "reject");
    tasks.task("t-2", "a", "well");
    let fine = tasks.task("t-3", "b", "well");
    let shown = tasks.said(&["flow", "show", &fine, "--wait"]);
    assert!(shown.contains("done"), "{shown}");
    let shown = tasks.said(&["flow", "show", &stuck, "--wait", "--timeout", "20s"]);
    assert!(shown.contains("STUCK"), "{shown}");
    eventually("the next of its key waits", || {
        (tasks.why("tasks/1", "fickle")["verdict"] == "waiting").then_some(())
    });

    let listed = tasks.said(&["flow", "ls"]);
    assert!(listed.contains("STUCK") && listed.contains("this task can never be done"), "{listed}");
    assert!(listed.contains("baton why tasks@0 fickle") && !listed.contains(&fine), "{listed}");
    let why = tasks.said(&["why", "tasks/0", "fickle"]);
    assert!(why.starts_with("HELD: ") && why.contains("next: baton processor resume fickle"), "{why}");
    let behind = tasks.why("t-2", "fickle");
    assert_eq!((&behind["behind"]["offset"], &behind["key"]), (&json!(0), &json!("a")));
    let handled = tasks.why("t-3", "fickle");
    assert_eq!(
        (&handled["verdict"], &handled["emitted"][0]["channel"]),
        (&json!("handled"), &json!("tasks-done"))
    );
    assert_eq!(handled["digest"], tasks.host.processor("fickle")["digest"]);
    let emitted = handled["emitted"][0]["id"].as_str().unwrap();
    assert_eq!(tasks.why(emitted, "relay")["verdict"], "not-subscribed");
    assert_eq!(tasks.why("tasks-done@0", "relay")["event"]["id"], emitted);
}

#[test]
fn a_wait_that_is_over_and_a_quiet_flow_without_its_end_say_so() {
    let tasks = Tasks::start();
    let tick = event("1", "tick", "k", json!({"number": 1}));
    let accepted = tasks.host.publish("ticks", "?wait=tocks", &tick).expect(200);
    let flow = accepted["correlationid"].as_str().unwrap();
    tasks.host.await_quiet();
    let listed = eventually("it is quiet", || {
        let listed = tasks.said(&["flow", "ls", "--state", "open"]);
        listed.contains("ended without never").then_some(listed)
    });
    assert!(listed.contains(flow), "{listed}");
    let shown = tasks.run(5, &["flow", "show", flow, "--wait", "--timeout", "50ms"]);
    let (out, err) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(out.contains("ended without never") && err.contains("neither done nor stuck"), "{out}{err}");
    assert_eq!(tasks.host.count("baton.flows"), 0);
}

#[test]
fn what_cannot_be_asked_or_published_is_refused_with_its_code() {
    let tasks = Tasks::start();
    let code =
        |answer: baton_tests::http::Answer| (answer.status, answer.body["code"].as_str().unwrap().to_owned());
    let own = tasks.host.publish("baton.flows", "", &event("1", "x", "x", json!(1)));
    assert_eq!(code(own), (403, "reserved-channel".to_owned()));
    tasks.task("same", "a", "well");
    tasks.host.publish("ticks", "", &event("same", "tick", "k", json!({"number": 1}))).expect(202);
    for (event, processor, status, expected) in [
        ("same", "fickle", 409, "ambiguous-event"),
        ("nothing", "fickle", 404, "unknown-event"),
        ("tasks/99", "fickle", 404, "unknown-event"),
        ("tasks/0", "nobody", 404, "unknown-processor"),
        ("tasks/0", "baton.flows", 404, "unknown-processor"),
    ] {
        let answer = tasks.host.get(&format!("/v1/why?event={event}&processor={processor}"));
        assert_eq!(code(answer), (status, expected.to_owned()), "{event} {processor}");
    }
    for query in ["state=lost", "older-than=soon", "after=x", "limit=1001"] {
        assert_eq!(
            code(tasks.host.get(&format!("/v1/flows?{query}"))),
            (400, "bad-query".to_owned()),
            "{query}"
        );
    }
    tasks.run(4, &["flow", "show", "00000000-0000-0000-0000-000000000000", "--wait"]);
}
