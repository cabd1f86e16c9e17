//! Workflows in a host: definitions deployed, runs that go through processors and back, fail, are resumed, wait and end.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tempfile::TempDir;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::model::operation::Operator;
use crate::model::workflow::report::{RunDetail, WaitsFor};
use crate::model::workflow::run::Status;
use crate::runtime::{Engine, EngineConfig};

/// One engine for all tests: what evaluates expressions is compiled once.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let cache_dir = Some(tempfile::tempdir().unwrap().keep());
    Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() }).unwrap()
});

/// What processors were told, by name, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, Value)>>>);

impl Told {
    fn to(&self, name: &str) -> Vec<Value> {
        let told = self.0.lock();
        told.iter().filter(|(to, _)| to == name).map(|(_, data)| data.clone()).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().iter().map(|(to, _)| to.clone()).collect()
    }
}

/// A processor that notes what it is told, and refuses it the first `fail` times for an id.
fn worker(name: &'static str, told: &Told) -> Native {
    let told = told.clone();
    let topic = format!("{name}-done");
    let native = Native::new(name, "1").subscribe(&format!("{name}-asked")).publishes(&topic).speculate();
    native.handler(move |event, _| {
        let data: Value = event.json()?;
        told.0.lock().push((name.to_owned(), data.clone()));
        let times = told.to(name).iter().filter(|other| other["id"] == data["id"]).count() as u64;
        if times <= data["fail"].as_u64().unwrap_or(0) {
            return Err(crate::dispatch::Rejected::reject(format!("{name} does not like it")));
        }
        Outcome::handled().reply(&json!({ "by": name, "got": data }))?.emit_json(&topic, &data)
    })
}

struct Shop {
    dir: TempDir,
    told: Told,
    clock: Arc<ManualClock>,
    node: Node,
}

impl Shop {
    async fn open() -> Self {
        let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let node = Self::start(&dir, &told, &clock).await;
        Self { dir, told, clock, node }
    }

    async fn start(dir: &TempDir, told: &Told, clock: &Arc<ManualClock>) -> Node {
        let builder = Node::builder().folder(dir.path()).settings(Settings::default());
        let builder = builder.engine(ENGINE.clone()).clock(clock.clone() as Arc<dyn Clock>);
        let names = ["stock", "pay", "mail", "undo"];
        names
            .into_iter()
            .fold(builder, |builder, name| builder.native(worker(name, told)))
            .start()
            .await
            .unwrap()
    }

    async fn restart(self) -> Self {
        let Self { dir, told, clock, node } = self;
        node.stop().await;
        drop(node);
        let node = Self::start(&dir, &told, &clock).await;
        Self { dir, told, clock, node }
    }

    async fn deploy(&self, name: &str, version: &str, rest: &str) {
        self.try_deploy(name, version, rest).await.unwrap();
    }

    async fn try_deploy(&self, name: &str, version: &str, rest: &str) -> Result<(), String> {
        let head = format!(
            "document: {{ dsl: '1.0.3', namespace: test, name: {name}, version: '{version}' }}\n\
             schedule: {{ on: {{ one: {{ with: {{ type: {name}-wanted }} }} }} }}\n"
        );
        let deployed = self.node.deploy_workflow(format!("{head}{rest}")).await;
        deployed.map(drop).map_err(|error| format!("{}: {error}", error.code()))
    }

    /// Starts a run, and gives its id.
    async fn begin(&self, name: &str, data: Value) -> String {
        let accepted = self.node.publish_json(&format!("{name}-wanted"), "order-1", &data).await.unwrap();
        format!("{name}-{}", accepted.position)
    }

    /// The run once it is so.
    async fn until(&self, id: &str, is: impl Fn(&RunDetail) -> bool) -> RunDetail {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let durable = self.node.0.domain.durable().current();
            match self.node.run(id).await {
                Ok(run) if is(&run) => return run,
                Err(error) if error.code() != "unknown-run" => panic!("{error}"),
                _ => {}
            }
            let more = self.node.0.domain.durable().wait(durable.plus(1));
            let more = tokio::time::timeout_at(deadline, more).await;
            assert!(more.is_ok(), "run {id} in time: {:?}", self.node.run(id).await);
        }
    }

    async fn until_status(&self, id: &str, status: Status) -> RunDetail {
        self.until(id, |run| run.run.status == status && (run.run.over || status != Status::Completed)).await
    }

    async fn say(&self, id: &str, word: RunWord) -> Result<RunDetail, RunError> {
        self.node.tell_run(id, word, Operator::Library).await.map(|done| {
            assert!(done.handled);
            done.run
        })
    }

    async fn flow(&self, run: &RunDetail) -> crate::model::report::FlowReport {
        self.node.flow(run.run.flow.parse().unwrap()).await.unwrap().unwrap()
    }
}

