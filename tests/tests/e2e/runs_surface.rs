//! Workflows and runs by HTTP and the command line: every route and command, and what each refuses.

use std::process::Output;

use baton_tests::guests::BOOKSHOP;
use baton_tests::host::{Host, Shop};
use baton_tests::http::{Answer, event};
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::bookshop::{GOOD_CARD, order};
use crate::shop;

const PLACE_ORDER: &str = include_str!("../../../plugins/mediators/place-order.yaml");
/// What fails.
const CHARGE: &str = "set: { paid: '${ error(\"the card has expired\") }' }";
/// A run that fails if the card has expired, and else waits for the card's next update.
const SETTLE: &str = "\
document: { dsl: '1.0.3', namespace: tests, name: settle, version: '1.0.0' }
schedule: { on: { one: { with: { type: bill } } } }
do:
  - look:
      switch:
        - expired: { when: .card == \"expired\", then: charge }
        - fine: { then: ask }
  - charge:
      set: { paid: '${ error(\"the card has expired\") }' }
  - ask:
      listen: { to: { one: { with: { type: card-updated } } } }
  - twins:
      fork:
        branches:
          - left: { do: [ { rest: { wait: { hours: 1 } } } ] }
          - right: { do: [ { rest: { wait: { hours: 1 } } } ] }
";

struct Desk {
    shop: Shop,
    host: Host,
}

impl Desk {
    fn open() -> Self {
        let shop = shop();
        std::fs::write(shop.dir().join("settle.yaml"), SETTLE).unwrap();
        let host = shop.start();
        Self { shop, host }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.shop.run(&[&["--server", &self.host.url], arguments].concat())
    }

    /// What a command prints that ends with 0.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command complains of that ends with `code`.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    fn send(&self, method: &str, path: &str, text: &str) -> Answer {
        let headers = [("content-type", "application/yaml")];
        self.host.ask(method, path, &headers, text.as_bytes().to_vec()).unwrap()
    }

    fn tell(&self, run: &str, word: &str, body: &Value) -> Answer {
        self.host.post(&format!("/v1/runs/{run}/{word}"), "application/json", body)
    }

    fn show(&self, run: &str) -> Value {
        self.host.get(&format!("/v1/runs/{run}")).expect(200)
    }

    fn await_status(&self, run: &str, status: &str) -> Value {
        eventually(&format!("{run} is {status}"), || {
            let detail = self.show(run);
            (detail["status"] == status).then_some(detail)
        })
    }

    /// Publishes what starts a run, and gives its id.
    fn begin(&self, channel: &str, id: &str, data: Value) -> String {
        let accepted = self.host.publish(channel, "", &event(id, channel, id, data)).expect(202);
        let flow = accepted["events"][0]["flow"].as_str().unwrap().to_owned();
        eventually("its run is there", || {
            let page = self.host.get(&format!("/v1/runs?flow={flow}")).expect(200);
            page["runs"][0]["id"].as_str().map(str::to_owned)
        })
    }

    /// A run that is faulted.
    fn faulted(&self, id: &str) -> String {
        let run = self.begin("bill", id, json!({"card": "expired"}));
        self.await_status(&run, "faulted");
        run
    }
}

fn refused(answer: Answer, status: u16, code: &str) -> Value {
    let problem = answer.expect(status);
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

fn has(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "{part} is not in\n{text}"));
}

#[test]
fn a_workflow_comes_is_looked_at_changed_and_goes() {
    // A host of this build takes a minute to compile what evaluates expressions: all of this is asked of one.
    let desk = Desk::open();
    it_comes_and_is_looked_at(&desk);
    one_that_cannot_run_is_refused_with_all_that_is_wrong(&desk);
    a_new_one_is_held_against_the_runs_in_progress(&desk);
    it_goes(&desk);
}

