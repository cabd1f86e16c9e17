//! The threads that run guests. Lanes that have work stand in one row; as many threads as there are workers take
//! them. A call that outlives a tick no longer counts as a worker: a spare thread takes its place, up to a bound, so
//! that a guest in an endless loop or a blocked host call stops nobody else. Before that, while all workers are busy, one more
//! thread takes jobs of those who have none running: they do not wait for the ends of others' batches. And nobody gets the last
//! worker while others have had something to do a moment ago: it is there when they have again. A job may also be put in for
//! a time of day.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;

/// How long the last worker is kept for others after they had something to do.
const MOMENT: Duration = Duration::from_millis(50);
/// How many threads take jobs of those who have none running while all workers are busy.
const NEWCOMERS: usize = 1;
/// How long a call may take before a spare thread takes over its worker's place.
const TICK: Duration = Duration::from_millis(10);

/// The owner of jobs that have none.
pub const NOBODY: usize = 0;

/// Something that stands in the row.
pub trait Job: Send + Sync {
    /// Does a bounded piece of work. Says whether there is more, and the job goes to the end of the row.
    fn run(&self) -> bool;

    /// Whose work it is. What is [`NOBODY`]'s begins as soon as there is a thread.
    fn owner(&self) -> usize {
        NOBODY
    }
}

/// How many threads there may be.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Threads that work at a time, those that are stuck in a long call left out.
    pub workers: usize,
    /// Threads in all.
    pub threads_max: usize,
}

/// The threads and their row.
pub struct Pool {
    shared: Arc<Shared>,
    monitor: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    limits: PoolLimits,
    clock: Arc<dyn Clock>,
    row: Mutex<Row>,
    changed: Condvar,
    ended: Condvar,
    idle: Condvar,
    tick: AtomicU64,
    monitor: Condvar,
}

#[derive(Default)]
struct Row {
    jobs: VecDeque<Arc<dyn Job>>,
    later: Later,
    idle: usize,
    stopped: bool,
    threads: Vec<Worker>,
    /// Threads that have not ended.
    alive: usize,
    /// The owners of jobs that a thread has taken and not done.
    taken: Vec<usize>,
    /// How many of these take longer than a tick.
    stuck: usize,
    /// The two owners who took a job last, and when.
    latest: [Option<(usize, Instant)>; 2],
    /// Whether nobody takes a job now.
    shut: bool,
}

impl Row {
    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.taken.is_empty()
    }

    /// The place of the job that may begin now.
    fn next(&self, workers: usize, now: Instant) -> Option<usize> {
        let busy = self.taken.len().saturating_sub(self.stuck);
        if self.shut || busy >= workers + NEWCOMERS {
            return None;
        }
        let may_begin = |owner: usize| match self.begun_by(owner) {
            0 => true,
            begun => busy < workers && (begun + 1 < workers || !self.others_are_awake(owner, now)),
        };
        self.jobs.iter().position(|job| may_begin(job.owner()))
    }

    /// How many jobs of an owner are taken; those of nobody count for none.
    fn begun_by(&self, owner: usize) -> usize {
        self.taken.iter().filter(|taken| owner != NOBODY && **taken == owner).count()
    }

    fn others_are_awake(&self, owner: usize, now: Instant) -> bool {
        let mut others = self.latest.iter().flatten().filter(|(other, _)| *other != owner);
        others.any(|(_, at)| now.saturating_duration_since(*at) < MOMENT)
    }

    fn take(&mut self, owner: usize, now: Instant) {
        self.taken.push(owner);
        if self.latest[0].is_some_and(|(latest, _)| latest != owner) {
            self.latest[1] = self.latest[0];
        }
        self.latest[0] = Some((owner, now));
    }
}

/// Jobs for a time of day, each with a number that tells those of one time apart.
#[derive(Default)]
struct Later {
    jobs: BTreeMap<(u64, u64), Arc<dyn Job>>,
    number: u64,
    /// When somebody last looked.
    looked_ms: u64,
}

impl Later {
    fn push(&mut self, due_ms: u64, job: Arc<dyn Job>) {
        self.number += 1;
        self.jobs.insert((due_ms, self.number), job);
    }

    /// Takes out what is due. When the clock was set back that is everything: whoever comes too early puts himself in again.
    fn due(&mut self, now_ms: u64) -> Vec<Arc<dyn Job>> {
        let is_back = now_ms < self.looked_ms;
        self.looked_ms = now_ms;
        let later = if is_back { BTreeMap::new() } else { self.jobs.split_off(&(now_ms + 1, 0)) };
        std::mem::replace(&mut self.jobs, later).into_values().collect()
    }
}

