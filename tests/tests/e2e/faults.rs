//! A fault holds its key and nothing else, is seen wherever one looks, and is tried again when told.

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::{eventually, soon_ms};
use serde_json::{Value, json};

use crate::shop;

fn start() -> (Shop, Host) {
    let shop = shop();
    for name in ["fickle", "relay"] {
        shop.drop_in(name, &component(&format!("guest-{name}")));
    }
    let host = shop.start();
    host.await_running(&["fickle", "relay"]);
    (shop, host)
}

fn task(host: &Host, id: &str, key: &str, way: &str) -> String {
    let accepted = host.publish("tasks", "", &event(id, "task", key, json!({"way": way}))).expect(202);
    accepted["events"][0]["flow"].as_str().unwrap().to_owned()
}

fn held(host: &Host, count: usize) -> Vec<Value> {
    eventually("the faults hold their keys", || {
        let held = host.processor("fickle")["held"].as_array()?.clone();
        (held.len() == count).then_some(held)
    })
}

fn goes_through(host: &Host, id: &str, key: &str) {
    host.publish("tasks", "?wait=tasks-done", &event(id, "task", key, json!({"way": "well"}))).expect(200);
}

#[test]
fn a_fault_holds_its_key_and_shows_everywhere() {
    let (_shop, host) = start();
    let flow = task(&host, "1", "a", "reject");
    let behind = task(&host, "2", "a", "well");
    goes_through(&host, "3", "b");

    let held = held(&host, 1);
    assert_eq!(
        (&held[0]["key"], &held[0]["flow"], &held[0]["fault"]["kind"]),
        (&json!("a"), &json!(flow), &json!("reject"))
    );
    eventually("the next of its key waits", || {
        (host.processor("fickle")["held"][0]["waiting"] == 1).then_some(())
    });
    assert_eq!(host.processor("fickle")["status"], "held");
    let status = host.get("/v1/status").expect(200);
    let fickle = status["processors"].as_array().unwrap().iter().find(|p| p["name"] == "fickle").unwrap();
    assert_eq!((&fickle["status"], &fickle["held"][0]["key"]), (&json!("held"), &json!("a")));
    let report = host.get(&format!("/v1/flows/{flow}")).expect(200);
    let handling = &report["events"][0]["handlings"][0];
    assert_eq!((&report["status"], &handling["status"]), (&json!("stuck"), &json!("held")));
    assert_eq!(handling["fault"]["message"], "this task can never be done");
    let report = host.get(&format!("/v1/flows/{behind}")).expect(200);
    assert_eq!(report["events"][0]["handlings"][0]["status"], "waiting");
    let metrics = host.get("/metrics").text;
    let held = "baton_subscription_held_events{processor=\"fickle\",channel=\"tasks\"} 1";
    assert!(metrics.contains(held), "{metrics}");
    assert_eq!(host.state("fickle").get("a/done"), None, "nothing of the fault was kept");
}

#[test]
fn resume_tries_again_and_the_key_goes_on_in_order() {
    let (_shop, host) = start();
    let later = json!({"way": "later", "not_before_ms": soon_ms()});
    let accepted = host.publish("tasks", "", &event("1", "task", "a", later)).expect(202);
    let flow = accepted["events"][0]["flow"].as_str().unwrap().to_owned();
    let behind = task(&host, "2", "a", "well");
    let held = held(&host, 1);
    assert_eq!(held[0]["fault"]["kind"], "retry");
    eventually("a resume comes late enough", || {
        assert_eq!(host.ask("POST", "/v1/processors/fickle/resume", &[], vec![]).unwrap().status, 200);
        (host.count("tasks-done") == 2).then_some(())
    });
    host.await_done(&flow);
    host.await_done(&behind);
    assert_eq!(host.state("fickle")["a/done"], 2);
    let causes: Vec<Value> =
        host.events("tasks-done").iter().map(|done| done["event"]["correlationid"].clone()).collect();
    assert_eq!(causes, [json!(flow), json!(behind)]);
    assert_eq!(host.processor("fickle")["status"], "running");
}

