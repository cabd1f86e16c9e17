//! The threads that run guests. Lanes that have work stand in one row; as many threads as there are workers take
//! them. A call that outlives a tick no longer counts as a worker: a spare thread takes its place, up to a bound, so
//! that a guest in an endless loop or a blocked host call stops nobody else. Before that, while all workers are busy, one more
//! thread takes jobs of those who have none running: they do not wait for the ends of others' batches. And nobody gets the last
//! worker while others have had something to do a moment ago: it is there when they have again. Who has all places that he may have, and
//! more to do, lets one of them rest as others work who have not (`shares`), and is told to do less at once: the host's other threads need
//! processors too. A job may also be put in for a time of day.
//!
//! What a job puts into the row is taken by the thread that did the job, and counts as the same work: a chain of processors that wake
//! each other is one.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;

use super::shares::Shares;

/// How many threads take jobs of those who have none running while all workers are busy.
const NEWCOMERS: usize = 1;
/// How long a call may take before a spare thread takes over its worker's place.
const TICK: Duration = Duration::from_millis(10);

/// The owner of jobs that have none.
pub const NOBODY: usize = 0;

thread_local! {
    /// The pool whose job this thread is doing, 0 for none, and where that comes from.
    static WORKS_FOR: Cell<(usize, usize)> = const { Cell::new((0, NOBODY)) };
}

/// Something that stands in the row.
pub trait Job: Send + Sync {
    /// Does a bounded piece of work, about so much if it can be divided. Says whether there is more, and the job goes to the end of the row.
    fn run(&self, work: Duration) -> bool;

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

/// A job in the row.
struct Entry {
    job: Arc<dyn Job>,
    /// Whose work it comes from: its owner's, or that from which the job came that put it there.
    root: usize,
}

impl Entry {
    fn new(job: Arc<dyn Job>) -> Self {
        let root = job.owner();
        Self { job, root }
    }
}

#[derive(Default)]
struct Row {
    jobs: VecDeque<Entry>,
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
    /// What owners had of the threads of late.
    shares: Shares,
    /// Owners who let one of their places rest, and until when.
    rests: Vec<(usize, Instant)>,
    /// Whether a thread waits for the first rest to end.
    rest_is_watched: bool,
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
        let may_begin = |Entry { job, root }: &Entry| match self.begun_by(job.owner()) {
            0 => true,
            begun => busy < workers && (begun + 1 < workers || !self.shares.others_are_awake(*root, now)),
        };
        self.jobs.iter().position(may_begin)
    }

    /// How many places an owner has: jobs that are taken, and rests. Nobody has none.
    fn begun_by(&self, owner: usize) -> usize {
        let rests = self.rests.iter().map(|(rests, _)| rests);
        self.taken.iter().chain(rests).filter(|has| owner != NOBODY && **has == owner).count()
    }

    fn take(&mut self, entry: &Entry, now: Instant) {
        self.taken.push(entry.job.owner());
        self.shares.begins(entry.root, now);
    }

    fn done(&mut self, done: Done, workers: usize, now: Instant) {
        let Done { entry, more, began } = done;
        let (owner, root) = (entry.job.owner(), entry.root);
        if let Some(place) = self.taken.iter().position(|taken| *taken == owner) {
            self.taken.swap_remove(place);
        }
        let took = now.saturating_duration_since(began);
        match more {
            true => self.jobs.push_back(entry),
            // Those who have more to do themselves are none to rest for, and nobody's jobs wait for others most of their time.
            false if owner != NOBODY => self.shares.ends(root, took, now),
            false => {}
        }
        let rest = self.shares.rest(root, took, now);
        let may_rest = more && owner != NOBODY && workers > 1 && !rest.is_zero();
        if may_rest && self.rests.iter().all(|(rests, _)| *rests != owner) {
            self.rests.push((owner, now + rest));
        }
    }

    /// Ends the rests that are over. Says when the next one is.
    fn end_rests(&mut self, now: Instant) -> Option<Instant> {
        self.rests.retain(|(_, until)| *until > now);
        self.rests.iter().map(|(_, until)| *until).min()
    }
}

/// A job that a thread does from now on, and how much of it.
struct Taken {
    entry: Entry,
    began: Instant,
    work: Duration,
}