const THREE: &str = "
do:
  - take: { call: stock, with: { type: stock-asked, data: '${ . }' } }
  - pay: { call: pay, with: { type: pay-asked, data: '${ $workflow.input }' } }
  - tell: { call: mail, with: { type: mail-asked, data: { id: '${ .reply.got.id }', after: '${ .reply.by }' } } }
";

fn whats(run: &RunDetail) -> Vec<String> {
    run.history.iter().map(|note| format!("{} {}", note.task, note.what)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_step_to_step_and_tells_nobody_else() {
    let shop = Shop::open().await;
    shop.deploy("three", "1.0.0", THREE).await;
    let id = shop.begin("three", json!({"id": 7})).await;
    let run = shop.until_status(&id, Status::Completed).await;
    assert_eq!(shop.told.names(), ["stock", "pay", "mail"]);
    assert_eq!(shop.told.to("mail"), [json!({"id": 7, "after": "pay"})]);
    assert_eq!(run.output.as_ref().unwrap()["reply"]["by"], "mail");
    assert_eq!(run.output.as_ref().unwrap()["events"][0]["type"], "mail-done");
    let told = shop.node.channel(&"pay-done".parse().unwrap());
    assert!(told.is_none_or(|channel| channel.next == 0), "the topic hears nothing");
    let kind = |name: &str| shop.node.channel(&name.parse().unwrap()).unwrap().kind;
    assert_eq!(
        [kind("three-wanted"), kind("baton.queue.pay"), kind("pay-asked")],
        ["queue", "queue", "topic"]
    );
    let flow = shop.flow(&run).await;
    assert_eq!(
        (flow.status, flow.events.len()),
        (FlowStatus::Done, 7),
        "the start, three commands, three answers"
    );
    assert!(whats(&run).contains(&"/do/1/pay calls pay".to_owned()), "{:?}", whats(&run));
    assert_eq!(run.history_lacks, None);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_where_it_failed_and_goes_on_there_after_a_restart() {
    let shop = Shop::open().await;
    shop.deploy("three", "1.0.0", THREE).await;
    let id = shop.begin("three", json!({"id": 1, "fail": 1})).await;
    // The first step fails once; resumed, it goes on to the second, which fails in turn.
    let run = shop.until_status(&id, Status::Faulted).await;
    assert_eq!(run.run.error.as_ref().unwrap().detail.as_deref(), Some("stock does not like it"));
    let flow = shop.flow(&run).await;
    assert_eq!(flow.status, FlowStatus::Stuck);
    assert!(flow.reason.as_ref().is_some_and(|why| why.contains("/do/0/take")), "{:?}", flow.reason);
    let dead = shop.node.dead(&DeadWish::default(), None, 10).await.unwrap();
    assert_eq!(dead.count, 0, "a command is never a dead letter");

    let shop = shop.restart().await;
    shop.say(&id, RunWord::Resume { from: None, input: None }).await.unwrap();
    let run = shop
        .until(&id, |run| {
            run.run.at.iter().any(|at| at.task == "/do/1/pay" && at.waits_for == WaitsFor::Operator)
        })
        .await;
    assert_eq!(run.run.status, Status::Faulted);
    let input = Some(json!({"id": 1, "fail": 0}));
    shop.say(&id, RunWord::Resume { from: Some("pay".to_owned()), input }).await.unwrap();
    let run = shop.until_status(&id, Status::Completed).await;
    assert_eq!(shop.told.names(), ["stock", "stock", "pay", "pay", "mail"], "nothing before is done twice");
    assert_eq!(shop.flow(&run).await.status, FlowStatus::Done);
    let whats = whats(&run);
    assert!(whats.contains(&"/do/1/pay resumed by an operator".to_owned()), "{whats:?}");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_cannot_take_is_refused_and_changes_nothing() {
    let shop = Shop::open().await;
    shop.deploy("three", "1.0.0", THREE).await;
    let resume = || RunWord::Resume { from: None, input: None };
    let code = |said: Result<RunDetail, RunError>| said.unwrap_err().code();
    assert_eq!(code(shop.say("three-1", resume()).await), "unknown-run");
    assert_eq!(code(shop.say("nonsense", RunWord::Cancel).await), "unknown-run");
    let id = shop.begin("three", json!({"id": 1})).await;
    let before = shop.until_status(&id, Status::Completed).await;
    assert_eq!(code(shop.say(&id, resume()).await), "run-over");
    assert_eq!(code(shop.say(&id, RunWord::Cancel).await), "run-over");
    let failed = shop.begin("three", json!({"id": 2, "fail": 1})).await;
    shop.until_status(&failed, Status::Faulted).await;
    let skip = |task: &str| RunWord::Skip { task: task.to_owned(), output: Value::Null };
    assert_eq!(code(shop.say(&failed, skip("nobody")).await), "unknown-task");
    assert_eq!(code(shop.say(&failed, skip("tell")).await), "task-not-under-way");
    let signal = RunWord::Signal { ty: "x".to_owned(), data: Value::Null };
    assert_eq!(code(shop.say(&failed, signal).await), "not-awaited");
    assert_eq!(shop.node.run(&id).await.unwrap(), before);
    let page =
        shop.node.runs(RunsWish { status: Some(Status::Faulted), ..RunsWish::default() }).await.unwrap();
    assert_eq!((page.count, page.runs[0].id.as_str()), (1, failed.as_str()));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_step_counts_as_done() {
    let shop = Shop::open().await;
    shop.deploy("three", "1.0.0", THREE).await;
    let id = shop.begin("three", json!({"id": 1, "fail": 9})).await;
    shop.until_status(&id, Status::Faulted).await;
    let output = json!({"reply": {"by": "hand", "got": {"id": 1}}});
    shop.say(&id, RunWord::Skip { task: "take".to_owned(), output: output.clone() }).await.unwrap();
    shop.until(&id, |run| {
        run.run.at.iter().any(|at| at.task == "/do/1/pay" && at.waits_for == WaitsFor::Operator)
    })
    .await;
    shop.say(&id, RunWord::Skip { task: "/do/1/pay".to_owned(), output }).await.unwrap();
    shop.until_status(&id, Status::Completed).await;
    assert_eq!(shop.told.to("mail"), [json!({"id": 1, "after": "hand"})]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_takes_back_what_has_not_started_and_undoes_what_is_done() {
    let shop = Shop::open().await;
    shop.deploy(
        "undone",
        "1.0.0",
        "
do:
  - take: { call: stock, with: { type: stock-asked, data: '${ . }' }, metadata: { compensate: give-back } }
  - pay: { call: pay, with: { type: pay-asked, data: { id: 1 } } }
  - give-back: { call: undo, with: { type: undo-asked, data: '${ .input }' } }
",
    )
    .await;
    shop.node.pause(&name("pay"), "closed for a test", Operator::Library).await.unwrap();
    let id = shop.begin("undone", json!({"id": 5})).await;
    shop.until(&id, |run| run.run.at.iter().any(|at| at.task == "/do/1/pay")).await;
    let run = shop.say(&id, RunWord::Cancel).await.unwrap();
    assert!(run.run.undoing, "the command that was not started is still with the processor");
    shop.node.resume(&name("pay"), Resume::default()).await.unwrap();
    let run = shop.until(&id, |run| run.run.over).await;
    assert_eq!(run.run.status, Status::Cancelled);
    assert_eq!(shop.told.names(), ["stock", "undo"], "nobody paid");
    assert_eq!(shop.told.to("undo"), [json!({"id": 5})]);
    assert!(whats(&run).contains(&"/do/1/pay taken back".to_owned()), "{:?}", whats(&run));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_its_time_has_come_across_a_restart() {
    let shop = Shop::open().await;
    shop.deploy("later", "1.0.0", "do: [ { nap: { wait: { hours: 1 } } }, { tell: { call: mail, with: { type: mail-asked, data: { id: 1 } } } } ]").await;
    let id = shop.begin("later", json!({})).await;
    let run = shop.until_status(&id, Status::Waiting).await;
    assert_eq!(
        (run.run.at[0].waits_for, run.run.at[0].until.as_deref()),
        (WaitsFor::Time, Some("2027-01-15T09:00:00.000Z"))
    );
    assert_eq!(shop.flow(&run).await.status, FlowStatus::Open, "a flow whose run waits is not done");
    shop.clock.advance(3_599_999);
    let shop = shop.restart().await;
    assert_eq!(shop.node.run(&id).await.unwrap().run.status, Status::Waiting);
    shop.clock.advance(1);
    let run = shop.until_status(&id, Status::Completed).await;
    assert_eq!(shop.told.names(), ["mail"]);
    assert_eq!(shop.flow(&run).await.status, FlowStatus::Done);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_neither_ends_a_wait_nor_prolongs_it() {
    let shop = Shop::open().await;
    shop.deploy("later", "1.0.0", "do: [ { nap: { wait: { hours: 1 } } } ]").await;
    let id = shop.begin("later", json!({})).await;
    shop.until_status(&id, Status::Waiting).await;
    let day = 24 * 3_600_000;
    for shows in [shop.clock.now_ms() + 3 * day, shop.clock.now_ms() - day] {
        shop.clock.set(shows);
        shop.node.0.domain.sweep_expired().unwrap();
        shop.clock.advance(1_200_000);
        shop.node.0.domain.sweep_expired().unwrap();
        assert_eq!(shop.node.run(&id).await.unwrap().run.status, Status::Waiting, "40 minutes at most");
    }
    let Shop { dir, told, clock, node } = shop;
    node.stop().await;
    drop(node);
    // It is set back while no host runs: the wait is no longer than an hour from then.
    clock.set(clock.now_ms() - 7 * day);
    let node = Shop::start(&dir, &told, &clock).await;
    let shop = Shop { dir, told, clock, node };
    shop.node.0.domain.sweep_expired().unwrap();
    shop.clock.advance(3_600_000);
    shop.until_status(&id, Status::Completed).await;
    shop.node.stop().await;
}

const LISTENS: &str = "
do:
  - approval:
      listen:
        to:
          one:
            with: { type: approved }
            correlate: { order: { from: .data.order, expect: '${ $context.order }' } }
  - tell: { call: mail, with: { type: mail-asked, data: { id: '${ .[0].by }' } } }
";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_finds_the_run_that_waits_for_it_and_a_run_the_event_that_came_early() {
    let shop = Shop::open().await;
    shop.deploy("person", "1.0.0", LISTENS).await;
    let warnings = &shop.node.workflows()[0].warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("'approved'"), "{warnings:?}");
    let (a, b) = (
        shop.begin("person", json!({"order": "a"})).await,
        shop.begin("person", json!({"order": "b"})).await,
    );
    for id in [&a, &b] {
        shop.until_status(id, Status::Waiting).await;
    }
    shop.node.publish_json("approved", "b", &json!({"order": "b", "by": "bo"})).await.unwrap();
    shop.until_status(&b, Status::Completed).await;
    assert_eq!(shop.node.run(&a).await.unwrap().run.status, Status::Waiting, "it is another order's");
    shop.say(&a, RunWord::Signal { ty: "approved".to_owned(), data: json!({"by": "al"}) }).await.unwrap();
    shop.until_status(&a, Status::Completed).await;

    let early = shop.node.publish_json("approved", "c", &json!({"order": "c", "by": "cy"})).await.unwrap();
    shop.node.settled_flow(early.flow.parse().unwrap(), SOON).await.unwrap();
    let page = shop.node.runs(RunsWish::default()).await.unwrap();
    assert_eq!((page.early.len(), page.early[0].ty.as_str()), (1, "approved"));
    let shop = shop.restart().await;
    let c = shop.begin("person", json!({"order": "c"})).await;
    let run = shop.until_status(&c, Status::Completed).await;
    assert_eq!(shop.told.to("mail"), [json!({"id": "bo"}), json!({"id": "al"}), json!({"id": "cy"})]);
    assert!(shop.node.runs(RunsWish::default()).await.unwrap().early.is_empty());
    assert!(!shop.flow(&run).await.expired, "its cause is in another flow, and nothing is gone");
    assert_eq!(shop.flow(&run).await.status, FlowStatus::Done);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_in_progress_stay_on_their_definition() {
    let shop = Shop::open().await;
    let text = |word: &str| {
        format!(
            "do: [ {{ nap: {{ wait: {{ hours: 1 }} }} }}, {{ tell: {{ call: mail, with: {{ type: mail-asked, data: {{ id: {word} }} }} }} }} ]"
        )
    };
    shop.deploy("changing", "1.0.0", &text("old")).await;
    let old = shop.begin("changing", json!({})).await;
    shop.until_status(&old, Status::Waiting).await;
    shop.deploy("changing", "2.0.0", &text("new")).await;
    let new = shop.begin("changing", json!({})).await;
    shop.until_status(&new, Status::Waiting).await;
    let workflow = &shop.node.workflows()[0];
    assert_eq!(workflow.versions, BTreeMap::from([("1.0.0".to_owned(), 1), ("2.0.0".to_owned(), 1)]));
    let shop = shop.restart().await;
    shop.clock.advance(3_600_000);
    for id in [&old, &new] {
        shop.until_status(id, Status::Completed).await;
    }
    let mut told: Vec<String> = shop.told.to("mail").iter().map(|data| data["id"].to_string()).collect();
    told.sort();
    assert_eq!(told, ["\"new\"", "\"old\""]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_held_against_the_runs_in_progress() {
    let shop = Shop::open().await;
    let text = |first: &str| {
        format!(
            "do: [ {{ first: {{ call: {first}, with: {{ type: asked, data: {{ id: 1 }} }} }} }}, {{ nap: {{ wait: {{ hours: 1 }} }} }} ]"
        )
    };
    shop.deploy("checked", "1.0.0", &text("stock")).await;
    let id = shop.begin("checked", json!({})).await;
    shop.until(&id, |run| run.run.status == Status::Waiting).await;
    let head = "document: { dsl: '1.0.3', namespace: test, name: checked, version: '2.0.0' }\n";
    let same = shop.node.runs_against(format!("{head}{}", text("stock"))).await.unwrap();
    assert_eq!((same.same, same.others.len()), (1, 0));
    let other = shop.node.runs_against(format!("{head}{}", text("pay"))).await.unwrap();
    assert_eq!((other.same, other.others[0].task.as_str()), (0, "/do/0/first"));
    assert_eq!((other.others[0].did.as_str(), other.others[0].would.as_str()), ("calls stock", "calls pay"));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_tried_again_as_its_definition_says() {
    let shop = Shop::open().await;
    shop.deploy(
        "again",
        "1.0.0",
        "
do:
  - careful:
      try: [ { pay: { call: pay, with: { type: pay-asked, data: '${ . }' } } } ]
      catch: { retry: { delay: { seconds: 10 }, backoff: { constant: {} }, limit: { attempt: { count: 3 } } } }
",
    )
    .await;
    let id = shop.begin("again", json!({"id": 1, "fail": 2})).await;
    for _ in 0..2 {
        shop.until(&id, |run| run.run.at.iter().any(|at| at.waits_for == WaitsFor::Time)).await;
        let asked = shop.told.names().len();
        shop.clock.advance(10_000);
        shop.until(&id, |_| shop.told.names().len() > asked).await;
    }
    let run = shop.until_status(&id, Status::Completed).await;
    assert_eq!(shop.told.names(), ["pay", "pay", "pay"]);
    assert_eq!(run.output.unwrap()["reply"]["by"], "pay");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mediator_hands_over_to_another_in_one_flow() {
    let shop = Shop::open().await;
    shop.deploy("three", "1.0.0", THREE).await;
    shop.deploy(
        "sorter",
        "1.0.0",
        "do: [ { on: { emit: { event: { with: { type: three-wanted, data: '${ . }' } } } } } ]",
    )
    .await;
    let id = shop.begin("sorter", json!({"id": 3})).await;
    let run = shop.until_status(&id, Status::Completed).await;
    let flow = run.run.flow.parse().unwrap();
    let settled = shop.node.settled_flow(flow, SOON).await.unwrap().unwrap();
    assert_eq!(settled.status, FlowStatus::Done);
    let page = shop.node.runs(RunsWish { flow: Some(flow), ..RunsWish::default() }).await.unwrap();
    let mut runs: Vec<(String, Status)> =
        page.runs.into_iter().map(|run| (run.workflow, run.status)).collect();
    runs.sort();
    assert_eq!(runs, [("sorter".to_owned(), Status::Completed), ("three".to_owned(), Status::Completed)]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_cannot_run_is_refused_with_what_to_do() {
    let shop = Shop::open().await;
    let unknown = shop
        .try_deploy("lost", "1.0.0", "do: [ { a: { call: nobody, with: { type: x, data: {} } } } ]")
        .await
        .unwrap_err();
    assert!(
        unknown.starts_with("unknown-function: ") && unknown.contains("/do/0/a calls 'nobody'"),
        "{unknown}"
    );
    let bad = shop.try_deploy("bad", "1.0.0", "do: [ { a: { set: { x: '${ .[ }' } } } ]").await.unwrap_err();
    assert!(bad.starts_with("definition-invalid: ") && bad.contains("line 3"), "{bad}");
    shop.deploy("three", "1.0.0", THREE).await;
    let second = Native::new("spy", "1").subscribe("three-wanted").handler(|_, _| Ok(Outcome::handled()));
    let taken = shop.node.native(second).await.unwrap_err();
    assert_eq!(taken.code(), "queue-taken");
    assert_eq!(
        shop.node.publish_json("baton.queue.pay", "x", &json!({})).await.unwrap_err().code(),
        "reserved-channel"
    );
    shop.node.undeploy(&name("three"), false).await.unwrap();
    assert!(shop.node.workflows().iter().all(|workflow| !workflow.deployed));
    shop.node.stop().await;
}