fn it_comes_and_is_looked_at(desk: &Desk) {
    has(&desk.says(&["workflow", "ls"]), &["No workflow is deployed: `baton workflow deploy FILE`."]);
    has(&desk.says(&["workflow", "deploy", "settle.yaml"]), &["settle 1.0.0 runs", "settle.yaml"]);
    has(&desk.says(&["workflow", "deploy", "settle.yaml"]), &["Nothing to do"]);
    has(&desk.says(&["workflow", "ls"]), &["settle", "1.0.0", "bill", "none"]);
    has(&desk.says(&["workflow", "show", "settle"]), &["settle 1.0.0", "starts with bill", "--text"]);
    assert_eq!(desk.says(&["workflow", "show", "settle", "--text"]), SETTLE);
    let workflow = desk.host.get("/v1/workflows/settle").expect(200);
    assert_eq!((&workflow["text"], &workflow["deployed"]), (&json!(SETTLE), &json!(true)));
    assert_eq!(desk.host.get("/v1/workflows").expect(200)["workflows"][0]["name"], "settle");
}

fn one_that_cannot_run_is_refused_with_all_that_is_wrong(desk: &Desk) {
    let wrong = SETTLE.replace("then: ask", "then: nowhere").replace("dsl: '1.0.3'", "dsl: '3.0.0'");
    let problem = refused(desk.send("PUT", "/v1/workflows/settle", &wrong), 422, "definition-invalid");
    let mistakes = problem["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), 2, "{problem}");
    assert_eq!((&mistakes[1]["line"], &mistakes[1]["code"]), (&json!(5), &json!("reference")), "{problem}");
    refused(desk.send("POST", "/v1/workflows/settle/check-runs", &wrong), 422, "definition-invalid");
    let jq = SETTLE.replace(".card ==", ".card =|");
    let problem = refused(desk.send("PUT", "/v1/workflows/settle", &jq), 422, "definition-invalid");
    assert_eq!(problem["mistakes"][0]["code"], "expression", "{problem}");
    std::fs::write(desk.shop.dir().join("jq.yaml"), jq).unwrap();
    has(&desk.fails(1, &["workflow", "deploy", "jq.yaml"]), &["error[definition-invalid]", "6:"]);

    refused(desk.send("PUT", "/v1/workflows/other", SETTLE), 422, "name-mismatch");
    let calls = SETTLE.replace(
        CHARGE,
        "call: nobody
      with: { type: bill }",
    );
    refused(desk.send("PUT", "/v1/workflows/settle", &calls), 409, "unknown-function");
    // It is tried again now and then, and is no problem meanwhile.
    eventually("the file is told", || {
        let list = desk.host.get("/v1/workflows").expect(200);
        (list["problems"][0]["code"] == "unknown-function").then_some(())
    });
    eventually("the file is told to people", || {
        let said = desk.says(&["workflow", "ls"]);
        said.contains("FILE settle.yaml (unknown-function) does not run").then_some(())
    });
    refused(desk.host.get("/v1/workflows/nobody"), 404, "unknown-workflow");
    let other = SETTLE.replace("name: settle", "name: other");
    refused(desk.send("POST", "/v1/workflows/other/check-runs", &other), 404, "unknown-workflow");
    refused(desk.send("POST", "/v1/workflows/settle/check-runs", &other), 422, "name-mismatch");
    desk.says(&["workflow", "deploy", "settle.yaml"]);
    refused(desk.send("DELETE", "/v1/workflows/nobody", ""), 404, "unknown-workflow");
    refused(
        desk.host.post("/v1/workflows/settle/check-runs", "text/plain", &json!("x")),
        415,
        "bad-media-type",
    );
}

fn a_new_one_is_held_against_the_runs_in_progress(desk: &Desk) {
    let run = desk.begin("bill", "b1", json!({"card": "fine"}));
    desk.await_status(&run, "waiting");
    let same = desk.send("POST", "/v1/workflows/settle/check-runs", SETTLE).expect(200);
    assert_eq!(same, json!({"workflow": "settle", "same": 1, "others": []}));
    std::fs::write(desk.shop.dir().join("new.yaml"), SETTLE.replace("card-updated", "card-renewed")).unwrap();
    let said = desk.says(&["workflow", "check", "new.yaml", "--against-runs"]);
    has(&said, &["1 run would not", &run, "did    waits for card-updated", "would  waits for card-renewed"]);
}

fn it_goes(desk: &Desk) {
    desk.faulted("b2");
    let gone = desk.says(&["workflow", "rm", "settle"]);
    has(&gone, &["removed settle", "2 runs in progress stand still"]);
    assert!(!desk.shop.dir().join("mediators/settle.yaml").exists());
    has(&desk.says(&["workflow", "ls"]), &["settle", "1 faulted, 1 waiting", "removed"]);
    has(&desk.fails(4, &["workflow", "show", "nobody"]), &["error[unknown-workflow]", "baton workflow ls"]);
    desk.fails(4, &["workflow", "rm", "nobody"]);
}

#[test]
fn a_faulted_run_is_found_understood_and_goes_on() {
    let desk = Desk::open();
    desk.says(&["workflow", "deploy", "settle.yaml"]);
    what_fails_is_found_and_goes_on(&desk);
    what_is_no_run_is_refused_and_a_cancelled_one_is_over(&desk);
}

fn what_fails_is_found_and_goes_on(desk: &Desk) {
    has(&desk.says(&["run", "ls"]), &["Every run is over: nothing is left to do."]);
    let run = desk.faulted("b1");
    has(
        &desk.says(&["run", "ls"]),
        &["FAULTED", "1 run waits for you:", "expression (400) at charge", "baton run resume"],
    );
    has(&desk.says(&["status"]), &["FAULTED settle: 1 run waits for you where a step failed"]);
    let shown = desk.says(&["run", "show", &run]);
    has(&shown, &["FAULTED", "waits for you, at charge", "--from charge --input JSON", "AFTER", "failed"]);
    has(&desk.fails(1, &["run", "show", &run, "--watch"]), &["the run is faulted, and waits for you"]);

    has(&desk.says(&["run", "resume", &run]), &["goes on."]);
    desk.await_status(&run, "faulted");
    refused(desk.tell(&run, "resume", &json!({"from": "nowhere"})), 400, "unknown-task");
    refused(desk.tell(&run, "resume", &json!({"from": "rest"})), 409, "several-tasks");
    refused(
        desk.tell(&run, "resume", &json!({"from": "/do/3/twins/fork/branches/0/left/do/0/rest"})),
        409,
        "task-not-in-reach",
    );
    refused(desk.tell(&run, "skip", &json!({"task": "ask", "output": 1})), 409, "task-not-under-way");
    refused(desk.tell(&run, "skip", &json!({"task": "charge"})), 400, "bad-body");
    refused(desk.tell(&run, "signal", &json!({"type": "card-updated"})), 409, "not-awaited");
    let from = ["run", "resume", &run, "--from", "look", "--input", "{\"card\": \"new\"}"];
    has(&desk.says(&from), &["goes on at look.", "waits for card-updated, at ask", "baton run signal"]);
    refused(desk.tell(&run, "resume", &json!({})), 409, "run-not-faulted");
    has(&desk.fails(1, &["run", "resume", &run]), &["error[run-not-faulted]"]);

    let mut live = desk.host.live(&format!("/v1/runs/{run}/events"), None);
    let first = live.message().unwrap();
    assert_eq!((first.kind.as_str(), &first.data["status"]), ("run", &json!("waiting")));
    has(
        &desk.says(&["run", "signal", &run, "card-updated", "--data", "{\"card\": \"1\"}"]),
        &["has its card-updated.", "its time, at rest, until"],
    );
    let rest = |number: u32, side: &str| format!("/do/3/twins/fork/branches/{number}/{side}/do/0/rest");
    has(
        &desk.says(&["run", "skip", &run, &rest(0, "left"), "--output", "{\"done\": 1}"]),
        &["counts as done"],
    );
    desk.tell(&run, "skip", &json!({"task": rest(1, "right"), "output": null, "by": "cli"})).expect(200);
    let end = std::iter::from_fn(|| live.message()).last().unwrap();
    assert_eq!((end.kind.as_str(), &end.data["status"]), ("end", &json!("completed")));
    assert_eq!(end.data, desk.show(&run));
    has(
        &desk.says(&["run", "show", &run, "--watch"]),
        &["completed", "signalled by an operator", "skipped by an operator"],
    );
    refused(desk.tell(&run, "cancel", &json!({})), 409, "run-over");
    has(&desk.says(&["run", "ls"]), &["Every run is over"]);
    has(&desk.says(&["run", "ls", "--status", "completed"]), &[&run, "completed"]);
}

fn what_is_no_run_is_refused_and_a_cancelled_one_is_over(desk: &Desk) {
    for path in ["/v1/runs/settle-9999", "/v1/runs/nobody-1", "/v1/runs/x", "/v1/runs/settle-9999/events"] {
        refused(desk.host.get(path), 404, "unknown-run");
    }
    refused(desk.host.get("/v1/runs?workflow=nobody"), 404, "unknown-workflow");
    refused(desk.host.get("/v1/runs?after=settle-9999"), 404, "unknown-run");
    refused(desk.host.get("/v1/runs?status=sad"), 400, "bad-query");
    refused(desk.tell("settle-9999", "cancel", &json!({})), 404, "unknown-run");
    has(&desk.fails(4, &["run", "show", "settle-9999"]), &["error[unknown-run]", "baton run ls"]);
    has(&desk.fails(2, &["run", "resume", "x", "--input", "{"]), &["it is no JSON"]);

    let runs: Vec<String> = (0..3).map(|number| desk.faulted(&format!("c{number}"))).collect();
    let page = desk.host.get("/v1/runs?over=false&limit=2").expect(200);
    let ids = |page: &Value| -> Vec<String> {
        page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&page), &page["count"]), (vec![runs[2].clone(), runs[1].clone()], &json!(3)));
    has(&desk.says(&["run", "cancel", &runs[1]]), &["is cancelled."]);
    let next = desk.host.get(&format!("/v1/runs?over=false&limit=2&after={}", runs[1])).expect(200);
    assert_eq!(ids(&next), [runs[0].as_str()]);
    has(&desk.fails(1, &["run", "show", &runs[1], "--watch"]), &["the run was cancelled"]);
    has(&desk.says(&["run", "ls", "--workflow", "settle"]), &["2 runs wait for you:"]);
}

#[test]
fn an_order_of_the_bookshop_is_one_run_to_its_end() {
    let shop = shop();
    shop.open_bookshop();
    std::fs::create_dir_all(shop.dir().join("mediators")).unwrap();
    std::fs::write(shop.dir().join("mediators/place-order.yaml"), PLACE_ORDER).unwrap();
    let host = shop.start();
    let desk = Desk { shop, host };
    desk.host.await_running(&BOOKSHOP);
    eventually("the mediator is there", || {
        let list = desk.host.get("/v1/workflows").expect(200);
        (list["workflows"][0]["deployed"] == true).then_some(())
    });
    let run = desk.begin("order-wanted", "o1", order("o1", "moby-dick", GOOD_CARD)["data"].clone());
    has(&desk.says(&["run", "show", &run, "--watch"]), &["calls payment", "done", "completed"]);
    let lines = String::from_utf8(desk.run(&["run", "show", &run, "--watch", "--json"]).stdout).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["status"], &last["over"]), (&json!("completed"), &json!(true)));
    let page: Value =
        serde_json::from_str(&desk.says(&["run", "ls", "--json", "--status", "completed"])).unwrap();
    assert_eq!(page["runs"][0]["id"], *run);
}