#[test]
fn what_never_ends_or_breaks_stops_nobody_else() {
    let (_shop, host) = start();
    // More loops than this machine has workers.
    for number in 0..4 {
        task(&host, &format!("l{number}"), &format!("loop{number}"), "loop");
    }
    task(&host, "t", "trap", "trap");
    let tick = event("1", "tick", "k", json!({"number": 1}));
    host.publish("ticks", "?wait=tocks&timeout=20s", &tick).expect(200);
    goes_through(&host, "w", "well");
    let mut kinds: Vec<String> =
        held(&host, 5).iter().map(|h| h["fault"]["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["deadline", "deadline", "deadline", "deadline", "trap"]);
}

#[test]
fn a_restart_and_a_new_version_try_again_too() {
    let (shop, host) = start();
    let flow = task(&host, "1", "a", "reject");
    held(&host, 1);
    host.stop();
    let host = shop.start();
    host.await_running(&["relay"]);
    let again = held(&host, 1);
    assert_eq!(again[0]["flow"], flow);
    let receipt =
        host.put("/v1/processors/fickle", baton_tests::guests::variant("guest-fickle", 1)).expect(200);
    eventually("the new version has tried it", || {
        let fault = host.processor("fickle")["held"][0]["fault"]["digest"].as_str()?.to_owned();
        receipt["deployment"]["digest"].as_str()?.starts_with(&fault).then_some(())
    });
}

fn dead(host: &Host, query: &str, count: u64) -> Value {
    // The page has all groups: it is asked for when there is reason to.
    eventually("so many events are given up", || {
        (host.processor("fickle")["dead"].as_u64()? >= count).then_some(())
    });
    eventually("the dead letters are there", || {
        let page = host.get(&format!("/v1/dead{query}")).expect(200);
        (page["count"] == count).then_some(page)
    })
}

fn trial(host: &Host, id: &str, key: &str, way: &Value) -> String {
    let accepted = host.publish("trials", "", &event(id, "task", key, way.clone())).expect(202);
    accepted["events"][0]["flow"].as_str().unwrap().to_owned()
}

fn tell(host: &Host, path: &str, body: &Value) -> Value {
    host.post(path, "application/json", body).expect(200)
}

#[test]
fn what_fails_for_a_while_is_tried_again_by_itself_also_over_a_restart() {
    let (shop, host) = start();
    let flow = trial(&host, "1", "a", &json!({"way": "later", "not_before_ms": u64::MAX}));
    dead(&host, "", 1);
    let soon = trial(&host, "2", "a", &json!({"way": "later", "not_before_ms": soon_ms()}));
    host.stop();
    let host = shop.start();
    host.await_running(&["relay"]);
    eventually("the second is handled or given up", || {
        let done = host.get(&format!("/v1/flows/{soon}")).expect(200)["status"] == "done";
        (done || host.get("/v1/dead").expect(200)["count"] == 2).then_some(())
    });
    let report = dead(&host, &format!("?flow={flow}"), 1);
    let letter = &report["letters"][0];
    assert_eq!(
        (&letter["attempts_count"], &letter["key"], &letter["channel"]),
        (&json!(3), &json!("a"), &json!("trials"))
    );
    let numbers: Vec<&str> =
        letter["attempts"].as_array().unwrap().iter().map(|fault| fault["kind"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["retry"; 3]);
}

#[test]
fn a_dead_letter_is_shown_everywhere_and_has_a_way_back() {
    let (shop, host) = start();
    let flow = trial(&host, "1", "a", &json!({"way": "reject"}));
    let behind = trial(&host, "2", "a", &json!({"way": "well"}));
    host.await_done(&behind);
    let page = dead(&host, "?processor=fickle", 1);
    let group = page["groups"][0]["group"].as_str().unwrap().to_owned();
    assert_eq!((&page["groups"][0]["count"], &page["letters"][0]["flow"]), (&json!(1), &json!(flow)));
    let report = host.get(&format!("/v1/flows/{flow}")).expect(200);
    assert_eq!(
        (&report["status"], &report["events"][0]["handlings"][0]["status"]),
        (&json!("stuck"), &json!("dead"))
    );
    let why = host.get("/v1/why?event=trials@0&processor=fickle").expect(200);
    assert_eq!((&why["verdict"], &why["attempts"]), (&json!("dead"), &json!(1)));
    assert_eq!(host.processor("fickle")["dead"], 1);
    let metrics = host.get("/metrics").text;
    assert!(
        metrics.contains("baton_subscription_dead_events{processor=\"fickle\",channel=\"trials\"} 1"),
        "{metrics}"
    );

    let rehearsed = tell(&host, "/v1/dead/rehearse", &json!({"group": group}));
    assert_eq!(
        (&rehearsed[0]["fault"], &rehearsed[0]["attempt"]),
        (&json!("reject: this task can never be done"), &json!(2))
    );
    assert_eq!(tell(&host, "/v1/dead/redrive", &json!({"group": group}))["count"], 1);
    let again = eventually("it is given up again", || {
        let page = host.get("/v1/dead").expect(200);
        (page["letters"][0]["attempts_count"] == 2).then(|| page["letters"][0].clone())
    });
    assert_eq!(again["flow"], flow);
    let server = ["--server", &host.url];
    let said = shop.run(&[&["flow", "resume", &flow][..], &server].concat());
    assert_eq!(String::from_utf8_lossy(&said.stdout), "1 dead letter redriven, 0 tried again at once\n");
    eventually("it is given up once more", || {
        (host.get("/v1/dead").expect(200)["letters"][0]["attempts_count"] == 3).then_some(())
    });
    let said = shop.run(&[&["dead", "discard", "fickle", "trials@0"][..], &server].concat());
    assert_eq!(String::from_utf8_lossy(&said.stdout), "1 event given up for good\n");
    host.await_done(&flow);
    let why = host.get("/v1/why?event=trials@0&processor=fickle").expect(200);
    assert_eq!(why["verdict"], "discarded");
    let gone = shop.run(&[&["dead", "redrive", "fickle", "trials@0"][..], &server].concat());
    assert_eq!(gone.status.code(), Some(4), "{}", String::from_utf8_lossy(&gone.stderr));
    assert!(String::from_utf8_lossy(&gone.stderr).starts_with("error[no-dead-letter]"));
    let nothing = host.post("/v1/dead/redrive", "application/json", &json!({})).expect(400);
    assert_eq!(nothing["code"], "bad-body");
}

#[test]
fn ten_thousand_dead_letters_are_a_few_causes_and_go_back_over_kills_without_a_loss() {
    let shop = shop();
    shop.drop_in("fickle", &component("guest-fickle"));
    let host = shop.spawn();
    host.await_running(&["fickle"]);
    let soon = soon_ms();
    for part in 0..10 {
        let task = |n: u64| {
            let way = if n.is_multiple_of(2) {
                json!({"way": "reject"})
            } else {
                json!({"way": "reject", "not_before_ms": soon})
            };
            event(&n.to_string(), "task", &format!("k{}", n % 500), way)
        };
        let events: Vec<Value> = (part * 1000..(part + 1) * 1000).map(task).collect();
        host.publish_all("trials", &events).expect(202);
    }
    let page = dead(&host, "?limit=1", 10_000);
    assert_eq!(page["groups"].as_array().unwrap().len(), 1);
    let mut host = host;
    for _ in 0..3 {
        tell(&host, "/v1/dead/redrive", &json!({"processor": "fickle", "limit": 2_000}));
        host.kill();
        host = shop.spawn();
        host.await_running(&["fickle"]);
    }
    let page = dead(&host, "?limit=1000", 10_000);
    let mut offsets = std::collections::BTreeSet::new();
    let mut page = page;
    loop {
        let letters = page["letters"].as_array().unwrap();
        letters.iter().for_each(|letter| assert!(offsets.insert(letter["offset"].as_u64().unwrap())));
        let Some(next) = page["next"].as_str() else { break };
        page = host.get(&format!("/v1/dead?limit=1000&after={next}")).expect(200);
    }
    assert_eq!(offsets.len(), 10_000);
    assert_eq!(tell(&host, "/v1/dead/discard", &json!({"all": true}))["count"], 10_000);
    assert_eq!(host.get("/v1/dead").expect(200)["count"], 0);
    assert_eq!(host.count("tasks-done"), 0);
}

#[test]
fn a_redrive_takes_each_dead_letter_once_also_if_all_die_again() {
    let (shop, host) = start();
    for id in 0..20 {
        trial(&host, &id.to_string(), &id.to_string(), &json!({"way": "reject"}));
    }
    dead(&host, "", 20);
    let redrive = ["dead", "redrive", "fickle", "--all", "--server", &host.url];
    for rate in [&[][..], &["--rate", "10/s"]] {
        let said = shop.run(&[&redrive[..], rate].concat());
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(said, "20 events to be handled again, each at the end of its key\n");
    }
    let page = dead(&host, "", 20);
    let letters = page["letters"].as_array().unwrap();
    assert!(letters.iter().all(|letter| letter["attempts_count"] == 3), "{page}");
    assert_eq!(tell(&host, "/v1/dead/discard", &json!({"all": true, "limit": 5}))["count"], 5);
    let letters = dead(&host, "", 15)["letters"].clone();
    assert_eq!(letters[0]["offset"], 5, "the oldest go first");
    let (all, most) = (json!({"all": true}), json!({"all": true, "limit": 3}));
    assert_eq!(tell(&host, "/v1/dead/rehearse", &all).as_array().unwrap().len(), 15);
    assert_eq!(tell(&host, "/v1/dead/rehearse", &most).as_array().unwrap().len(), 3);
}