struct Worker {
    /// The tick in which the present job began; 0 without a job.
    since: Arc<AtomicU64>,
    handle: JoinHandle<()>,
}

impl Pool {
    /// Starts the workers.
    pub fn start(limits: PoolLimits, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            limits,
            clock,
            row: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
            idle: Condvar::new(),
            tick: AtomicU64::new(1),
            monitor: Condvar::new(),
        });
        for _ in 0..shared.threads() {
            shared.spawn(&mut shared.row.lock())?;
        }
        let monitored = shared.clone();
        let monitor = std::thread::Builder::new()
            .name("baton-monitor".to_owned())
            .spawn(move || monitored.monitor())?;
        Ok(Self { shared, monitor: Mutex::new(Some(monitor)) })
    }

    /// Puts a job at the end of the row.
    pub fn push(&self, job: Arc<dyn Job>) {
        self.shared.push(job);
    }

    /// Lets nobody take a job while `push` puts some into the row: then their order is the only one.
    pub fn together(&self, push: impl FnOnce()) {
        self.shared.row.lock().shut = true;
        push();
        self.shared.row.lock().shut = false;
        self.shared.changed.notify_all();
    }

    /// Waits until there is no job, neither in the row nor with a thread. Says whether that came true in time.
    pub fn wait_idle(&self, until: Instant) -> bool {
        let mut row = self.shared.row.lock();
        self.shared.take_due(&mut row);
        while !row.is_idle() {
            if self.shared.idle.wait_until(&mut row, until).timed_out() {
                return row.is_idle();
            }
        }
        true
    }

    /// Puts a job at the end of the row when the clock shows this time, in milliseconds since the Unix epoch, or up to a
    /// tick later.
    pub fn push_at(&self, due_ms: u64, job: Arc<dyn Job>) {
        self.shared.row.lock().later.push(due_ms, job);
    }

    /// Ends all threads once they have finished their present jobs. Jobs in the row are dropped. A job that takes longer than
    /// `patience` is left behind with its thread: native code may never come back.
    pub fn stop(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut row = self.shared.row.lock();
        row.stopped = true;
        self.shared.changed.notify_all();
        self.shared.monitor.notify_all();
        while row.alive > 0 && !self.shared.ended.wait_until(&mut row, until).timed_out() {}
        if row.alive > 0 {
            tracing::warn!(threads = row.alive, "threads in calls that do not end are left behind");
        }
        let workers = std::mem::take(&mut row.threads);
        let left_behind = row.alive > 0;
        drop(row);
        let ended = workers.into_iter().filter(|worker| !left_behind || worker.handle.is_finished());
        let handles = ended.map(|worker| worker.handle).chain(self.monitor.lock().take());
        for handle in handles {
            if handle.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
        let mut row = self.shared.row.lock();
        row.jobs.clear();
        row.later = Later::default();
    }
}

/// A thread that has not ended, whether it returns or panics.
struct Alive(Arc<Shared>);

impl Alive {
    fn work(&self, since: &AtomicU64) {
        let mut next = self.0.next(None);
        while let Some(job) = next {
            since.store(self.0.tick.load(Ordering::Relaxed), Ordering::Relaxed);
            let more = job.run();
            since.store(0, Ordering::Relaxed);
            next = self.0.next(Some((job, more)));
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.row.lock().alive -= 1;
        self.0.ended.notify_all();
    }
}

impl Shared {
    fn push(&self, job: Arc<dyn Job>) {
        let mut row = self.row.lock();
        row.jobs.push_back(job);
        self.call(&row);
    }

    /// Wakes a thread if there is a job for it.
    fn call(&self, row: &Row) {
        if row.idle > 0 && row.next(self.limits.workers, Instant::now()).is_some() {
            self.changed.notify_one();
        }
    }

    /// How many threads there are when none is stuck.
    fn threads(&self) -> usize {
        let PoolLimits { workers, threads_max } = self.limits;
        (workers + NEWCOMERS).min(threads_max.max(workers))
    }

    fn spawn(self: &Arc<Self>, row: &mut Row) -> std::io::Result<()> {
        let since = Arc::new(AtomicU64::new(0));
        let (shared, mine) = (self.clone(), since.clone());
        let handle = std::thread::Builder::new()
            .name("baton-worker".to_owned())
            .spawn(move || Alive(shared).work(&mine))?;
        row.alive += 1;
        row.threads.push(Worker { since, handle });
        Ok(())
    }

