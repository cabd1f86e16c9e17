//! A host inside an application: its own code beside components, with a folder and without, to the end and beyond.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;
use crate::dispatch::{Native, Outcome};
use crate::model::name::ProcessorName;
use crate::model::report::{Accepted, FlowStatus, ProcessorStatus};

mod mediation;

const SOON: Duration = Duration::from_secs(20);

/// Counts the events of a key.
fn counter(version: &str) -> Native {
    Native::new("counter", version).subscribe("orders").publishes("counted").handler(|_, cx| {
        let count = cx.state::<u64>("count")?.unwrap_or(0) + 1;
        Outcome::handled().set("count", &count)?.emit_json("counted", &count)?.reply(&count)
    })
}

async fn start(dir: &Path, natives: impl IntoIterator<Item = Native>) -> Node {
    let builder = Node::builder().folder(dir).settings(Settings::default());
    natives.into_iter().fold(builder, NodeBuilder::native).start().await.unwrap()
}

async fn order(node: &Node) -> Accepted {
    node.publish_json("orders", "o-1", &json!({"sku": "moby-dick"})).await.unwrap()
}

async fn reply(node: &Node, accepted: &Accepted) -> Value {
    let flow = accepted.flow.parse().unwrap();
    match node.await_in_flow(flow, &Awaited::Reply, SOON).await.unwrap() {
        Some(Answer::Reply(value)) => value,
        other => panic!("{other:?}"),
    }
}

fn name(text: &str) -> ProcessorName {
    text.parse().unwrap()
}

fn report(node: &Node) -> crate::model::report::ProcessorReport {
    node.processor(&name("counter")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_in_memory_runs_the_applications_code() {
    let node = Node::builder().native(counter("1")).start().await.unwrap();
    assert_eq!(reply(&node, &order(&node).await).await, 1);
    let second = order(&node).await;
    assert_eq!(reply(&node, &second).await, 2);
    let state = node.state(&name("counter"), Some("o-1"), 10).unwrap();
    assert_eq!((state[0].name.as_str(), &state[0].value), ("count", &Some(json!(2))));
    let flow = node.flow(second.flow.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((flow.status, flow.events.len()), (FlowStatus::Done, 2));
    assert_eq!((report(&node).digest.as_str(), report(&node).status), ("native:1", ProcessorStatus::Running));
    assert_eq!(node.deployments()[0].file, "native");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_code_keeps_its_place_until_it_is_registered_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), [counter("1")]).await;
    assert_eq!(reply(&node, &order(&node).await).await, 1);
    node.stop().await;

    let node = start(dir.path(), []).await;
    let missed = order(&node).await;
    let idle = report(&node);
    assert_eq!((idle.status, idle.subscriptions[0].lag), (ProcessorStatus::Failed, 1));
    assert!(idle.reason.unwrap().starts_with("not running: native, the application has not registered it"));
    let again = node.native(counter("1")).await.unwrap();
    assert_eq!((again.generation, reply(&node, &missed).await), (1, json!(2)));
    node.stop().await;

    let node = start(dir.path(), [counter("2")]).await;
    assert_eq!((report(&node).generation, node.deployments().len()), (2, 2));
    assert_eq!(node.deployments()[1].changes, ["version: 1 -> 2"]);
    assert_eq!(reply(&node, &order(&node).await).await, 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_application_is_not_for_components() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), [counter("1")]).await;
    let refused = node.deploy(&name("counter"), bytes::Bytes::from_static(b"\0asm")).await.unwrap_err();
    assert_eq!(refused.code(), "processor-native");
    node.undeploy(&name("counter"), false).await.unwrap();
    assert_eq!(report(&node).status, ProcessorStatus::Undeployed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_that_says_nonsense_ends_the_start_and_frees_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || Node::builder().folder(dir.path());
    let error = builder().native(Native::new("counter", "1")).start().await.err().unwrap();
    assert_eq!(error.code(), "native-not-deployed");
    assert!(error.to_string().contains("'subscriptions'"), "{error}");
    builder().native(counter("1")).start().await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_and_data_that_are_none_are_refused() {
    let node = Node::builder().start().await.unwrap();
    let error = node.publish_json("no channel", "s", &1).await.unwrap_err();
    assert!(error.to_string().contains("'channel'"), "{error}");
    let error = node.publish("orders", crate::model::event::Event::default()).await.unwrap_err();
    assert!(error.to_string().contains("'id'"), "{error}");
    let component = node.deploy_component(&b"not wasm"[..]).await.unwrap_err();
    assert_eq!(component.code(), "component-not-wasm");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_dropped_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        let node = start(dir.path(), [counter("1")]).await;
        assert_eq!(reply(&node, &order(&node).await).await, n);
        drop(node);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_never_ends_does_not_keep_the_host() {
    let mut settings = Settings::default();
    settings.limits.drain_ms_max = 10;
    let began = Arc::new((Mutex::new(0), Condvar::new()));
    let (begins, calls) = (began.clone(), Arc::new(AtomicU64::new(0)));
    let counted = calls.clone();
    let endless = Native::new("endless", "1").subscribe("orders").handler(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        *begins.0.lock() += 1;
        begins.1.notify_all();
        loop {
            std::thread::park();
        }
    });
    let node = Node::builder().settings(settings).native(endless).start().await.unwrap();
    order(&node).await;
    {
        let mut begun = began.0.lock();
        while *begun == 0 {
            began.1.wait(&mut begun);
        }
    }
    node.stop().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_does_not_balance_raises_an_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), [counter("1")]).await;
    reply(&node, &order(&node).await).await;
    assert!(node.status().alarms.is_empty());
    node.stop().await;
    drop(node);
    let store = dir.path().join(".baton/views/views.sqlite");
    let columns = crate::view::store::sums::SUBSCRIPTION;
    let wrong = "UPDATE subscription SET acked = acked + 1";
    let wrong = format!("{wrong}; UPDATE subscription SET checksum = checksum({columns})");
    let connection = rusqlite::Connection::open(store).unwrap();
    crate::view::store::sums::teach(&connection).unwrap();
    connection.execute_batch(&wrong).unwrap();
    drop(connection);
    let node = start(dir.path(), [counter("1")]).await;
    let alarms = node.status().alarms;
    assert_eq!((alarms.len(), alarms[0].processor.as_str(), alarms[0].difference), (1, "counter", -1));
    let metrics = node.metrics().await.unwrap();
    let row = "baton_subscription_ledger_difference{processor=\"counter\",channel=\"orders\"} -1";
    assert!(metrics.contains(row), "{metrics}");
    node.stop().await;
}
