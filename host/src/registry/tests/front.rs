//! The front door, with the thread and the watcher: everything is waited for, nothing is timed.

use bytes::Bytes;

use super::*;
use crate::model::name::ProcessorName;
use crate::registry::{Answer, PutError, REQUESTS_MAX, Registry};

const LONG: Duration = Duration::from_secs(60);

struct Front {
    dir: TempDir,
    registry: Registry,
}

impl Front {
    /// A registry that never rescans by itself, so that a hint must do it.
    fn new() -> (Self, Receiver<Wanted>) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = RegistryConfig::new(dir.path().join("processors"), dir.path().join("components"));
        config.rescan = LONG * 60;
        let clock = Arc::new(ManualClock::at(0));
        let (registry, wanted) =
            Registry::start(config, Kind::Components(ENGINE.clone()), clock, Vec::new()).unwrap();
        (Self { dir, registry }, wanted)
    }

    /// One whose every wish comes true.
    fn obeyed() -> Self {
        let (front, wanted) = Self::new();
        std::thread::spawn(move || wanted.into_iter().map(obey).for_each(drop));
        front
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("processors")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn name(text: &str) -> ProcessorName {
    text.parse().unwrap()
}

fn bytes(name: &str, version: &str) -> Bytes {
    component(name, version).into()
}

#[test]
fn a_dropped_file_and_its_removal_are_noticed() {
    let (front, wanted) = Front::new();
    let file = front.dir.path().join("processors/mail.wasm");
    std::fs::write(&file, component("mail", "1")).unwrap();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "+mail 1");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "-mail");
}

#[test]
fn a_rescan_finds_a_folder_that_was_put_back() {
    let (front, wanted) = Front::new();
    let (folder, away) = (front.dir.path().join("processors"), front.dir.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    front.registry.rescan();
    std::fs::write(away.join("mail.wasm"), component("mail", "1")).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    front.registry.rescan();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "+mail 1");
    std::fs::write(folder.join("mail.wasm"), component("mail", "2")).unwrap();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "+mail 2");
}

#[tokio::test]
async fn a_put_answers_with_the_receipt_and_a_second_one_changes_nothing() {
    let front = Front::obeyed();
    let answer = front.registry.put(&name("mail"), bytes("mail", "1")).await.unwrap();
    let expected = digest(&component("mail", "1"));
    assert!(matches!(answer, Answer::Deployed(deployment) if deployment.digest == expected));
    assert_eq!(front.names(), ["mail.wasm"]);
    assert!(front.registry.kept(&expected).is_some());
    let answer = front.registry.put(&name("mail"), bytes("mail", "1")).await.unwrap();
    assert_eq!(answer, Answer::Unchanged(expected));
}

#[tokio::test]
async fn a_bad_put_leaves_the_folder_as_it_was() {
    let front = Front::obeyed();
    let error = front.registry.put(&name("mail"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.code(), "component-not-wasm");
    let error = front.registry.put(&name("mail"), bytes("post", "1")).await.unwrap_err();
    assert_eq!(error, PutError::NameMismatch { asked: "mail".to_owned(), found: "post".to_owned() });
    assert_eq!(front.names(), [""; 0]);
}

#[tokio::test]
async fn a_put_goes_into_the_file_that_provides_the_name() {
    let (front, wanted) = Front::new();
    std::fs::write(front.dir.path().join("processors/my_mail.wasm"), component("mail", "1")).unwrap();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "+mail 1");
    std::thread::spawn(move || wanted.into_iter().map(obey).for_each(drop));
    front.registry.put(&name("mail"), bytes("mail", "2")).await.unwrap();
    assert_eq!(front.names(), ["my_mail.wasm"]);
    front.registry.remove(&name("mail")).await.unwrap();
    assert_eq!(front.names(), [""; 0]);
    front.registry.remove(&name("mail")).await.unwrap();
}

#[tokio::test]
async fn a_put_does_not_take_the_file_of_another() {
    let (front, wanted) = Front::new();
    std::fs::write(front.dir.path().join("processors/mail.wasm"), component("post", "1")).unwrap();
    assert_eq!(obey(wanted.recv_timeout(LONG).unwrap()), "+post 1");
    let error = front.registry.put(&name("mail"), bytes("mail", "1")).await.unwrap_err();
    assert_eq!(error.code(), "file-taken");
}

#[tokio::test]
async fn a_version_that_does_not_run_is_the_answer_of_its_put() {
    let (front, wanted) = Front::new();
    std::thread::spawn(move || match wanted.recv() {
        Ok(Wanted::Deploy(candidate)) => candidate.done(Err(fault("guest-trap"))),
        other => panic!("{other:?}"),
    });
    let error = front.registry.put(&name("mail"), bytes("mail", "1")).await.unwrap_err();
    assert_eq!(error.code(), "guest-trap");
}

#[tokio::test]
async fn only_so_many_may_wait_and_a_stop_answers_all() {
    let (front, _wanted) = Front::new();
    let put = |_| {
        let registry = front.registry.clone();
        tokio::spawn(async move { registry.put(&name("mail"), bytes("mail", "1")).await })
    };
    let waiting: Vec<_> = (0..REQUESTS_MAX).map(put).collect();
    tokio::task::yield_now().await;
    let error = front.registry.put(&name("mail"), bytes("mail", "1")).await.unwrap_err();
    assert_eq!(error, PutError::Busy(REQUESTS_MAX));
    front.registry.stop();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Err(PutError::Stopped));
    }
    assert_eq!(front.registry.remove(&name("mail")).await, Err(PutError::Stopped));
}
