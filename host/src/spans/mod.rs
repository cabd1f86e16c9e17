//! Traces of flows, made from the journal: follows the frames that are durable and hands what they say was done, as spans, to an
//! exporter. It is a reader like any other: it costs the path of events nothing, and nothing waits for it.

mod made;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::channel::Domain;
use crate::journal::{Frame, Position};
use crate::model::trace::Span;

use made::Maker;

/// How many positions it may lag behind before it leaves some out: an exporter that is down must not be waited for.
pub const BEHIND_MAX: u64 = 1_000_000;
/// The most spans of one export.
pub const EXPORT_SPANS_MAX: usize = 512;
/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 256 << 10;

/// Takes spans somewhere.
pub trait Exporter: Send + 'static {
    /// Takes a bounded number of spans; blocks until they are there. What fails is lost.
    fn export(&self, spans: Vec<Span>) -> Result<(), String>;
}

#[cfg(feature = "otel")]
impl Exporter for crate::telemetry::Otlp {
    fn export(&self, spans: Vec<Span>) -> Result<(), String> {
        Self::export(self, spans)
    }
}

/// The thread that follows the journal.
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// Starts with what becomes durable from now on.
    pub fn start(domain: Domain, exporter: Box<dyn Exporter>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut following = Following { next: domain.durable().current(), domain, exporter, failing: false };
        let asked = stop.clone();
        let thread = std::thread::Builder::new().name("baton-spans".to_owned());
        let thread = thread.spawn(move || following.run(&asked))?;
        Ok(Self { stop, thread })
    }

    /// Ends it, once the journal is closed; what became durable by then is exported.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.thread.join().is_err() {
            tracing::error!("the thread that exports spans panicked");
        }
    }
}

struct Following {
    domain: Domain,
    exporter: Box<dyn Exporter>,
    next: Position,
    /// Whether the last export failed: it is told once, not for every batch.
    failing: bool,
}

impl Following {
    /// Until the journal ends.
    fn run(&mut self, stop: &AtomicBool) {
        loop {
            let moved = self.domain.durable().wait_blocking(Position(self.next.0 + 1));
            if moved.is_ok() || !self.failing {
                self.catch_up();
            }
            if moved.is_err() || stop.load(Ordering::SeqCst) && self.next >= self.domain.durable().current() {
                return;
            }
        }
    }

    fn catch_up(&mut self) {
        let durable = self.domain.durable().current();
        if durable.0 - self.next.0 > BEHIND_MAX {
            tracing::warn!(
                positions = durable.0 - self.next.0,
                "spans are left out: their export is too slow"
            );
            self.next = durable;
        }
        let domain = self.domain.clone();
        let mut maker = Maker::new(&domain);
        while self.next < durable {
            let Ok(frames) = self.domain.journal().read(self.next, READ_BYTES) else { return };
            let durable_frames = |frame: &&Frame| frame.end() <= durable && frame.position >= self.next;
            let spans = frames.iter().filter(durable_frames).flat_map(|frame| maker.spans(frame)).collect();
            match frames.last().map(Frame::end).filter(|end| *end > self.next) {
                Some(end) => self.next = end.min(durable),
                None => return,
            }
            self.export(spans);
        }
    }

    fn export(&mut self, spans: Vec<Span>) {
        for some in spans.chunks(EXPORT_SPANS_MAX) {
            let exported = self.exporter.export(some.to_vec());
            match (&exported, self.failing) {
                (Err(why), false) => tracing::warn!(why, "spans could not be exported; they are lost"),
                (Ok(()), true) => tracing::info!("spans are exported again"),
                _ => {}
            }
            self.failing = exported.is_err();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
