//! Native processors that act outside: what they see is durable, and a slow disk holds up them alone.

use std::io;

use parking_lot::Condvar;

use super::*;
use crate::dispatch::{Native, Outcome, Rejected};
use crate::journal::storage::{Space, Storage, StorageFile, StorageLock};

/// A disk whose syncs wait while it is shut.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// It is open again when this is dropped, so that a test that fails ends.
struct Shut(Gate);

impl Drop for Shut {
    fn drop(&mut self) {
        *self.0.0.0.lock() = false;
        self.0.0.1.notify_all();
    }
}

impl Gate {
    fn shut(&self) -> Shut {
        *self.0.0.lock() = true;
        Shut(self.clone())
    }

    fn pass(&self) {
        let mut shut = self.0.0.lock();
        while *shut {
            self.0.1.wait(&mut shut);
        }
    }
}

struct Disk {
    memory: Memory,
    gate: Gate,
}

struct DiskFile {
    file: Arc<dyn StorageFile>,
    gate: Gate,
}

impl Disk {
    fn gated(&self, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(DiskFile { file, gate: self.gate.clone() })
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(self.memory.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(self.memory.open(name)?))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.memory.sync_folder()
    }
    fn lock(&self) -> io::Result<Option<StorageLock>> {
        self.memory.lock()
    }
    fn space(&self) -> io::Result<Space> {
        self.memory.space()
    }
    fn place(&self) -> String {
        self.memory.place()
    }
}

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
}

fn host_with_gate() -> (Host, Gate) {
    let gate = Gate::default();
    let disk = Disk { memory: Memory::new(), gate: gate.clone() };
    (open_on(Arc::new(disk)), gate)
}

/// Remembers which events it saw, and whether each was durable then.
fn watcher(name: &str, domain: &Domain, seen: &Arc<Mutex<Vec<(u64, bool)>>>) -> Native {
    let (domain, seen) = (domain.clone(), seen.clone());
    Native::new(name, "1").subscribe("a").handler(move |event, _| {
        let id = domain.look(|world| world.channel_id("a")).unwrap();
        let durable = domain.durable_events(id, event.offset(), 1, usize::MAX).unwrap();
        seen.lock().push((event.offset(), !durable.is_empty()));
        Ok(Outcome::handled())
    })
}

#[test]
fn what_acts_outside_sees_only_what_is_durable() {
    let (host, gate) = host_with_gate();
    let (edge, ahead) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let deploy = |native: Native| host.dispatcher.deploy(&native.version().unwrap()).unwrap();
    deploy(watcher("edge", &host.domain, &edge));
    deploy(watcher("ahead", &host.domain, &ahead).speculate());
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    let shut = gate.shut();
    (0..100).for_each(|n| host.publish("a", &[event(n, &n.to_string())]));
    host.settle("ahead", 0);
    assert!(edge.lock().is_empty());
    assert!(ahead.lock().iter().all(|(_, durable)| !durable));
    drop(shut);
    host.settle("edge", 0);
    assert_eq!(*edge.lock(), (0..100).map(|offset| (offset, true)).collect::<Vec<_>>());
}

#[test]
fn a_fault_of_native_code_parks_its_key_and_runs_nothing_twice() {
    let (host, _gate) = host_with_gate();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tries = seen.clone();
    let native = Native::new("p", "1").subscribe("a").concurrency(2).handler(move |event, _| {
        tries.lock().push(event.offset());
        match event.key() {
            "panics" => panic!("the shelf of {} is broken", event.id()),
            "rejects" => Err(Rejected::reject("not ours")),
            _ => Ok(Outcome::handled()),
        }
    });
    host.dispatcher.deploy(&native.version().unwrap()).unwrap();
    let keys = ["good", "panics", "good", "rejects", "panics", "fine"];
    (0..).zip(keys).for_each(|(n, key)| host.publish("a", &[event(n, key)]));
    host.settle("p", 2);
    // Two are undecided before the faults are known, too.
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while (host.held("p").is_empty() || host.dead("p").is_empty()) && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    let held = host.held("p");
    assert_eq!(held[&1], ("panics".to_owned(), "the handler panicked: the shelf of 1 is broken".to_owned()));
    assert_eq!(host.dead("p"), BTreeMap::from([(3, "not ours".to_owned())]));
    let mut seen = seen.lock().clone();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 5]);
}

#[test]
fn a_handler_that_blocks_holds_up_nobody_else() {
    let (host, _gate) = host_with_gate();
    let gate = Gate::default();
    let shut = gate.shut();
    let blocked = gate.clone();
    let slow = Native::new("slow", "1").subscribe("a").concurrency(4).handler(move |_, _| {
        blocked.pass();
        Ok(Outcome::handled())
    });
    host.dispatcher.deploy(&slow.version().unwrap()).unwrap();
    let quick = version(descriptor("quick", r#"{"channel":"a"}"#, "", 1), "d", |_, _, _| Verdict::Handled);
    host.dispatcher.deploy(&quick).unwrap();
    (0..20).for_each(|n| host.publish("a", &[event(n, &n.to_string())]));
    host.settle("quick", 0);
    assert_eq!(host.lag("slow"), 20);
    drop(shut);
    host.settle("slow", 0);
}