/// A job that a thread has done, perhaps for now.
struct Done {
    entry: Entry,
    more: bool,
    began: Instant,
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
        while let Some(Taken { entry, began, work }) = next {
            since.store(self.0.tick.load(Ordering::Relaxed), Ordering::Relaxed);
            WORKS_FOR.set((self.0.number(), entry.root));
            let more = entry.job.run(work);
            WORKS_FOR.set((0, NOBODY));
            since.store(0, Ordering::Relaxed);
            next = self.0.next(Some(Done { entry, more, began }));
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
    /// A thread that is doing a job looks at the row when it is done, so it wakes no other for what it puts there; if the job goes on for
    /// long, the monitor does.
    fn push(&self, job: Arc<dyn Job>) {
        let (pool, root) = WORKS_FOR.get();
        let is_worker = pool == self.number();
        let mut entry = Entry::new(job);
        if is_worker && root != NOBODY {
            entry.root = root;
        }
        let mut row = self.row.lock();
        row.jobs.push_back(entry);
        if !is_worker {
            self.call(&row);
        }
    }

    /// Tells it from other pools.
    fn number(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Wakes a thread if there is a job for it, or a rest that nobody watches.
    fn call(&self, row: &Row) {
        let is_unwatched = !row.rests.is_empty() && !row.rest_is_watched;
        if row.idle > 0 && (is_unwatched || row.next(self.limits.workers, Instant::now()).is_some()) {
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

    /// The next job, after one that is `done`; none when the pool stops, or when spare threads have made this one superfluous.
    fn next(&self, done: Option<Done>) -> Option<Taken> {
        let workers = self.limits.workers;
        let mut row = self.row.lock();
        let mut now = Instant::now();
        if let Some(done) = done {
            row.done(done, workers, now);
        }
        if row.is_idle() {
            self.idle.notify_all();
        }
        loop {
            if row.stopped || row.idle >= self.threads() {
                self.call(&row);
                return None;
            }
            let rests_until = row.end_rests(now);
            if let Some(entry) = row.next(workers, now).and_then(|place| row.jobs.remove(place)) {
                row.take(&entry, now);
                self.call(&row);
                let work = row.shares.job(entry.root, now);
                return Some(Taken { entry, began: now, work });
            }
            self.wait(&mut row, rests_until);
            now = Instant::now();
        }
    }

    /// Waits for a job. One thread at a time does that until a rest is over.
    fn wait(&self, row: &mut MutexGuard<'_, Row>, rests_until: Option<Instant>) {
        row.idle += 1;
        match rests_until.filter(|_| !row.rest_is_watched) {
            Some(until) => {
                row.rest_is_watched = true;
                self.changed.wait_until(row, until);
                row.rest_is_watched = false;
            }
            None => self.changed.wait(row),
        }
        row.idle -= 1;
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
        row.jobs.extend(due.into_iter().map(Entry::new));
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

    use crate::clock::ManualClock;
    use crate::dispatch::shares::MOMENT;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(1000))
    }

    struct Blocked {
        release: Mutex<Receiver<()>>,
        began: Sender<()>,
    }

    impl Job for Blocked {
        fn run(&self, _: Duration) -> bool {
            self.began.send(()).unwrap();
            self.release.lock().recv().unwrap();
            false
        }
    }

    /// Somebody's job that tells when it runs.
    struct Named(usize, Sender<usize>);

    impl Job for Named {
        fn run(&self, _: Duration) -> bool {
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
        let job = |owner: usize| Entry::new(Arc::new(Named(owner, told.clone())));
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
        let job = |owner: usize| Entry::new(Arc::new(Named(owner, told.clone())));
        let mut row = Row { jobs: [1].map(job).into(), ..Row::default() };
        let now = Instant::now();
        row.take(&job(1), now);
        assert_eq!(row.next(2, now), Some(0), "nobody else is there");
        row.taken.clear();
        row.take(&job(2), now);
        row.taken.clear();
        row.take(&job(1), now);
        assert_eq!(row.next(2, now), None);
        assert_eq!(row.next(3, now), Some(0), "there are more workers");
        assert_eq!(row.next(2, now + 2 * MOMENT), Some(0), "the other has nothing to do any more");
        row.jobs.push_back(job(2));
        assert_eq!(row.next(2, now), Some(1));
        row.jobs = [NOBODY].map(job).into();
        (row.taken, row.stuck) = (vec![NOBODY, NOBODY], 2);
        assert_eq!(row.next(2, now), Some(0), "those who wait for others may all wait at one time");
    }

    #[test]
    fn who_has_more_to_do_rests_while_others_work_too() {
        let (told, _telling) = channel();
        let job = |owner: usize| Entry::new(Arc::new(Named(owner, told.clone())));
        let (began, took) = (Instant::now(), Duration::from_micros(400));
        let at = began + took;
        let rests = |workers: usize, others: &[(usize, bool)]| {
            let (mut row, all) = (Row::default(), [others, &[(1, true)]].concat());
            all.iter().for_each(|(owner, _)| row.take(&job(*owner), began));
            for (owner, more) in all {
                row.done(Done { entry: job(owner), more, began }, workers, at);
            }
            row
        };
        let until = |workers: usize, others: &[(usize, bool)]| rests(workers, others).end_rests(at);
        assert_eq!(until(2, &[]), None, "nobody else is there");
        assert_eq!(until(1, &[(2, false)]), None, "there is no other place for others");
        assert_eq!(until(2, &[(NOBODY, false)]), None, "nobody waits more than it works");
        assert_eq!(until(2, &[(2, true)]), None, "the other has more to do too");
        assert_eq!(until(2, &[(2, false)]), Some(at + 2 * took));
        let mut row = rests(2, &[(2, false)]);
        assert_eq!((row.next(2, at), row.next(3, at)), (None, Some(0)));
        assert_eq!((row.end_rests(at + 2 * took), row.next(2, at + 2 * took)), (None, Some(0)));
    }

    /// Somebody's job that causes another's, and tells whose work that is in the row.
    struct Causes(Arc<Shared>, Arc<Named>, Sender<usize>);

    impl Job for Causes {
        fn run(&self, _: Duration) -> bool {
            self.0.push(self.1.clone());
            self.2.send(self.0.row.lock().jobs.back().unwrap().root).unwrap();
            false
        }

        fn owner(&self) -> usize {
            1
        }
    }

    #[test]
    fn what_a_job_causes_is_the_work_of_its_owner_and_comes_next() {
        let pool = Pool::start(PoolLimits { workers: 1, threads_max: 1 }, clock()).unwrap();
        let ((told, telling), (ran, running)) = (channel(), channel());
        let caused = Arc::new(Named(2, ran));
        pool.push(Arc::new(Causes(pool.shared.clone(), caused.clone(), told)));
        assert_eq!((telling.recv(), running.recv()), (Ok(1), Ok(2)));
        pool.stop(PATIENCE);
        pool.push(caused);
        assert_eq!(pool.shared.row.lock().jobs.back().unwrap().root, 2, "nobody's job caused it");
    }

    struct Tell(Sender<()>, AtomicBool);

    impl Job for Tell {
        fn run(&self, _: Duration) -> bool {
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