    /// The next job, after one that is `done`, perhaps for now; none when the pool stops, or when spare threads have made this one superfluous.
    fn next(&self, done: Option<(Arc<dyn Job>, bool)>) -> Option<Arc<dyn Job>> {
        let mut row = self.row.lock();
        if let Some((job, more)) = done {
            if let Some(place) = row.taken.iter().position(|owner| *owner == job.owner()) {
                row.taken.swap_remove(place);
            }
            if more {
                row.jobs.push_back(job);
            }
        }
        if row.is_idle() {
            self.idle.notify_all();
        }
        loop {
            if row.stopped || row.idle >= self.threads() {
                return None;
            }
            let now = Instant::now();
            let place = row.next(self.limits.workers, now);
            if let Some(job) = place.and_then(|place| row.jobs.remove(place)) {
                row.take(job.owner(), now);
                self.call(&row);
                return Some(job);
            }
            row.idle += 1;
            self.changed.wait(&mut row);
            row.idle -= 1;
        }
    }

    fn monitor(self: &Arc<Self>) {
        let mut row = self.row.lock();
        while !row.stopped {
            self.monitor.wait_for(&mut row, TICK);
            let tick = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
            row.threads.retain(|worker| !worker.handle.is_finished());
            row.stuck = stuck(&row, tick);
            self.take_due(&mut row);
            self.call(&row);
            if !row.jobs.is_empty()
                && self.spares_wanted(&row)
                && let Err(error) = self.spawn(&mut row)
            {
                tracing::warn!(%error, "no spare thread could be started");
            }
        }
    }

    fn take_due(&self, row: &mut Row) {
        if row.later.jobs.is_empty() {
            return;
        }
        let due = row.later.due(self.clock.now_ms());
        row.jobs.extend(due);
        if row.idle > 0 && !row.jobs.is_empty() {
            self.changed.notify_all();
        }
    }

    fn spares_wanted(&self, row: &Row) -> bool {
        row.threads.len() < self.limits.threads_max
            && row.threads.len().saturating_sub(row.stuck) < self.threads()
    }
}

/// How many threads are in a call that takes longer than a tick.
fn stuck(row: &Row, tick: u64) -> usize {
    let is_stuck = |worker: &&Worker| {
        let since = worker.since.load(Ordering::Relaxed);
        since != 0 && tick - since > 1
    };
    row.threads.iter().filter(is_stuck).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const PATIENCE: Duration = Duration::from_secs(20);
    use crate::clock::ManualClock;

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(1000))
    }

    struct Blocked {
        release: Mutex<Receiver<()>>,
        began: Sender<()>,
    }

    impl Job for Blocked {
        fn run(&self) -> bool {
            self.began.send(()).unwrap();
            self.release.lock().recv().unwrap();
            false
        }
    }

    /// Somebody's job that tells when it runs.
    struct Named(usize, Sender<usize>);

    impl Job for Named {
        fn run(&self) -> bool {
            self.1.send(self.0).unwrap();
            false
        }

        fn owner(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn a_row_gives_the_first_job_while_workers_are_free_and_then_one_of_a_newcomer() {
        let (told, _telling) = channel();
        let job = |owner: usize| Arc::new(Named(owner, told.clone())) as Arc<dyn Job>;
        let mut row = Row { jobs: [1, 1, 2, 0].map(job).into(), ..Row::default() };
        let now = Instant::now();
        let mut next = |taken: &[usize], stuck: usize| {
            (row.taken, row.stuck) = (taken.to_vec(), stuck);
            row.next(2, now)
        };
        assert_eq!(next(&[], 0), Some(0));
        assert_eq!(next(&[1, 1], 0), Some(2));
        assert_eq!(next(&[1, 2], 0), Some(3), "nobody's job is always one of a newcomer");
        assert_eq!(next(&[1, 1, 2], 0), None);
        assert_eq!(next(&[1, 1, 2], 2), Some(0));
    }

    #[test]
    fn the_last_worker_is_kept_for_others_who_had_something_to_do_a_moment_ago() {
        let (told, _telling) = channel();
        let job = |owner: usize| Arc::new(Named(owner, told.clone())) as Arc<dyn Job>;
        let mut row = Row { jobs: [1].map(job).into(), ..Row::default() };
        let now = Instant::now();
        row.take(1, now);
        assert_eq!(row.next(2, now), Some(0), "nobody else is there");
        row.taken.clear();
        row.take(2, now);
        row.taken.clear();
        row.take(1, now);
        assert_eq!(row.next(2, now), None);
        assert_eq!(row.next(3, now), Some(0), "there are more workers");
        assert_eq!(row.next(2, now + MOMENT), Some(0), "the other has nothing to do any more");
        row.jobs.push_back(job(2));
        assert_eq!(row.next(2, now), Some(1));
        let mut waiting = Row { jobs: [NOBODY].map(job).into(), ..Row::default() };
        (waiting.latest, waiting.stuck) = (row.latest, 2);
        waiting.taken = vec![NOBODY, NOBODY];
        assert_eq!(waiting.next(2, now), Some(0), "those who wait for others may all wait at one time");
    }

    struct Tell(Sender<()>, AtomicBool);

    impl Job for Tell {
        fn run(&self) -> bool {
            let more = !self.1.swap(true, Ordering::SeqCst);
            self.0.send(()).unwrap();
            more
        }
    }

    #[test]
    fn a_job_that_blocks_stops_nobody_else() {
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 3 }, clock()).unwrap();
        let (began, has_begun) = channel();
        let releases: Vec<_> = (0..2)
            .map(|_| {
                let (release, released) = channel();
                pool.push(Arc::new(Blocked { release: Mutex::new(released), began: began.clone() }));
                release
            })
            .collect();
        has_begun.recv().unwrap();
        has_begun.recv().unwrap();
        let (told, telling) = channel();
        pool.push(Arc::new(Tell(told, AtomicBool::new(false))));
        telling.recv().unwrap();
        telling.recv().unwrap();
        releases.iter().for_each(|release| release.send(()).unwrap());
        pool.stop(PATIENCE);
        assert!(telling.recv().is_err(), "a job that says it is done is not run again");
    }

    #[test]
    fn it_is_idle_when_nothing_waits_and_nothing_runs() {
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 1 }, clock()).unwrap();
        assert!(pool.wait_idle(Instant::now()));
        let (began, has_begun) = channel();
        let (release, released) = channel();
        pool.push(Arc::new(Blocked { release: Mutex::new(released), began }));
        has_begun.recv().unwrap();
        assert!(!pool.wait_idle(Instant::now()));
        release.send(()).unwrap();
        assert!(pool.wait_idle(Instant::now() + PATIENCE));
        pool.stop(PATIENCE);
    }

    #[test]
    fn a_job_that_never_ends_is_left_behind() {
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 1 }, clock()).unwrap();
        let (began, has_begun) = channel();
        let (release, released) = channel();
        pool.push(Arc::new(Blocked { release: Mutex::new(released), began }));
        has_begun.recv().unwrap();
        pool.stop(Duration::from_millis(1));
        assert_eq!(pool.shared.row.lock().alive, 1);
        release.send(()).unwrap();
    }

    #[test]
    fn there_are_never_more_threads_than_allowed() {
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 2 }, clock()).unwrap();
        let (began, has_begun) = channel();
        let (releases, jobs): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let (release, released) = channel();
                (release, Arc::new(Blocked { release: Mutex::new(released), began: began.clone() }))
            })
            .unzip();
        jobs.into_iter().for_each(|job| pool.push(job));
        has_begun.recv().unwrap();
        has_begun.recv().unwrap();
        assert_eq!(pool.shared.row.lock().threads.len(), 2);
        assert_eq!(pool.shared.row.lock().jobs.len(), 1);
        releases.iter().for_each(|release| release.send(()).unwrap());
        has_begun.recv().unwrap();
        pool.stop(PATIENCE);
    }

    #[test]
    fn a_job_for_a_time_runs_when_the_clock_shows_it_or_is_set_back() {
        let clock = clock();
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 2 }, clock.clone()).unwrap();
        let tell = || {
            let (told, telling) = channel();
            (Arc::new(Tell(told, AtomicBool::new(true))), telling)
        };
        let ((soon, is_soon), (late, is_late)) = (tell(), tell());
        pool.push_at(1500, late);
        pool.push_at(1100, soon);
        clock.advance(100);
        is_soon.recv().unwrap();
        assert!(is_late.try_recv().is_err());
        clock.advance(400);
        is_late.recv().unwrap();
        pool.stop(PATIENCE);
        let mut later = Later::default();
        later.push(1500, tell().0);
        assert_eq!((later.due(1400).len(), later.due(1300).len(), later.due(2000).len()), (0, 1, 0));
    }
}
